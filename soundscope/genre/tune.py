"""Choosing the settings of classifiers by trying them, within a time limit, so that it can be repeated.

The order of trials is fixed by a seed before the first begins; the time limit only decides how many of them are done. Trials see the
development folds alone: they are measured on one of them and fitted on the others. The frozen fold, by which models are judged, and the
choice among candidates, which is made on another fold, stay out of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid

from soundscope.genre import candidates, splits
from soundscope.genre.boosting import FEW_LABELS
from soundscope.genre.data import TrainingSet

TUNING_FOLD = 2
Parameters = Mapping[str, Any]
# What each classifier's trials may set, up to `FEW_LABELS` labels and beyond. The notebook's softmax regression is a reference
# and stays as it is. Numbers of trees and rounds are left alone: more is a little better and slower, which the log-loss does not see.
_BOOSTING: dict[str, list[Any]] = {
    "leaves": [7, 15, 31, 63],
    "l2": [0.1, 1.0, 5.0, 20.0],
    "min_rows": [10, 20, 50, 100],
    "columns": [0.2, 0.3, 0.5, 0.8],
}
_FEW: dict[str, dict[str, list[Any]]] = {
    "logistic_regression": {"C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]},
    "random_forest": {"min_leaf": [1, 2, 3, 5, 8], "columns": ["sqrt", 0.2, 0.35, 0.5]},
    "hist_gradient_boosting": {
        "learning_rate": [0.03, 0.06, 0.1],
        "max_leaf_nodes": [7, 15, 31, 63],
        "l2_regularization": [0.1, 1.0, 10.0],
    },
    "lightgbm": {"learning_rate": [0.04, 0.075, 0.12], **_BOOSTING},
    candidates.STRONGEST: {"boosting__learning_rate": [0.03, 0.05, 0.08]}
    | {f"boosting__{name}": values for name, values in _BOOSTING.items()},
}
# Few rounds at the greatest step are all that many labels allow, so there is no rate to choose; small leaves and strong penalties are.
_MANY: dict[str, dict[str, list[Any]]] = {
    "logistic_regression": {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]},
    "random_forest": {"min_leaf": [2, 3, 5, 8, 13], "columns": ["sqrt", 0.2, 0.35]},
    "lightgbm": {"leaves": [7, 15, 31], "l2": [1.0, 5.0, 20.0], "min_rows": [10, 20, 50, 100], "columns": [0.2, 0.5]},
    candidates.STRONGEST: {
        "forest__min_leaf": [2, 3, 5, 8],
        "boosting__leaves": [7, 15, 31],
        "boosting__l2": [1.0, 5.0, 20.0],
        "boosting__min_rows": [20, 50, 100],
    },
}


@dataclass(frozen=True)
class Trial:
    """One setting tried: what differs from the default (nothing, for the default), the log-loss it reached, and how long it took."""

    algorithm: str
    parameters: Parameters
    log_loss: float
    seconds: float

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.parameters.items()) or "default"


@dataclass(frozen=True)
class Tuning:
    """All trials of a training run in the order they were made, how many could have been made, what ended them, and the seed."""

    trials: tuple[Trial, ...]
    planned: int
    ended_by: str
    seed: int

    def of(self, algorithm: str) -> list[Trial]:
        """Trials of one classifier, the default first; none if it was not tuned."""
        return [trial for trial in self.trials if trial.algorithm == algorithm]

    def best(self, algorithm: str) -> Trial | None:
        """The trial with the lowest log-loss, the earlier one if equal; None if there was none."""
        return min(self.of(algorithm), key=lambda trial: trial.log_loss, default=None)

    def parameters(self, algorithm: str) -> dict[str, Any]:
        """What to fit a classifier with: the best trial's parameters, {} where nothing was tried."""
        best = self.best(algorithm)
        return dict(best.parameters) if best else {}

    def card(self, algorithm: str) -> dict[str, Any]:
        """What the card of a model says of its tuning, as JSON values; {} if it was not tuned."""
        best = self.best(algorithm)
        if best is None:
            return {}
        return {
            "chosen": dict(best.parameters),
            "log_loss": best.log_loss,
            "measured_on": f"fold {TUNING_FOLD} of the recording split, fitted on the other folds but the frozen one",
            "trials": [
                {"parameters": dict(one.parameters), "log_loss": one.log_loss, "seconds": round(one.seconds, 2)}
                for one in self.of(algorithm)
            ],
            "trials_of_all_candidates": len(self.trials),
            "trials_planned": self.planned,
            "ended_by": self.ended_by,
            "seed": self.seed,
        }

    def metrics(self, algorithm: str) -> pd.DataFrame:
        """Rows for ml.model_metrics: tuning_log_loss of each trial, and of the chosen one, with its parameters in `class`; tuning_trials."""
        best = self.best(algorithm)
        rows = [("tuning_log_loss", str(one), one.log_loss) for one in self.of(algorithm)]
        if best is not None:
            rows.append(("tuning_chosen_log_loss", str(best), best.log_loss))
            rows.append(("tuning_trials", "all", float(len(self.trials))))
        return pd.DataFrame(rows, columns=["metric", "class", "value"])

    def told(self) -> list[str]:
        """The tuning in lines of text: how many trials, and what was chosen for each classifier."""
        spent = sum(trial.seconds for trial in self.trials)
        lines = [f"Tuned: {len(self.trials)} of {self.planned} trials in {spent / 60:.1f} minutes, ended by {self.ended_by}."]
        for name in dict.fromkeys(trial.algorithm for trial in self.trials):
            default, best = self.of(name)[0], self.best(name)
            lines.append(f"  {name}: {best}, log-loss {best.log_loss if best else 0.0:.3f} (default {default.log_loss:.3f}).")
        return lines


