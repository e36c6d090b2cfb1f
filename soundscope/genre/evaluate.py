"""How good a classifier is on rows it has not seen, with 95 % intervals that respect groups.

Rows of one recording (or artist) are not independent, so intervals come from resampling whole groups. Every figure is a function of
sums over groups; a resample is then one matrix product, and a thousand of them take a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from soundscope.genre.calibrate import FLOOR

BINS = 15
# A first label less likely than not is "not sure"; probabilities are calibrated, so the threshold means the same for every model.
SURE_FROM = 0.5
_OWN = 7
RESAMPLES = 500


@dataclass(frozen=True)
class Evaluation:
    """metrics: metric, class ('all' for the whole), value, ci_low, ci_high. confusion: true_genre, predicted_genre, n (n > 0)."""

    metrics: pd.DataFrame
    confusion: pd.DataFrame

    def value(self, metric: str, of_class: str = "all") -> float:
        """One figure by name."""
        table = self.metrics
        return float(table.loc[(table["metric"] == metric) & (table["class"] == of_class), "value"].iloc[0])


def align(proba: NDArray[np.float64], classes: Sequence[str], onto: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities (n, len(onto)) with columns in another order; a class the model does not know has probability 0."""
    out = np.zeros((len(proba), len(onto)))
    place = {name: column for column, name in enumerate(onto)}
    for column, name in enumerate(classes):
        if name in place:
            out[:, place[name]] = proba[:, column]
    return out


def majority(label: NDArray[np.object_], n: int) -> tuple[NDArray[np.float64], list[str]]:
    """The baseline that knows only how frequent labels (m,) are: probabilities (n, K) and their classes."""
    classes, counts = np.unique(label.astype(str), return_counts=True)
    return np.tile(counts / counts.sum(), (n, 1)), list(classes)


