"""One confidence for a link, calibrated; and the order of preference among candidates. Figures and protocol: docs/matching.md."""

from __future__ import annotations

import numpy as np
import pandas as pd

from soundscope.match.evidence import KIND_PENALTY, ArtistRelation, Evidence, TitleRelation, VersionRelation

MATCHED_AT = 0.5
REVIEW_AT = 0.2
# Ids that a chart carries come from its publisher; no truth is at hand to fit this one.
IDENTIFIER_CONFIDENCE = 0.99
# Until then long pieces were cut in two for the sides of a single; later, `Pt. 2` is mostly another song.
LAST_YEAR_OF_PARTS = 1985

# Preference (logits): only the order within one key matters, so these are judgement, not fits.
_TITLE = {
    TitleRelation.SUBTITLE: -0.7,
    TitleRelation.FIRST_SIDE: -2.6,
    TitleRelation.CLOSE: -0.5,
    TitleRelation.OTHER_SUBTITLE: -4.0,
    TitleRelation.SECOND_SIDE: -3.4,
}
_ARTIST = {
    ArtistRelation.FURTHER_GUESTS: -0.3,
    ArtistRelation.OTHER_GUESTS: -0.9,
    ArtistRelation.NOT_FIRST: -1.2,
    ArtistRelation.ONE_SHARED: -2.5,
    ArtistRelation.CLOSE: -1.0,
    ArtistRelation.LONGER_NAME: -1.5,
    ArtistRelation.GUESTS_MISSING: -0.7,
    ArtistRelation.LEAD_MISSING: -3.0,
}
_VERSION = {
    VersionRelation.PLAIN: -0.6,
    VersionRelation.OTHER: -0.4,
    VersionRelation.OTHER_TAKE: -1.0,
    VersionRelation.IMITATION: -6.0,
}

# Fitted by `benchmarks/matching.py --fit` on half of the keys on which two independent people agree, shrunk towards the judgement
# written there (where an entry is too rare to be fitted, judgement stays).
INTERCEPT = 3.93
WEIGHTS = {
    "subtitle on one side": -0.54,
    "one of two titles": -1.00,
    "second of two titles": -2.31,
    "close title": -0.77,
    "foreign words": -3.97,
    "words replaced": -12.00,
    "other subtitle": -2.00,
    "further guests": -0.80,
    "guests missing": -0.79,
    "other guests": -0.59,
    "named, not first": -0.93,
    "a guest alone": -4.00,
    "one name shared": -1.41,
    "close artist": -1.50,
    "artist shortfall": -0.08,
    "longer name": -1.20,
    "plain for version": -0.49,
    "other version": -2.90,
    "other take": -1.50,
    "imitation": -4.50,
    "other numbers": -3.50,
    "other part": -1.00,
    "other work": -4.00,
    "short title": -0.14,
    "rivals": -0.38,
    "released after the run": -0.89,
    "decades before 2000": -0.51,
}
FEATURES = tuple(WEIGHTS)


def preference(evidence: list[Evidence]) -> np.ndarray:
    """Order of preference of candidate pairs by names and versions alone, in logits; shape (n,)."""
    values = np.empty(len(evidence))
    for i, e in enumerate(evidence):
        value = (
            _TITLE.get(e.title, 0.0)
            + _ARTIST.get(e.artist, 0.0)
            + _VERSION.get(e.version, 0.0)
            - 4.0 * (e.other_numbers + e.other_work)
        )
        if e.title == TitleRelation.CLOSE:
            value -= 6.0 * e.replaced_share
            value -= 0.05 * (100.0 - e.title_ratio) + 3.0 * e.foreign_share
        value -= 1.0 * e.other_part + 0.3 * e.first_part
        if e.artist == ArtistRelation.CLOSE:
            value -= 0.12 * (100.0 - e.artist_ratio)
        values[i] = value - sum(KIND_PENALTY[kind] for kind in e.kinds)
    return values


