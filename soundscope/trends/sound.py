"""The sound of a track as a point: which features alignment looks at, and on which scale. Nothing about charts belongs here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# The nine sound features and the length of the song.
INPUTS = (
    "tempo",
    "danceability",
    "energy",
    "valence",
    "loudness",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
    "duration_ms",
)
# A track with fewer known features is not scored.
MIN_KNOWN = 6
# These shares lie near zero for most songs; on a logarithmic scale small differences there count. The floors are about the
# resolution at which the values are published.
_LOG_FLOOR = {"acousticness": 0.01, "instrumentalness": 0.001, "speechiness": 0.01, "liveness": 0.01}


def points(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Points (n, 10) in the order of `INPUTS`; NaN where unknown.

    acousticness, instrumentalness, speechiness and liveness as log(x + floor), duration as log of milliseconds between 20 s and 20 min,
    the others as they are (bpm, 0..1, dB).
    """
    out = np.empty((len(frame), len(INPUTS)))
    for place, name in enumerate(INPUTS):
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if name in _LOG_FLOOR:
            values = np.log(np.clip(values, 0.0, 1.0) + _LOG_FLOOR[name])
        elif name == "duration_ms":
            values = np.log(np.clip(values, 20_000.0, 1_200_000.0))
        out[:, place] = values
    return out


def as_published(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nine sound features (n, 9) as providers publish them, from points (n, 10): what `points` did is undone, duration left out."""
    out = values[:, [place for place, name in enumerate(INPUTS) if name != "duration_ms"]].copy()
    for place, name in enumerate(name for name in INPUTS if name != "duration_ms"):
        if name in _LOG_FLOOR:
            out[:, place] = np.exp(out[:, place]) - _LOG_FLOOR[name]
    return out
