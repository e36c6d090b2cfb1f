"""One whole training, scoring and explanation on many dirty labels: does it end, within what time and memory, and what is refused.

Run: python benchmarks/dirty_labels.py [--data FOLDER] [--labels 114 146] [--rows N] [--tune MINUTES] [--report]

FOLDER holds the real data described in docs/classifier.md. The set is made of two vocabularies that overlap: playlist sub-genres of the
TidyTuesday songs, and the artist genres of Hot 100 songs, of which one per song is drawn as its label and all are kept. One label in
ten is written otherwise (case, spaces), one in twenty is another track's. A warehouse is built in memory; nothing of the data is stored.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import resource
import tempfile
import time
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from classifier import artist_key, title_key

from soundscope.genre import candidates, explain, registry, splits
from soundscope.genre.features import AUDIO
from soundscope.genre.score import score
from soundscope.genre.train import train
from soundscope.settings import PROJECT, Settings

NOW = datetime(2026, 1, 1)
_EXPLAINED = 300


def playlists(folder: Path) -> pd.DataFrame:
    """Tracks of the TidyTuesday songs with the list of their playlists' sub-genres in `words`."""
    rows = pd.read_csv(folder / "spotify_songs.csv.gz", keep_default_na=False, na_values=[""])
    words = rows.groupby("track_id")["playlist_subgenre"].agg(lambda names: sorted(set(names)))
    names = {
        "track_name": "title", "track_artist": "artist", "track_album_name": "album", "track_popularity": "popularity",
        "track_album_release_date": "release_date",
    }  # fmt: skip
    rows = rows.rename(columns=names).drop_duplicates("track_id")
    return rows.assign(words=rows["track_id"].map(words), source="playlists")


def hot_100(folder: Path, known: set[str], n_labels: int) -> pd.DataFrame:
    """Hot 100 songs with audio features and their artist's genres in `words`: the most frequent ones, until with the known ones n are kept."""
    rows = pd.read_parquet(folder / "hot_100_audio_features.parquet").dropna(subset=["danceability", "spotify_genre"])
    rows = rows.drop_duplicates("song_id")
    words = rows["spotify_genre"].map(ast.literal_eval)
    frequent = words.explode().value_counts().index
    new = [word for word in frequent if word not in known][: n_labels - len(known)]
    kept = set(new) | known
    names = {
        "song_id": "track_id", "song": "title", "performer": "artist", "spotify_track_album": "album",
        "spotify_track_popularity": "popularity", "spotify_track_duration_ms": "duration_ms", "spotify_track_explicit": "explicit",
    }  # fmt: skip
    rows = rows.rename(columns=names).assign(
        words=words.map(lambda several: sorted(kept & set(several))), source="artists", release_date=None
    )
    return rows[rows["words"].map(len) > 0]


def dirty(folder: Path, n_labels: int, n_rows: int, seed: int = 1) -> pd.DataFrame:
    """At most n_rows tracks with n_labels labels: columns of the tables, `genre` as it is written, `words` with all labels."""
    rng = np.random.default_rng(seed)
    first = playlists(folder)
    second = hot_100(folder, {word for words in first["words"] for word in words}, n_labels)
    rows = pd.concat([first, second], ignore_index=True)
    rows = rows.reindex(
        columns=["track_id", "title", "artist", "album", "release_date", "explicit", "popularity", "source", "words", *AUDIO]
    )
    rows = rows.sample(min(n_rows, len(rows)), random_state=seed).reset_index(drop=True)
    genre = np.array([words[rng.integers(len(words))] for words in rows["words"]], dtype=object)
    wrong = np.flatnonzero(rng.random(len(rows)) < 0.05)
    genre[wrong] = genre[rng.permutation(wrong)]
    shouted = rng.random(len(rows)) < 0.05
    spaced = rng.random(len(rows)) < 0.05
    genre = np.where(shouted, [name.upper() for name in genre], genre)
    rows["genre"] = np.where(spaced, [f" {name.replace(' ', '  ')}" for name in genre], genre)
    names = rows["title"].fillna("").astype(str).map(title_key) + "|" + rows["artist"].fillna("").astype(str).map(artist_key)
    return rows.assign(recording_id=splits.connected(rows["track_id"], names))


