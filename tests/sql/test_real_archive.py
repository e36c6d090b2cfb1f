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

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

COMMON = "timestamp '2026-11-01' as fetched_at, 'run-1' as run_id, 'a.ndjson.zst' as landing_file, row_number() over () as row_no"
SOUND = "tempo, danceability, energy, valence, acousticness, instrumentalness, speechiness, liveness, key, mode"


def load(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Chart archive, playlist tracks and chart songs with features as raw rows; links by equal title and performer."""

    def insert(table: str, select: str) -> None:
        con.execute(f"insert into raw.{table} by name select *, {COMMON} from ({select})")

    archive = f"read_json('{folder}/billboard_hot_100_all.json.gz', maximum_object_size = 268435456)"
    insert(
        "chart_entries",
        "select 'billboard_hot_100' as provider, 'billboard_hot_100' as chart, date as chart_date, e.this_week as rank, e.song as title, "
        "e.artist as artist, e.last_week as reported_last_week, e.peak_position as reported_peak, e.weeks_on_chart as reported_weeks "
        f"from (select cast(date as date) as date, unnest(data) as e from {archive})",
    )
    playlists = f"read_csv('{folder}/spotify_songs.csv.gz', all_varchar = true, nullstr = '')"
    ids = "'import:playlists' as provider, track_id as source_id, track_id as spotify_id"
    named = "track_name is not null and track_artist is not null"
    insert(
        "tracks",
        f"select {ids}, track_name as title, track_artist as artist, cast(duration_ms as bigint) as duration_ms, "
        "cast(case length(track_album_release_date) when 4 then track_album_release_date || '-01-01' "
        "when 7 then track_album_release_date || '-01' else track_album_release_date end as date) as release_date, "
        "case length(track_album_release_date) when 4 then 'year' when 7 then 'month' else 'day' end as release_precision "
        f"from {playlists} where {named}",
    )
    numbers = ", ".join(f"cast({name} as double) as {name}" for name in SOUND.split(", "))
    quiet = "case when cast(loudness as double) <= 0 then cast(loudness as double) end as loudness"
    insert("audio_features", f"select {ids}, {numbers}, {quiet} from {playlists} where {named}")
    insert(
        "genre_labels",
        f"select {ids}, 'track' as subject, playlist_genre as label, 'import:playlists' as source from {playlists} where {named}",
    )
    songs = f"read_parquet('{folder}/hot_100_audio_features.parquet')"
    ids = "'import:songs' as provider, song_id as source_id, spotify_track_id as spotify_id"
    insert("tracks", f"select {ids}, song as title, performer as artist from {songs}")
    insert("audio_features", f"select {ids}, {SOUND}, {quiet} from {songs} where danceability is not null")
    insert(
        "track_links",
        "select 'soundscope' as provider, song as title, performer as artist, 1 as run_no, 'matched' as status, 'exact' as method, 1.0 as score, "
        "'soundscope:1' as decided_by, coalesce('spotify:' || min(spotify_track_id), 'import:songs:' || min(song_id)) as track_id "
        f"from {songs} group by song, performer",
    )
    con.execute(
        "insert into raw.providers (provider, train_ok, feature_priority) values ('import:playlists', true, 1), ('import:songs', true, 2)"
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
