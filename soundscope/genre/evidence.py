"""Evidence for a label from other labelled tracks: the same artist's, the same album's, and words that occur in names.

Each source is a sparse matrix of keys (an artist, an album, a word, some letters) and a table of how often each key came with each
label. The caller sees to it that a row's evidence never comes from its own group (`out_of_fold`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import HashingVectorizer

from soundscope.genre import features, splits

_WIDE = 2**31 - 1
# Cells of one table, keys times classes: 6 million are 24 MB. Beyond that the rarest keys are dropped.
_CELLS = 6_000_000
INNER_FOLDS = 5
Keys = Any  # a scipy.sparse.csr_matrix of float32, which has no type stubs
_WORDS = {"analyzer": "word", "token_pattern": r"\w+", "ngram_range": (1, 2)}
_LETTERS = {"analyzer": "char_wb", "ngram_range": (2, 4)}
SOURCES = (
    "artist",
    "album",
    *(f"{field} {unit}" for field in ("title", "album", "artist") for unit in ("words", "letters")),
)


def keys_of(frame: pd.DataFrame) -> dict[str, Keys]:
    """The keys of each row, one 0/1 matrix (n, many) per source of `SOURCES`; columns are hashes, so nothing has to be learnt."""
    album = features.text(frame, "album").str.strip().str.casefold()
    out = {"artist": listed(features.credited(frame)), "album": listed([[name] if name else [] for name in album])}
    for field in ("title", "album", "artist"):
        folded = features.text(frame, field).str.casefold()
        out[f"{field} words"] = _hashed(folded, _WORDS)
        out[f"{field} letters"] = _hashed(folded, _LETTERS)
    return out


def _hashed(texts: pd.Series, how: dict[str, Any]) -> Keys:
    vectorizer = HashingVectorizer(n_features=2**20, alternate_sign=False, norm=None, binary=True, **how)
    return sparse.csr_matrix(vectorizer.transform(texts), dtype=np.float32)


def listed(rows: Iterable[list[str]]) -> Keys:
    """Keys (n, many) of rows that each are a list of names."""
    several = list(rows)
    lengths = np.array([len(names) for names in several], dtype=np.int64)
    flat = np.array([name for names in several for name in names], dtype=object)
    hashes = pd.util.hash_array(flat) % _WIDE if len(flat) else np.array([], dtype=np.uint64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ones = np.ones(len(flat), dtype=np.float32)
    return sparse.csr_matrix((ones, hashes.astype(np.int64), starts), shape=(len(several), _WIDE))


class LabelEvidence(BaseEstimator):
    """How often each key came with each label, turned into evidence for a row.

    kind 'share': log of the smoothed share of each label among the labelled rows that share a key with the row,
    (c + a p) / (n + a) with label frequencies p and a = 1, and log(1 + n); K + 1 columns.
    kind 'odds': the sum over the row's known keys of log((c + a p) / ((n + a) p)) with a = 4, divided by the square root of their
    number, since neighbouring words and letters are far from independent; K columns. Keys seen once are dropped.
    """

    def __init__(self, kind: Literal["share", "odds"] = "share") -> None:
        self.kind = kind

    def fit(self, keys: Keys, y: NDArray[np.intp], n_classes: int) -> LabelEvidence:
        """Count keys (n, many) by class codes y (n,)."""
        seen, place, often = np.unique(keys.indices, return_inverse=True, return_counts=True)
        least = 1 if self.kind == "share" else 2
        room = max(_CELLS // n_classes, 1000)
        if (often >= least).sum() > room:
            least = max(least, int(np.partition(often, len(often) - room)[len(often) - room]) + 1)
        keep = often >= least
        small = sparse.csr_matrix((keys.data, place, keys.indptr), shape=(keys.shape[0], len(seen)))
        labels = sparse.csr_matrix((np.ones(len(y), np.float32), (np.arange(len(y)), y)), shape=(len(y), n_classes))
        self.counts_ = np.asarray((small.T @ labels)[keep].todense(), dtype=np.float32)
        self.keys_ = seen[keep].astype(np.int64)
        # Half a row for each class: no frequency is 0, even of a class that a fold happens to lack.
        self.prior_ = (np.bincount(y, minlength=n_classes) + 0.5) / (len(y) + 0.5 * n_classes)
        return self

    def transform(self, keys: Keys) -> NDArray[np.float32]:
        """Evidence (n, K + 1) for 'share' or (n, K) for 'odds'."""
        if len(self.keys_) == 0:
            known = sparse.csr_matrix((keys.shape[0], 0), dtype=np.float32)
        else:
            place = np.minimum(np.searchsorted(self.keys_, keys.indices), len(self.keys_) - 1)
            hit = self.keys_[place] == keys.indices
            starts = np.concatenate([[0], np.cumsum(hit)])[keys.indptr]
            known = sparse.csr_matrix((keys.data[hit], place[hit], starts), shape=(keys.shape[0], len(self.keys_)))
        if self.kind == "share":
            counted = np.asarray(known @ self.counts_)
            n = counted.sum(axis=1, keepdims=True)
            return np.hstack([np.log((counted + self.prior_) / (n + 1.0)), np.log1p(n)]).astype(np.float32)
        total = self.counts_.sum(axis=1, keepdims=True)
        odds = np.log((self.counts_ + 4.0 * self.prior_) / ((total + 4.0) * self.prior_)).astype(np.float32)
        number = np.maximum(np.diff(known.indptr), 1)[:, None]
        return (np.asarray(known @ odds) / np.sqrt(number)).astype(np.float32)


def kind_of(source: str) -> Literal["share", "odds"]:
    """How a source of `SOURCES` is read."""
    return "odds" if " " in source else "share"


def fit_sources(keys: dict[str, Keys], y: NDArray[np.intp], n_classes: int) -> dict[str, LabelEvidence]:
    """Fit every source on all rows."""
    return {name: LabelEvidence(kind_of(name)).fit(matrix, y, n_classes) for name, matrix in keys.items()}


def out_of_fold(keys: dict[str, Keys], y: NDArray[np.intp], n_classes: int, groups: pd.Series) -> dict[str, NDArray[np.float32]]:
    """Evidence for the rows that are counted themselves: each from the rows of the other folds, folds by hash of its group."""
    fold = splits.folds_of(groups, "evidence", INNER_FOLDS)
    out: dict[str, NDArray[np.float32]] = {}
    for name, matrix in keys.items():
        width = n_classes + (kind_of(name) == "share")
        found = np.zeros((len(y), width), dtype=np.float32)
        for inner in np.unique(fold):
            here = fold == inner
            source = LabelEvidence(kind_of(name)).fit(matrix[~here], y[~here], n_classes)
            found[here] = source.transform(matrix[here])
        out[name] = found
    return out
