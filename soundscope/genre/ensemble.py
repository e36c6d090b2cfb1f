"""The strongest candidate: a track's numbers together with evidence from labelled tracks of the same artist, album and words.

Two ways to join them, by the number of classes: boosted trees over all columns where these are few, a weighted product of
probabilities where a column per class and source would be too many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from soundscope.genre import evidence
from soundscope.genre.boosting import BoostedTrees, usual_leaves
from soundscope.genre.calibrate import Calibration, log_loss, softmax
from soundscope.genre.candidates import Inputs, matrix, said
from soundscope.genre.forest import CompactForest
from soundscope.genre.pool import Pool

FEW_CLASSES = 30
# Many classes are boosted where there is enough to learn from, and where it takes a few minutes at most: rows times classes.
_BOOSTED_ROWS_PER_CLASS = 100
_BOOSTED_CELLS = 5_000_000


class EvidenceEnsemble(ClassifierMixin, BaseEstimator):
    """Boosted trees on a track's numbers and its evidence; see `Candidate` for the interface.

    Evidence for training rows is computed strictly out of fold, folds by hash of the group given to `fit`, so it is as good as the
    evidence for a new track and no better: with artist groups the model learns to do without the artist's labels.

    Args:
        inputs: the numbers, see `candidates.matrix`.
        popularity: whether popularity may be seen.
        threads, seed: of the trees.
        parameters: settings of the trees that differ from the usual ones, named 'boosting__...' or 'forest__...'.
        refit: whether the held rows train in the end.
    """

    def __init__(
        self,
        inputs: Inputs = "context",
        popularity: bool = True,
        threads: int = 2,
        seed: int = 0,
        parameters: Mapping[str, Any] | None = None,
        refit: bool = True,
    ) -> None:
        self.inputs = inputs
        self.popularity = popularity
        self.threads = threads
        self.seed = seed
        self.parameters = parameters
        self.refit = refit

    def fit(self, frame: pd.DataFrame, label: NDArray, groups: pd.Series, held: NDArray[np.bool_]) -> EvidenceEnsemble:
        """See `Candidate`."""
        self.classes_, y = np.unique(label.astype(str), return_inverse=True)
        k = len(self.classes_)
        numbers = matrix(frame, self.inputs, self.popularity)
        self.columns_ = [name for name in numbers if numbers[name].notna().any()]
        X = numbers[self.columns_].to_numpy()
        keys = evidence.keys_of(frame)
        found = evidence.out_of_fold(keys, y, k, groups)
        self.sources_ = evidence.fit_sources(keys, y, k)
        if k <= FEW_CLASSES:
            X, found = np.hstack([X, *found.values()]), {}
        # Decided once, so that the pool is fitted on the models that it will join.
        boosted = _is_boosted(len(X), k)
        self.models_ = self._fitted(X[~held], y[~held], k, boosted)
        first = [self._spread(model, X[held]) for model in self.models_]
        rest = {name: values[held] for name, values in found.items()}
        self.pool_ = None if k <= FEW_CLASSES else Pool().fit(first, rest, y[held])
        unseen = self._joined(first, rest)
        self.calibration_ = Calibration().fit(unseen, y[held])
        calibrated = self.calibration_.apply(unseen)
        self.held_log_loss_ = log_loss(calibrated, y[held])
        self.held_said_, self.held_sure_ = said(calibrated)
        if self.refit:
            self.models_ = self._fitted(X, y, k, boosted)
        return self

    def _fitted(self, X: NDArray[np.float64], y: NDArray[np.intp], k: int, boosted: bool) -> list[Any]:
        return [model.fit(X, y) for model in self._members(k, boosted).values()]

    def _members(self, k: int, boosted: bool) -> dict[str, Any]:
        """Boosted trees; with many classes a forest beside them, which errs elsewhere, or alone where rows are too few or time too long."""
        members: dict[str, Any] = {} if k <= FEW_CLASSES else {"forest": CompactForest(100, threads=self.threads, seed=self.seed)}
        if boosted:
            # Evidence makes many columns that say much the same; seeing a third of them, coarsely, is quicker and as good.
            members["boosting"] = BoostedTrees(leaves=usual_leaves(k), columns=0.3, bins=63, threads=self.threads, seed=self.seed)
        for name, value in (self.parameters or {}).items():
            member, _, setting = name.partition("__")
            if member in members:
                members[member].set_params(**{setting: value})
        return members

    def settings_for(self, n: int, n_classes: int) -> dict[str, Any]:
        """Settings of the trees that n rows of n_classes labels would get, by the names that `parameters` takes."""
        members = self._members(n_classes, _is_boosted(n, n_classes)).items()
        return {f"{name}__{setting}": value for name, one in members for setting, value in one.get_params().items()}

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """See `Candidate`."""
        keys = evidence.keys_of(frame) if self.pool_ is not None else {}
        found = {name: self.sources_[name].transform(keys[name]) for name in keys}
        return self.calibration_.apply(self._joined(self.probas_of(frame), found))

    def probas_of(self, frame: pd.DataFrame) -> list[NDArray[np.float64]]:
        """Probabilities (n, K) of each fitted model."""
        X = self.inputs_of(frame)
        return [self._spread(model, X) for model in self.models_]

    def inputs_of(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """What the trees see (n, d): the numbers, and the evidence where classes are few."""
        X = matrix(frame, self.inputs, self.popularity)[self.columns_].to_numpy()
        if self.pool_ is not None:
            return X
        keys = evidence.keys_of(frame)
        return np.hstack([X, *(self.sources_[name].transform(keys[name]) for name in keys)])

    def input_names(self) -> list[str]:
        """Names (d,) of the columns of `inputs_of`; a source's columns share its name."""
        names = [str(name) for name in self.columns_]
        if self.pool_ is None:
            for name in evidence.SOURCES:
                names += [f"labels by {name}"] * (len(self.classes_) + (evidence.kind_of(name) == "share"))
        return names

    def _joined(self, probas: list[NDArray[np.float64]], found: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        return probas[0] if self.pool_ is None else softmax(self.pool_.logits(probas, found))

    def _spread(self, model: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities over all classes, 0 for those the model has not met."""
        out = np.zeros((len(X), len(self.classes_)))
        if len(X):
            out[:, model.classes_] = model.predict_proba(X)
        return out


def _is_boosted(n: int, k: int) -> bool:
    return k <= FEW_CLASSES or _BOOSTED_ROWS_PER_CLASS * k <= n <= _BOOSTED_CELLS / k
