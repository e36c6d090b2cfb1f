"""How popular tracks were as of a date: as the providers said by then, else by how high they charted in the year before."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends.catalogue import Catalogue
from soundscope.trends.profile import ChartWeeks

Array = NDArray[np.float64]
_YEAR = np.timedelta64(364, "D")


def popularity_as_of(
    catalogue: Catalogue, weeks: ChartWeeks, as_of: np.datetime64, rows: NDArray[np.intp], *, newest: bool = False
) -> pd.DataFrame:
    """Popularity of tracks given by their rows (n,) in the catalogue, observations after the date left out.

    Args:
        newest: providers' observations of any date, for who asks today about a chart that may have ended long ago.

    Columns: popularity 0..100; source, the provider or 'chart:<name>', None where nothing is known; percentile 0..100 among the tracks
    of that source that had one. From a chart: 100 times the best share of chart points in the last 52 weeks, ranked among all tracks
    known to exist by then, of which those that did not chart count 0.
    """
    n = len(catalogue.tracks)
    exists = catalogue.known_from <= as_of
    charted = np.where(exists, _from_chart(catalogue, weeks, as_of), 0.0)
    known = np.flatnonzero(charted)
    popularity, percentile, source = np.full(n, np.nan), np.full(n, np.nan), np.full(n, None, dtype=object)
    popularity[known], source[known] = 100.0 * charted[known], f"chart:{weeks.chart}"
    percentile[known] = _percentiles(charted[known], int(exists.sum()) - len(known))
    if len(catalogue.popularity):
        seen = _from_providers(catalogue, max(as_of, newest_observation(catalogue)) if newest else as_of)
        place = catalogue.row_of.get_indexer(pd.Index(seen["track_id"]))
        seen, at = seen[place >= 0], place[place >= 0]
        values = seen["popularity"].to_numpy(dtype=float)
        popularity[at], source[at] = values, seen["provider"].to_numpy()
        for part in pd.Series(np.arange(len(seen))).groupby(seen["provider"].to_numpy()).indices.values():
            percentile[at[part]] = _percentiles(values[part])
    return pd.DataFrame(
        {"popularity": popularity[rows], "source": pd.Series(source[rows], dtype=object), "percentile": percentile[rows]}
    )


def newest_observation(catalogue: Catalogue) -> np.datetime64:
    """Day of the newest popularity observation that changed something; NaT without any."""
    seen = catalogue.observed[0]
    return seen.max() if len(seen) else np.datetime64("NaT", "D")


def _from_chart(catalogue: Catalogue, weeks: ChartWeeks, as_of: np.datetime64) -> Array:
    part = weeks.between(as_of - _YEAR, as_of)
    rows = weeks.recording[part]
    best = np.zeros(int(catalogue.recording.max(initial=-1)) + 1)
    np.maximum.at(best, rows[rows >= 0], (weeks.points[part] / weeks.size[part])[rows >= 0])
    return best[catalogue.recording]


def _from_providers(catalogue: Catalogue, as_of: np.datetime64) -> pd.DataFrame:
    history = catalogue.popularity
    begin, end = catalogue.observed
    # An interval that ends on the day itself was replaced that day.
    valid = (begin <= as_of) & (np.isnat(end) | (end > as_of)) & history["popularity"].notna().to_numpy()
    seen = history[valid].sort_values(
        ["track_id", "is_native_scale", "valid_from", "provider"], ascending=[True, False, False, True]
    )
    return seen.drop_duplicates("track_id")


def _percentiles(values: Array, n_below: int = 0) -> Array:
    """Percentiles of values among themselves and so many more that are smaller than all."""
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return 50.0 * (low + high + 2 * n_below) / max(len(values) + n_below, 1)
