"""What a build leaves as it is: nothing is built twice for the same inputs, and leaving it gives what building everything gives."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta

import duckdb
import pytest
from rawdb import add, connect
from sqlworld import AFTER_HOLE, CHART, Built, chart_rows

from soundscope.settings import Settings
from soundscope.warehouse.build import BuildFailed, BuildResult, run_build
from soundscope.warehouse.weekly import Forward

pytestmark = pytest.mark.e2e
BY_TRACK = {
    "staging.stg_tracks", "staging.stg_audio_features", "staging.stg_popularity", "staging.track_identity", "core.tracks",
    "core.audio_features", "core.popularity_history", "marts.track_features",
}  # fmt: skip


@pytest.fixture
def remembered(built: Built, copied: Settings) -> Settings:
    """The copy, with what is remembered of how it was built."""
    shutil.copyfile(built.settings.paths.private / "built.json", copied.paths.private / "built.json")
    return copied


def worked_on(result: BuildResult) -> set[str]:
    return {model.name for model in result.models if model.seconds > 0}


def tables(settings: Settings) -> dict[str, list[tuple[str, ...]]]:
    with connect(settings.paths.writer) as con:
        names = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('staging', 'core', 'marts', 'prepare')"
        ).fetchall()
        rows = {name: con.execute(f"from {name}").fetchall() for (name,) in names}
    # Sums of floats may differ in their last digits with the order of rows, sums that should be nothing by a trifle.
    return {
        name: sorted(tuple(f"{round(v, 9) + 0.0:.9g}" if isinstance(v, float) else str(v) for v in row) for row in held)
        for name, held in rows.items()
    }


def test_nothing_is_built_where_nothing_changed_and_all_is_told(built: Built, remembered: Settings) -> None:
    again = run_build(remembered)
    assert worked_on(again) == set()
    first = {m.name: (m.status, m.rows, m.tests_passed, m.tests_warned, sorted(m.messages)) for m in built.result.models}
    assert {m.name: (m.status, m.rows, m.tests_passed, m.tests_warned, sorted(m.messages)) for m in again.models} == first
    assert {(c.check, c.status, c.failures) for c in again.checks} == {
        (c.check, c.status, c.failures) for c in built.result.checks
    }


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[date | None]:
    """The weeks from which builds brought weekly tables forward; None for those that built them whole."""
    found: list[date | None] = []
    start_week = Forward.start_week

    def watched(self: Forward, con: duckdb.DuckDBPyConnection) -> date | None:
        found.append(start_week(self, con))
        return found[-1]

    monkeypatch.setattr(Forward, "start_week", watched)
    return found


def test_new_weeks_leave_tracks_alone_and_what_changes_gives_what_building_everything_gives(
    remembered: Settings, starts: list[date | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected, added = date(2020, 11, 7), AFTER_HOLE + timedelta(days=21)
    with connect(remembered.paths.writer) as con:
        rows = chart_rows([corrected])
        for row in rows:
            row["rank"] = len(rows) + 1 - int(str(row["rank"]))
        later = {"provider": CHART, "landing_file": "b.ndjson.zst", "fetched_at": datetime(2024, 4, 1)}
        add(con, "chart_entries", rows[:-1] + chart_rows([added]), **later)
    built = worked_on(run_build(remembered, exclude=["ml"]))
    assert starts == [corrected]
    assert {"staging.chart_keys", "core.chart_entries", "marts.chart_trends", "marts.genre_share"} <= built
    assert not built & {
        "staging.stg_tracks",
        "staging.track_identity",
        "core.tracks",
        "core.audio_features",
        "marts.track_features",
    }
    before = oids(remembered)
    with connect(remembered.paths.writer) as con:
        tracks_come_change_and_go(con)
    built |= worked_on(run_build(remembered, exclude=["ml"]))
    assert starts[0] == corrected
    assert starts[-1] is not None
    assert built >= BY_TRACK
    after = oids(remembered)
    assert {name for name in BY_TRACK if after[name] != before[name]} == set(), "built whole, not by track"
    quick = tables(remembered)
    assert any(str(added) in row for row in quick["core.chart_dates"])
    assert {row[0] for row in quick["core.tracks"]} >= {"spotify:s12", "spotify:s13", "spotify:s14"}
    # In three slices of tracks, as large tables are built.
    monkeypatch.setenv("SOUNDSCOPE_SLICE_ROWS", "10")
    assert worked_on(run_build(remembered, exclude=["ml"], full_refresh=True)) > built
    assert tables(remembered) == quick
    with connect(remembered.paths.writer) as con:
        con.execute("delete from raw.chart_entries where chart_date = ?", [added])
    run_build(remembered, exclude=["ml"])
    assert starts[-1] is None
    gone = tables(remembered)
    assert not any(str(added) in row for name in ("core.chart_dates", "marts.chart_trends") for row in gone[name])


def oids(settings: Settings) -> dict[str, int]:
    """What the catalog calls each table: another number once it was made anew."""
    with connect(settings.paths.writer) as con:
        return dict(con.execute("select schema_name || '.' || table_name, table_oid from duckdb_tables()").fetchall())


def tracks_come_change_and_go(con: duckdb.DuckDBPyConnection) -> None:
    """Two new tracks, one of them an edition of a track that charts and without sound of its own; a title, a sound and a rank anew; a track without
    an answer left; a track that another ISRC makes a Spotify track; a label of an artist; and a recording that lost its representative."""
    later = {"landing_file": "c.ndjson.zst", "fetched_at": datetime(2024, 4, 2)}
    named = [
        {"source_id": f"s{i}", "spotify_id": f"s{i}", "title": f"Song {i}", "artist": "A", "duration_ms": 90_000}
        for i in (12, 13)
    ]
    named[0]["isrc"], named[1]["artist_ids"] = "ZZXXX0000099", "a1;a9"
    anew = {"source_id": "s08", "spotify_id": "s08", "title": "Song 8, anew", "artist": "Artist 8"}
    mine = [{"source_id": "d7", "isrc": "ZZXXX0000099"}, {"source_id": "d8"}, {"title": "By name", "artist": "B"}]
    add(con, "tracks", [*named, anew], provider="spotify", **later)
    add(con, "tracks", [{**track, "title": track.get("title", "T"), "artist": "B"} for track in mine], provider="deezer", **later)
    sound = {"source_id": "s11", "spotify_id": "s11", "title": "Song 11", "artist": "Artist 11", "tempo": 133.0, "energy": 0.25}
    add(con, "audio_features", [sound, {**sound, "source_id": "s14", "spotify_id": "s14"}], provider="import:mine", **later)
    observed = {"observed_at": datetime(2024, 3, 30)}
    add(con, "popularity", [{"spotify_id": "s12", "popularity": 12.0, **observed}], provider="spotify", **later)
    add(con, "popularity", [{"isrc": "ZZXXX0000099", "popularity": 777.0, **observed}], provider="deezer", **later)
    shared = [{"track_id": f"spotify:s{i}", "recording_id": "spotify:s11"} for i in (12, 13)]
    shared += [
        {"track_id": "spotify:s10", "recording_id": "spotify:gone"},
        {"track_id": "spotify:s14", "recording_id": "spotify:gone"},
    ]
    add(con, "recordings", shared, provider="soundscope", **later)
    add(con, "genre_labels", [{"subject": "artist", "artist_id": "a9", "label": "Wave"}], provider="spotify", source="s", **later)
    for table in ("tracks", "audio_features", "popularity"):
        con.execute(f"delete from raw.{table} where spotify_id = 's09'")


def test_a_track_that_does_not_chart_leaves_the_weeks_as_they_are(remembered: Settings) -> None:
    with connect(remembered.paths.writer) as con:
        new = {"source_id": "s77", "spotify_id": "s77", "title": "New", "artist": "N"}
        add(con, "tracks", [new], provider="spotify", landing_file="d.ndjson.zst", fetched_at=datetime(2024, 4, 3))
    result = run_build(remembered, exclude=["ml", "tag:alignment"])
    built = worked_on(result)
    assert {"core.tracks", "marts.track_features", "prepare.trend_entries"} <= built
    assert not built & {"prepare.chart_week_sound", "marts.chart_trends"}
    [trends] = [model for model in result.models if model.name == "marts.chart_trends"]
    assert (trends.status, bool(trends.rows), trends.tests_passed > 0) == ("success", True, True)


def test_a_table_that_something_else_changed_is_built_anew(remembered: Settings) -> None:
    with connect(remembered.paths.writer) as con:
        con.execute("update core.tracks set title = 'changed' where track_id = (select min(track_id) from core.tracks)")
        con.execute("create or replace view staging.stg_recordings as select 'a' as track_id, 'b' as recording_id")
    assert worked_on(run_build(remembered, select=["stg_recordings", "tracks"])) == {"core.tracks", "staging.stg_recordings"}
    with connect(remembered.paths.writer) as con:
        assert con.execute("select count(*) from core.tracks where title = 'changed'").fetchall() == [(0,)]


def test_a_table_that_failed_its_test_is_not_believed(remembered: Settings) -> None:
    with connect(remembered.paths.writer) as con:
        add(
            con,
            "popularity",
            [{"spotify_id": "s00", "popularity": 140.0, "observed_at": datetime(2020, 8, 1)}],
            provider="spotify",
        )
    for _ in range(2):
        with pytest.raises(BuildFailed, match="popularity_history_within: 1 row"):
            run_build(remembered, select=["stg_popularity", "popularity_history"])


def test_weeks_brought_forward_at_somebodys_word_are_made_anew_next_time(remembered: Settings) -> None:
    run_build(remembered, select=["chart_week_sound"], full_refresh=False, variables={"start_week": str(date(2020, 11, 7))})
    assert worked_on(run_build(remembered, select=["chart_week_sound"])) == set()
    with connect(remembered.paths.writer) as con:
        con.execute(
            "update prepare.trend_entries set energy = 0.5 where chart_date = (select min(chart_date) from prepare.trend_entries)"
        )
    run_build(remembered, select=["chart_week_sound"], variables={"start_week": str(date(2020, 11, 7))})
    assert worked_on(run_build(remembered, select=["chart_week_sound"])) == {"prepare.chart_week_sound"}
