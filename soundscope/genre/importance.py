"""How much a model needs each of its inputs: what it loses on frozen rows when that input is shuffled among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.genre import features
from soundscope.genre.candidates import Candidate
from soundscope.genre.context import CONTEXT
from soundscope.genre.evaluate import align, group_weights, row_losses

METRIC = "permutation_importance"
_ROWS = 1500
_RESAMPLES = 300
# What is shuffled together: a thing a person would name, with every column made from it.
SHUFFLED: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in (*features.AUDIO, "popularity", "explicit")},
    "release_year": ("release_date",),
    "title": ("title",),
    "album": ("album",),
    "artist": ("artist", "artists"),
    "other tracks of the artist": CONTEXT,
}


def permutation_importance(
    model: Candidate, frame: pd.DataFrame, label: NDArray[np.object_], groups: pd.Series, *, seed: int = 0
) -> pd.DataFrame:
    """Increase of the log-loss when one input is shuffled (Breiman 2001), on at most 1,500 rows.

    Args:
        model: a fitted candidate.
        frame: rows (n) it was not trained on.
        label: their labels (n,); rows with a label it never met are left out.
        groups: group name (n,), for the intervals.
        seed: of the choice of rows and of shuffling.

    Returns:
        Columns metric ('permutation_importance'), class (the input), value (nats), ci_low, ci_high (95 %, groups resampled, paired).
        Inputs that the model does not look at are left out.
    """
    rng = np.random.default_rng(seed)
    names = [str(name) for name in model.classes_]
    rows = np.flatnonzero(np.isin(label.astype(str), names))
    rows = np.sort(rng.choice(rows, _ROWS, replace=False)) if len(rows) > _ROWS else rows
    columns = ["metric", "class", "value", "ci_low", "ci_high"]
    if len(rows) < 2:
        return pd.DataFrame(columns=columns)
    given = frame.iloc[rows].reset_index(drop=True)
    truth = np.searchsorted(names, label[rows].astype(str))
    codes, drawn = group_weights(groups.iloc[rows], _RESAMPLES, seed)
    sizes = drawn @ np.bincount(codes)
    names_shuffled, frames = ["as it is"], [given]
    for name, together in SHUFFLED.items():
        held = [column for column in together if column in given]
        if not held or not _looks_at(model, name):
            continue
        shuffled = given.copy()
        shuffled[held] = given[held].iloc[rng.permutation(len(given))].to_numpy()
        names_shuffled.append(name)
        frames.append(shuffled.astype(given.dtypes[held].to_dict()))
    # All at once: a prediction costs as much for a few rows as for a few thousand.
    losses = _losses(model, pd.concat(frames, ignore_index=True), np.tile(truth, len(frames)), names).reshape(len(frames), -1)
    out = []
    for name, lost in zip(names_shuffled[1:], losses[1:] - losses[0], strict=True):
        low, high = np.percentile((drawn @ np.bincount(codes, weights=lost)) / sizes, [2.5, 97.5])
        out.append((METRIC, name, float(lost.mean()), float(low), float(high)))
    return pd.DataFrame(out, columns=columns)


def _losses(model: Candidate, frame: pd.DataFrame, truth: NDArray[np.intp], names: list[str]) -> NDArray[np.float64]:
    return row_losses(align(model.predict_proba(frame), names, names), truth)


def _looks_at(model: Candidate, name: str) -> bool:
    if hasattr(model, "sources_") and name in ("title", "album", "artist"):
        return True
    return name in {features.told_as(column) for column in model.columns_}  # type: ignore[attr-defined]
