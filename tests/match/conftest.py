"""Small frames of keys and tracks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def keys() -> Callable[..., pd.DataFrame]:
    """Chart keys from (title, artist) pairs or rows with more columns."""

    def build(*rows: tuple[str, str] | dict[str, Any]) -> pd.DataFrame:
        plain = [row if isinstance(row, dict) else {"title": row[0], "artist": row[1]} for row in rows]
        frame = pd.DataFrame(plain)
        for column, value in {"run_no": 1, "first_date": "2015-01-03", "last_date": "2015-03-07", "spotify_id": None}.items():
            if column not in frame:
                frame[column] = value
        frame["run_no"] = frame["run_no"].fillna(1).astype("int64")
        return frame

    return build


@pytest.fixture
def tracks() -> Callable[..., pd.DataFrame]:
    """Tracks from (track_id, title, artists) or rows with more columns; artists joined by `; `."""

    def build(*rows: tuple[str, str, str] | dict[str, Any]) -> pd.DataFrame:
        plain = [row if isinstance(row, dict) else dict(zip(("track_id", "title", "artists"), row, strict=True)) for row in rows]
        frame = pd.DataFrame(plain)
        frame["artist"] = frame["artists"].str.split("; ").str[0]
        for column in ("spotify_id", "isrc", "album", "release_date", "release_precision", "duration_ms", "popularity"):
            if column not in frame:
                frame[column] = None
        return frame

    return build
