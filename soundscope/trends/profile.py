"""The profile of a chart as of a date: what charts, what was released, and the score that compares the two.

score(x) = log density of charting songs at x - log density of recently released songs at x, a log density ratio (Sugiyama, Suzuki,
Kanamori 2012, "Density Ratio Estimation in Machine Learning") of two Gaussian kernel densities (Parzen 1962). No label is used, and
nothing dated after `as_of` is seen; sound counts as timeless.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends.catalogue import Catalogue
from soundscope.trends.kernel import Density, kernel_density, leave_one_out, prototype_density

Array = NDArray[np.float64]
VERSION = "alignment-3"
WINDOW_DAYS = 84
# Bandwidth in standard deviations; chosen on releases up to 2010, see docs/alignment.md.
BANDWIDTH = 1.0
RELEASED_DAYS = 365
# Fewer releases than this in a year are too few for a density in ten dimensions: the newest so many are taken then.
RELEASED_AT_LEAST, RELEASED_AT_MOST = 3_000, 4_000
MIN_CHARTING, MIN_RELEASED = 20, 100
CHART_PROTOTYPES, RELEASE_PROTOTYPES = 512, 256


@dataclass(frozen=True)
class Profile:
    """What charts, and what was released, up to a date.

    Attributes:
        centre, scale: (10,) mean and standard deviation of the reference songs; points are scaled by them, unknown features are 0 then.
        charting_rows: (p,) rows of the charting songs in the catalogue. charting_points: (p, 10) scaled. charting_weights: (p,) their chart
            points in the last 84 days, summing to one.
        released_rows, released_points: (q,), (q, 10) the same of the recently released songs, which weigh the same.
        charting_recording, released_recording: (p,), (q,) sorted recording numbers, to leave a song out when it is scored itself.
        coverage: share of the window's chart points whose sound is known. n_reference: p.
        is_exact: densities are the kernel densities themselves, not prototypes.
    """

    chart: str
    as_of: np.datetime64
    centre: Array
    scale: Array
    charting_rows: NDArray[np.intp]
    charting_points: Array
    charting_weights: Array
    charting_recording: NDArray[np.int64]
    released_rows: NDArray[np.intp]
    released_points: Array
    released_recording: NDArray[np.int64]
    coverage: float
    is_exact: bool = False

    @cached_property
    def charting(self) -> Density:
        """The density of the charting songs; made when first asked for, since telling whether a profile has changed needs none."""
        most = len(self.charting_points) if self.is_exact else CHART_PROTOTYPES
        return prototype_density(self.charting_points, self.charting_weights, BANDWIDTH, most)

    @cached_property
    def released(self) -> Density:
        """The density of the recently released songs; made when first asked for."""
        n = len(self.released_points)
        return prototype_density(self.released_points, np.full(n, 1.0 / n), BANDWIDTH, n if self.is_exact else RELEASE_PROTOTYPES)

    @property
    def _weights(self) -> Array:
        return self.charting_weights / self.charting_weights.sum()

    @property
    def n_reference(self) -> int:
        """How many songs the profile rests on."""
        return len(self.charting_rows)

    @cached_property
    def mean(self) -> Array:
        """(10,) weighted mean of the charting songs, scaled."""
        return self._weights @ self.charting_points

    @cached_property
    def spread(self) -> Array:
        """(10,) weighted standard deviation of the charting songs, scaled; at least a twentieth."""
        return np.maximum(np.sqrt(self._weights @ (self.charting_points - self.mean) ** 2), 0.05)

    def scaled(self, points: Array) -> Array:
        """Points (n, 10) on the profile's scale; what is unknown lies at the centre."""
        return np.nan_to_num((points - self.centre) / self.scale, nan=0.0)

    def score(self, points: Array, recording: NDArray[np.int64]) -> Array:
        """Scores (n,) of points (n, 10) as `sound.points` gives them; a song of the profile is compared with the others only.

        Memory is bounded: the points are gone through in blocks.
        """
        return self.score_and_density(points, recording)[0]

    def score_and_density(self, points: Array, recording: NDArray[np.int64]) -> tuple[Array, Array]:
        """Scores (n,) as `score` gives them, and log densities of the charting songs (n,)."""
        above, below = np.empty(len(points)), np.empty(len(points))
        for start in range(0, len(points), 262_144):
            part = slice(start, start + 262_144)
            z = self.scaled(points[part])
            above[part], below[part] = self.charting.log_density(z), self.released.log_density(z)
        place, own = _find(self.charting_recording, recording)
        above[own] = leave_one_out(self.charting, self.charting_points, place[own], BANDWIDTH)
        place, own = _find(self.released_recording, recording)
        below[own] = leave_one_out(self.released, self.released_points, place[own], BANDWIDTH)
        return above - below, above

    def exact_score(self, points: Array) -> Array:
        """Scores (n,) by the exact kernel densities, for measuring the approximation; slow, leaves nothing out."""
        z = self.scaled(points)
        charting = kernel_density(self.charting_points, self.charting.weights, BANDWIDTH)
        released = kernel_density(self.released_points, self.released.weights, BANDWIDTH)
        return charting.log_density(z) - released.log_density(z)

    def member(self, recording: NDArray[np.int64]) -> NDArray[np.intp]:
        """Which charting song (n,) each recording is, -1 for none."""
        place, found = _find(self.charting_recording, recording)
        return np.where(found, place, -1)

    def deviation(self, points: Array) -> Array:
        """Deviations (n, 10) from the charting songs' mean in their standard deviations; NaN where unknown."""
        return ((points - self.centre) / self.scale - self.mean) / self.spread


