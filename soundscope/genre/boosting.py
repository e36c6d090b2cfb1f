"""LightGBM as a scikit-learn classifier whose whole fitted state is text and numbers, so that it can be stored without pickle.

Settings that do not diverge with many classes, and nothing about genre, belong here.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

# Rounds times classes: each round grows one tree per class, so this bounds the time whatever the number of labels.
_TREES = 6000
SHARED_ROWS = 20_000
FEW_LABELS = 20


def usual_leaves(n_classes: int) -> int:
    """Leaves of a tree where nothing else is asked for: a label among many has too few rows for large trees."""
    return 31 if n_classes <= FEW_LABELS else 15


class BoostedTrees(ClassifierMixin, BaseEstimator):
    """Gradient boosted trees (Ke et al. 2017, LightGBM) with settings that follow the number of classes.

    With K classes a rare one has probability near 1/K, so a leaf's second derivatives p (1 - p) are tiny, its Newton step huge, and
    the default settings run away above some hundred classes. Here a step is bounded by `max_delta_step`, and the rounds are at
    most 6000 / K, fewer for few rows.

    Args:
        rounds: boosting rounds at most; one tree per class each.
        learning_rate: shrinkage of each tree.
        leaves: leaves of a tree.
        columns: share of the columns each tree may use.
        bins: most thresholds tried in a column, with few labels and many rows; otherwise 63.
        l2: penalty on the size of a leaf's step.
        min_rows: fewest rows in a leaf, fewer in small data.
        threads: threads used.
        seed: seed of sampling rows and columns.
    """

    def __init__(
        self,
        rounds: int = 300,
        learning_rate: float = 0.05,
        leaves: int = 31,
        columns: float = 0.5,
        bins: int = 255,
        l2: float = 1.0,
        min_rows: int = 20,
        threads: int = 2,
        seed: int = 0,
    ) -> None:
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.columns = columns
        self.bins = bins
        self.l2 = l2
        self.min_rows = min_rows
        self.threads = threads
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> BoostedTrees:
        """Fit on X (n, d), NaN allowed, and labels y (n,)."""
        X = np.asarray(X, dtype=np.float64)
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        k = len(self.classes_)
        # A few thousand rows have learnt all they can after a hundred rounds.
        rounds = max(min(self.rounds, max(len(X) // 25, 60), min(_TREES, 1000 + len(X)) // k), 10)
        # Fewer rounds need longer steps to get as far.
        rate = min(self.learning_rate * self.rounds / rounds, 0.15)
        settings = {
            "objective": "multiclass" if k > 2 else "binary",
            "learning_rate": rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": max(min(self.min_rows, len(X) // 50), 2),
            "min_sum_hessian_in_leaf": 1e-3 if k <= FEW_LABELS else 0.1,
            "max_delta_step": 0.0 if k <= FEW_LABELS else 3.0,
            "lambda_l2": self.l2,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "feature_fraction": self.columns,
            # Fewer thresholds than rows can tell apart cost nothing, and most of the time goes into counting them.
            "max_bin": self.bins if k <= FEW_LABELS and len(X) >= SHARED_ROWS else 63,
            "num_threads": self._threads(len(X)),
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if k > 2:
            settings["num_class"] = k
        self.n_features_in_ = X.shape[1]
        if k == 1:
            self.text_ = ""
            return self
        self.text_ = lightgbm.train(settings, lightgbm.Dataset(X, index), rounds).model_to_string()
        self.__dict__.pop("booster_", None)
        return self

    @cached_property
    def booster_(self) -> lightgbm.Booster:
        """The fitted model, read back from its text."""
        return lightgbm.Booster(model_str=self.text_)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of `classes_`."""
        X = np.asarray(X, dtype=np.float64)
        if len(self.classes_) == 1:
            return np.ones((len(X), 1))
        out = np.asarray(self.booster_.predict(X, num_threads=self.threads))
        return np.column_stack([1 - out, out]) if out.ndim == 1 else out

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def contributions(self, X: ArrayLike) -> NDArray[np.float64]:
        """Shapley values (n, K, d + 1) of each column for each class's logit, the expected value last.

        They add up to the logit (Lundberg et al. 2020, TreeSHAP, as LightGBM computes it). For two classes the first gets the negative.
        """
        X = np.asarray(X, dtype=np.float64)
        k, width = len(self.classes_), X.shape[1] + 1
        if k == 1:
            return np.zeros((len(X), 1, width))
        flat = np.asarray(self.booster_.predict(X, pred_contrib=True, num_threads=self._threads(len(X))))
        if k == 2:
            return np.stack([-flat / 2, flat / 2], axis=1)
        return flat.reshape(len(X), k, width)

    def _threads(self, n: int) -> int:
        # Threads wait for each other at every node: on few rows that costs more than they save, and far more on a busy machine.
        return self.threads if n >= SHARED_ROWS else 1

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("booster_", None)
        return state
