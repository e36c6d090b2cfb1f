"""Dividing a probability among what a model saw: logits that are sums of parts, forests by their paths, anything else by sampling.

Every function here gives parts that add up to the probability it explains; which model is divided how is in `explain.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soundscope.genre.calibrate import softmax

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def of_logits(
    parts: Mapping[str, NDArray[np.float64]], base: NDArray[np.float64], label: NDArray[np.intp]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """Divide softmax(base + sum of parts)[label] among the parts by integrated gradients from the base.

    The gradient of p_c along the straight way from the base to the track, times each part (Sundararajan et al. 2017, "Axiomatic
    attribution for deep networks", ICML; for parts that are additive this is the Aumann-Shapley value). Complete up to the error of
    a quadrature of 64 points.

    Args:
        parts: {name: (n, K)} that add up, with base, to the logits.
        base: logits (n, K) where nothing is known of the track.
        label: column (n,) of the explained label.

    Returns:
        {name: (n,)}, the probability (n,) at the base, and that at the end.
    """
    way = np.sum(list(parts.values()), axis=0)
    rows = np.arange(len(base))
    slope = np.zeros_like(base)
    for at, weight in zip((_NODES + 1) / 2, _WEIGHTS / 2, strict=True):
        p = softmax(base + at * way)
        mine = weight * p[rows, label]
        slope -= mine[:, None] * p
        slope[rows, label] += mine
    divided = {name: (slope * part).sum(axis=1) for name, part in parts.items()}
    return divided, softmax(base)[rows, label], softmax(base + way)[rows, label]


def in_proportion(total: NDArray[np.float64], moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide totals (n,) among columns as `moves` (n, d) move something else in the same direction; (n, d), adding up to the totals.

    Scaled by their ratio where that is between 0 and 5, and what is left over by their size, so that moves that cancel each other
    do not blow up.
    """
    sums, sizes = moves.sum(axis=1), np.abs(moves).sum(axis=1)
    ratio = np.divide(total, sums, out=np.zeros_like(total), where=sums != 0)
    scaled = moves * np.clip(ratio, 0.0, 5.0)[:, None]
    even = np.full_like(moves, 1.0 / max(moves.shape[1], 1))
    by_size = np.divide(np.abs(moves), sizes[:, None], out=even, where=sizes[:, None] > 0)
    return scaled + (total - scaled.sum(axis=1))[:, None] * by_size


def by_sampling(
    probability: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    X: NDArray[np.float64],
    background: NDArray[np.float64],
    groups: Mapping[str, Sequence[int]],
    label: NDArray[np.intp],
    *,
    orders: int = 12,
    seed: int = 0,
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Shapley values of groups of columns, estimated over random orders (Strumbelj and Kononenko 2014, Knowledge and Information Systems 41).

    Args:
        probability: from inputs (n, d) to probabilities (n, K).
        X: the rows (n, d) to explain.
        background: rows (m, d) that stand for a track of which nothing is known, m at least 1.
        groups: {name: columns}; every column in one group.
        label: column (n,) of the explained label.
        orders: random orders; each costs one prediction per group and row.
        seed: of orders and background rows.

    Returns:
        {name: (n,)}, which add up to the row's probability less the second, the mean probability (n,) of the background rows used.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(X))
    out = {name: np.zeros(len(X)) for name in groups}
    start = np.zeros(len(X))
    for _ in range(orders):
        now = np.repeat(background[[rng.integers(len(background))]], len(X), axis=0)
        before = probability(now)[rows, label]
        start += before
        for name in rng.permutation(np.array(list(groups), dtype=object)):
            now[:, groups[name]] = X[:, groups[name]]
            after = probability(now)[rows, label]
            out[name] += after - before
            before = after
    return {name: values / orders for name, values in out.items()}, start / orders
