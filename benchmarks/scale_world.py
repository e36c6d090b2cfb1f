"""A drawn world of tracks and weekly charts as files to import; the world of `scale.py`. Nothing here is measured.

Titles are three drawn words, so that they differ; a track's sound depends on its genre and drifts with the year of its release. A chart
week replaces about eight of its hundred songs with ones released in the two years before; one song in twenty is in no catalogue.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

CHART = "drawn_weekly"
# The newest week of every world, so that worlds differ in how far back they reach; one more week is kept for the increment.
NEWEST = date(2026, 10, 31)
PLACES = 100
NEW_SONGS = 8
GENRES = ("ambient", "country", "folk", "house", "jazz", "metal", "pop", "rap")
SHARES = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")
LABELLED = 2_000
# Above so many recent songs, new ones are drawn without listing the others.
LARGE_POOL = 300_000


def write_world(folder: Path, n_tracks: int, years: int, seed: int) -> None:
    """Write `tracks.parquet`, `charts.parquet`, `recent.parquet` (the newest week), `week.parquet`: that one and the week that arrives later;
    `earlier.parquet`: a dataset of eight tracks, and `fresh.parquet`: that one with the eight that arrive last.

    Args:
        folder: where; made if absent.
        n_tracks: tracks of the catalogue.
        years: years of weekly charts, 52 weeks each.
        seed: decides everything that is drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tracks, genre = _tracks(rng, n_tracks, years)
    charts = _charts(rng, tracks, weeks=years * 52 + 1)
    recent = sorted(charts["chart_date"].unique())[-2]
    charts[charts["chart_date"] < recent].to_parquet(folder / "charts.parquet", index=False)
    charts[charts["chart_date"] == recent].to_parquet(folder / "recent.parquet", index=False)
    charts[charts["chart_date"] >= recent].to_parquet(folder / "week.parquet", index=False)
    labels = np.where(np.arange(n_tracks) < LABELLED, np.array(GENRES, dtype=object)[genre], None)
    tracks.assign(genre=labels).to_parquet(folder / "tracks.parquet", index=False)
    _fresh(n_tracks, years, seed).to_parquet(folder / "fresh.parquet", index=False)
    _fresh(n_tracks, years, seed).head(NEW_SONGS).to_parquet(folder / "earlier.parquet", index=False)


def _fresh(n_tracks: int, years: int, seed: int) -> pd.DataFrame:
    fresh = _tracks(np.random.default_rng(seed + 1), 2 * NEW_SONGS, years)[0]
    fresh["spotify_id"] = [f"{n_tracks + i:022d}" for i in range(2 * NEW_SONGS)]
    return fresh


