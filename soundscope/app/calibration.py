"""How often a genre model is right against the probability it gives, on tracks it never saw. How that looks is said in `views/model.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from soundscope.app.source import Source
from soundscope.errors import SoundScopeError
from soundscope.genre import registry

_MOST_ROWS = 40_000
_LABELS = {"genre": "genre", "family": "family", "mood": "mood"}


@dataclass(frozen=True)
class Calibration:
    """What came of the probabilities of a model.

    Attributes:
        bins: one row per tenth of the probability that holds a track: said and right (means, 0 to 1), n, and low and high of right,
            which hold it in 19 of 20 cases by the normal approximation.
        n: labelled tracks that the model never saw. n_nameless: those left out for a label that it was not trained on.
    """

    bins: pd.DataFrame
    n: int
    n_nameless: int


def calibration(source: Source, model_id: str, target: str) -> Calibration:
    """The calibration of a model on the tracks of a release, on at most some 40,000 of them; worked out once per release.

    Args:
        target: what the model names: genre, family or mood.
    """
    return _calibration(source.release_id, model_id, target, source)


@st.cache_data(max_entries=20, show_spinner=False)
def _calibration(release_id: str, model_id: str, target: str, _source: Source) -> Calibration:
    label = _LABELS.get(target, "genre")
    scored = _source.one("select count(*) as n from ml.predictions where model_id = ? and rank = 1", [model_id])
    every = (scored["n"] if scored else 0) // _MOST_ROWS + 1
    rows = _source.ask(
        f"select p.track_id, f.recording_id, p.probability, p.genre = f.{label} as is_right, f.{label} in (select class from ml.model_metrics "
        f"where model_id = p.model_id) as can_be_named from ml.predictions p join marts.track_features f on f.track_id = p.track_id "
        f"where p.model_id = ? and p.rank = 1 and f.{label} is not null and hash(p.track_id) % ? = 0",
        [model_id, every],
    )
    try:
        folder = _source.settings.paths.models
        seen = registry.has_seen(folder, model_id, rows["track_id"]) | registry.has_seen(folder, model_id, rows["recording_id"])
    except (SoundScopeError, OSError):
        seen = np.ones(len(rows), dtype=bool)
    nameless = int((~seen & ~rows["can_be_named"]).sum())
    rows = rows[~seen & rows["can_be_named"]]
    bins = (
        rows.assign(bin=np.minimum((rows["probability"] * 10).astype(int), 9))
        .groupby("bin")
        .agg(said=("probability", "mean"), right=("is_right", "mean"), n=("is_right", "size"))
        .reset_index()
    )
    error = 2 * np.sqrt(bins["right"] * (1 - bins["right"]) / bins["n"] + 1 / (4 * bins["n"] ** 2))
    bins = bins.assign(low=(bins["right"] - error).clip(0), high=(bins["right"] + error).clip(upper=1))
    return Calibration(bins, len(rows), nameless)
