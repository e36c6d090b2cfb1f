"""How popular tracks were as of a date: as the providers said by then; where none says it of any track, by how high they charted in the year before."""

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

    Nothing is known before a provider's first observation. Only where no provider ever said how popular any track is does the chart stand
    in for them: whether it does must not depend on the date, or on one track's later observations.

    Columns: popularity 0..100; source, the provider or 'chart:<name>', None where nothing is known; percentile 0..100 among the tracks
    of that source that had one. From a chart: 100 times the best share of chart points in the last 52 weeks, ranked among all tracks
    known to exist by then, of which those that did not chart count 0.
    """
    out = _Asked(rows)
    if not len(catalogue.popularity):
        known, charted = _from_chart(catalogue, weeks, as_of)
        exists = int(np.searchsorted(catalogue.known_since, as_of, side="right"))
        out.take(known, 100.0 * charted, _percentiles(charted, exists - len(known)), f"chart:{weeks.chart}")
        return out.frame()
    until = max(as_of, newest_observation(catalogue)) if newest else as_of
    # Most dates lie before anything was observed.
    if until >= catalogue.observed_since:
        seen = _from_providers(catalogue, until)
        place = catalogue.row_of.get_indexer(pd.Index(seen["track_id"]))
        seen, at = seen[place >= 0], place[place >= 0]
        values = seen["popularity"].to_numpy(dtype=float)
        for provider, part in pd.Series(np.arange(len(seen))).groupby(seen["provider"].to_numpy()).indices.items():
            out.take(at[part], values[part], _percentiles(values[part]), str(provider))
    return out.frame()


class _Asked:
    """What is known of the tracks that are asked about, so that nothing is made for the whole catalogue."""

    def __init__(self, rows: NDArray[np.intp]) -> None:
        self._order = np.argsort(rows, kind="stable")
        self._rows = rows[self._order]
        self._popularity, self._percentile = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        self._source = np.full(len(rows), None, dtype=object)

    def take(self, at: NDArray[np.intp], popularity: Array, percentile: Array, source: str) -> None:
        """Take in what a source says of tracks given by their rows, each once; what is said later counts."""
        order = np.argsort(at, kind="stable")
        place = np.minimum(np.searchsorted(at[order], self._rows), max(len(at) - 1, 0))
        told = at[order][place] == self._rows if len(at) else np.zeros(len(self._rows), dtype=bool)
        found = order[place[told]]
        self._popularity[told], self._percentile[told], self._source[told] = popularity[found], percentile[found], source

    def frame(self) -> pd.DataFrame:
        """Columns popularity, source, percentile, in the order asked for."""
        back = np.empty_like(self._order)
        back[self._order] = np.arange(len(back))
        source = pd.Series(self._source[back], dtype=object)
        return pd.DataFrame({"popularity": self._popularity[back], "source": source, "percentile": self._percentile[back]})


def newest_observation(catalogue: Catalogue) -> np.datetime64:
    """Day of the newest popularity observation that changed something; NaT without any."""
    seen = catalogue.observed[0]
    return seen.max() if len(seen) else np.datetime64("NaT", "D")


def _from_chart(catalogue: Catalogue, weeks: ChartWeeks, as_of: np.datetime64) -> tuple[NDArray[np.intp], Array]:
    """Rows of the tracks whose recording charted in the last 52 weeks and that existed by then, and their best share of points."""
    part = weeks.between(as_of - _YEAR, as_of)
    recording, share = weeks.recording[part], weeks.points[part] / weeks.size[part]
    charted, number = np.unique(recording[recording >= 0], return_inverse=True)
    best = np.zeros(len(charted))
    np.maximum.at(best, number, share[recording >= 0])
    rows, of = catalogue.editions(charted)
    kept = (catalogue.known_from[rows] <= as_of) & (best[of] > 0)
    return rows[kept], best[of[kept]]


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
