"""A random forest kept as a few plain arrays, with leaves as sparse rows, so that a hundred classes fit into memory and a file.

scikit-learn grows the trees; it keeps one number per node and class, which for a hundred classes and thirty thousand tracks is
gigabytes. A leaf holds few tracks, hence few classes.
"""

from __future__ import annotations

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
        threads: threads used to grow trees.
        seed: seed of bootstrap and of the columns tried at each split.
    """

    def __init__(self, trees: int = 200, min_leaf: int = 2, threads: int = 2, seed: int = 0) -> None:
        self.trees = trees
        self.min_leaf = min_leaf
        self.threads = threads
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> CompactForest:
        """Fit on X (n, d), NaN allowed, and labels y (n,)."""
        table = _table(X)
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        self.n_features_in_ = table.shape[1]
        parts, leaves, roots, nodes, rows = [], [], [], 0, 0
        for begin in range(0, self.trees, _BATCH):
            grown = RandomForestClassifier(
                min(_BATCH, self.trees - begin),
                min_samples_leaf=self.min_leaf,
                max_features="sqrt",
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
                roots.append(nodes)
                nodes += tree.node_count
                rows += int(is_leaf.sum())
        feature, threshold, left, right = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.feature_, self.threshold_ = feature.astype(np.int16), threshold
        self.left_, self.right_ = left.astype(np.int32), right.astype(np.int32)
        self.roots_ = np.array(roots, dtype=np.int32)
        self.leaves_ = sparse.vstack(leaves, format="csr")
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of `classes_`."""
        table = _table(X)
        parts = [self._proba(table[at : at + _ROWS]) for at in range(0, len(table), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

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
