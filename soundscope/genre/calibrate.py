"""Making probabilities mean what they say: one temperature, fitted on rows the model has not seen.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (ICML): p_T is proportional to p^(1/T), T minimising the log-loss. It
never changes which label is first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FLOOR = 1e-6


def log_probability(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms (n, K) of probabilities, none below that of `FLOOR`: a forest may say 0 of what it never saw."""
    return np.log(np.clip(proba, FLOOR, 1.0))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, K) of logits (n, K)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def temper(proba: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities (n, K) at a temperature: above 1 less sure, below 1 surer."""
    return softmax(log_probability(proba) / temperature)


def fit_temperature(proba: NDArray[np.float64], index: NDArray[np.intp]) -> float:
    """The temperature in 0.2..5 with the least log-loss of true columns index (n,) under proba (n, K); 1 for no rows."""
    if len(index) == 0:
        return 1.0
    logs = log_probability(proba)
    rows = np.arange(len(index))

    def loss(log_t: float) -> float:
        scaled = logs * np.exp(-log_t)
        top = scaled.max(axis=1)
        return float(np.mean(np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top - scaled[rows, index]))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded").x))


def log_loss(proba: NDArray[np.float64], index: NDArray[np.intp]) -> float:
    """Mean negative log probability of true columns index (n,) under proba (n, K); infinite for no rows."""
    return float(-log_probability(proba)[np.arange(len(index)), index].mean()) if len(index) else float("inf")
