"""Scoring: the three likeliest labels of every track the model has not yet seen in its present state.

Reads a build in batches, yields rows for `raw.predictions`, writes nothing. Only tracks whose features may be used for models are
scored: what may not train a model may not be fed into one either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.genre import features, registry
from soundscope.genre.context import CONTEXT, add_context, read_catalogue
from soundscope.genre.data import TRACKS_SQL
from soundscope.genre.evaluate import SURE_FROM
from soundscope.settings import Settings

TOP = 3
_VECTORS = 8  # of 2,048 rows: a batch stays near 16 thousand tracks
_SEEN = [*features.COLUMNS, *CONTEXT]


def score(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    model_id: str,
    release_id: str,
    now: datetime,
    only: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield predictions in batches of at most 16,384 tracks with up to three rows each.

    A track is skipped if its newest prediction by this model was made from the same inputs. Memory is bounded by a batch, the
    model, and about 200 bytes per track for what other tracks of an artist sound like.

    Args:
        con: a connection to the build; only read.
        settings: tells where models are.
        model_id: the model.
        release_id, now: written into the rows (now is naive UTC).
        only: track ids to restrict to; all tracks if None.

    Yields:
        Columns track_id, model_id, genre, probability, rank (1 the likeliest), is_unsure (the likeliest is less likely than not;
        the same for all ranks), release_id, scored_at, input_hash.

    Raises:
        BadInput: there is no such model.
        SoundScopeError: its file is damaged.
    """
    stored = registry.load(settings.paths.models, model_id, registry.recorded_hash(con, model_id))
    names = stored.model.classes_.astype(str)
    catalogue = read_catalogue(con, TRACKS_SQL)
    for batch in _batches(con, model_id, only):
        inputs = add_context(batch.reset_index(drop=True), catalogue)
        inputs["input_hash"] = input_hash(inputs)
        due = inputs[inputs["input_hash"] != inputs["old_hash"]].reset_index(drop=True)
        if len(due):
            rows = top(due["track_id"], stored.model.predict_proba(due), names)
            hashes = np.repeat(due["input_hash"].to_numpy(), min(TOP, len(names)))
            yield rows.assign(model_id=model_id, release_id=release_id, scored_at=now, input_hash=hashes)[
                ["track_id", "model_id", "genre", "probability", "rank", "is_unsure", "release_id", "scored_at", "input_hash"]
            ]


def top(track_id: pd.Series, proba: NDArray[np.float64], names: NDArray) -> pd.DataFrame:
    """The likeliest labels of each track, best first: track_id, genre, probability, rank, is_unsure; ties in the order of `names`."""
    width = min(TOP, proba.shape[1])
    order = np.argsort(-proba, axis=1, kind="stable")[:, :width]
    return pd.DataFrame(
        {
            "track_id": np.repeat(track_id.to_numpy(), width),
            "genre": names[order].ravel(),
            "probability": np.take_along_axis(proba, order, axis=1).ravel(),
            "rank": np.tile(np.arange(1, width + 1), len(proba)),
            "is_unsure": np.repeat(proba.max(axis=1) < SURE_FROM, width),
        }
    )


def input_hash(frame: pd.DataFrame) -> NDArray[np.object_]:
    """16 hex digits (n,) of everything a model may see of each row; means are rounded, so that summing order does not matter."""
    seen = pd.DataFrame({name: frame.get(name) for name in _SEEN})
    for name in (*features.AUDIO, "popularity", "explicit", *CONTEXT):
        seen[name] = features.numbers(seen, name).round(3 if name in CONTEXT else 9) + 0.0
    for name in features.TEXT:
        seen[name] = features.text(seen, name)
    seen["release_date"] = features.release_year(seen).round(6)
    codes = pd.util.hash_pandas_object(seen, index=False, categorize=False).to_numpy()
    return np.array([f"{code:016x}" for code in codes], dtype=object)


def _batches(con: duckdb.DuckDBPyConnection, model_id: str, only: Sequence[str] | None) -> Iterator[pd.DataFrame]:
    """Trainable tracks with `old_hash`, what they were last scored from by this model."""
    # A cursor of its own: the caller may use the connection between two batches.
    cursor = con.cursor()
    previous = _previous_table(con)
    old = (
        f"select track_id, arg_max(input_hash, scored_at) as old_hash from {previous} where model_id = $model_id group by track_id"
        if previous
        else "select null as track_id, null as old_hash where $model_id is null"
    )
    wanted = "" if only is None else "and list_contains($only, tracks.track_id)"
    values: dict[str, object] = {"model_id": model_id}
    if only is not None:
        values["only"] = list(only)
    cursor.execute(
        f"select tracks.*, old.old_hash from ({TRACKS_SQL}) tracks left join ({old}) old on old.track_id = tracks.track_id "
        f"where tracks.train_ok {wanted}",
        values,
    )
    try:
        while len(batch := cursor.fetch_df_chunk(_VECTORS)):
            yield batch
    finally:
        cursor.close()


def _previous_table(con: duckdb.DuckDBPyConnection) -> str | None:
    """Where earlier predictions with their input hash are, or None."""
    found = con.execute(
        "select table_schema from information_schema.columns where table_name = 'predictions' and column_name = 'input_hash' "
        "and table_catalog = current_database() and table_schema in ('raw', 'ml') order by table_schema desc limit 1"
    ).fetchone()
    return f"{found[0]}.predictions" if found else None
