"""Tracks that sound alike: the nearest by the nine sound features, each in its standard deviations over all tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st
from numpy.typing import NDArray

from soundscope.app.source import Source, instance
from soundscope.app.text import SOUND

_LEAST_KNOWN = 6
# Editions of a recording lie close to each other, and one of them is shown.
_MORE = 8


@dataclass(frozen=True)
class Sounds:
    """What all tracks sound like (9, n), a row per feature in the order of `SOUND`, NaN where unknown, and their track ids (n,)."""

    values: NDArray[np.float32]
    track_ids: pa.ChunkedArray


def prepare(source: Source) -> None:
    """Read the sounds of a release, if they are not there yet: 40 to 80 bytes and half a microsecond per track."""
    _sounds(source.release_id, str(source.release.path))


@st.cache_resource(max_entries=3, show_spinner=False)
def _sounds(release_id: str, path: str) -> Sounds:
    cursor = instance(release_id, path).cursor()
    try:
        columns = ", ".join(f"cast({name} as float) as {name}" for name in SOUND)
        rows = cursor.execute(
            f"select track_id, {columns} from release.marts.track_features where feature_provider is not null"
        ).to_arrow_table()
    finally:
        cursor.close()
    values = [rows[name].to_numpy(zero_copy_only=False) for name in SOUND]
    return Sounds(np.stack(values).astype(np.float32, copy=False), rows["track_id"])


def nearest(source: Source, values: Mapping[str, float | None], without: str | None = None, limit: int = 8) -> pd.DataFrame:
    """The recordings nearest to a point, one track each.

    Distance is the root mean square of the differences over the features that both have (at least six), in standard deviations.

    Args:
        source: where the tracks are.
        values: the point; features that are missing or None do not count.
        without: a track whose recording is left out.
        limit: how many.

    Returns:
        track_id, title, artist, genre, distance, nearest first; no rows if fewer than six features are known.
    """
    spread = dict(source.ask("select feature, std from marts.feature_summary where std > 0").itertuples(index=False))
    point = {name: float(value) for name, value in values.items() if name in SOUND and value is not None and name in spread}
    if len(point) < _LEAST_KNOWN:
        return pd.DataFrame(columns=["track_id", "title", "artist", "genre", "distance"])
    square = [f"coalesce(pow((f.{name} - {value!r}) / {float(spread[name])!r}, 2), 0)" for name, value in point.items()]
    known = " + ".join(f"(f.{name} is not null)::int" for name in point)
    return source.ask(
        f"""
        with apart as (
            select f.track_id, f.title, f.artist, f.genre, f.recording_id,
                sqrt(({" + ".join(square)}) / nullif({known}, 0)) as distance
            from marts.track_features f
            where f.track_id in (select unnest($near))
                and f.recording_id is distinct from (select recording_id from marts.track_features where track_id = $without)
        )
        select track_id, title, artist, genre, distance from apart
        qualify row_number() over (partition by recording_id order by distance, track_id) = 1
        order by distance, track_id limit {limit}
        """,
        {"without": without or "", "near": _near(source, point, spread, limit * _MORE)},
    )


def _near(source: Source, point: Mapping[str, float], spread: Mapping[str, float], n: int) -> list[str]:
    """Ids of the n tracks nearest to a point, in any order, as far as single precision tells."""
    sounds = _sounds(source.release_id, str(source.release.path))
    total = np.zeros(len(sounds.track_ids), dtype=np.float32)
    known = np.zeros(len(sounds.track_ids), dtype=np.int8)
    for place, name in enumerate(SOUND):
        if name in point:
            apart = (sounds.values[place] - np.float32(point[name])) / np.float32(spread[name])
            has = ~np.isnan(apart)
            known += has
            total += np.where(has, apart * apart, 0)
    far = np.where(known >= _LEAST_KNOWN, total / np.maximum(known, 1), np.inf)
    first = np.argpartition(far, n)[:n] if len(far) > n else np.arange(len(far))
    return [str(one) for one in sounds.track_ids.take(pa.array(first[np.isfinite(far[first])])).to_pylist()]
