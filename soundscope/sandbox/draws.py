"""Counter-based random draws: a value depends on (seed, stream, index) alone, never on what was drawn before.

That is what makes a world prefix-stable: adding an artist, a release or a week cannot move any other value.
Nothing about music belongs here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@lru_cache(maxsize=4096)
def stream_key(seed: int, stream: str) -> int:
    """A 64-bit key for one named stream of one world."""
    return int.from_bytes(hashlib.blake2b(f"{seed}|{stream}".encode(), digest_size=8).digest(), "little")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def bits(seed: int, stream: str, index: Ints | int, sub: Ints | int = 0) -> NDArray[np.uint64]:
    """64 hashed bits for each index (broadcast with `sub`, a second counter such as a week)."""
    with np.errstate(over="ignore"):
        first = np.asarray(index).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        second = np.asarray(sub).astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        return _mix(_mix(first + np.uint64(stream_key(seed, stream))) ^ _mix(second + np.uint64(0x165667B19E3779F9)))


def uniform(seed: int, stream: str, index: Ints | int, sub: Ints | int = 0) -> Floats:
    """Uniform draws in (0, 1), the shape of `index` broadcast with `sub`."""
    raw = bits(seed, stream, index, sub) >> np.uint64(11)
    return (raw.astype(np.float64) + 0.5) / float(1 << 53)


def uniform_one(seed: int, stream: str, index: int) -> float:
    """The same draw as `uniform` for a single index, in plain integers (ten times quicker for one value)."""
    first = _mix_one((index * 0x9E3779B97F4A7C15 + stream_key(seed, stream)) & _WORD)
    return ((_mix_one(first ^ _SECOND_OF_ZERO) >> 11) + 0.5) / (1 << 53)


def _mix_one(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _WORD
    return x ^ (x >> 31)


_WORD = (1 << 64) - 1
_SECOND_OF_ZERO = _mix_one(0x165667B19E3779F9)


def normal(seed: int, stream: str, index: Ints | int, sub: Ints | int = 0) -> Floats:
    """Standard normal draws, the shape of `index` broadcast with `sub`."""
    return np.asarray(ndtri(uniform(seed, stream, index, sub)), dtype=np.float64)


def choose(u: Floats, weights: Sequence[float] | Floats) -> Ints:
    """Positions drawn in proportion to `weights`, one for each uniform value in `u`."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.minimum(np.searchsorted(edges, u * edges[-1], side="right"), len(edges) - 1).astype(np.int64)
