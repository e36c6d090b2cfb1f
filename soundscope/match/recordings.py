"""Which tracks are one recording: the same ISRC, or the same name, credit and length. Which of them a chart means is not decided here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from soundscope.errors import BadInput
from soundscope.match.columns import date_column, number_column, text_column
from soundscope.match.credits import parse_credit
from soundscope.match.titles import parse_title

SAME_RECORDING_MS = 3_000


def group_recordings(tracks: pd.DataFrame) -> pd.DataFrame:
    """Group tracks into recordings.

    Two tracks are one recording if they say they are the same version (original, that live take, that remix, ...) and share an ISRC, or
    share title and first artist and last equally long within 3 s. Groups by length span 3 s at most, so that chains of near lengths
    cannot grow; a track of unknown length joins by ISRC alone.

    Args:
        tracks: `track_id`, `title`, `artist`, and where known `artists`, `isrc`, `duration_ms`, `release_date`, `popularity`.

    Returns:
        `track_id` and `recording_id`, one row per track in the order of `tracks`; `recording_id` is the track_id of the group's earliest
        release (then the most popular, then the smallest id). The grouping does not depend on the order of `tracks`.

    Raises:
        BadInput: a column is missing or a track_id appears twice.
    """
    missing = [column for column in ("track_id", "title", "artist") if column not in tracks]
    if missing:
        raise BadInput(
            f"The table of tracks has no column {', '.join(missing)}.", next_step="give it track_id, title and artist."
        )
    if tracks["track_id"].duplicated().any():
        twice = tracks.loc[tracks["track_id"].duplicated(), "track_id"].iloc[0]
        raise BadInput(f"The track {twice!r} appears twice.", next_step="give one row per track.")
    if tracks.empty:
        return pd.DataFrame({"track_id": pd.Series(dtype="str"), "recording_id": pd.Series(dtype="str")})
    name, version = _names(tracks)
    by_length = _by_length(name, number_column(tracks, "duration_ms"))
    by_isrc = _by_isrc(tracks, version)
    group = _join(by_length, by_isrc)
    return pd.DataFrame({"track_id": tracks["track_id"].to_numpy(), "recording_id": _representative(tracks, group)})


def _names(tracks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for (title, version, first artist) and for the version alone."""
    titles = text_column(tracks, "title").dictionary_encode()
    artists = text_column(tracks, "artist").dictionary_encode()
    title_keys: list[str] = []
    versions: list[str] = []
    for text in titles.dictionary:
        title = parse_title(text.as_py())
        versions.append("+".join(sorted(title.kinds)) + "|" + title.notes)
        title_keys.append(title.full + "|" + versions[-1])
    artist_keys = [parse_credit(text.as_py()).parts[0] for text in artists.dictionary]
    title_codes = pd.factorize(np.array(title_keys, dtype=object))[0][titles.indices.to_numpy()].astype(np.int64)
    artist_codes = pd.factorize(np.array(artist_keys, dtype=object))[0][artists.indices.to_numpy()].astype(np.int64)
    version_codes = pd.factorize(np.array(versions, dtype=object))[0][titles.indices.to_numpy()]
    return title_codes * (int(artist_codes.max()) + 1) + artist_codes, version_codes.astype(np.int64)


def _by_length(name: np.ndarray, duration_ms: np.ndarray) -> np.ndarray:
    """Group numbers: tracks of one name in order of length, a new group once 3 s past the group's first."""
    order = np.lexsort((duration_ms, name))
    group = np.empty(len(name), dtype=np.int64)
    number, current, start = -1, None, 0.0
    for position in order.tolist():
        length = duration_ms[position]
        if name[position] != current or not length - start <= SAME_RECORDING_MS:
            number += 1
            current, start = name[position], length
        group[position] = number
    return group


def _by_isrc(tracks: pd.DataFrame, version: np.ndarray) -> np.ndarray:
    """Group numbers by ISRC and version; -1 without ISRC. A shared ISRC never joins a version with the original (labels do err)."""
    if "isrc" not in tracks:
        return np.full(len(tracks), -1, dtype=np.int64)
    isrc = pc.utf8_upper(pc.replace_substring_regex(text_column(tracks, "isrc"), "[^A-Za-z0-9]", ""))
    codes = pd.factorize(isrc.to_pandas().replace("", None))[0].astype(np.int64)
    return np.where(codes < 0, -1, codes * (int(version.max()) + 1) + version)


def _join(by_length: np.ndarray, by_isrc: np.ndarray) -> np.ndarray:
    """Components of tracks that share either number (union-find over length groups)."""
    parent = list(range(int(by_length.max()) + 1))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[int, int] = {}
    for length_group, code in zip(by_length.tolist(), by_isrc.tolist(), strict=True):
        if code < 0:
            continue
        a, b = root(first.setdefault(code, length_group)), root(length_group)
        parent[max(a, b)] = min(a, b)
    roots = np.array([root(i) for i in range(len(parent))])
    return roots[by_length]


def _representative(tracks: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(
        {
            "group": group,
            "track_id": tracks["track_id"].to_numpy(),
            "released": date_column(tracks, "release_date"),
            "popularity": -np.nan_to_num(number_column(tracks, "popularity"), nan=-1.0),
        }
    )
    frame = frame.sort_values(["group", "released", "popularity", "track_id"], na_position="last")
    return frame.drop_duplicates("group").set_index("group")["track_id"].loc[group].to_numpy()
