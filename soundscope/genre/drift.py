"""Whether the tracks a model meets still look like those it was trained on: population stability index per feature.

PSI = sum over bins of (q - p) log(q / p), with training shares p and present shares q over the deciles of the training rows and one
bin for missing values (Siddiqi 2006, Credit Risk Scorecards; there below 0.1 counts as steady, above 0.25 as shifted).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.genre import features, registry
from soundscope.genre.data import TRACKS_SQL
from soundscope.settings import Settings

WATCHED = (*features.AUDIO, "popularity")
_LEVELS = ((0.1, "steady"), (0.25, "moderate"), (np.inf, "shifted"))


def reference(frame: pd.DataFrame) -> dict[str, Any]:
    """What a model's card keeps of its training rows: {feature: {'edges': inner decile edges, 'shares': per bin, missing last}}."""
    out = {}
    for name in WATCHED:
        values = features.numbers(frame, name).to_numpy()
        known = values[~np.isnan(values)]
        if len(known):
            edges = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9)))
            out[name] = {"edges": edges.tolist(), "shares": _shares(values, edges).tolist()}
    return out


def psi(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Population stability index of shares (b,) against shares (b,); empty bins count as 1 in 10,000."""
    p, q = np.maximum(expected, 1e-4), np.maximum(actual, 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def drift(con: duckdb.DuckDBPyConnection, settings: Settings, model_id: str, as_of: datetime) -> pd.DataFrame:
    """PSI of every watched feature over the tracks that are scored now.

    Returns:
        Columns model_id, feature, as_of, psi, level (steady, moderate or shifted); no rows if there are no tracks.

    Raises:
        BadInput: there is no such model.
    """
    kept = registry.read_card(settings.paths.models, model_id).get("reference", {})
    now = con.execute(f"select {', '.join(WATCHED)} from ({TRACKS_SQL}) tracks where train_ok").df()
    rows = []
    for name, past in kept.items() if len(now) else ():
        found = psi(np.array(past["shares"]), _shares(features.numbers(now, name).to_numpy(), np.array(past["edges"])))
        rows.append((model_id, name, as_of, found, next(level for limit, level in _LEVELS if found < limit)))
    return pd.DataFrame(rows, columns=["model_id", "feature", "as_of", "psi", "level"])


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.isnan(values)
    inside = np.bincount(np.searchsorted(edges, values[~missing], side="right"), minlength=len(edges) + 1)
    return np.concatenate([inside, [missing.sum()]]) / max(len(values), 1)