class Releases:
    """Recordings by date of release, one scorable track each; made once per catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        usable = np.flatnonzero(catalogue.is_scorable & ~np.isnat(catalogue.own_released))
        # The first edition stands for its recording, whatever comes later.
        usable = usable[np.argsort(catalogue.own_released[usable], kind="stable")]
        frame = pd.DataFrame({"row": usable, "recording": catalogue.recording[usable]}).drop_duplicates("recording")
        rows = frame["row"].to_numpy()
        # Which of too many are taken must not depend on what comes later: it is decided by the recording's own name.
        names = catalogue.tracks["recording_id"].to_numpy()
        draw = np.array([zlib.crc32(str(names[row]).encode()) for row in rows], dtype=np.int64)
        order = np.lexsort((draw, catalogue.own_released[rows]))
        self.rows, self.draw = rows[order], draw[order]
        self.day = catalogue.own_released[self.rows]

    def recent(self, as_of: np.datetime64) -> NDArray[np.intp]:
        """Rows of what was released in the year up to a date, at least the newest 3,000, at most 4,000 of them drawn by name."""
        end = int(np.searchsorted(self.day, as_of, side="right"))
        start = int(np.searchsorted(self.day, as_of - np.timedelta64(RELEASED_DAYS, "D"), side="right"))
        start = min(start, max(end - RELEASED_AT_LEAST, 0))
        if end - start > RELEASED_AT_MOST:
            chosen = np.argsort(self.draw[start:end], kind="stable")[:RELEASED_AT_MOST]
            return self.rows[start:end][np.sort(chosen)]
        return self.rows[start:end]


class ChartWeeks:
    """One chart's entries by date with the recordings they mean; made once per chart."""

    def __init__(self, catalogue: Catalogue, chart: str) -> None:
        self.chart = chart
        place = catalogue.entries_of(chart)
        self.day = catalogue.day[place]
        self.row = catalogue.entries["row"].to_numpy()[place]
        self.points = catalogue.entries["points"].to_numpy(dtype=float)[place]
        self.size = catalogue.entries["size"].to_numpy(dtype=float)[place]
        known = (self.row >= 0) & catalogue.is_scorable[np.maximum(self.row, 0)] if len(catalogue.tracks) else self.row >= 0
        self.known = known
        self.recording = np.where(self.row >= 0, catalogue.recording[np.maximum(self.row, 0)], -1) if len(place) else self.row

    def between(self, after: np.datetime64, upto: np.datetime64) -> slice:
        """Entries of dates later than `after`, `upto` included."""
        return slice(int(np.searchsorted(self.day, after, side="right")), int(np.searchsorted(self.day, upto, side="right")))


def make_profile(
    catalogue: Catalogue, weeks: ChartWeeks, releases: Releases, as_of: np.datetime64, *, exact: bool = False
) -> Profile | None:
    """The profile of a chart as of a date (that date's chart included), or None where too little is known for one.

    Args:
        exact: with the kernel densities themselves; otherwise with prototypes, which is quicker.
    """
    part = weeks.between(as_of - np.timedelta64(WINDOW_DAYS, "D"), as_of)
    known = weeks.known[part]
    recent = releases.recent(as_of)
    if len(recent) < MIN_RELEASED or not known.any():
        return None
    frame = pd.DataFrame(
        {"recording": weeks.recording[part][known], "row": weeks.row[part][known], "points": weeks.points[part][known]}
    )
    songs = frame.groupby("recording").agg(row=("row", "min"), points=("points", "sum"))
    if len(songs) < MIN_CHARTING:
        return None
    rows = songs["row"].to_numpy()
    charting, released = catalogue.points[rows], catalogue.points[recent]
    both = np.concatenate([charting, released])
    centre = np.nan_to_num(np.nanmean(both, axis=0))
    scale = np.nanstd(both, axis=0)
    # A feature that does not vary says nothing.
    scale = np.where(np.isfinite(scale) & (scale > 1e-9), scale, np.inf)
    z, z_released = (np.nan_to_num((x - centre) / scale, nan=0.0) for x in (charting, released))
    order = np.argsort(catalogue.recording[recent], kind="stable")
    recent, z_released = recent[order], z_released[order]
    weights = songs["points"].to_numpy(dtype=float)
    return Profile(
        chart=weeks.chart,
        as_of=as_of,
        centre=centre,
        scale=scale,
        charting_rows=rows,
        charting_points=z,
        charting_weights=weights / weights.sum(),
        charting_recording=songs.index.to_numpy(dtype=np.int64),
        released_rows=recent,
        released_points=z_released,
        released_recording=catalogue.recording[recent],
        coverage=float(frame["points"].sum() / weeks.points[part].sum()),
        is_exact=exact,
    )


def _find(ordered: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Places in a sorted array, and whether the value is there."""
    place = np.minimum(np.searchsorted(ordered, wanted), max(len(ordered) - 1, 0))
    return place, ordered[place] == wanted
