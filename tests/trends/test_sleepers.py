"""Sleepers by the newest popularity known, in a small release written by hand; the whole way is in test_commands.py."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from soundscope.trends.words import read_sleepers

CHART = "old_chart"
# Track, title, whether it charts, alignment, popularity by a provider (None: nobody says), popularity by the chart with its gap.
SONGS = [
    ("t1", "Hidden Fit", False, 90.0, 10.0, None, None),
    ("t2", "Known Fit", False, 80.0, 70.0, None, None),
    ("t3", "Poor Fit", False, 10.0, 30.0, None, None),
    ("t4", "Odd Hit", True, 5.0, 90.0, 50.0, -60.0),
    ("t5", "Hit Nobody Counts", True, 20.0, None, 40.0, -55.0),
    ("t6", "Silent", False, 99.0, None, None, None),
]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A chart that ended in 2018; popularity was first observed in 2026, so that the table, as of 2018, knows of none."""
    with duckdb.connect() as con:
        con.execute("create schema core; create schema marts")
        con.execute(
            "create table songs (id text, title text, charts boolean, fit double, known double, charted double, gap double)"
        )
        con.executemany("insert into songs values (?, ?, ?, ?, ?, ?, ?)", SONGS)
        con.execute("create table core.tracks as select id as track_id, title, 'Somebody' as artist from songs")
        con.execute(
            "create table marts.track_features as select id as track_id, 'pop' as genre, id as recording_id, known as popularity, "
            "case when known is not null then 'deezer' end as popularity_provider from songs"
        )
        con.execute(
            "create table core.popularity_history as select id as track_id, 'deezer' as provider, known as popularity, "
            "timestamp '2026-11-01' as valid_from, cast(null as timestamp) as valid_to from songs where known is not null"
        )
        con.execute(
            f"create table marts.popularity_alignment as select id as track_id, '{CHART}' as chart, date '2018-12-29' as as_of, true as is_current, "
            f"fit as alignment, fit as alignment_in_genre, charted as popularity, case when charts then 'chart:{CHART}' end as popularity_source, "
            "gap as popularity_gap, 0.0 as artist_momentum, 0.8 as confidence, charts as is_charting from songs"
        )
        con.execute(
            f"create table core.chart_entries as select '{CHART}' as chart, title, 'Somebody' as artist from songs where charts"
        )
        yield con


def test_a_chart_that_ended_before_popularity_was_observed_has_sleepers(con: duckdb.DuckDBPyConnection) -> None:
    found = read_sleepers(con, CHART, misfits=False, limit=10).set_index("track_id")
    assert list(found.index) == ["t1", "t2", "t3"]
    # Of four known tracks t1 is the least popular: the share below it is half of its own quarter.
    assert found.loc["t1", "gap"] == pytest.approx(90 - 12.5)
    assert found.loc["t3", "gap"] == pytest.approx(10 - 37.5, abs=0.1)
    assert set(found["popularity_source"]) == {"deezer"}
    assert set(found["popularity_since"].astype(str).str[:10]) == {"2026-11-01"}


def test_hits_that_do_not_fit_by_todays_popularity_else_by_the_charts(con: duckdb.DuckDBPyConnection) -> None:
    found = read_sleepers(con, CHART, misfits=True, limit=10).set_index("track_id")
    assert found.loc["t4", ["popularity", "popularity_source", "gap"]].tolist() == [90.0, "deezer", pytest.approx(5 - 87.5)]
    assert found.loc["t5", ["popularity", "popularity_source", "gap"]].tolist() == [40.0, f"chart:{CHART}", -55.0]


def test_ties_share_their_place(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update marts.track_features set popularity = 50 where popularity is not null")
    found = read_sleepers(con, CHART, misfits=False, limit=10)
    assert (found["alignment"] - found["gap"] == 50).all()
