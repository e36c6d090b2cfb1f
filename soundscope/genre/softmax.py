"""Softmax regression by full-batch gradient descent, as the project's first notebook wrote it by hand.

Only that algorithm belongs here. scikit-learn's LogisticRegression is faster still, but minimises another loss (it regularises and
runs to convergence), so it is a separate candidate and never shown as the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from soundscope.errors import BadInput


class SoftmaxRegression(ClassifierMixin, BaseEstimator):
    """Multinomial logistic regression without penalty, fitted by a fixed number of gradient steps.

    Weights start at zero; each epoch computes P = softmax([Z, 1] W), records the mean cross-entropy of P *before* the step, and takes
    one step W -= learning_rate * [Z, 1]' (P - Y) / n over all n rows. Z is X with each column centred and divided by its population
    standard deviation (a constant column is only centred); the bias is the last row of W. The gradient is that of the mean
    cross-entropy (Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.109).

    Args:
        learning_rate: step length.
        epochs: number of steps.
        report_at: epochs, counted from 1, whose loss is kept in `reported_losses_`; those beyond `epochs` are left out.

    Attributes after `fit`:
        classes_ (K,), coef_ (K, d) and intercept_ (K,) for standardised columns, mean_ (d,), scale_ (d,), loss_curve_ (epochs,),
        reported_losses_ {epoch: loss}.
    """

    def __init__(
        self, learning_rate: float = 0.25, epochs: int = 1800, report_at: Sequence[int] = (450, 900, 1350, 1800)
    ) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.report_at = report_at

    def fit(self, X: Any, y: Any) -> SoftmaxRegression:
        """Fit on X (n, d), finite numbers, and labels y (n,).

        Raises:
            BadInput: learning_rate or epochs is not positive.
            ValueError: X or y is not what scikit-learn accepts (missing values, continuous labels, no rows).
        """
        if self.learning_rate <= 0 or self.epochs < 1:
            raise BadInput(
                f"SoftmaxRegression: learning_rate={self.learning_rate!r}, epochs={self.epochs!r}; both must be positive.",
                next_step="use the defaults, 0.25 and 1800.",
            )
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        # A constant column may show a spread of rounding size; dividing by it would blow rounding errors up.
        constant = spread <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean_), 1.0)
        self.scale_ = np.where(constant, 1.0, spread)
        # The products of one step are small: threads would wait for each other far longer than they compute.
        with threadpool_limits(1, user_api="blas"):
            weights, self.loss_curve_ = _descend(
                (X - self.mean_) / self.scale_, index, len(self.classes_), self.learning_rate, self.epochs
            )
        self.coef_, self.intercept_ = weights[:, :-1].copy(), weights[:, -1].copy()
        self.n_iter_ = self.epochs
        self.reported_losses_ = {int(e): float(self.loss_curve_[e - 1]) for e in self.report_at if e <= self.epochs}
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logits (n, K) of rows X (n, d); for two classes the difference (n,), as scikit-learn expects."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of `classes_`; each row sums to 1."""
        logits = self._logits(X)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        return logits / logits.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest label (n,) of each row."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def _logits(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return (X - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_


def _descend(
    Z: NDArray[np.float64], index: NDArray[np.intp], n_classes: int, learning_rate: float, epochs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K, d + 1), bias last, and the loss before each of `epochs` steps, for standardised Z (n, d)."""
    n = len(Z)
    # Classes lie along the first axis: sums over few classes then run over long rows, several times faster than the other way.
    columns = np.vstack([Z.T, np.ones(n)])
    rows = np.ascontiguousarray(columns.T)
    hot = np.zeros((n_classes, n))
    hot[index, np.arange(n)] = 1.0
    target = hot @ rows
    weights = np.zeros((n_classes, columns.shape[0]))
    losses = np.empty(epochs)
    logits = np.empty((n_classes, n))
    top, total = np.empty(n), np.empty(n)
    for epoch in range(epochs):
        np.matmul(weights, columns, out=logits)
        np.max(logits, axis=0, out=top)
        logits -= top
        of_truth = np.vdot(hot, logits)
        np.exp(logits, out=logits)
        np.sum(logits, axis=0, out=total)
        losses[epoch] = (np.log(total).sum() - of_truth) / n
        logits /= total
        weights -= (learning_rate / n) * (logits @ rows - target)
    return weights, losses
