"""Ranking figures with intervals by bootstrap over groups: area under the ROC curve and lift in the top tenth. No music here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]


def group_weights(groups: NDArray, resamples: int, seed: int = 0) -> Array:
    """Bootstrap weights (n, B): how often each row's group was drawn in each resample of groups with replacement."""
    code, names = pd.factorize(groups)
    random = np.random.default_rng(seed)
    drawn = (
        random.multinomial(len(names), np.full(len(names), 1.0 / max(len(names), 1)), size=resamples)
        if len(names)
        else np.empty((resamples, 0))
    )
    return drawn[:, code].T.astype(np.float64)


def auc(label: NDArray[np.int64], score: Array, weights: Array | None = None) -> Array:
    """Weighted area under the ROC curve for each column of weights (n, B), shape (B,); ties count half. NaN without both classes.

    Without weights one value in an array of shape (1,). Missing scores rank lowest.
    """
    w = np.ones((len(label), 1)) if weights is None else weights
    value = np.nan_to_num(score, nan=-np.inf)
    order = np.argsort(value, kind="stable")
    tie = np.concatenate([[0], np.cumsum(value[order][1:] != value[order][:-1])]) if len(value) else np.empty(0, dtype=int)
    w, y = w[order], label[order] == 1
    positive, negative = w * y[:, None], w * ~y[:, None]
    count = int(tie[-1]) + 1 if len(tie) else 0
    starts = np.searchsorted(tie, np.arange(count))
    pos, neg = np.add.reduceat(positive, starts, axis=0), np.add.reduceat(negative, starts, axis=0)
    below = np.cumsum(neg, axis=0) - neg
    total = pos.sum(axis=0) * neg.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (pos * (below + 0.5 * neg)).sum(axis=0) / total, np.nan)


def lift(label: NDArray[np.int64], score: Array, share: float = 0.1) -> float:
    """Rate of positives in the best-scored share (rounded up) over that of all; ties are shared out. NaN without positives."""
    if not len(label) or not label.sum():
        return float("nan")
    value = np.nan_to_num(score, nan=-np.inf)
    k = int(np.ceil(len(value) * share))
    cut = np.sort(value)[::-1][k - 1]
    above, at = value > cut, value == cut
    hits = label[above].sum() + label[at].mean() * (k - above.sum())
    return float(hits / k / label.mean())


def within(label: NDArray[np.int64], score: Array, strata: NDArray) -> float:
    """Area under the curve within strata, weighted by their pairs of a positive and a negative."""
    total = pairs = 0.0
    for rows in pd.Series(np.arange(len(label))).groupby(pd.factorize(strata)[0]).indices.values():
        y = label[rows]
        n = float(y.sum() * (len(y) - y.sum()))
        if n:
            total += n * float(auc(y, score[rows])[0])
            pairs += n
    return total / pairs if pairs else float("nan")


def interval(values: Array) -> tuple[float, float]:
    """The middle 95 % of bootstrap values; NaN if there are none."""
    known = values[np.isfinite(values)]
    if len(known) < 20:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
