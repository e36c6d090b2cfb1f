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
_ARTIST = (0.0, -0.3, -0.9, -1.2, -2.5, -1.0)
_VERSION = (0.0, -0.6, -0.4, -1.0, -6.0)

FEATURES = (
    "subtitle on one side", "side of a double A-side", "close title", "title shortfall", "other subtitle",
    "guests on one side", "other guests", "named, not first", "one name shared", "close artist", "artist shortfall",
    "plain for version", "other version", "other take", "imitation", "other numbers", "short title", "rivals", "odd duration",
)  # fmt: skip
INTERCEPT = 3.0
WEIGHTS: dict[str, float] = dict(
    zip(
        FEATURES,
        (-0.3, -2.0, -0.8, -0.08, -2.0, -0.2, -0.4, -0.8, -1.5, -1.5, -0.08, -0.5, -1.0, -1.0, -4.0, -3.0, -0.1, -0.2, -1.0),
        strict=True,
    )
)


def preference(evidence: list[Evidence]) -> np.ndarray:
    """Order of preference of candidate pairs by names and versions alone, in logits; shape (n,)."""
    table = np.empty(len(evidence))
    for i, e in enumerate(evidence):
        value = _TITLE[e.title] + _ARTIST[e.artist] + _VERSION[e.version] - 4.0 * e.numbers
        if e.title == 3:
            value -= 0.5 + 0.12 * (100.0 - e.title_ratio)
        if e.artist == 5:
            value -= 0.12 * (100.0 - e.artist_ratio)
        for kind in e.kinds:
            value -= KIND_PENALTY[kind]
        table[i] = value
    return table


def features(evidence: list[Evidence], title_length: np.ndarray, rivals: np.ndarray, odd_duration: np.ndarray) -> pd.DataFrame:
    """What the confidence is computed from, one column per entry of `FEATURES`.

    Args:
        evidence: one per chosen pair.
        title_length: characters of the key's title.
        rivals: recordings (by duration) that fit as well by name.
        odd_duration: under 45 seconds or over 15 minutes.
    """
    codes = np.array(
        [(e.title, e.artist, e.version, e.numbers, e.title_ratio, e.artist_ratio) for e in evidence], dtype=float
    ).reshape(-1, 6)
    title, artist, version, number, title_ratio, artist_ratio = codes.T
    columns = [
        title == 1, title == 2, title == 3, np.where(title == 3, 100 - title_ratio, 0.0), title == 4,
        artist == 1, artist == 2, artist == 3, artist == 4, artist == 5, np.where(artist == 5, 100 - artist_ratio, 0.0),
        version == 1, version == 2, version == 3, version == 4, number > 0, title_length <= 5, np.log1p(rivals), odd_duration,
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(FEATURES, (np.asarray(c, dtype=float) for c in columns), strict=True)))


def confidence(table: pd.DataFrame) -> np.ndarray:
    """Probability that the link is right, shape (n,): a logistic function of `features`."""
    logits = INTERCEPT + table[list(FEATURES)].to_numpy() @ np.array([WEIGHTS[name] for name in FEATURES])
    return 1.0 / (1.0 + np.exp(-logits))
