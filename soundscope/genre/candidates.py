"""The classifiers that compete, by name, behind one interface; any label list, no class is wired in.

A candidate is fitted on a frame with the columns of `features.COLUMNS` and `context.CONTEXT` and gives calibrated probabilities; what
it looks at, how it fills what is missing and what it needs held back is its own affair. To add one, add a line to `ALGORITHMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from soundscope.errors import BadInput
from soundscope.genre import features
from soundscope.genre.boosting import FEW_LABELS, SHARED_ROWS, BoostedTrees, usual_leaves
from soundscope.genre.calibrate import Calibration, log_loss
from soundscope.genre.context import CONTEXT
from soundscope.genre.forest import CompactForest
from soundscope.genre.softmax import SoftmaxRegression

Inputs = Literal["audio", "metadata", "context"]
BASELINE = "softmax_regression"
STRONGEST = "evidence_ensemble"
# Rows times classes from which the ensemble no longer fits into a night's run: 45 thousand rows of some 700 dirty labels took nine minutes.
_ENSEMBLE_WORK = 20_000_000


class Candidate(Protocol):
    """What the trainer, the gate and the scorer rely on."""

    classes_: NDArray[np.object_]
    # Log-loss on the held rows before any of them trained: candidates are compared by it, and the frozen rows stay out of the choice.
    held_log_loss_: float
    # What was said of those rows then, as `said` gives it: the baseline of how predictions are spread.
    held_said_: NDArray[np.int32]
    held_sure_: NDArray[np.float32]

    def fit(self, frame: pd.DataFrame, label: NDArray, groups: pd.Series, held: NDArray[np.bool_]) -> Candidate:
        """Fit on rows n with labels (n,); `groups` (n,) are never to be torn apart, `held` (n,) fixes calibration."""

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Calibrated probabilities (n, K) in the order of `classes_`."""


def matrix(frame: pd.DataFrame, inputs: Inputs, popularity: bool) -> pd.DataFrame:
    """The numbers (n, d) a table model sees: audio features; or with the track's own metadata; or with the artist's other tracks."""
    if inputs == "audio":
        sound = features.audio(frame)
        return sound.assign(popularity=features.numbers(frame, "popularity")) if popularity else sound
    own = features.metadata(frame, popularity)
    if inputs == "metadata":
        return own
    around = [name for name in CONTEXT if popularity or name != "artist_popularity"]
    return pd.concat([own, *(features.numbers(frame, name).rename(name) for name in around)], axis=1)


