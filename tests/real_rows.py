"""Real charts, tracks and features as raw rows, without links: for tests and benchmarks that build models and nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb

COMMON = "timestamp '2026-11-01' as fetched_at, 'bench' as run_id, 'a.ndjson.zst' as landing_file, row_number() over () as row_no"
SOUND = "tempo, danceability, energy, valence, acousticness, instrumentalness, speechiness, liveness, key, mode"


def load_real_rows(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The chart archive, playlist tracks and chart songs with features, as raw rows; the tables are there and empty.

    Args:
        con: a warehouse to be.
        folder: the real data.
    """

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
        f"select {ids}, track_name as title, track_artist as artist, track_album_name as album, cast(duration_ms as bigint) as duration_ms, "
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
    insert("tracks", f"select {ids}, song as title, performer as artist, spotify_track_duration_ms as duration_ms from {songs}")
    insert("audio_features", f"select {ids}, {SOUND}, {quiet} from {songs} where danceability is not null")
    con.execute(
        "insert into raw.providers (provider, licence, train_ok, feature_priority) "
        "values ('import:playlists', 'unknown', true, 1), ('import:songs', 'unknown', true, 2)"
    )
