"""A small generated catalogue: songs released over four years, of which those that sound as the chart likes chart more often."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from soundscope.trends.catalogue import Catalogue

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
CHART = "town"
FIRST, WEEKS, RANKS = date(2011, 1, 3), 208, 25
SONGS = 900
SHARES = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")


def tracks(n: int = SONGS, seed: int = 4) -> pd.DataFrame:
    """n songs in the columns alignment reads; `fit` says how much the chart likes each."""
    rng = np.random.default_rng(seed)
    fit = rng.normal(size=n)
    out = pd.DataFrame({"track_id": [f"import:town:{i:05d}" for i in range(n)]})
    out["recording_id"] = out["track_id"]
    out["title"] = [f"Song {_word(i)}" for i in range(n)]
    out["artist"] = [f"Band {_word(i % (n // 3))}" for i in range(n)]
    out["artists"], out["album"] = out["artist"], "Album"
    out["genre"] = np.where(rng.random(n) < 0.5, "pop", "rock")
    # Two in three days, so that none is the first of January.
    out["release_date"] = [pd.Timestamp(FIRST) + pd.Timedelta(days=int(d)) for d in np.sort(rng.integers(2, WEEKS * 7, n))]
    out["release_precision"] = "day"
    out["feature_provider"], out["train_ok"] = "import:town", True
    out["key"], out["mode"], out["time_signature"], out["explicit"] = rng.integers(0, 12, n), 1, 4, False
    out["tempo"] = 120 + 25 * rng.normal(size=n)
    out["loudness"] = -8 + 2 * rng.normal(size=n)
    for place, name in enumerate(SHARES):
        pull = 1.2 * fit if place < 2 else 0.0
        out[name] = 1 / (1 + np.exp(-(pull + rng.normal(size=n))))
    out["duration_ms"] = rng.integers(150_000, 280_000, n).astype(float)
    out["fit"] = fit
    return out


def entries(songs: pd.DataFrame, weeks: int = WEEKS, seed: int = 5) -> pd.DataFrame:
    """Weekly charts: in the ten weeks from its release a song may chart, the likelier the better it fits."""
    rng = np.random.default_rng(seed)
    luck = songs["fit"].to_numpy() + 0.8 * rng.normal(size=len(songs))
    released = songs["release_date"].to_numpy().astype("datetime64[D]")
    found = []
    for week in range(weeks):
        day = np.datetime64(FIRST + timedelta(days=7 * week), "D")
        age = (day - released).astype(int)
        out = np.flatnonzero((age >= 0) & (age < 140))
        best = out[np.argsort(-(luck[out] - 0.01 * age[out]), kind="stable")][:RANKS]
        for rank, row in enumerate(best, 1):
            song = songs.iloc[row]
            found.append((CHART, pd.Timestamp(day), rank, song["title"], song["artist"], song["track_id"]))
    out = pd.DataFrame(found, columns=["chart", "chart_date", "rank", "title", "artist", "track_id"])
    return sized(out)


def sized(found: pd.DataFrame) -> pd.DataFrame:
    """Chart points and sizes, as a build gives them."""
    size = found.groupby(["chart", "chart_date"])["rank"].transform("size")
    return found.assign(size=size, points=size + 1 - found["rank"])


def popularity(songs: pd.DataFrame, seed: int = 6) -> pd.DataFrame:
    """One observation for each third song in the middle of the time, still valid."""
    rng = np.random.default_rng(seed)
    some = songs.iloc[::3]
    return pd.DataFrame(
        {
            "track_id": some["track_id"],
            "provider": "deezer",
            "popularity": rng.integers(0, 101, len(some)).astype(float),
            "valid_from": pd.Timestamp(2013, 6, 1),
            "valid_to": pd.NaT,
            "is_native_scale": True,
        }
    ).reset_index(drop=True)


def world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tracks, entries, popularity."""
    songs = tracks()
    return songs, entries(songs), popularity(songs)


def catalogue(parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> Catalogue:
    """A catalogue of copies of these frames, as reading a build would give it."""
    songs, charted, seen = (part.copy() for part in parts)
    order = charted.sort_values(["chart", "chart_date", "rank"], kind="stable").reset_index(drop=True)
    return Catalogue(songs.sort_values("track_id", kind="stable").reset_index(drop=True), order, seen)


def _word(number: int) -> str:
    """A name without digits or version words."""
    letters = "bdfgklmnprst"
    out = ""
    for _ in range(4):
        out += letters[number % 12] + "aeiou"[number % 5]
        number //= 12
    return out
