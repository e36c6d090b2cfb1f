"""Champion against challenger: a new model takes over only if it is better beyond noise, on the same frozen rows.

It compares probabilities; where models come from and where verdicts are stored is no business of this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from soundscope.genre.evaluate import group_weights, row_losses

CLASS_MARGIN = 0.10
CLASS_SUPPORT = 30
RESAMPLES = 1000
# Probability that one label or more is found to have lost though none has (Bonferroni).
_CHANCE = 0.05
# Labels named in a reason, those that lose most.
_NAMED = 8


@dataclass(frozen=True)
class Verdict:
    """promoted, and why in words; gain (accuracy of challenger minus champion) with its 95 % interval, None without a champion."""

    promoted: bool
    reason: str
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None


def admissible(
    label: NDArray[np.object_], challenger: NDArray[np.float64], majority: NDArray[np.float64], classes: Sequence[str]
) -> Verdict:
    """Whether probabilities (n, K) say more than label frequencies (n, K) do; a diverged model does not."""
    truth = _columns(label, classes)
    own, floor = row_losses(challenger, truth).mean(), row_losses(majority, truth).mean()
    if own < floor:
        return Verdict(True, f"log-loss {own:.3f} beats {floor:.3f} of the majority baseline on {len(label):,} rows")
    return Verdict(False, f"log-loss {own:.3f} does not beat {floor:.3f} of the majority baseline on {len(label):,} rows")


def decide(
    label: NDArray[np.object_],
    challenger: NDArray[np.float64],
    majority: NDArray[np.float64],
    classes: Sequence[str],
    groups: pd.Series | NDArray,
    champion: NDArray[np.float64] | None = None,
    *,
    seed: int = 0,
    class_margin: float = CLASS_MARGIN,
) -> Verdict:
    """Decide on rows none of the models was trained on.

    Promoted if the log-loss beats the majority's and, with a champion, (1) the accuracy gain is above 0 in 97.5 % of paired
    resamples of whole groups, (2) the log-loss is not worse beyond the same noise, (3) no class of at least 30 rows loses more than
    `class_margin` of recall, beyond what chance does to one of so many classes. Without a champion the first admissible model is promoted.

    Args:
        label: true labels (n,), all among `classes`.
        challenger, majority, champion: probabilities (n, K) on the same rows and classes.
        groups: group name (n,).
    """
    first = admissible(label, challenger, majority, classes)
    if not first.promoted:
        return first
    if champion is None:
        return Verdict(True, f"first admissible model: {first.reason}")
    truth = _columns(label, classes)
    new, old = (p.argmax(axis=1) == truth for p in (challenger, champion))
    better = new.astype(float) - old.astype(float)
    worse_loss = row_losses(challenger, truth) - row_losses(champion, truth)
    gain, low, high = _paired(better, groups, seed)
    loss, loss_low, loss_high = _paired(worse_loss, groups, seed)
    figures = (
        f"accuracy {new.mean():.3f} against {old.mean():.3f}, paired gain {gain:+.3f} [{low:+.3f}, {high:+.3f}]; "
        f"log-loss {loss:+.3f} [{loss_low:+.3f}, {loss_high:+.3f}]; {len(label):,} frozen rows"
    )
    if low <= 0:
        return Verdict(False, f"not better beyond noise: {figures}", gain, low, high)
    if loss_low > 0:
        return Verdict(False, f"its probabilities are worse: {figures}", gain, low, high)
    lost = _lost_classes(truth, new, old, classes, class_margin)
    if lost:
        named = ", ".join(lost[:_NAMED]) + (f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "")
        return Verdict(False, f"recall falls by more than {class_margin:.2f} in {named}: {figures}", gain, low, high)
    return Verdict(True, f"better beyond noise: {figures}", gain, low, high)


def _columns(label: NDArray[np.object_], classes: Sequence[str]) -> NDArray[np.intp]:
    place = {name: column for column, name in enumerate(classes)}
    return np.array([place[name] for name in label], dtype=np.intp)


def _paired(difference: NDArray[np.float64], groups: pd.Series | NDArray, seed: int) -> tuple[float, float, float]:
    """Mean difference and its 95 % interval over resampled groups."""
    codes, drawn = group_weights(groups, RESAMPLES, seed)
    means = (drawn @ np.bincount(codes, weights=difference)) / (drawn @ np.bincount(codes))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)


def _lost_classes(
    truth: NDArray[np.intp], new: NDArray[np.bool_], old: NDArray[np.bool_], classes: Sequence[str], margin: float
) -> list[str]:
    """Labels whose recall falls by more than the margin and beyond chance, the greatest fall first."""
    columns, sizes = np.unique(truth, return_counts=True)
    columns = columns[sizes >= CLASS_SUPPORT]
    # Of a hundred labels with fifty rows each, some fall by a tenth under any other model: the more labels, the surer a fall must be.
    sure = norm.isf(_CHANCE / max(len(columns), 1))
    lost = []
    for column in columns:
        rows = truth == column
        falls = old[rows].astype(float) - new[rows].astype(float)
        fall = falls.mean()
        if fall > margin and fall > sure * falls.std() / np.sqrt(len(falls)):
            lost.append((-fall, f"{classes[column]} ({old[rows].mean():.2f} to {new[rows].mean():.2f})"))
    return [said for _, said in sorted(lost)]
