"""The whole Hot 100 archive and 57 thousand tracks through the real build: what is known of them must come out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from rawdb import connect, create_raw
from sqlworld import Built, home_settings

from soundscope.warehouse.build import run_build
from tests.real_rows import COMMON, load_real_rows

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def load(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Raw rows, with links by equal title and performer."""
    load_real_rows(con, folder)
    con.execute(
        "insert into raw.track_links by name "
        "select 'soundscope' as provider, song as title, performer as artist, 1 as run_no, 'matched' as status, 'exact' as method, 1.0 as score, "
        "'soundscope:1' as decided_by, coalesce('spotify:' || min(spotify_track_id), 'import:songs:' || min(song_id)) as track_id, "
        f"{COMMON} from read_parquet('{folder}/hot_100_audio_features.parquet') group by song, performer"
    )


@pytest.fixture(scope="module")
def archive(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    settings = home_settings(tmp_path_factory.mktemp("archive"))
    with connect(settings.paths.writer) as con:
        create_raw(con)
        load(con, realdata)
    return Built(settings, run_build(settings))


@pytest.fixture
def db(archive: Built) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(archive.settings.paths.writer), read_only=True) as con:
        yield con


def test_oddities_of_the_archive_are_counted_and_stop_nothing(archive: Built) -> None:
    warned = {check.check: check.failures for check in archive.result.checks if check.status == "warn"}
    assert warned["chart_ranks_are_complete"] == 13
    assert warned["chart_dates_step_regularly"] == 2
    # Wrong ranks of 1976-77, and songs whose weeks the publisher counted anew.
    assert 900 < warned["reported_last_week_agrees"] < 1100
    assert 900 < warned["reported_weeks_agrees"] < 1200
    assert not [check for check in archive.result.checks if check.status == "fail"]


def test_two_recordings_under_the_same_strings_are_two_runs(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute(
        "select run_no, min(chart_date), max(chart_date), count(*), min(rank) from core.chart_entries "
        "where title = 'Unchained Melody' and artist = 'The Righteous Brothers' group by 1 order by 1"
    ).fetchall()
    assert rows == [
        (1, date(1965, 7, 17), date(1990, 12, 29), 32, 4),
        (2, date(1990, 10, 6), date(1991, 3, 23), 25, 19),
    ]
    wrong = db.execute(
        "select count(*) from core.chart_entries where title = 'Unchained Melody' and artist = 'The Righteous Brothers' "
        "and previous_rank is distinct from reported_last_week"
    ).fetchall()
    assert wrong == [(0,)]
    assert db.execute("select count(distinct (title, artist)) from core.track_matches where run_no > 1").fetchall() == [(1,)]


def test_nothing_is_carried_across_the_hole(db: duckdb.DuckDBPyConnection) -> None:
    back = date(2022, 1, 1)
    assert db.execute(
        "select count(previous_rank), max(weeks_on_chart), bool_and(peak_rank = rank) from core.chart_entries where chart_date = ?",
        [back],
    ).fetchall() == [(0, 1, True)]
    assert db.execute("select bool_or(is_complete_history) from core.chart_entries where chart_date >= ?", [back]).fetchall() == [
        (False,)
    ]
    assert db.execute("select count(change_1y) from marts.chart_trends where chart_date >= ?", [back]).fetchall() == [(0,)]


def test_trends_run_over_the_change_of_weekday(db: duckdb.DuckDBPyConnection) -> None:
    missing = db.execute(
        "select chart_date from marts.chart_trends where feature = 'energy' and window_weeks = 4 and change_1y is null "
        "and chart_date between date '1959-08-24' and date '2018-12-29'"
    ).fetchall()
    # The chart moved from Monday to Saturday over twelve days; there is no week within three days of 1961-12-30.
    assert missing == [(date(1962, 12, 29),)]


def test_the_sound_of_the_charts_moves_as_is_known(db: duckdb.DuckDBPyConnection) -> None:
    def mean(feature: str, day: date) -> float:
        found = db.execute(
            "select mean from marts.chart_trends where feature = ? and window_weeks = 52 and chart_date <= ? order by chart_date desc limit 1",
            [feature, day],
        ).fetchall()
        return float(found[0][0])

    loudness = [mean("loudness", date(year, 12, 31)) for year in (1975, 1985, 1995, 2005)]
    assert loudness == sorted(loudness)
    assert loudness[-1] - loudness[0] > 3
    assert mean("acousticness", date(1960, 12, 31)) > 2 * mean("acousticness", date(1990, 12, 31))
    assert mean("danceability", date(1985, 12, 31)) > mean("danceability", date(1965, 12, 31))


def test_summary_agrees_with_pandas(db: duckdb.DuckDBPyConnection) -> None:
    frame = db.execute("select * from marts.track_features").df()
    for row in db.execute("select * from marts.feature_summary where feature <> 'popularity'").df().itertuples():
        column: pd.Series = frame[row.feature]
        expected = (
            column.count(),
            column.isna().sum(),
            column.mean(),
            column.median(),
            column.min(),
            column.max(),
            column.std(ddof=0),
        )
        assert (row.n, row.missing, row.mean, row.median, row.min, row.max, row.std) == pytest.approx(expected, rel=1e-9)
