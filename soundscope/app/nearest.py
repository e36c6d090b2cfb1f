"""Tracks that sound alike: the nearest by the nine sound features, each in its standard deviations over all tracks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from soundscope.app.source import Source
from soundscope.app.text import SOUND

_LEAST_KNOWN = 6


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
            where f.feature_provider is not null and {known} >= {_LEAST_KNOWN}
                and f.recording_id is distinct from (select recording_id from marts.track_features where track_id = $without)
        ),
        first as (select * from apart order by distance, track_id limit {limit * 8})
        select track_id, title, artist, genre, distance from first
        qualify row_number() over (partition by recording_id order by distance, track_id) = 1
        order by distance, track_id limit {limit}
        """,
        {"without": without or ""},
    )
