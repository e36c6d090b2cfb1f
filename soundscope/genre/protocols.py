"""The same candidate under the other splits: by artist, forward in time, and the leaky split of rows that published figures use.

Figures only: nothing measured here decides which model is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from soundscope.genre import candidates, splits
from soundscope.genre.data import TrainingSet
from soundscope.genre.evaluate import Evaluation, evaluate

OTHER_SCHEMES: tuple[splits.Scheme, ...] = ("artist", "forward", "random_leaky")
HELD_FOLD = 1
# Rows times classes up to which these further fits keep training within ten minutes on two cores; beyond, the benchmark has the figures.
_WORK = 200_000


def is_affordable(n: int, n_classes: int) -> bool:
    """Whether candidates are fitted three times more for the sake of these figures."""
    return n * n_classes <= _WORK


def under_split(
    scheme: splits.Scheme,
    data: TrainingSet,
    name: str,
    inputs: candidates.Inputs,
    *,
    threads: int,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
) -> Evaluation | None:
    """Fit and measure one candidate under a split: fold 0 tests, fold 1 fixes calibration, all but fold 0 train.

    Intervals come from resampling the groups that the split keeps whole; recordings, for the leaky one, which keeps none.

    Returns:
        Figures; None where a side of the split has too few rows or labels to fit anything.
    """
    folds = data.folds(scheme)
    groups = data.artist if scheme == "artist" else data.recording
    rows, test = np.flatnonzero(folds != splits.FROZEN_FOLD), np.flatnonzero(folds == splits.FROZEN_FOLD)
    label = data.label[rows]
    if not len(test) or len(set(label[folds[rows] > HELD_FOLD])) < 2 or not (folds == HELD_FOLD).any():
        return None
    model = candidates.make(
        name, len(rows), len(set(label)), inputs=inputs, threads=threads, seed=seed % 2**31, parameters=parameters
    )
    model.fit(
        data.frame.iloc[rows].reset_index(drop=True),
        label,
        groups.iloc[rows].reset_index(drop=True),
        folds[rows] == HELD_FOLD,
    )
    return evaluate(
        data.label[test],
        model.predict_proba(data.frame.iloc[test].reset_index(drop=True)),
        [str(c) for c in model.classes_],
        groups.iloc[test],
        [data.labels[row] for row in test],
        seed=seed,
    )
