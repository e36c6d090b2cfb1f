"""One confidence for a link, calibrated; and the order of preference among candidates. Figures and protocol: docs/matching.md."""

from __future__ import annotations

import numpy as np
import pandas as pd

from soundscope.match.evidence import KIND_PENALTY, Evidence

MATCHED_AT = 0.6
REVIEW_AT = 0.2
# Ids that a chart carries come from its publisher; no truth is at hand to fit this one.
IDENTIFIER_CONFIDENCE = 0.99

# Preference (logits): only the order within one key matters, so these are judgement, not fits.
_TITLE = (0.0, -0.7, -2.0, 0.0, -4.0)
_ARTIST = (0.0, -0.3, -0.9, -1.2, -2.5, -1.0, -1.5)
_VERSION = (0.0, -0.6, -0.4, -1.0, -6.0)

# Fitted by `benchmarks/matching.py --fit` on half of the keys on which two independent people agree, shrunk towards judgement
# (where an entry is too rare to be fitted, judgement stays).
INTERCEPT = 4.13
WEIGHTS = {
    "subtitle on one side": -0.20,
    "one of two titles": -1.41,
    "close title": -1.24,
    "foreign words": -1.18,
    "other subtitle": -1.93,
    "guests on one side": -1.13,
    "other guests": -0.51,
    "named, not first": -0.79,
    "one name shared": -1.37,
    "close artist": -1.30,
    "artist shortfall": -0.06,
    "longer name": -1.21,
    "plain for version": -0.50,
    "other version": -2.09,
    "other take": -1.20,
    "imitation": -4.50,
    "other numbers": -3.09,
    "short title": -0.31,
    "rivals": -0.47,
    "unusual length": -0.34,
    "decades before 2000": -0.56,
}
FEATURES = tuple(WEIGHTS)


def preference(evidence: list[Evidence]) -> np.ndarray:
    """Order of preference of candidate pairs by names and versions alone, in logits; shape (n,)."""
    table = np.empty(len(evidence))
    for i, e in enumerate(evidence):
        value = _TITLE[e.title] + _ARTIST[e.artist] + _VERSION[e.version] - 4.0 * e.numbers
        if e.title == 3:
            value -= 0.5 + 0.05 * (100.0 - e.title_ratio) + 1.0 * e.foreign_words
        if e.artist == 5:
            value -= 0.12 * (100.0 - e.artist_ratio)
        for kind in e.kinds:
            value -= KIND_PENALTY[kind]
        table[i] = value
    return table


def features(
    evidence: list[Evidence], title_length: np.ndarray, rivals: np.ndarray, duration_ms: np.ndarray, year: np.ndarray
) -> pd.DataFrame:
    """What the confidence is computed from, one column per entry of `FEATURES`, one row per pair.

    Args:
        evidence: the comparison of names.
        title_length: characters of the key's main title.
        rivals: other recordings (by duration) that fit as well by name.
        duration_ms: of the track; NaN if unknown.
        year: in which the key first charted, NaN if unknown. The older a hit, the more often the only copy in a catalogue is a
            later recording or another edit that does not say so.
    """
    codes = [(e.title, e.artist, e.version, e.numbers, e.foreign_words, e.artist_ratio) for e in evidence]
    title, artist, version, number, foreign, artist_ratio = np.array(codes, dtype=float).reshape(-1, 6).T
    columns = [
        title == 1, title == 2, title == 3, foreign, title == 4,
        artist == 1, artist == 2, artist == 3, artist == 4, artist == 5, np.where(artist == 5, 100 - artist_ratio, 0.0), artist == 6,
        version == 1, version == 2, version == 3, version == 4, number > 0, title_length <= 5, np.log1p(rivals),
        (duration_ms < 100_000) | (duration_ms > 330_000), np.clip(np.nan_to_num(2000.0 - year), 0.0, 50.0) / 10.0,
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(FEATURES, (np.asarray(c, dtype=float) for c in columns), strict=True)))


def confidence(table: pd.DataFrame) -> np.ndarray:
    """Probability that the link is right, shape (n,): a logistic function of `features`."""
    logits = INTERCEPT + table[list(FEATURES)].to_numpy() @ np.array([WEIGHTS[name] for name in FEATURES])
    return 1.0 / (1.0 + np.exp(-logits))