def said(proba: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Column (n,) of the likeliest label under proba (n, K), and its probability (n,)."""
    first = proba.argmax(axis=1)
    return first.astype(np.int32), proba[np.arange(len(proba)), first].astype(np.float32)


class Tabular(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier on a matrix of numbers, with its inputs, missing values and calibration taken care of.

    Fitted first without the held rows, by which it is calibrated; then, with `refit`, on all rows.

    Args:
        estimator: the classifier; given codes 0..K-1 as labels.
        inputs: see `matrix`.
        popularity: whether popularity may be seen.
        dense: fill missing values with the column's median, mark them in columns of their own, and standardise; for classifiers that
            cannot do with missing values. Others see NaN.
        refit: whether the held rows train in the end.
        threads: of numerical libraries while fitting; some classifiers take no such setting themselves.
    """

    def __init__(
        self,
        estimator: Any = None,
        inputs: Inputs = "audio",
        popularity: bool = True,
        dense: bool = False,
        refit: bool = True,
        threads: int = 2,
    ) -> None:
        self.estimator = estimator
        self.inputs = inputs
        self.popularity = popularity
        self.dense = dense
        self.refit = refit
        self.threads = threads

    def fit(self, frame: pd.DataFrame, label: NDArray, groups: pd.Series, held: NDArray[np.bool_]) -> Tabular:
        """See `Candidate`. Raises BadInput if no input column holds a value."""
        numbers = matrix(frame, self.inputs, self.popularity)
        self.columns_ = [str(name) for name in numbers if numbers[name].notna().any()]
        if not self.columns_:
            raise BadInput("Training: no input column holds a value.", next_step="ingest audio features first.")
        X = numbers[self.columns_].to_numpy()
        self.classes_, y = np.unique(label.astype(str), return_inverse=True)
        self._prepare(X)
        X = self._filled(X)
        known = np.isin(y, y[~held])
        self.fitted_ = self._fitted(X[~held], y[~held])
        unseen = self._raw(X[held & known])
        self.calibration_ = Calibration().fit(unseen, y[held & known])
        calibrated = self.calibration_.apply(unseen)
        self.held_log_loss_ = log_loss(calibrated, y[held & known])
        self.held_said_, self.held_sure_ = said(calibrated)
        if self.refit and held.any():
            self.fitted_ = self._fitted(X, y)
        return self

    def _fitted(self, X: NDArray[np.float64], y: NDArray[np.intp]) -> Any:
        with threadpool_limits(self.threads if len(X) >= SHARED_ROWS else 1):
            return clone(self.estimator).fit(X, y)

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """See `Candidate`."""
        return self.calibration_.apply(self._raw(self.inputs_of(frame)))

    def inputs_of(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """What the classifier sees (n, d): with `dense`, filled, marked and standardised columns."""
        return self._filled(matrix(frame, self.inputs, self.popularity)[self.columns_].to_numpy())

    def _raw(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        proba = np.zeros((len(X), len(self.classes_)))
        if len(X):
            with threadpool_limits(self.threads if len(X) >= SHARED_ROWS else 1):
                proba[:, self.fitted_.classes_.astype(int)] = self.fitted_.predict_proba(X)
        return proba

    def _prepare(self, X: NDArray[np.float64]) -> None:
        if self.dense:
            self.median_ = np.nanmedian(X, axis=0)
            self.marked_: NDArray[np.bool_] = np.asarray(np.isnan(X).any(axis=0))
            self.scaler_ = StandardScaler().fit(self._marked(X))

    def _marked(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        missing = np.isnan(X)
        return np.hstack([np.where(missing, self.median_, X), missing[:, self.marked_].astype(float)])

    def _filled(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.scaler_.transform(self._marked(X)) if self.dense else X


def _forest(n: int, n_classes: int, threads: int, seed: int) -> CompactForest:
    return CompactForest(200 if n_classes <= FEW_LABELS else 100, threads=threads, seed=seed)


def _hist(n: int, n_classes: int, threads: int, seed: int) -> HistGradientBoostingClassifier:
    # One tree per class and round: rounds shrink as classes grow, and a strong penalty keeps rare classes from running away.
    few = n_classes <= FEW_LABELS
    return HistGradientBoostingClassifier(
        max_bins=255 if n >= 20_000 else 63,
        learning_rate=0.06 if few else 0.1,
        max_iter=min(150, max(n // 25, 60)) if few else 30,
        max_leaf_nodes=31 if few else 15,
        l2_regularization=1.0 if few else 5.0,
        early_stopping=False,
        random_state=seed,
    )


def _softmax(n: int, n_classes: int, threads: int, seed: int) -> SoftmaxRegression:
    return SoftmaxRegression()


def _logistic(n: int, n_classes: int, threads: int, seed: int) -> LogisticRegression:
    return LogisticRegression(C=10.0 if n_classes <= FEW_LABELS else 1.0, max_iter=300, tol=1e-3)


def _boosted(n: int, n_classes: int, threads: int, seed: int) -> BoostedTrees:
    # Fewer, longer steps than in the ensemble: half a point of accuracy for a third more tracks a second.
    return BoostedTrees(200, 0.075, usual_leaves(n_classes), threads=threads, seed=seed)


Factory = Callable[[int, int, int, int], Any]
# name -> (estimator for n rows, K classes, threads, seed; whether it needs filled and standardised inputs)
ALGORITHMS: dict[str, tuple[Factory, bool]] = {
    BASELINE: (_softmax, True),
    "logistic_regression": (_logistic, True),
    "random_forest": (_forest, False),
    "hist_gradient_boosting": (_hist, False),
    "lightgbm": (_boosted, False),
}


def names_for(n: int, n_classes: int) -> tuple[str, ...]:
    """The candidates of a training run on n rows and n_classes labels, the baseline first; what would take many minutes is left out."""
    if n * n_classes > _ENSEMBLE_WORK:
        return (BASELINE, "random_forest")
    # LightGBM is of the same kind as scikit-learn's boosting, and many times faster where labels are many.
    boosted = ("hist_gradient_boosting", "lightgbm") if n_classes <= FEW_LABELS else ("lightgbm",)
    return (BASELINE, "logistic_regression", "random_forest", *boosted, STRONGEST)


def inputs_for(name: str) -> Inputs:
    """What a candidate looks at in a training run: the baseline the sound alone, the others everything that is no label."""
    return "audio" if name == BASELINE else "context"


def settings_of(name: str, n: int, n_classes: int) -> dict[str, Any]:
    """The settings that `make` gives a candidate, by the names that its `parameters` takes."""
    model: Any = make(name, n, n_classes)
    return model.estimator.get_params() if isinstance(model, Tabular) else model.settings_for(n, n_classes)


def make(
    name: str,
    n: int,
    n_classes: int,
    *,
    inputs: Inputs = "audio",
    popularity: bool = True,
    threads: int = 2,
    seed: int = 0,
    parameters: Mapping[str, Any] | None = None,
    refit: bool = True,
) -> Candidate:
    """A candidate by name, sized for n rows and n_classes labels.

    Args:
        name: of `ALGORITHMS`, or `STRONGEST`.
        n, n_classes: rows and labels it is going to be fitted on.
        inputs, popularity: what it looks at.
        threads, seed: of the classifier.
        parameters: settings that differ from those for this size, by the names of `settings_of`.
        refit: whether the rows held back for calibration train in the end; the baseline's never do.

    Raises:
        BadInput: no candidate has this name.
    """
    if name == STRONGEST:
        from soundscope.genre.ensemble import EvidenceEnsemble

        return EvidenceEnsemble(inputs, popularity, threads, seed, dict(parameters or {}), refit)
    if name not in ALGORITHMS:
        raise BadInput(f"Unknown classifier {name!r}.", next_step=f"use one of {', '.join((*ALGORITHMS, STRONGEST))}.")
    factory, dense = ALGORITHMS[name]
    estimator = factory(n, n_classes, threads, seed).set_params(**(parameters or {}))
    # The baseline keeps the rows it was measured on: its calibration needs no second fit of 1,800 steps.
    return Tabular(estimator, inputs, popularity, dense, refit and name != BASELINE, threads)
