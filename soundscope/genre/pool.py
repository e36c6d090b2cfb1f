"""A weighted product of probabilities: how much to trust each source of evidence, learnt from a few thousand rows.

Log-linear pooling (Genest and Zidek 1986, "Combining Probability Distributions", Statistical Science 1). Weights do not depend on the
class, so their number stays small however many classes there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from soundscope.genre.calibrate import log_probability, softmax

# Evidence from one labelled track deserves less trust than from ten: bins of log(1 + number of labelled rows).
_BINS = np.log1p([0.5, 1.5, 3.5, 8.5])


class Pool(BaseEstimator):
    """logit_c = sum over models of w_m log p_mc + sum over sources of (w_s e_sc + v_s exp e_sc) + b_c.

    The term exp e_sc, a share, is there for sources that count rows; their weights depend on the count.

    Args:
        penalty: ridge on the weights (models towards an equal part of 1, the others towards 0) and on b (towards 0), per row.
    """

    def __init__(self, penalty: float = 1e-3) -> None:
        self.penalty = penalty

    def fit(self, probas: Sequence[NDArray[np.float64]], found: dict[str, NDArray[np.float32]], y: NDArray[np.intp]) -> Pool:
        """Fit on probabilities of models (n, K) each, evidence found {source: (n, K) or (n, K + 1)} and class codes y (n,)."""
        n, k = probas[0].shape
        terms = self._terms(probas, found)
        start = np.zeros(len(terms) + k)
        start[: len(probas)] = 1.0 / len(probas)
        self.weights_, self.bias_ = start[: len(terms)], start[len(terms) :]
        if n == 0:
            return self
        truth = np.zeros((n, k), dtype=np.float32)
        truth[np.arange(n), y] = 1.0
        strength = np.concatenate([np.full(len(terms), self.penalty), np.full(k, self.penalty * 10 / k)])

        flat = np.stack(terms).reshape(len(terms), n * k)

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights, bias = values[: len(terms)].astype(np.float32), values[len(terms) :]
            proba = softmax((weights @ flat).reshape(n, k) + bias)
            error = (proba - truth) / n
            away = values - start
            slope = np.concatenate([flat @ error.astype(np.float32).ravel(), error.sum(axis=0)])
            value = -np.log(np.maximum(proba[np.arange(n), y], 1e-12)).mean()
            return float(value + 0.5 * strength @ away**2), slope + strength * away

        with threadpool_limits(1, user_api="blas"):
            best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
        self.weights_, self.bias_ = best[: len(terms)], best[len(terms) :]
        return self

    def logits(self, probas: Sequence[NDArray[np.float64]], found: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Pooled logits (n, K)."""
        return self._sum(self._terms(probas, found), self.weights_, self.bias_)

    def parts(
        self, probas: Sequence[NDArray[np.float64]], found: dict[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float64]]:
        """What each model ('model 0', ...) and each source adds to the logits (n, K); with the bias they add up to `logits`."""
        k, at = probas[0].shape[1], len(probas)
        models = zip(self._terms(probas, {}), self.weights_[:at], strict=True)
        out = {f"model {i}": self._sum([term], np.array([weight]), np.zeros(k)) for i, (term, weight) in enumerate(models)}
        for name, values in found.items():
            terms = self._terms(probas, {name: values})[len(probas) :]
            out[name] = self._sum(terms, self.weights_[at : at + len(terms)], np.zeros(k))
            at += len(terms)
        return out

    def _terms(self, probas: Sequence[NDArray[np.float64]], found: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        k = probas[0].shape[1]
        terms = [log_probability(proba).astype(np.float32) for proba in probas]
        for values in found.values():
            if values.shape[1] == k:
                terms.append(values)
                continue
            bins = np.searchsorted(_BINS, values[:, k])
            for at in range(1, len(_BINS) + 1):
                # Without any labelled row there is only the prior, which the bias already holds.
                inside = np.where((bins == at)[:, None], values[:, :k], 0.0).astype(np.float32)
                terms += [inside, np.where((bins == at)[:, None], np.exp(values[:, :k]), 0.0).astype(np.float32)]
        return terms

    @staticmethod
    def _sum(terms: list[NDArray], weights: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.tile(bias.astype(np.float32), (len(terms[0]), 1))
        for weight, term in zip(weights, terms, strict=True):
            out += np.float32(weight) * term
        return out.astype(np.float64)
