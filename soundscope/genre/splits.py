"""Which rows train and which test: folds by hash of a group, so that a group is never on both sides.

Everything is decided by SHA-256 of the group's name, never by order or chance: a row that is new today falls into the fold it would
have had yesterday, so a test fold only grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from soundscope.errors import BadInput

FOLDS = 5
FROZEN_FOLD = 0
SPLIT_SEED = "soundscope-1"
Scheme = Literal["recording", "artist", "forward", "random_leaky"]
SCHEMES: tuple[Scheme, ...] = ("recording", "artist", "forward", "random_leaky")


def fold_of(key: str, seed: str = SPLIT_SEED, folds: int = FOLDS) -> int:
    """Fold 0..folds-1 of a group: the first 32 bits of SHA-256 of 'seed|key', modulo folds."""
    return int(hashlib.sha256(f"{seed}|{key}".encode()).hexdigest()[:8], 16) % folds


def folds_of(keys: pd.Series, seed: str = SPLIT_SEED, folds: int = FOLDS) -> NDArray[np.int64]:
    """Fold (n,) of each row by its group key (n,); each distinct key is hashed once."""
    codes, distinct = pd.factorize(keys.astype(str))
    return np.array([fold_of(key, seed, folds) for key in distinct], dtype=np.int64)[codes]


def connected(*keys: Sequence[object] | pd.Series) -> pd.Series:
    """Name (n,) of the group of each row, where rows that share a value in any of the keys (n,) are one group.

    Missing values join nothing. A group is named after the smallest value of the first key among its rows, so its name does not
    depend on the order of the rows.

    Raises:
        BadInput: the first key has a missing value, which would leave a group without a name.
    """
    first = pd.Series(keys[0]).reset_index(drop=True)
    if first.isna().any():
        raise BadInput("Grouping rows: the first key has missing values.", next_step="give every row an id.")
    n = len(first)
    rows, columns, offset = [], [], n
    for key in keys:
        codes, distinct = pd.factorize(pd.Series(key))
        known = codes >= 0
        rows.append(np.flatnonzero(known))
        columns.append(codes[known] + offset)
        offset += len(distinct)
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(offset, offset))
    _, component = connected_components(graph, directed=False)
    return first.astype(str).groupby(component[:n]).transform("min")


def artist_groups(artist: pd.Series, recording: pd.Series) -> pd.Series:
    """Name (n,) of the artist group of each row: recordings, joined further by their first credited artist.

    A row without an artist forms a group with its recording alone.
    """
    named = artist.fillna("\0" + recording.astype(str))
    return connected(named, recording)


def folds_for(
    scheme: Scheme, recording: pd.Series, artist: pd.Series, released: pd.Series, seed: str = SPLIT_SEED
) -> NDArray[np.int64]:
    """Fold (n,) of each row under a scheme; `recording`, `artist` are group names, `released` dates.

    recording and artist keep groups whole. forward puts the newest fifth of the recordings (by earliest date) into fold 0, the next
    into fold 1 and the rest into folds 2..4; rows without a date go to fold 2, which only ever trains. random_leaky splits rows, so
    that one recording trains and tests: it exists to show how much such a protocol flatters.

    Raises:
        BadInput: the scheme is unknown.
    """
    if scheme == "recording":
        return folds_of(recording, seed)
    if scheme == "artist":
        return folds_of(artist, seed)
    if scheme == "random_leaky":
        return folds_of(pd.Series(np.arange(len(recording))), seed)
    if scheme == "forward":
        return _forward(recording, released)
    raise BadInput(f"Unknown split {scheme!r}.", next_step=f"use one of {', '.join(SCHEMES)}.")


def _forward(recording: pd.Series, released: pd.Series) -> NDArray[np.int64]:
    dates = pd.Series(pd.to_datetime(released, errors="coerce").to_numpy())
    first = dates.groupby(recording.to_numpy()).min().dropna().sort_index(kind="stable").sort_values(kind="stable")
    from_newest = np.arange(len(first))[::-1] * FOLDS // max(len(first), 1)
    # Equal dates stay together, on the older side.
    fold = pd.Series(from_newest, index=first.index).groupby(first.to_numpy()).transform("max")
    return pd.Series(recording.to_numpy()).map(fold).fillna(2).to_numpy(dtype=np.int64)
