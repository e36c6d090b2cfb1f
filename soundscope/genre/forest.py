"""A random forest kept as a few plain arrays, with leaves as sparse rows, so that a hundred classes fit into memory and a file.

scikit-learn grows the trees; it keeps one number per node and class, which for a hundred classes and thirty thousand tracks is
gigabytes. A leaf holds few tracks, hence few classes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier

_BATCH = 10
_ROWS = 8192
# Missing values become a number below every other, so that a tree may set them apart.
_MISSING = np.float32(-1e9)


class CompactForest(ClassifierMixin, BaseEstimator):
    """Random forest (Breiman 2001): probabilities are the mean of the label shares in the leaves a row falls into.

    Args:
        trees: number of trees.
        min_leaf: fewest rows in a leaf.
        columns: how many columns are tried at a split: their root, or a share of them.
        threads: threads used to grow trees.
        seed: seed of bootstrap and of the columns tried at each split.
    """

    def __init__(
        self, trees: int = 200, min_leaf: int = 2, columns: float | str = "sqrt", threads: int = 2, seed: int = 0
    ) -> None:
        self.trees = trees
        self.min_leaf = min_leaf
        self.columns = columns
        self.threads = threads
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> CompactForest:
        """Fit on X (n, d), NaN allowed, and labels y (n,)."""
        table = _table(X)
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        self.n_features_in_ = table.shape[1]
        parts, leaves, weights, roots, nodes, rows = [], [], [], [], 0, 0
        for begin in range(0, self.trees, _BATCH):
            grown = RandomForestClassifier(
                min(_BATCH, self.trees - begin),
                min_samples_leaf=self.min_leaf,
                max_features=self.columns,
                n_jobs=self.threads,
                random_state=self.seed + begin,
            ).fit(table, index)
            for one in grown.estimators_:
                tree = one.tree_
                is_leaf = tree.children_left < 0
                # A leaf points, instead of at children, at its row of shares.
                left = np.where(is_leaf, rows + np.cumsum(is_leaf) - 1, tree.children_left + nodes)
                right = np.where(is_leaf, -1, tree.children_right + nodes)
                parts.append((tree.feature, tree.threshold, left, right))
                value = tree.value[is_leaf, 0, :]
                leaves.append(sparse.csr_matrix((value / value.sum(axis=1, keepdims=True)).astype(np.float32)))
                weights.append(tree.weighted_n_node_samples[is_leaf].astype(np.float32))
                roots.append(nodes)
                nodes += tree.node_count
                rows += int(is_leaf.sum())
        feature, threshold, left, right = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.feature_, self.threshold_ = feature.astype(np.int16), threshold
        self.left_, self.right_ = left.astype(np.int32), right.astype(np.int32)
        self.roots_ = np.array(roots, dtype=np.int32)
        self.leaves_ = sparse.vstack(leaves, format="csr")
        self.weight_ = np.concatenate(weights)
        self.__dict__.pop("_below", None)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of `classes_`."""
        table = _table(X)
        parts = [self._proba(table[at : at + _ROWS]) for at in range(0, len(table), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def contributions(self, X: ArrayLike, label: int) -> NDArray[np.float64]:
        """What each column adds to the share of one label, (n, d + 1), the share over all training rows last; they add up to it.

        Along a path each split changes the label's share among the training rows below; the change is its column's (Saabas 2014,
        "Interpreting random forests"). An attribution, not Shapley values.

        Args:
            X: rows (n, d).
            label: position in `classes_`.
        """
        table = _table(X)
        low, high = self._below
        weight = self._weights()
        held = np.concatenate([[0.0], np.cumsum(weight * np.asarray(self.leaves_[:, [label]].todense()).ravel())])
        whole = np.concatenate([[0.0], np.cumsum(weight)])
        share = (held[high] - held[low]) / (whole[high] - whole[low])
        out = np.zeros((len(table), self.n_features_in_ + 1))
        for root in self.roots_:
            node = np.full(len(table), root, dtype=np.int32)
            going = np.arange(len(table))
            while len(going := going[self.right_[node[going]] >= 0]):
                here = node[going]
                column = self.feature_[here]
                below = np.where(table[going, column] <= self.threshold_[here], self.left_[here], self.right_[here])
                out[going, column] += share[below] - share[here]
                node[going] = below
        out[:, -1] = share[self.roots_].sum()
        return out / len(self.roots_)

    def prior(self) -> NDArray[np.float64]:
        """Share (K,) of each label among the training rows as the trees drew them."""
        total = np.asarray(self.leaves_.T @ self._weights(), dtype=np.float64).ravel()
        return total / total.sum()

    def _weights(self) -> NDArray[np.float64]:
        # Files of an earlier version do not hold how many rows a leaf has.
        held = getattr(self, "weight_", None)
        return np.ones(self.leaves_.shape[0]) if held is None else held.astype(np.float64)

    @cached_property
    def _below(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First leaf at or below each node, and one after the last: nodes are stored depth first, so its leaves are neighbours."""
        leaf = self.right_ < 0
        first: NDArray[np.intp] = np.cumsum(leaf) - leaf
        last = np.arange(len(leaf))
        while len(inner := np.flatnonzero(~leaf[last])):
            last[inner] = self.right_[last[inner]]
        return first, first[last] + 1

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_below", None)
        return state

    def _proba(self, table: NDArray[np.float32]) -> NDArray[np.float64]:
        n, trees = len(table), len(self.roots_)
        reached = np.empty((n, trees), dtype=np.int32)
        for number, root in enumerate(self.roots_):
            node = np.full(n, root, dtype=np.int32)
            going = np.arange(n)
            while len(going):
                here = node[going]
                on = self.right_[here] >= 0
                going, here = going[on], here[on]
                goes_left = table[going, self.feature_[here]] <= self.threshold_[here]
                node[going] = np.where(goes_left, self.left_[here], self.right_[here])
            reached[:, number] = self.left_[node]
        chosen = sparse.csr_matrix(
            (np.full(n * trees, 1 / trees, dtype=np.float32), reached.ravel(), np.arange(0, n * trees + 1, trees)),
            shape=(n, self.leaves_.shape[0]),
        )
        proba = np.asarray((chosen @ self.leaves_).todense(), dtype=np.float64)
        return proba / proba.sum(axis=1, keepdims=True)


def _table(X: ArrayLike) -> NDArray[np.float32]:
    table = np.array(X, dtype=np.float32)
    table[np.isnan(table)] = _MISSING
    return table
