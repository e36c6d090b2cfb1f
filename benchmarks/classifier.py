"""Genre classifiers on a file of labelled tracks, by five folds: fold k tests, fold k + 1 fixes calibration and blend, all but k train.

Run: python benchmarks/classifier.py FILE [--map genre=column ...] [--schemes recording artist] [--models audio:lightgbm ...]

FILE is CSV (may be gzipped) or Parquet, one row per track and label. Usual column names are recognised; others are given by --map
(fields: track_id, title, artist, artists, album, release_date, popularity, explicit, genre, and the audio features). Intervals come
from resampling whole groups of the pooled test rows. Nothing of the file is stored but the figures (--out).

With --words FILE the ensembles also see genre words known of the first credited artist from elsewhere: a Parquet file with the columns
performer and spotify_genre (a list written as in Python), as the Hot 100 audio features of TidyTuesday have them.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import time
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from soundscope.genre import candidates, evidence, splits
from soundscope.genre.context import add_context
from soundscope.genre.evaluate import align, evaluate, majority
from soundscope.genre.features import AUDIO

USUAL = {
    "track_id": ("track_id", "id", "spotify_track_id", "spotify_id"),
    "title": ("title", "track_name", "name", "song"),
    "artist": ("artist", "track_artist", "artists", "artist_name", "performer"),
    "artists": ("artists",),
    "album": ("album", "track_album_name", "album_name", "spotify_track_album"),
    "release_date": ("release_date", "track_album_release_date", "album_release_date"),
    "popularity": ("popularity", "track_popularity", "spotify_track_popularity"),
    "explicit": ("explicit", "spotify_track_explicit"),
    "duration_ms": ("duration_ms", "spotify_track_duration_ms"),
    "genre": ("genre", "playlist_genre", "track_genre"),
}
MODELS = (
    "audio:softmax_regression",
    "audio:logistic_regression",
    "audio:random_forest",
    "audio:hist_gradient_boosting",
    "audio:lightgbm",
    "metadata:lightgbm",
    "metadata-popularity:lightgbm",
    "context:lightgbm",
    "metadata:evidence_ensemble",
    "context:evidence_ensemble",
    "context-popularity:evidence_ensemble",
)
SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "log_loss", "calibration_error", "any_label_accuracy")


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower().replace("&", " and ")


def title_key(title: str) -> str:
    """Title without featured parts, suffix after a dash, brackets and punctuation, for telling recordings apart."""
    text = re.split(r"\b(?:feat|ft|featuring)\b\.?", _plain(title))[0].split(" - ")[0]
    bare = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", text)
    return re.sub(r"[^\w]", "", re.sub(r"in'(?=\s|$)", "ing", bare if bare.strip() else text))


def artist_key(artist: str) -> str:
    """First credited artist without a leading 'the' and punctuation."""
    first = re.split(r",|;| and | feat| ft\.? | x | with ", _plain(artist))[0].strip()
    return re.sub(r"[^\w]", "", re.sub(r"^the ", "", first))


def read(file: Path, mapping: dict[str, str]) -> pd.DataFrame:
    """The file with the fields' names, a row number, and the groups recording and artist."""
    raw = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, keep_default_na=False, na_values=[""])
    columns = {}
    for field in (*USUAL, *AUDIO):
        names = (mapping[field],) if field in mapping else USUAL.get(field, (field,))
        found = next((name for name in names if name in raw), None)
        if found is not None:
            columns[field] = raw[found]
    missing = {"track_id", "title", "artist", "genre"} - set(columns)
    if missing:
        raise SystemExit(f"{file}: no column for {', '.join(sorted(missing))}; name it with --map {min(missing)}=COLUMN.")
    rows = pd.DataFrame(columns)
    rows = rows[rows["genre"].notna()].reset_index(drop=True)
    rows["genre"] = rows["genre"].astype(str)
    for field in ("title", "artist"):
        rows[field] = rows[field].fillna("").astype(str)
    rows["artist"] = rows["artist"].str.split(";").str[0]
    sound = [name for name in AUDIO if name in rows and name != "time_signature"]
    print_of_sound = rows[sound].astype(str).agg("|".join, axis=1).where(rows[sound].notna().all(axis=1))
    names = rows["title"].map(title_key) + "|" + rows["artist"].map(artist_key)
    rows["recording_id"] = splits.connected(rows["track_id"], names, print_of_sound)
    keys = rows["artist"].map(artist_key)
    rows["artist_group"] = splits.artist_groups(keys.where(keys != ""), rows["recording_id"])
    return add_context(rows)