def features(
    evidence: list[Evidence],
    *,
    title_length: np.ndarray,
    rivals: np.ndarray,
    late: np.ndarray,
    year: np.ndarray,
) -> pd.DataFrame:
    """What the confidence is computed from, one column per entry of `FEATURES`, one row per pair.

    Args:
        evidence: the comparison of names.
        title_length: characters of the key's main title.
        rivals: other recordings (by duration) that fit as well by name.
        late: released after the key's last chart week: a later edition at best.
        year: in which the key first charted, NaN if unknown. The older a hit, the more often the only copy in a catalogue is a
            later recording or another edit that does not say so; one that says so is known for what it is, whatever the year.
    """
    title = np.array([e.title for e in evidence], dtype=int)
    artist = np.array([e.artist for e in evidence], dtype=int)
    version = np.array([e.version for e in evidence], dtype=int)
    shortfall = np.array([100.0 - e.artist_ratio for e in evidence])
    other_part = np.array([e.other_part for e in evidence], dtype=bool)
    singles = year < LAST_YEAR_OF_PARTS
    # A version that says so explains other guests and lengths: they are no second sign against it. The plain recording in place of a
    # version that the chart asks for explains nothing.
    other_side = np.array([e.other_side for e in evidence], dtype=bool)
    told = other_side | ~np.isin(version, (VersionRelation.SAME, VersionRelation.PLAIN))
    columns = {
        "subtitle on one side": title == TitleRelation.SUBTITLE,
        "one of two titles": title == TitleRelation.FIRST_SIDE,
        "second of two titles": (title == TitleRelation.SECOND_SIDE) & ~other_side,
        "close title": title == TitleRelation.CLOSE,
        "foreign words": [e.foreign_share for e in evidence],
        "words replaced": [e.replaced_share for e in evidence],
        "other subtitle": title == TitleRelation.OTHER_SUBTITLE,
        "further guests": ~told & (artist == ArtistRelation.FURTHER_GUESTS),
        "guests missing": ~told & (artist == ArtistRelation.GUESTS_MISSING),
        "other guests": ~told & (artist == ArtistRelation.OTHER_GUESTS),
        "a guest alone": artist == ArtistRelation.LEAD_MISSING,
        "named, not first": artist == ArtistRelation.NOT_FIRST,
        "one name shared": artist == ArtistRelation.ONE_SHARED,
        "close artist": artist == ArtistRelation.CLOSE,
        "artist shortfall": np.where(artist == ArtistRelation.CLOSE, shortfall, 0.0),
        "longer name": artist == ArtistRelation.LONGER_NAME,
        "plain for version": version == VersionRelation.PLAIN,
        "other version": (version == VersionRelation.OTHER) | other_side,
        "other take": version == VersionRelation.OTHER_TAKE,
        "imitation": version == VersionRelation.IMITATION,
        "other numbers": np.array([e.other_numbers for e in evidence]) | (other_part & ~singles),
        "other part": other_part,
        "other work": [e.other_work for e in evidence],
        "short title": title_length <= 5,
        "rivals": np.log1p(rivals),
        "released after the run": late,
        "decades before 2000": np.where(told, 0.0, np.clip(np.nan_to_num(2000.0 - year), 0.0, 50.0) / 10.0),
    }
    return pd.DataFrame({name: np.asarray(columns[name], dtype=float) for name in FEATURES})


def other_versions(evidence: list[Evidence], year: np.ndarray) -> np.ndarray:
    """Which pairs are links to another version than the chart asked for, shape (n,); `year` as in `features`.

    Of old, part 1 and the whole were one song on one single. Later, `Part 1` is one of several recordings, and which of them a chart
    means that names none is not known.
    """
    later_part = np.array([e.first_part for e in evidence], dtype=bool) & (year >= LAST_YEAR_OF_PARTS)
    return np.array([e.is_other_version for e in evidence], dtype=bool) | later_part


def confidence(table: pd.DataFrame) -> np.ndarray:
    """Probability that the link is right, shape (n,): a logistic function of `features`."""
    logits = INTERCEPT + table[list(FEATURES)].to_numpy() @ np.array([WEIGHTS[name] for name in FEATURES])
    return 1.0 / (1.0 + np.exp(-logits))
