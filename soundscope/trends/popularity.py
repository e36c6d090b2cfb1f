"""How popular tracks were as of a date: as the providers said by then, else by how high they charted in the year before."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends.catalogue import Catalogue, days
from soundscope.trends.profile import ChartWeeks

Array = NDArray[np.float64]
_YEAR = np.timedelta64(364, "D")


def popularity_as_of(catalogue: Catalogue, weeks: ChartWeeks, as_of: np.datetime64) -> pd.DataFrame:
    """Popularity of every track (n rows, the catalogue's order), observations after the date left out.

    Columns: popularity 0..100; source, the provider or 'chart:<name>', None where nothing is known; percentile 0..100 among the tracks
    of that source that had one. From a chart: 100 times the best share of chart points in the last 52 weeks, ranked among all tracks, of
    which those that did not chart count 0.
    """
    n = len(catalogue.tracks)
    out = pd.DataFrame(
        {"popularity": np.full(n, np.nan), "source": np.full(n, None, dtype=object), "percentile": np.full(n, np.nan)}
    )
    charted = _from_chart(catalogue, weeks, as_of)
    known = charted > 0
    out.loc[known, "popularity"] = 100.0 * charted[known]
    out.loc[known, "source"] = f"chart:{weeks.chart}"
    out.loc[known, "percentile"] = _percentiles(charted)[known]
    seen = _from_providers(catalogue, as_of)
    place = pd.Series(np.arange(n), index=catalogue.tracks["track_id"].to_numpy()).reindex(seen["track_id"])
    seen = seen[place.notna().to_numpy()]
    rows = place.dropna().to_numpy().astype(np.intp)
    out.iloc[rows, 0] = seen["popularity"].to_numpy(dtype=float)
    out.iloc[rows, 1] = seen["provider"].to_numpy()
    for _, part in pd.Series(np.arange(len(seen))).groupby(seen["provider"].to_numpy()):
        values = seen["popularity"].to_numpy(dtype=float)[part]
        out.iloc[rows[part], 2] = _percentiles(values)
    return out


def newest_observation(catalogue: Catalogue) -> np.datetime64:
    """Day of the newest popularity observation that changed something; NaT without any."""
    seen = days(catalogue.popularity["valid_from"])
    return seen.max() if len(seen) else np.datetime64("NaT", "D")


def _from_chart(catalogue: Catalogue, weeks: ChartWeeks, as_of: np.datetime64) -> Array:
    part = weeks.between(as_of - _YEAR, as_of)
    rows = weeks.recording[part]
    size = max(float(weeks.points.max()), 1.0) if len(weeks.points) else 1.0
    best = pd.Series(weeks.points[part][rows >= 0] / size).groupby(rows[rows >= 0]).max()
    return np.asarray(best.reindex(catalogue.recording).fillna(0.0), dtype=np.float64)


def _from_providers(catalogue: Catalogue, as_of: np.datetime64) -> pd.DataFrame:
    history = catalogue.popularity
    begin, end = days(history["valid_from"]), days(history["valid_to"])
    # An interval that ends on the day itself was replaced that day.
    valid = (begin <= as_of) & (np.isnat(end) | (end > as_of)) & history["popularity"].notna().to_numpy()
    seen = history[valid].sort_values(
        ["track_id", "is_native_scale", "valid_from", "provider"], ascending=[True, False, False, True]
    )
    return seen.drop_duplicates("track_id")


def _percentiles(values: Array) -> Array:
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return 50.0 * (low + high) / max(len(values), 1)
