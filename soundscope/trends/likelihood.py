"""The supervised likelihood that a song enters a chart soon after its release, from its sound alone, refitted every year.

A model for a year learns from songs released in the ten years up to the first of October before, so that every label was known when
the year began. Licences are kept: tracks whose source may not train are neither learnt from nor scored.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends.candidates import Candidates
from soundscope.trends.catalogue import Days

Array = NDArray[np.float64]
VERSION = "likelihood-5"
YEARS = 10
MIN_ROWS, MIN_POSITIVE = 300, 20
# More songs than this are not learnt from: songs that charted are kept, up to half of it, and the others drawn.
MAX_ROWS = 30_000
_FOLDS = 3
# Trees of the model, and of the models of the folds, which serve calibration alone.
_TREES, _FOLD_TREES = 100, 50
# How many songs' worth of trust the calibration begins with in what the models say; few hits in a year would else bend it by chance.
_CALIBRATION_PRIOR = 50.0


@dataclass(frozen=True)
class Likelihood:
    """A fitted, calibrated model; `reason` says why there is none."""

    year: int
    n_train: int
    n_positive: int
    reason: str | None
    models: tuple[Any, ...] = ()
    slope: float = 1.0
    offset: float = 0.0

    def predict(self, inputs: Array) -> Array:
        """Probabilities (n,) for inputs (n, d)."""
        if self.reason is not None:
            return np.full(len(inputs), np.nan)
        logit = _logit(_raw(self.models, inputs))
        return 1.0 / (1.0 + np.exp(-(self.slope * logit + self.offset)))


def sound_inputs(points: Array, harmony: Array, score: Array, density: Array) -> Array:
    """Inputs (n, 15): points (n, 10), key, mode and time signature (n, 3), alignment score and log density of charting songs (n,)."""
    return np.column_stack([points, harmony, score, density])


def history_inputs(history: pd.DataFrame) -> Array:
    """Inputs (n, 6) from the columns of `momentum.HISTORY`."""
    counts = np.log1p(history[["momentum", "chart_weeks", "chart_weeks_5y", "songs_5y"]].to_numpy())
    since = np.log1p(history["days_since_charted"].fillna(36_500.0).to_numpy())
    return np.column_stack([counts, history["best_points"].to_numpy(), since])


def training_rows(found: Candidates, year: int) -> NDArray[np.bool_]:
    """(n,) the candidates a model of that year may learn from."""
    end = np.datetime64(f"{year - 1}-10-01", "D")
    begin = np.datetime64(f"{year - 1 - YEARS}-10-01", "D")
    return (found.released >= begin) & (found.released < end)


def fit(
    year: int, inputs: Array, label: NDArray[np.int64], allowed: NDArray[np.bool_], seed: int = 0, linear: Sequence[int] = ()
) -> Likelihood:
    """Fit on inputs (n, d) and labels (n,), those `allowed` (n,) by licence.

    The mean of a forest of extremely randomised trees (Geurts, Ernst, Wehenkel 2006) and boosted trees; then a logistic calibration (Platt 1999)
    on predictions made without the row itself, by three folds. Of more than `MAX_ROWS` songs a sample by outcome is learnt from, and the
    odds are corrected for it (King, Zeng 2001).

    Args:
        linear: columns of a logistic regression as a third model; none if empty.
    """
    kept = allowed & np.isfinite(inputs[:, -2:]).all(axis=1)
    x, y = inputs[kept], label[kept]
    positive = int(y.sum())
    if len(y) < MIN_ROWS or min(positive, len(y) - positive) < MIN_POSITIVE:
        forbidden = int((~allowed).sum())
        reason = (
            f"not trained for {year}: {len(y):,} trainable songs with {positive:,} that charted; {MIN_ROWS} are needed, and of those that charted and of those that did not {MIN_POSITIVE} each"
            + (f"; {forbidden:,} more may not be trained on" if forbidden else "")
        )
        return Likelihood(year, len(y), positive, reason)
    drawn, odds = _sample(y, seed)
    x, y = x[drawn], y[drawn]
    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    held = np.full(len(y), np.nan)
    for k in range(_FOLDS):
        rest = fold != k
        held[~rest] = _raw(_models(x[rest], y[rest], seed, linear, _FOLD_TREES), x[~rest])
    slope, offset = _platt(_logit(held), y)
    models = _models(x, y, seed, linear, _TREES)
    return Likelihood(year, int(kept.sum()), positive, None, models, slope, offset - np.log(odds))


def _sample(y: NDArray[np.int64], seed: int) -> tuple[NDArray[np.intp], float]:
    """Rows to learn from, in order, and by how much their odds of charting exceed those of all rows."""
    rows = np.arange(len(y))
    if len(y) <= MAX_ROWS:
        return rows, 1.0
    rng = np.random.default_rng(seed)
    hits, others = rows[y == 1], rows[y == 0]
    kept = min(len(hits), MAX_ROWS // 2)
    rest = min(len(others), MAX_ROWS - kept)
    drawn = np.concatenate([rng.choice(hits, kept, replace=False), rng.choice(others, rest, replace=False)])
    return np.sort(drawn), (kept / len(hits)) / (rest / len(others))


def _models(x: Array, y: NDArray[np.int64], seed: int, linear: Sequence[int], trees: int) -> tuple[Any, ...]:
    import lightgbm
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    common: dict[str, Any] = {"n_jobs": 1, "random_state": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    # Thresholds at random, as in extremely randomised trees; LightGBM's are grown many times faster than one by one in Python.
    forest = lightgbm.LGBMClassifier(
        boosting_type="rf", extra_trees=True, n_estimators=trees, num_leaves=1024, min_child_samples=8, min_child_weight=0.0,
        colsample_bynode=0.5, subsample=0.8, subsample_freq=1, **common,
    ).fit(x, y)  # fmt: skip
    boosted = lightgbm.LGBMClassifier(
        n_estimators=80, learning_rate=0.04, num_leaves=6, min_child_samples=40, colsample_bytree=0.5, subsample=0.8,
        subsample_freq=1, reg_lambda=5.0, **common,
    ).fit(x, y)  # fmt: skip
    if not linear:
        return forest, boosted
    chosen = make_column_transformer((StandardScaler(), list(linear)))
    return forest, boosted, make_pipeline(chosen, LogisticRegression(C=0.3, max_iter=500)).fit(x, y)


def _raw(models: tuple[Any, ...], x: Array) -> Array:
    if not len(x):
        return np.empty(0)
    with warnings.catch_warnings():
        # LightGBM was given plain arrays, and is asked with plain arrays.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return np.mean([model.predict_proba(x)[:, 1] for model in models], axis=0)


def _logit(p: Array) -> Array:
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _platt(logit: Array, y: NDArray[np.int64]) -> tuple[float, float]:
    """Slope (at least 0) and offset that minimise the log-loss, drawn towards 1 and 0."""
    from scipy.optimize import minimize

    sign = 2.0 * y - 1.0

    def loss(w: Array) -> tuple[float, Array]:
        margin = sign * (w[0] * logit + w[1])
        slope = -sign / (1 + np.exp(margin))
        off = w - np.array([1.0, 0.0])
        pull = _CALIBRATION_PRIOR / len(y) * off
        return float(np.logaddexp(0, -margin).mean() + pull @ off), np.array([(slope * logit).mean(), slope.mean()]) + 2 * pull

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)]).x
    return float(found[0]), float(found[1])


def year_of(when: np.datetime64 | Days) -> Any:
    """Calendar year(s) of dates."""
    return np.asarray(when).astype("datetime64[Y]").astype(int) + 1970