def plan(names: Sequence[str], n: int, n_classes: int, seed: int) -> list[tuple[str, Parameters]]:
    """Every trial that could be made, in order: each classifier's default, then in turn one setting of each, drawn without return.

    Args:
        names: candidates; those without a space of settings are left out.
        n, n_classes: rows and labels of the training, which decide defaults and spaces.
        seed: of the order.
    """
    spaces = _FEW if n_classes <= FEW_LABELS else _MANY
    drawn: list[list[tuple[str, Parameters]]] = []
    for number, name in enumerate(sorted(set(names) & set(spaces))):
        usual = candidates.settings_of(name, n, n_classes)
        # An ensemble of so many rows and labels may do without one of its members.
        grid = ParameterGrid({key: values for key, values in spaces[name].items() if key in usual})
        order = np.random.default_rng([seed, number]).permutation(len(grid))
        settings = [grid[int(at)] for at in order]
        drawn.append([(name, {}), *((name, one) for one in settings if any(usual[key] != one[key] for key in one))])
    longest = max((len(one) for one in drawn), default=0)
    return [one[at] for at in range(longest) for one in drawn if at < len(one)]


def tune(
    data: TrainingSet,
    names: Sequence[str],
    folds: NDArray[np.int64],
    *,
    minutes: float,
    trials: int,
    threads: int,
    seed: int,
    clock: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Try settings of the candidates until the time or the number of trials is used up.

    No trial begins that would, going by the last one of the same classifier, end after the limit.

    Args:
        data: the training set, n rows.
        names: candidates.
        folds: fold (n,) of each row under the recording split.
        minutes: time limit; 0 for none.
        trials: most trials; 0 for no such limit. The same seed, data and number of trials give the same choice.
        threads, seed: of the classifiers, and of the order of trials.
        clock: seconds that pass.
    """
    rows = np.flatnonzero(folds != splits.FROZEN_FOLD)
    held = folds[rows] == TUNING_FOLD
    order = plan(names, len(rows), len(set(data.label[rows])), seed)
    if not held.any() or len(set(data.label[rows][~held])) < 2:
        return Tuning((), len(order), "too few recordings", seed)
    fit = _fitter(data, rows, held, threads, seed)
    done: list[Trial] = []
    ended_by = "all being tried"
    begin = clock()
    for name, parameters in order[: trials or None]:
        expected = next((one.seconds for one in reversed(done) if one.algorithm == name), 0.0)
        if minutes and clock() - begin + expected >= minutes * 60:
            ended_by = f"the limit of {minutes:g} minutes"
            break
        started = clock()
        log_loss = fit(name, parameters)
        done.append(Trial(name, parameters, log_loss, clock() - started))
    else:
        if len(done) < len(order):
            ended_by = f"the limit of {trials} trials"
    return Tuning(tuple(done), len(order), ended_by, seed)


def _fitter(
    data: TrainingSet, rows: NDArray[np.intp], held: NDArray[np.bool_], threads: int, seed: int
) -> Callable[[str, Parameters], float]:
    """A function from a classifier and its parameters to the log-loss on the held rows of one fit without them."""
    frame, label = data.frame.iloc[rows].reset_index(drop=True), data.label[rows]
    groups, n_classes = data.recording.iloc[rows].reset_index(drop=True), len(set(label))

    def fit(name: str, parameters: Parameters) -> float:
        model = candidates.make(
            name,
            len(rows),
            n_classes,
            inputs=candidates.inputs_for(name),
            threads=threads,
            seed=seed % 2**31,
            parameters=parameters,
            refit=False,
        )
        return float(model.fit(frame, label, groups, held).held_log_loss_)

    return fit
