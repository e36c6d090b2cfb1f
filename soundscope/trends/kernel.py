"""Densities of weighted points: the exact Gaussian kernel density and a mixture of prototypes that approximates it.

Nothing about music belongs here. Points are rows of (n, d) arrays, already on a common scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Real = NDArray[np.floating[Any]]
Single = NDArray[np.float32]
# Rows at a time: a block of kernels stays near 8 million values.
_BLOCK_VALUES = 8_000_000
_LOWEST = -1e4
_LLOYD_STEPS = 8


def _left(x: Real) -> Single:
    """Rows (n, 2 d + 1) whose product with `_right` are logarithms of Gaussians."""
    x = x.astype(np.float32)
    return np.concatenate([x * x, x, np.ones((len(x), 1), dtype=np.float32)], axis=1)


def _right(centres: Array, inverse_variance: Array, log_weight: Array) -> Single:
    """Columns (2 d + 1, k): the squared distance taken apart, so that one matrix product gives log_weight - distance^2 / 2.

    No (n, k, d) array is made. Single precision is enough: points lie within some tens of standard deviations.
    """
    constant = log_weight - 0.5 * (centres * centres * inverse_variance).sum(axis=1)
    return np.concatenate([-0.5 * inverse_variance.T, (centres * inverse_variance).T, constant[None, :]]).astype(np.float32)


def log_sum_exp(values: Real) -> Real:
    """log(sum(exp(values))) over columns, (n,); values is overwritten."""
    top = values.max(axis=1)
    values -= top[:, None]
    np.exp(values, out=values)
    return np.log(values.sum(axis=1)) + top


@dataclass(frozen=True)
class Density:
    """A mixture of Gaussians with diagonal covariances.

    Attributes:
        centres: (k, d). inverse_variance: (k, d). log_weight: (k,) logarithm of weight over the square root of the covariance's
            determinant. (2 pi)^(-d/2) is left out everywhere: it cancels in ratios.
        members: (n,) the component each point of the sample belongs to. weights: (n,) of the points, summing to one.
        is_exact: every point has a component of its own: this is the kernel density itself.
    """

    centres: Array
    inverse_variance: Array
    log_weight: Array
    members: NDArray[np.intp]
    weights: Array
    is_exact: bool

    @cached_property
    def _columns(self) -> Single:
        return _right(self.centres, self.inverse_variance, self.log_weight)

    def log_density(self, x: Array) -> Array:
        """Log density (n,) at x (n, d); memory is bounded by a block."""
        out = np.empty(len(x))
        block = max(_BLOCK_VALUES // len(self.centres), 1)
        for start in range(0, len(x), block):
            out[start : start + block] = log_sum_exp(_left(x[start : start + block]) @ self._columns)
        return np.maximum(out, _LOWEST)

    def gradient(self, x: Array, leave_out: NDArray[np.intp] | None = None) -> Array:
        """Gradient (n, d) of the log density at x (n, d); `leave_out` (n,) names a component to ignore, -1 for none."""
        left = _left(x)
        values = left @ self._columns
        if leave_out is not None:
            rows = np.flatnonzero(leave_out >= 0)
            values[rows, leave_out[rows]] = -np.inf
        values -= values.max(axis=1, keepdims=True)
        share = np.exp(values, out=values)
        share /= share.sum(axis=1, keepdims=True)
        # Of the columns: minus half the inverse variances, then centres times inverse variances.
        d = x.shape[1]
        pulled = share @ self._columns[: 2 * d].T
        return (pulled[:, d:] + 2.0 * left[:, d : 2 * d] * pulled[:, :d]).astype(np.float64)


def kernel_density(points: Array, weights: Array, bandwidth: float) -> Density:
    """The exact kernel density of points (n, d) with weights (n,), one Gaussian of standard deviation `bandwidth` per point."""
    weights = weights / weights.sum()
    inverse = np.full(points.shape, bandwidth**-2.0)
    return Density(
        points,
        inverse,
        np.log(weights) - points.shape[1] * np.log(bandwidth),
        np.arange(len(points)),
        weights,
        True,
    )


def prototype_density(points: Array, weights: Array, bandwidth: float, prototypes: int, seed: int = 0) -> Density:
    """At most `prototypes` Gaussians in place of n kernels: k-means cells, each with its weight, mean, and kernel plus cell variance.

    Replacing a cell's kernels by one Gaussian of the same mean and diagonal covariance keeps the density's first two moments. With
    no more points than prototypes it is the exact density.
    """
    if len(points) <= prototypes:
        return kernel_density(points, weights, bandwidth)
    weights = weights / weights.sum()
    members = _cells(points, weights, prototypes, seed)
    k = int(members.max()) + 1
    mass = np.bincount(members, weights, k)
    centres = np.column_stack([np.bincount(members, weights * column, k) / mass for column in points.T])
    deviation = points - centres[members]
    spread = np.column_stack([np.bincount(members, weights * column * column, k) / mass for column in deviation.T])
    variance = bandwidth**2 + spread
    return Density(centres, 1.0 / variance, np.log(mass) - 0.5 * np.log(variance).sum(axis=1), members, weights, False)


def _cells(points: Array, weights: Array, cells: int, seed: int) -> NDArray[np.intp]:
    """Cell (n,) of each point by Lloyd's iteration (1982) from drawn points; numbered without gaps."""
    centres = points[np.random.default_rng(seed).permutation(len(points))[:cells]]
    members = np.zeros(len(points), dtype=np.intp)
    single = np.concatenate([points, np.ones((len(points), 1))], axis=1).astype(np.float32)
    weighted = np.ascontiguousarray((points * weights[:, None]).T)
    for _ in range(_LLOYD_STEPS):
        right = np.concatenate([centres.T, -0.5 * (centres * centres).sum(axis=1)[None, :]]).astype(np.float32)
        members = np.argmax(single @ right, axis=1)
        mass = np.bincount(members, weights, len(centres))
        kept = mass > 0
        sums = np.column_stack([np.bincount(members, column, len(centres)) for column in weighted])
        centres = sums[kept] / mass[kept, None]
        members = (np.cumsum(kept) - 1)[members]
    return members


def leave_one_out(density: Density, points: Array, index: NDArray[np.intp], bandwidth: float) -> Array:
    """Exact kernel log density (m,) at the sample's own points `index` (m,), each without its own kernel.

    Args:
        density: made from `points` (n, d), for its weights.
    """
    out = np.empty(len(index))
    log_weight = np.log(density.weights) - points.shape[1] * np.log(bandwidth)
    columns = _right(points, np.full(points.shape, bandwidth**-2.0), log_weight)
    block = max(_BLOCK_VALUES // len(points), 1)
    for start in range(0, len(index), block):
        part = index[start : start + block]
        values = _left(points[part]) @ columns
        values[np.arange(len(part)), part] = _LOWEST
        out[start : start + block] = log_sum_exp(values) - np.log(np.maximum(1.0 - density.weights[part], 1e-12))
    return np.maximum(out, _LOWEST)