def add_words(rows: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The rows with `artist_genres`, words known of the artist from a file that holds none of the labels; makes the ensembles look at it."""
    known = pd.read_parquet(file).dropna(subset=["performer", "spotify_genre"])
    words = known["spotify_genre"].map(ast.literal_eval).groupby(known["performer"].map(artist_key))
    of_artist = words.agg(lambda lists: sorted({word for several in lists for word in several}))
    found = rows["artist"].map(artist_key).map(of_artist)
    usual = evidence.keys_of

    def keys_of(frame: pd.DataFrame) -> dict[str, evidence.Keys]:
        several = frame["artist_genres"].map(lambda names: names if isinstance(names, list) else [])
        return usual(frame) | {"genre words": evidence.listed(several)}

    evidence.keys_of = keys_of
    print(f"genre words are known of the artists of {found.map(bool).where(found.notna(), False).mean():.0%} of the rows")
    return rows.assign(artist_genres=found)


def cross_validate(rows: pd.DataFrame, scheme: str, name: str, args: argparse.Namespace) -> dict[str, object]:
    """Figures of one model under one scheme, over the pooled test rows of the folds asked for."""
    inputs, algorithm = name.split(":")
    popularity = not (inputs.endswith("-popularity") or inputs == "audio")
    inputs = inputs.removesuffix("-popularity")
    label = rows["genre"].to_numpy(dtype=object)
    classes = sorted(set(label))
    folds = splits.folds_for(scheme, rows["recording_id"], rows["artist_group"], rows.get("release_date"), args.seed)
    groups = rows["artist_group"] if scheme == "artist" else rows["recording_id"]
    proba = np.zeros((len(rows), len(classes)), dtype=np.float32)
    seconds, per_fold, speed = [], [], []
    tested = [0] if scheme == "forward" else args.folds
    for k in tested:
        test, held = folds == k, folds == (k + 1) % splits.FOLDS
        train = np.flatnonzero(~test)
        begin = time.perf_counter()
        if algorithm == "majority":
            values, names = majority(label[train], int(test.sum()))
        else:
            model = candidates.make(
                algorithm, len(train), len(set(label[train])), inputs=inputs, popularity=popularity, threads=args.threads
            )
            model.fit(
                rows.iloc[train].reset_index(drop=True), label[train], groups.iloc[train].reset_index(drop=True), held[train]
            )
            tracks = rows[test].reset_index(drop=True)
            # The first call reads the trees back from their text, once per process.
            model.predict_proba(tracks.iloc[:10])
            scoring = time.perf_counter()
            values, names = model.predict_proba(tracks), [str(c) for c in model.classes_]
            speed.append(len(tracks) / (time.perf_counter() - scoring))
        seconds.append(time.perf_counter() - begin)
        proba[test] = align(values, names, classes)
        per_fold.append(float((np.array(classes)[proba[test].argmax(axis=1)] == label[test].astype(str)).mean()))
    on = np.isin(folds, tested)
    together = rows.groupby("track_id")["genre"].agg(frozenset)
    labels = list(together.reindex(rows["track_id"][on]))
    found = evaluate(label[on], proba[on].astype(float), classes, groups[on], labels)
    whole = found.metrics[found.metrics["class"] == "all"].set_index("metric")
    return {
        "scheme": scheme,
        "model": name,
        "n": int(on.sum()),
        "accuracy_per_fold": per_fold,
        "seconds_per_fold": seconds,
        "tracks_scored_per_second": max(speed, default=None),
        "figures": {m: [float(v) for v in whole.loc[m, ["value", "ci_low", "ci_high"]]] for m in SHOWN},
        "f1_per_class": {c: found.value("f1", c) for c in classes} if len(classes) <= 30 else {},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--map", nargs="*", default=[], metavar="FIELD=COLUMN", help="columns under other names")
    parser.add_argument("--schemes", nargs="*", default=["recording", "artist"], choices=splits.SCHEMES)
    parser.add_argument(
        "--models", nargs="*", default=list(MODELS), help="inputs:algorithm, e.g. audio:lightgbm or majority:majority"
    )
    parser.add_argument("--folds", nargs="*", type=int, default=list(range(splits.FOLDS)))
    parser.add_argument("--seed", default=splits.SPLIT_SEED)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, help="take this many rows only")
    parser.add_argument("--words", type=Path, help="genre words of artists from elsewhere, for the ensembles")
    parser.add_argument("--out", type=Path, help="append the figures as JSON lines")
    args = parser.parse_args()
    rows = read(args.file, dict(pair.split("=", 1) for pair in args.map))
    if args.sample and args.sample < len(rows):
        rows = rows.sample(args.sample, random_state=1).reset_index(drop=True)
    if args.words:
        rows = add_words(rows, args.words)
    print(
        f"{len(rows):,} rows, {rows['genre'].nunique()} labels, {rows['recording_id'].nunique():,} recordings, "
        f"{rows['artist_group'].nunique():,} artist groups; folds {args.folds}, seed {args.seed}"
    )
    for scheme in args.schemes:
        for name in args.models:
            result = cross_validate(rows, scheme, name, args)
            shown = " ".join(f"{m} {v:.3f} [{low:.3f},{high:.3f}]" for m, (v, low, high) in result["figures"].items())
            rate = f"{result['tracks_scored_per_second'] or 0:8,.0f} tracks/s"
            print(f"{scheme:13s} {name:38s} {max(result['seconds_per_fold']):6.1f} s/fold {rate}  {shown}", flush=True)
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