def _words(rng: np.random.Generator, n: int) -> np.ndarray:
    syllables = np.array([a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")])
    return np.unique(["".join(syllables[rng.integers(len(syllables), size=k)]) for k in rng.integers(2, 4, size=2 * n)])[:n]


def _tracks(rng: np.random.Generator, n: int, years: int) -> tuple[pd.DataFrame, np.ndarray]:
    words, names = _words(rng, 4_000), _words(rng, 9_000)
    drawn = rng.integers(len(words), size=(3, n))
    singer = rng.integers(max(n // 8, 20), size=n)
    first, last = names[singer % len(names)], names[(singer * 7 + singer // len(names)) % len(names)]
    oldest = NEWEST - timedelta(days=364 * years + 730)
    days = rng.integers((NEWEST - oldest).days, size=n)
    genre = rng.integers(len(GENRES), size=n)
    middle = np.random.default_rng(8).uniform(0.25, 0.75, size=(len(GENRES), len(SHARES)))
    drift = 0.1 * np.sin(2 * np.pi * days / 3_000)[:, None]
    sound = np.clip(middle[genre] + drift + rng.normal(0, 0.13, size=(n, len(SHARES))), 0, 1).round(4)
    known = rng.random(n) < 0.95
    title = pd.Series(words[drawn[0]]) + " " + pd.Series(words[drawn[1]]) + " " + pd.Series(words[drawn[2]])
    made = pd.DataFrame(
        {
            "spotify_id": [f"{i:022d}" for i in range(n)],
            "title": title.str.title(),
            "artist": (pd.Series(first) + " " + pd.Series(last)).str.title(),
            "album": pd.Series(words[drawn[1]]).str.title(),
            "release_date": pd.Timestamp(oldest) + pd.to_timedelta(days, unit="D"),
            "duration_ms": rng.integers(120_000, 320_000, size=n),
            "popularity": np.where(rng.random(n) < 0.8, rng.integers(0, 100, size=n), np.nan),
            "tempo": np.where(known, rng.normal(100 + 8 * genre, 12).round(2), np.nan),
            "loudness": np.where(known, np.clip(rng.normal(-14 + genre, 2), -60, 0).round(2), np.nan),
            "key": pd.array(np.where(known, rng.integers(0, 12, size=n), -1)),
            "mode": pd.array(rng.integers(0, 2, size=n)),
        }
    )
    for place, name in enumerate(SHARES):
        made[name] = np.where(known, sound[:, place], np.nan)
    made["release_date"] = made["release_date"].dt.date
    return made, genre


def _few_of(rng: np.random.Generator, pool: np.ndarray, held: np.ndarray) -> np.ndarray:
    """As many of a large pool as are missing, none of those held; the pool is not gone through."""
    come = np.empty(0, dtype=np.int64)
    while len(come) < PLACES - len(held):
        drawn = pool[rng.integers(len(pool), size=PLACES)]
        come = pd.unique(np.append(come, drawn[~np.isin(drawn, held)]))
    return come[: PLACES - len(held)]


def _charts(rng: np.random.Generator, tracks: pd.DataFrame, weeks: int) -> pd.DataFrame:
    """Columns chart, chart_date, rank, title, artist; the songs that stay longest are the strongest."""
    released = tracks["release_date"].to_numpy().astype("datetime64[D]")
    order = np.argsort(released, kind="stable")
    dates = np.array([NEWEST + timedelta(days=7 * (1 + week - weeks)) for week in range(weeks)], dtype="datetime64[D]")
    until = np.searchsorted(released[order], dates)
    since = np.searchsorted(released[order], dates - np.timedelta64(730, "D"))
    held = np.empty(0, dtype=np.int64)
    strength = np.empty(0)
    parts = []
    for week in range(weeks):
        stays = np.argsort(-strength)[: PLACES - NEW_SONGS]
        held, strength = held[stays], strength[stays] * rng.uniform(0.75, 1.0, size=len(stays))
        if until[week] - since[week] > LARGE_POOL:
            come = _few_of(rng, order[since[week] : until[week]], held)
        else:
            pool = np.setdiff1d(order[since[week] : until[week]], held)
            come = rng.choice(pool, size=PLACES - len(held), replace=False) if len(pool) >= PLACES - len(held) else None
        if come is None:
            # A small catalogue has too few recent songs: older ones come back.
            come = rng.choice(np.setdiff1d(order, held), size=PLACES - len(held), replace=False)
        held, strength = np.append(held, come), np.append(strength, rng.uniform(0.3, 1.0, size=len(come)))
        parts.append(held[np.argsort(-strength)])
    song = np.concatenate(parts)
    unknown = np.random.default_rng(5).random(len(tracks))[song] < 0.05
    title = tracks["title"].to_numpy(dtype=object)[song]
    return pd.DataFrame(
        {
            "chart": CHART,
            "chart_date": pd.Series(np.repeat(dates, PLACES)).dt.date,
            "rank": np.tile(np.arange(1, PLACES + 1), weeks),
            "title": np.where(unknown, "Nowhere " + title, title),
            "artist": tracks["artist"].to_numpy(dtype=object)[song],
        }
    )
