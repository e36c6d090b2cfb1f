"""What the genre model says of sounds that nobody has scored yet, and why; the model is the release's champion, loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import streamlit as st

from soundscope.app.source import Source, settings
from soundscope.genre import features, registry
from soundscope.genre.context import Catalogue, add_context, read_catalogue
from soundscope.genre.data import TRACKS_SQL
from soundscope.genre.explain import BASE, explain_batches
from soundscope.genre.registry import Stored
from soundscope.genre.score import top


@dataclass(frozen=True)
class Prediction:
    """The likeliest labels (track_id, genre, probability, rank) and, for the first row, contributions to its label."""

    labels: pd.DataFrame
    why: pd.DataFrame


def champion(source: Source) -> dict[str, Any] | None:
    """The row of `ml.model_runs` of the model that scores, or None."""
    if not source.has("ml.model_runs"):
        return None
    return source.one(
        "select * from ml.model_runs where is_champion order by (target = ?) desc, trained_at desc, model_id limit 1",
        [source.settings.train.target],
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def model(model_id: str, sha256: str | None) -> Stored:
    """The stored model.

    Raises:
        SoundScopeError: its file is missing, damaged or changed.
    """
    return registry.load(settings().paths.models, model_id, sha256)


def predict(source: Source, rows: pd.DataFrame, *, against: Mapping[str, float] | None = None) -> Prediction | None:
    """Predict rows with any of the columns of `features.COLUMNS` and an id in track_id; None without a champion.

    What other tracks of an artist sound like is taken from the release, for the artists that are named.

    Args:
        source: the release.
        rows: the tracks.
        against: middling values by feature; with them the first row is explained: how much likelier each of its values makes its label
            than the middling value would, all others kept, in log odds. Any model can be asked so; the parts need not add up.

    Raises:
        SoundScopeError: the model cannot be loaded.
    """
    chosen = champion(source)
    if chosen is None:
        return None
    stored = model(str(chosen["model_id"]), chosen["artefact_sha256"])
    frame = _inputs(source, rows)
    proba = stored.model.predict_proba(frame)
    labels = top(frame["track_id"], proba, stored.model.classes_.astype(str))
    return Prediction(labels, _against(stored, frame.iloc[:1], int(proba[0].argmax()), against) if against else pd.DataFrame())


def _against(stored: Stored, row: pd.DataFrame, label: int, middle: Mapping[str, float]) -> pd.DataFrame:
    names = [name for name in middle if name in row]
    many = pd.concat([row] * (len(names) + 1), ignore_index=True)
    for place, name in enumerate(names, start=1):
        many.loc[place, name] = middle[name]
    chance = np.clip(stored.model.predict_proba(many)[:, label], 1e-9, 1 - 1e-9)
    odds = np.log(chance / (1 - chance))
    found = pd.DataFrame(
        {"feature": names, "contribution": odds[0] - odds[1:], "value": [float(row[name].iloc[0]) for name in names]}
    )
    return found.sort_values("contribution", key=np.abs, ascending=False, ignore_index=True)


def predict_track(source: Source, track_id: str) -> pd.DataFrame | None:
    """What each input adds to the probability of a track's likeliest label: feature, value, contribution, strongest first.

    None where there is no champion or the track may not be scored.

    Raises:
        SoundScopeError: the model cannot be loaded.
    """
    chosen = champion(source)
    rows = source.ask(f"select artist from ({TRACKS_SQL}) tracks where train_ok and track_id = ?", [track_id])
    if chosen is None or rows.empty:
        return None
    stored = model(str(chosen["model_id"]), chosen["artefact_sha256"])
    cursor = source.cursor()
    try:
        found = next(explain_batches(cursor, stored, [track_id], _catalogue(cursor, rows)))
    finally:
        cursor.close()
    return found[found["feature"] != BASE].reset_index(drop=True)


def _catalogue(cursor: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> Catalogue:
    """The release's tracks by the artists of some rows: all that the context of these rows needs."""
    named = sorted(set(features.text(rows, "artist").str.strip().str.casefold()) - {""})
    cursor.register("named_artists", pd.DataFrame({"name": pd.Series(named, dtype="object")}))
    return read_catalogue(
        cursor, f"select * from ({TRACKS_SQL}) known where lower(trim(artist)) in (select name from named_artists)"
    )


def _inputs(source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    frame = rows.reset_index(drop=True).copy()
    for name in features.COLUMNS:
        if name not in frame:
            frame[name] = None if name in features.TEXT or name == "release_date" else np.nan
    if "recording_id" not in frame:
        frame["recording_id"] = frame["track_id"]
    if not (features.text(frame, "artist").str.strip() != "").any():
        return add_context(frame)
    cursor = source.cursor()
    try:
        return add_context(frame, _catalogue(cursor, frame))
    finally:
        cursor.close()
