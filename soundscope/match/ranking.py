"""The candidates of each key in order, with confidence. Finding them is in `candidates.py`, taking one in `resolve.py`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from soundscope.match import confidence as model
from soundscope.match.candidates import Pairs
from soundscope.match.columns import date_column, number_column
from soundscope.match.evidence import Name
from soundscope.match.normalise import fold
from soundscope.match.recordings import SAME_RECORDING_MS

# Of titles that the rules make equal, the one printed alike; less than any other sign.
SAME_LETTERS = 0.05


def rank(pairs: Pairs, names: list[Name], tracks: pd.DataFrame, dates: pd.DataFrame) -> pd.DataFrame:
    """Candidates of each key, best first, with confidence.

    Returns:
        Columns key, track (positions), track_id, preference, score, recording (a number that tells recordings of one key apart), evidence,
        is_other_version.
    """
    rows = np.array(pairs.track)
    table = pd.DataFrame({"key": pairs.key, "track": rows, "evidence": pairs.evidence})
    table["track_id"] = tracks["track_id"].iloc[rows].to_numpy()
    duration = number_column(tracks, "duration_ms")[rows]
    table["duration_ms"] = duration
    table["preference"] = model.preference(pairs.evidence)
    version = np.array([e.version for e in pairs.evidence])
    table["version"] = version
    support = _support(table)
    release = date_column(tracks, "release_date")[rows]
    late = release > dates["last_date"].to_numpy()[table["key"]]  # false where either is unknown
    popularity = np.nan_to_num(number_column(tracks, "popularity")[rows])
    odd = (duration < 45_000) | (duration > 900_000)
    table["preference"] += 0.25 * np.log(support) - 1.0 * odd - 0.6 * late + 0.003 * popularity
    titles = tracks["title"].iloc[rows].fillna("")
    table["preference"] += SAME_LETTERS * np.array(
        [fold(title) == fold(names[key].title_text) for title, key in zip(titles, pairs.key, strict=True)]
    )
    table["release"] = release
    table["late"] = late
    table = table.sort_values(
        ["key", "preference", "release", "track_id"], ascending=[True, False, True, True], ignore_index=True
    )
    table["recording"] = _recordings(table)
    rivals = (
        table[table["preference"] > table.groupby("key")["preference"].transform("max") - 1.0]
        .groupby("key")["recording"]
        .nunique()
    )
    lengths = np.array([len(name.title.core) for name in names])[table["key"]]
    year = pd.DatetimeIndex(dates["first_date"].to_numpy()[table["key"]]).year.to_numpy(dtype=float)
    others = rivals.reindex(table["key"]).to_numpy() - 1.0
    x = model.features(
        table["evidence"].tolist(),
        title_length=lengths,
        rivals=others,
        late=table["late"].to_numpy(),
        year=year,
    )
    table["score"] = model.confidence(x)
    table["is_other_version"] = model.other_versions(table["evidence"].tolist(), year)
    return pd.concat([table, x], axis=1)


def _support(table: pd.DataFrame) -> np.ndarray:
    """How many candidates of the same key and version relation last as long (3 s) as each: a recording issued often is the known one."""
    group = table["key"].to_numpy(dtype=float) * 10 + table["version"].to_numpy()
    place = group * 1e8 + np.nan_to_num(table["duration_ms"].to_numpy(), nan=9e7)
    ordered = np.sort(place)
    return np.searchsorted(ordered, place + SAME_RECORDING_MS, "right") - np.searchsorted(
        ordered, place - SAME_RECORDING_MS, "left"
    )


def _recordings(table: pd.DataFrame) -> np.ndarray:
    """A number per recording within a key: same version relation and duration bucket around the candidate preferred most."""
    labels = np.zeros(len(table), dtype=int)
    current = -1
    seen: list[tuple[int, float]] = []
    for i, (key, version, duration) in enumerate(zip(table["key"], table["version"], table["duration_ms"], strict=True)):
        if key != current:
            current, seen = key, []
        for number, (other_version, other) in enumerate(seen):
            if version == other_version and (
                abs(duration - other) <= SAME_RECORDING_MS or (duration != duration and other != other)
            ):
                labels[i] = number
                break
        else:
            labels[i] = len(seen)
            seen.append((version, duration))
    return labels
