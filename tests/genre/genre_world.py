"""A small synthetic catalogue in a real DuckDB, with the columns of the contract; labels follow sound, artist, album and words."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from soundscope.genre.features import AUDIO

GENRES = ("ambient", "polka", "ska", "tango")
_WORDS = {
    "ambient": ["drift", "haze", "still", "deep"],
    "polka": ["barrel", "hop", "village", "beer"],
    "ska": ["rude", "skank", "brass", "street"],
    "tango": ["noche", "rosa", "corazon", "adios"],
}
_COMMON = ["love", "you", "the", "night", "go", "blue"]


def frame(n: int = 600, seed: int = 5, genres: tuple[str, ...] = GENRES, noise: float = 1.0) -> pd.DataFrame:
    """n tracks: every table's columns side by side; about one track in eight is another copy of a recording."""
    rng = np.random.default_rng(seed)
    n_artists = max(n // 6, 2)
    artist_genre = rng.integers(len(genres), size=n_artists)
    artist = rng.integers(n_artists, size=n)
    genre = np.where(rng.random(n) < 0.85, artist_genre[artist], rng.integers(len(genres), size=n))
    centre = np.random.default_rng(99).normal(size=(len(genres), 9))
    sound = centre[genre] * 0.8 + rng.normal(size=(n, 9)) * noise
    share = 1 / (1 + np.exp(-sound))
    columns: dict[str, object] = {
        "track_id": [f"spotify:{seed}{i:05d}" for i in range(n)],
        "artist": [f"Act {a}" for a in artist],
        "artists": [f"Act {a}" + (f"; Act {(a * 7) % n_artists}" if a % 5 == 0 else "") for a in artist],
        "tempo": 60 + 120 * share[:, 0],
        "loudness": -30 + 30 * share[:, 1],
    }
    names = ["danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness"]
    columns |= {name: share[:, 2 + i] for i, name in enumerate(names)}
    words = [_WORDS.get(genres[g], [genres[g]]) for g in genre]
    columns |= {
        "key": rng.integers(0, 12, n),
        "mode": rng.integers(0, 2, n),
        "time_signature": 4,
        "duration_ms": rng.integers(90_000, 400_000, n),
        "popularity": np.round(rng.uniform(0, 100, n)),
        "title": [f"{rng.choice(w)} {rng.choice(_COMMON)} {rng.choice(_COMMON)} {i}" for i, w in enumerate(words)],
        "album": [f"{genres[g]} nights {a % 9}" if a % 3 else f"Album {a}" for a, g in zip(artist, genre, strict=True)],
        "release_date": pd.Timestamp("1990-01-01") + pd.to_timedelta(rng.integers(0, 12_000, n), unit="D"),
        "explicit": rng.random(n) < 0.2,
        "genre": np.array(genres, dtype=object)[genre],
    }
    out = pd.DataFrame(columns)
    out["recording_id"] = out["track_id"]
    copies = rng.random(n) < 0.12
    copies[0] = False
    for row in np.flatnonzero(copies):
        same = ["artist", "artists", "title", "album", "recording_id", *AUDIO]
        out.loc[row, same] = out.loc[row - 1, same].to_numpy()
    out.loc[rng.random(n) < 0.05, ["liveness", "popularity"]] = np.nan
    return out.assign(
        feature_provider="import:demo", train_ok=True, licence="user-supplied", genre_train_ok=True, popularity_train_ok=True,
        fetched_at=pd.Timestamp("2025-12-30"),
    )  # fmt: skip


def tables(con: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    """Make (or replace) the tables that training and scoring read, from the rows of `frame`."""
    con.register("given", rows)
    for schema in ("raw", "core", "marts", "ml"):
        con.execute(f"create schema if not exists {schema}")
    con.execute(
        f"""create or replace table marts.track_features as
        select track_id, title, artist, {", ".join(AUDIO)}, popularity, genre, 'Calm' as mood, 'derived' as mood_source, '1990s' as era,
            feature_provider, 'import:demo' as popularity_provider, train_ok,
            'family ' || left(genre, 1) as family, genre_train_ok, popularity_train_ok, track_id as feature_track_id, recording_id from given"""
    )
    con.execute(
        """create or replace table core.tracks as
        select track_id, title, artist, artists, album, release_date::date as release_date, explicit, recording_id, null::varchar as isrc from given"""
    )
    con.execute(
        "create or replace table core.audio_features as select track_id, feature_provider as provider, licence, train_ok, fetched_at from given"
    )
    con.execute(
        """create or replace table core.track_genres as
        select track_id, genre, 'family ' || left(genre, 1) as family, 'import:demo' as source, genre as raw_label from given
        where genre is not null"""
    )
    con.unregister("given")


def warehouse(n: int = 600, seed: int = 5, **changes: object) -> duckdb.DuckDBPyConnection:
    """An in-memory warehouse of n tracks; `changes` are passed to `frame`."""
    con = duckdb.connect()
    tables(con, frame(n, seed, **changes))  # type: ignore[arg-type]
    return con
