"""A small raw world to build from: one chart of five ranks with a hole, twelve songs, labels, popularity, one model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
from rawdb import add

from soundscope.settings import Settings
from soundscope.warehouse.build import BuildResult

CHART = "club"
FIRST = date(2020, 1, 4)
WEEKS = 62
AFTER_HOLE = date(2022, 1, 1)
SONGS = 12


@dataclass
class Built:
    """A built warehouse and what the build said."""

    settings: Settings
    result: BuildResult


def chart_dates() -> list[date]:
    """Sixty-two weeks, a hole of nine months, three weeks."""
    first = [FIRST + timedelta(days=7 * week) for week in range(WEEKS)]
    return first + [AFTER_HOLE + timedelta(days=7 * week) for week in range(3)]


def ranked_songs(day: date) -> list[int]:
    """Five songs of twelve in an order that moves from week to week."""
    week = (day - FIRST).days // 7
    return [(week // 3 + place * 5 + week * place) % SONGS for place in range(5)]


def chart_rows(days: list[date]) -> list[dict[str, object]]:
    """Chart entries of these dates; a song that is drawn twice in a week is charted once."""
    return [
        {"chart": CHART, "chart_date": day, "rank": rank, "title": f"Song {song}", "artist": f"Artist {song}"}
        for day in days
        for rank, song in enumerate(dict.fromkeys(ranked_songs(day)), start=1)
    ]


def fill(con: duckdb.DuckDBPyConnection) -> None:
    """Twelve songs by Spotify, ten of them with features, eleven linked; labels, popularity, a model with scores."""
    providers = [("import:mine", True, 1, "0..100"), ("spotify", False, 2, "0..100"), ("deezer", False, None, "rank")]
    add(
        con,
        "providers",
        [
            {"provider": name, "licence": "some", "train_ok": ok, "feature_priority": priority, "popularity_scale": scale}
            for name, ok, priority, scale in [*providers, (CHART, False, None, None), ("soundscope", True, None, None)]
        ],
    )
    songs = [
        {"source_id": f"s{i:02}", "spotify_id": f"s{i:02}", "title": f"Song {i}", "artist": f"Artist {i}"} for i in range(SONGS)
    ]
    add(
        con,
        "tracks",
        [
            {
                **song,
                "isrc": f"ZZXXX00000{i:02}",
                "artist_ids": f"a{i % 3}",
                "release_date": date(1980 + i, 1, 1),
                "duration_ms": 1000 * i + 1,
            }
            for i, song in enumerate(songs)
        ],
        provider="spotify",
    )
    sound = [
        {
            "tempo": 0.0 if i == 3 else 90.0 + 7 * i, "danceability": i / 12, "energy": (i * 5 % 12) / 12, "valence": (i * 7 % 12) / 12,
            "loudness": -3.0 - i, "acousticness": 0.5, "instrumentalness": 0.0, "speechiness": 0.1, "liveness": 0.01 * i,
            "key": -1 if i == 3 else i % 12, "mode": i % 2, "time_signature": 4,
        }
        for i in range(SONGS)
    ]  # fmt: skip
    add(con, "audio_features", [{**song, **sound[i]} for i, song in enumerate(songs) if i not in (7, 8)], provider="spotify")
    add(con, "audio_features", [{**songs[1], **sound[2]}, {**songs[7], **sound[7]}], provider="import:mine")
    labels = [{"subject": "artist", "artist_id": f"a{i}", "label": ["Pop", "hip  hop", "odd wave"][i]} for i in range(3)]
    add(con, "genre_labels", labels, provider="spotify", source="spotify:artist")
    add(con, "genre_labels", [{**songs[0], "subject": "track", "label": "Rock"}], provider="import:mine", source="import:mine")
    seen = [(song, day, 40 + i + day) for i, song in enumerate(songs[:6]) for day in (1, 2, 3)]
    observed = [{**song, "popularity": value, "observed_at": datetime(2020, 6, day)} for song, day, value in seen]
    add(con, "popularity", observed, provider="spotify")
    deezer = [{"isrc": f"ZZXXX00000{i:02}", "popularity": 1000.0 * i, "observed_at": datetime(2020, 7, 1)} for i in range(SONGS)]
    add(con, "popularity", deezer, provider="deezer")
    add(con, "chart_entries", chart_rows(chart_dates()), provider=CHART)
    link = {"run_no": 1, "status": "matched", "method": "exact", "score": 0.9, "decided_by": "soundscope:1"}
    linked = [{**link, "title": f"Song {i}", "artist": f"Artist {i}", "track_id": f"spotify:s{i:02}"} for i in range(SONGS - 1)]
    add(con, "track_links", linked, provider="soundscope")
    model = {"model_id": "m1", "trained_at": datetime(2024, 1, 1), "target": "genre", "algorithm": "softmax_regression"}
    add(con, "model_runs", [{**model, "is_champion": True, "verdict": "promoted"}], provider="soundscope")
    add(con, "model_metrics", [{"model_id": "m1", "split": "recording", "metric": "accuracy", "class": "all", "value": 0.5}])
    add(con, "confusion", [{"model_id": "m1", "split": "recording", "true_genre": "pop", "predicted_genre": "pop", "n": 3}])
    scores = [("pop", 0.6, 1), ("rock", 0.3, 2), ("jazz", 0.1, 3)]
    add(
        con,
        "predictions",
        [
            {
                "track_id": "spotify:s00",
                "model_id": "m1",
                "genre": g,
                "probability": p,
                "rank": r,
                "scored_at": datetime(2024, 1, 1),
            }
            for g, p, r in scores
        ],
    )


def home_settings(home: Path) -> Settings:
    """Settings of a home of its own, its folders made."""
    settings = Settings(home=home)
    settings.paths.create()
    return settings
