"""Making probabilities mean what they say, by rows the model has not seen.

First one temperature for all labels: p_T is proportional to p^(1/T), T minimising the log-loss (Guo et al. 2017, "On Calibration of
Modern Neural Networks", ICML). Then the first label's own probability through beta calibration (Kull et al. 2017, "Beta calibration",
AISTATS), for models that are too sure of their first choice and too unsure of the rest at once. Neither changes which label is first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from sklearn.base import BaseEstimator

FLOOR = 1e-6
# Three numbers are fitted for the first label's probability; fewer rows than this are too few to trust them.
_BETA_ROWS = 300


def log_probability(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms (n, K) of probabilities, none below that of `FLOOR`: a forest may say 0 of what it never saw."""
    return np.log(np.clip(proba, FLOOR, 1.0))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, K) of logits (n, K)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_loss(proba: NDArray[np.float64], index: NDArray[np.intp]) -> float:
    """Mean negative log probability of true columns index (n,) under proba (n, K); infinite for no rows."""
    return float(-log_probability(proba)[np.arange(len(index)), index].mean()) if len(index) else float("inf")


class Calibration(BaseEstimator):
    """Temperature, then beta calibration of the first label.

    Attributes after `fit`: temperature_ in 0.2..5, 1 for no rows; beta_ (a, b, c) with q = sigmoid(a log p - b log(1 - p) + c) and
    a, b >= 0, or None for fewer than 300 rows.
    """

    def fit(self, proba: NDArray[np.float64], index: NDArray[np.intp]) -> Calibration:
        """Fit on probabilities (n, K) and true columns index (n,)."""
        self.temperature_, self.beta_ = 1.0, None
        if len(index) == 0:
            return self
        self.temperature_ = _temperature(log_probability(proba), index)
        tempered = self.apply(proba)
        if len(index) >= _BETA_ROWS and proba.shape[1] > 1:
            first = tempered.argmax(axis=1)
            self.beta_ = _beta(tempered[np.arange(len(index)), first], first == index)
        return self

    def apply(self, proba: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, K)."""
        tempered = softmax(log_probability(proba) / self.temperature_)
        if self.beta_ is None or not len(proba):
            return tempered
        rows, first = np.arange(len(proba)), tempered.argmax(axis=1)
        before = tempered[rows, first]
        rest = np.maximum(1 - before, FLOOR)
        second = np.partition(tempered, -2, axis=1)[:, -2]
        # Not below where it would tie with the second: the order of labels stays.
        after = np.maximum(_through(self.beta_, before), second / (rest + second) + FLOOR)
        after = np.minimum(after, 1 - FLOOR)
        out = tempered * ((1 - after) / rest)[:, None]
        out[rows, first] = after
        return out / out.sum(axis=1, keepdims=True)


def _temperature(logs: NDArray[np.float64], index: NDArray[np.intp]) -> float:
    rows = np.arange(len(index))

    def loss(log_t: float) -> float:
        scaled = logs * np.exp(-log_t)
        top = scaled.max(axis=1)
        return float(np.mean(np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top - scaled[rows, index]))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded").x))


def _terms(p: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(p, FLOOR, 1 - FLOOR)
    return np.column_stack([np.log(inside), -np.log(1 - inside), np.ones(len(p))])


def _through(beta: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-_terms(p) @ beta))


def _beta(p: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    terms, sign = _terms(p), np.where(right, 1.0, -1.0)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (terms @ beta)
        slope = -(sign / (1 + np.exp(margin))) @ terms / len(p)
        return float(np.logaddexp(0, -margin).mean()), slope

    return minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (0, None), (None, None)]).x