def warehouse(rows: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """The tables that training, scoring and explanation read, in memory."""
    con = duckdb.connect()
    con.register("given", rows)
    for schema in ("core", "marts", "ml"):
        con.execute(f"create schema {schema}")
    con.execute(
        f"""create table marts.track_features as select track_id, title, artist, {", ".join(AUDIO)}, popularity, genre, null::varchar as mood,
        null::varchar as mood_source, null::varchar as era, source as feature_provider, source as popularity_provider, true as train_ok,
        null::varchar as family, true as genre_train_ok, true as popularity_train_ok, track_id as feature_track_id, recording_id from given"""
    )
    con.execute(
        """create table core.tracks as select track_id, title, artist, artist as artists, album, explicit::boolean as explicit, recording_id,
        try_cast(case length(release_date) when 4 then release_date || '-01-01' when 7 then release_date || '-01' else release_date end as date)
            as release_date, null::varchar as isrc from given"""
    )
    con.execute(
        "create table core.audio_features as select track_id, source as provider, 'unknown' as licence, true as train_ok, "
        "timestamp '2025-12-30' as fetched_at from given"
    )
    con.execute(
        "create table core.track_genres as select track_id, genre, null::varchar as family, source, genre as raw_label from "
        "(select track_id, source, unnest(words) as genre from given union select track_id, source, genre from given)"
    )
    con.unregister("given")
    return con


def measure(rows: pd.DataFrame, settings: Settings, show_report: bool) -> None:
    """Train, score and explain; print what it took and every verdict."""
    with warehouse(rows) as con:
        begin, worked = time.perf_counter(), time.process_time()
        outcome = train(con, settings, "bench", NOW, None)
        trained, worked = time.perf_counter() - begin, time.process_time() - worked
        runs, metrics = outcome.rows["model_runs"], outcome.rows["model_metrics"]
        print(
            f"train: {trained:.0f} s, {worked:.0f} s of processor time, {outcome.verdict}; at most {_most_memory():.2f} GB; report {len(outcome.report):,} characters"
        )
        whole = metrics[(metrics["class"] == "all") & (metrics["split"] == "recording")]
        figures = whole.pivot(index="model_id", columns="metric", values="value")
        shown = [
            "majority_log_loss", "log_loss", "accuracy", "any_label_accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy",
            "calibration_error",
        ]  # fmt: skip
        print(figures.loc[runs["model_id"], shown].round(3).to_string())
        for run in runs.itertuples():
            print(f"{run.algorithm}: {run.verdict}, {run.n_classes} labels; {run.reason}")
        con.execute("create schema if not exists raw")
        con.register("runs", runs)
        con.execute("create table ml.model_runs as select * from runs")
        begin = time.perf_counter()
        scored = sum(batch["track_id"].nunique() for batch in score(con, settings, str(outcome.model_id), "bench", NOW))
        seconds = time.perf_counter() - begin
        print(f"score: {scored:,} tracks in {seconds:.0f} s, {scored / seconds:,.0f} a second")
        begin = time.perf_counter()
        told = explain.explain(con, settings, str(outcome.model_id), sorted(rows["track_id"])[:_EXPLAINED])
        print(
            f"explain: {told['track_id'].nunique()} tracks in {time.perf_counter() - begin:.1f} s; at most {_most_memory():.2f} GB"
        )
        sizes = {run.algorithm: _bytes(settings, run.model_id) for run in runs.itertuples()}
        print("files, MB:", ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items()))
    if show_report:
        print(outcome.report)


def _bytes(settings: Settings, model_id: str) -> int:
    return (settings.paths.models / model_id / registry.MODEL_FILE).stat().st_size


def _most_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if platform.system() == "Darwin" else 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    )
    parser.add_argument("--labels", nargs="*", type=int, default=[114, 146])
    parser.add_argument("--rows", type=int, default=33_000)
    parser.add_argument("--tune", type=float, default=0, help="minutes")
    parser.add_argument("--report", action="store_true", help="print the whole report of a training")
    args = parser.parse_args()
    if not (args.data / "spotify_songs.csv.gz").exists():
        print(f"no data in {args.data}: left out")
        return
    for n_labels in args.labels:
        rows = dirty(args.data, n_labels, args.rows)
        written = rows["genre"].nunique()
        print(
            f"{len(rows):,} tracks, {n_labels} labels written in {written} ways, {rows['words'].map(len).mean():.1f} of a track; "
            f"candidates: {', '.join(candidates.names_for(len(rows), n_labels))}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home), train={"tune_minutes": args.tune} if args.tune else {})
            settings.paths.create()
            measure(rows, settings, args.report)
        print(json.dumps({"labels": n_labels, "peak_gb": round(_most_memory(), 2)}), flush=True)


if __name__ == "__main__":
    main()