def group_weights(groups: pd.Series | NDArray, resamples: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Group index (n,) of each row, and how often each group is drawn in each resample (resamples, G)."""
    codes, distinct = pd.factorize(np.asarray(groups))
    drawn = np.random.default_rng(seed).multinomial(len(distinct), np.full(len(distinct), 1 / len(distinct)), size=resamples)
    return codes, drawn.astype(np.float64)


def row_losses(proba: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Negative log probability (n,) of the true column, nowhere above -log(1e-6)."""
    return -np.log(np.clip(proba[np.arange(len(index)), index], FLOOR, 1.0))


def evaluate(
    label: NDArray[np.object_],
    proba: NDArray[np.float64],
    classes: Sequence[str],
    groups: pd.Series | NDArray,
    labels: Sequence[frozenset[str]] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Measure probabilities against labels.

    Figures for 'all': accuracy, balanced_accuracy (mean recall of the classes that occur), macro_f1 (mean F1 of the classes that occur),
    top3_accuracy, log_loss (natural, probabilities not below 1e-6), calibration_error (expected, 15 equal bins of the first
    probability; Guo et al. 2017), any_label_accuracy (right if the track carries the predicted label at all), sure_share
    (rows whose first probability is at least 0.5), sure_accuracy (accuracy of those), n. Per class:
    precision, recall, f1, support. A ratio over nothing is 0.

    Args:
        label: true labels (n,), n at least 1.
        proba: probabilities (n, K).
        classes: the K names of the columns.
        groups: group name (n,); whole groups are resampled.
        labels: every label of each row's track, for any_label_accuracy.
        seed: seed of the resampling.
        resamples: how many resamples; 0 leaves the intervals empty.
    """
    names = sorted(set(classes) | set(label))
    full = align(proba, classes, names)
    truth = np.searchsorted(names, label.astype(str))
    first = full.argmax(axis=1)
    columns = _row_sums(full, truth, first, names, label, labels)
    codes, drawn = group_weights(groups, resamples, seed)
    by_group = np.zeros((codes.max() + 1, columns.shape[1]))
    np.add.at(by_group, codes, columns)
    read = _reader(len(names))
    point = read(by_group.sum(axis=0, keepdims=True))
    with threadpool_limits(1, user_api="blas"):
        many = read(drawn @ by_group) if resamples else {}
    rows = []
    for (metric, column), value in point.items():
        spread = many.get((metric, column))
        low, high = (
            np.nanpercentile(spread, [2.5, 97.5]) if spread is not None and metric not in ("n", "support") else (np.nan, np.nan)
        )
        rows.append((metric, "all" if column < 0 else names[column], float(value[0]), low, high))
    metrics = pd.DataFrame(rows, columns=["metric", "class", "value", "ci_low", "ci_high"])
    if labels is None:
        metrics = metrics[metrics["metric"] != "any_label_accuracy"]
    pairs = pd.Series(1, index=pd.MultiIndex.from_arrays([label.astype(str), np.array(names, dtype=object)[first]]))
    confusion = pairs.groupby(level=[0, 1]).sum().rename_axis(["true_genre", "predicted_genre"]).rename("n").reset_index()
    return Evaluation(metrics.reset_index(drop=True), confusion)


def _row_sums(
    full: NDArray[np.float64],
    truth: NDArray[np.intp],
    first: NDArray[np.intp],
    names: list[str],
    label: NDArray[np.object_],
    labels: Sequence[frozenset[str]] | None,
) -> NDArray[np.float64]:
    """What each row adds to the sums (n, 7 + 3 K + 3 BINS)."""
    n, k = full.shape
    rows = np.arange(n)
    right = (first == truth).astype(float)
    above = (full > full[rows, truth][:, None]).sum(axis=1)
    # A class the model gave nothing is never among its first three, however many share that nothing.
    top3 = (above < 3) & (full[rows, truth] > 0)
    carried = labels if labels is not None else [frozenset((name,)) for name in label]
    credited = [names[column] in several for column, several in zip(first, carried, strict=True)]
    sure = full[rows, first]
    is_sure = (sure >= SURE_FROM).astype(float)
    out = np.zeros((n, _OWN + 3 * k + 3 * BINS))
    out[:, :_OWN] = np.column_stack([np.ones(n), right, top3, row_losses(full, truth), credited, is_sure, is_sure * right])
    out[rows, _OWN + truth] = 1.0
    out[rows, _OWN + k + first] = 1.0
    out[rows, _OWN + 2 * k + truth] = right
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = _OWN + 3 * k
    out[rows, bins + place] = 1.0
    out[rows, bins + BINS + place] = sure
    out[rows, bins + 2 * BINS + place] = right
    return out


def _reader(k: int) -> Callable[[NDArray[np.float64]], dict[tuple[str, int], NDArray[np.float64]]]:
    """A function from sums (B, 7 + 3 K + 3 BINS) to every figure (B,), by metric and class column (-1 for all)."""

    def ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(a, b, out=np.zeros_like(a), where=b > 0)

    def read(sums: NDArray[np.float64]) -> dict[tuple[str, int], NDArray[np.float64]]:
        n = sums[:, 0]
        true, said, hit = (sums[:, _OWN + i * k : _OWN + (i + 1) * k] for i in range(3))
        bins = _OWN + 3 * k
        sure, right = sums[:, bins + BINS : bins + 2 * BINS], sums[:, bins + 2 * BINS :]
        occurs = true > 0
        recall, precision, f1 = ratio(hit, true), ratio(hit, said), ratio(2 * hit, true + said)
        out = {
            ("n", -1): n,
            ("accuracy", -1): sums[:, 1] / n,
            ("balanced_accuracy", -1): ratio((recall * occurs).sum(axis=1), occurs.sum(axis=1).astype(float)),
            ("macro_f1", -1): ratio((f1 * occurs).sum(axis=1), occurs.sum(axis=1).astype(float)),
            ("top3_accuracy", -1): sums[:, 2] / n,
            ("log_loss", -1): sums[:, 3] / n,
            ("calibration_error", -1): np.abs(sure - right).sum(axis=1) / n,
            ("any_label_accuracy", -1): sums[:, 4] / n,
            ("sure_share", -1): sums[:, 5] / n,
            ("sure_accuracy", -1): ratio(sums[:, 6], sums[:, 5]),
        }
        for column in range(k):
            out["precision", column] = precision[:, column]
            out["recall", column] = recall[:, column]
            out["f1", column] = f1[:, column]
            out["support", column] = true[:, column]
        return out

    return read
