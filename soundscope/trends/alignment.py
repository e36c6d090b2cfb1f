"""Alignment of tracks with a chart's profile: percentile, percentile within the genre, contributions, nearest songs, confidence.

What a profile is stands in `profile.py`; what is landed, and when, in `batches.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends.catalogue import Catalogue
from soundscope.trends.profile import Profile
from soundscope.trends.sound import INPUTS

Array = NDArray[np.float64]
# A percentile among fewer tracks says nothing.
MIN_POPULATION, MIN_GENRE = 50, 20
# Tracks that past dates are ranked among: a percentile is then right to about one.
PAST_SAMPLE = 2_000
_BASELINE = 100
_LOOK_AT = 50_000
# Gauss-Legendre points of the path integral; their remainder is shared out with the rest, see `contributions`.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(6)


def population(catalogue: Catalogue, as_of: np.datetime64, *, is_current: bool) -> NDArray[np.intp]:
    """Rows of the scorable tracks that were out by a date; now, also those of which no date is known."""
    if is_current:
        return np.flatnonzero(((catalogue.known_from <= as_of) | np.isnat(catalogue.known_from)) & catalogue.is_scorable)
    drawn, found = catalogue.drawn, np.empty(0, dtype=np.intp)
    # The first of them in the order in which they are drawn; most of a long list need not be looked at.
    for start in range(0, len(drawn), _LOOK_AT):
        part = drawn[start : start + _LOOK_AT]
        found = np.append(found, part[catalogue.known_from[part] <= as_of])
        if len(found) >= PAST_SAMPLE:
            break
    return np.sort(found[:PAST_SAMPLE])


def percentile(scores: Array, among: Array) -> Array:
    """Percentiles 0..100 (n,) of scores among others; ties count half. NaN if there are fewer than 50 others."""
    if len(among) < MIN_POPULATION:
        return np.full(len(scores), np.nan)
    return _ranks(scores, np.sort(among))


def percentile_in_genre(scores: Array, genres: NDArray[np.int64], among: Array, among_genres: NDArray[np.int64]) -> Array:
    """Percentiles (n,) among the tracks of the same genre, given by number; NaN without one (-1) or with fewer than 20 of it."""
    out = np.full(len(scores), np.nan)
    order = np.lexsort((among, among_genres))
    values, numbers = among[order], among_genres[order]
    for genre in np.unique(genres[genres >= 0]):
        begin, end = np.searchsorted(numbers, [genre, genre + 1])
        if end - begin >= MIN_GENRE:
            mine = genres == genre
            out[mine] = _ranks(scores[mine], values[begin:end])
    return out


def _ranks(scores: Array, ordered: Array) -> Array:
    low, high = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return 50.0 * (low + high) / len(ordered)


def distance(profile: Profile, points: Array) -> Array:
    """Euclidean distances (n,) from the mean of the charting songs, in their standard deviations; unknown features count 0."""
    return np.sqrt(np.nansum(profile.deviation(points) ** 2, axis=1))


def confidence(profile: Profile, points: Array) -> Array:
    """0..1 (n,): share of the chart whose sound is known, times how many songs that is (n / (n + 30)), times known features."""
    known = (~np.isnan(points)).mean(axis=1)
    return profile.coverage * profile.n_reference / (profile.n_reference + 30.0) * known


def contributions(
    profile: Profile, points: Array, recording: NDArray[np.int64], baseline: Array, mean_score: float
) -> tuple[Array, Array]:
    """What each feature adds to a track's score: an attribution, which adds up to the score minus `mean_score`.

    Integrated gradients (Sundararajan, Taly, Yan 2017, ICML) of the score along the straight line from the profile's centre, minus their
    mean over `baseline`; the small rest (quadrature, the song's own kernel, the drawn baseline) is spread evenly.

    Args:
        points: (n, 10) of the tracks. recording: (n,) theirs. baseline: (b, 10) points of tracks that stand for the population.
        mean_score: mean score of that population.

    Returns:
        Contributions (n, 10) and scores (n,).
    """
    scores = profile.score(points, recording)
    own = _path(profile, profile.scaled(points), profile.member(recording))
    mean = _path(profile, profile.scaled(baseline[:_BASELINE]), None).mean(axis=0)
    found = own - mean
    rest = (scores - mean_score) - found.sum(axis=1)
    return found + rest[:, None] / found.shape[1], scores


def _path(profile: Profile, z: Array, member: NDArray[np.intp] | None) -> Array:
    leave_out = member if profile.charting.is_exact else None
    total = np.zeros_like(z)
    for node, weight in zip((_NODES + 1) / 2, _NODE_WEIGHTS / 2, strict=True):
        at = z * node
        total += weight * (profile.charting.gradient(at, leave_out) - profile.released.gradient(at))
    return total * z


def nearest(catalogue: Catalogue, profile: Profile, row: int, n: int = 5) -> pd.DataFrame:
    """The charting songs that sound most like a track: title, artist, distance (in standard deviations), nearest first."""
    z = profile.scaled(catalogue.points[[row]])
    far = np.sqrt(((profile.charting_points - z) ** 2).sum(axis=1))
    far[profile.charting_recording == catalogue.recording[row]] = np.inf
    first = np.argsort(far, kind="stable")[:n]
    first = first[np.isfinite(far[first])]
    songs = catalogue.tracks.iloc[profile.charting_rows[first]]
    return pd.DataFrame({"title": songs["title"].to_numpy(), "artist": songs["artist"].to_numpy(), "distance": far[first]})


def contribution_rows(track_id: NDArray, z: Array, values: Array) -> pd.DataFrame:
    """One row per track: track_id, then z_<feature> and adds_<feature> for each feature, of deviations and contributions (n, 10).

    Rounded to nine decimals, far below what a figure of either kind can be told to, since they are the bulk of what is landed.
    """
    numbers = np.round(np.column_stack([z, values]), 9)
    columns = [f"{what}_{name}" for what in ("z", "adds") for name in INPUTS]
    frame = pd.DataFrame(numbers, columns=columns)
    frame.insert(0, "track_id", track_id)
    return frame
