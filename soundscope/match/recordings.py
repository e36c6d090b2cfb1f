"""Which tracks are one recording: the same ISRC, or the same name, credit and length. Which of them a chart means is not decided here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from soundscope.errors import BadInput
from soundscope.match.columns import date_column, number_column, text_column
from soundscope.match.credits import parse_credit
from soundscope.match.plain import plain_artist_keys, plain_title_keys
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
    artist = _artists(tracks)
    length = number_column(tracks, "duration_ms")
    isrc = _isrc_codes(tracks)
    # Only these can share a recording with anybody, so only their titles are taken apart.
    related = _has_near_length(artist, length) | _is_shared(isrc)
    name, version = _names(tracks, artist, np.flatnonzero(related))
    by_length = _by_length(name, length)
    by_isrc = np.where(isrc < 0, -1, isrc * (int(version.max()) + 1) + version)
    group = _join(by_length, by_isrc)
    return pd.DataFrame({"track_id": tracks["track_id"].to_numpy(), "recording_id": _representative(tracks, group)})


def first_artist_keys(artists: pa.Array) -> np.ndarray:
    """Key of the first artist of each credit (n,), one for all spellings; tracks of different keys share no name."""
    plain, plain_keys = plain_artist_keys(artists)
    keys = np.empty(len(plain), dtype=object)
    keys[plain] = plain_keys
    others = artists.filter(pa.array(~plain)).to_pylist()
    keys[~plain] = np.array([parse_credit(text).parts[0] for text in others], dtype=object)
    return keys


def _artists(tracks: pd.DataFrame) -> np.ndarray:
    """A number per first artist, whatever the spelling; shape (n,)."""
    artists = text_column(tracks, "artist").dictionary_encode()
    return _codes(first_artist_keys(artists.dictionary))[artists.indices.to_numpy()]


def _names(tracks: pd.DataFrame, artist: np.ndarray, related: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for (title, version, first artist) and for the version alone; every track outside `related` has a name of its own."""
    titles = text_column(tracks, "title").take(pa.array(related)).dictionary_encode()
    plain, plain_keys = plain_title_keys(titles.dictionary)
    keys, versions = np.empty(len(plain), dtype=object), np.full(len(plain), "|", dtype=object)
    keys[plain] = plain_keys
    for place, text in zip(np.flatnonzero(~plain), titles.dictionary.filter(pa.array(~plain)).to_pylist(), strict=True):
        title = parse_title(text)
        keys[place], versions[place] = title.full, "+".join(sorted(title.kinds)) + "|" + title.notes
    title_codes = _codes(keys + "|" + versions)[titles.indices.to_numpy()]
    name = -1 - np.arange(len(tracks), dtype=np.int64)
    name[related] = title_codes * (int(artist.max()) + 1) + artist[related]
    version = np.zeros(len(tracks), dtype=np.int64)
    version[related] = _codes(versions)[titles.indices.to_numpy()]
    return name, version


def _codes(values: np.ndarray) -> np.ndarray:
    return pd.factorize(values)[0].astype(np.int64)


def _has_near_length(artist: np.ndarray, duration_ms: np.ndarray) -> np.ndarray:
    """Whether another track of the artist lasts as long within 3 s; false for unknown lengths."""
    order = np.lexsort((duration_ms, artist))
    near = (np.diff(artist[order]) == 0) & (np.diff(duration_ms[order]) <= SAME_RECORDING_MS)
    found = np.zeros(len(artist), dtype=bool)
    found[order[1:][near]] = True
    found[order[:-1][near]] = True
    return found


def _is_shared(codes: np.ndarray) -> np.ndarray:
    """Whether another track has the same number; false for negative ones."""
    if not len(codes) or codes.max() < 0:
        return np.zeros(len(codes), dtype=bool)
    counts = np.bincount(codes[codes >= 0])
    return (codes >= 0) & (counts[np.maximum(codes, 0)] > 1)


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


def _isrc_codes(tracks: pd.DataFrame) -> np.ndarray:
    """A number per ISRC; -1 without. A shared ISRC never joins a version with the original (labels do err)."""
    if "isrc" not in tracks:
        return np.full(len(tracks), -1, dtype=np.int64)
    return _codes(plain_isrc(text_column(tracks, "isrc")).to_pandas().replace("", None))


def plain_isrc(isrc: pa.Array) -> pa.Array:
    """ISRCs without signs, in upper case."""
    return pc.utf8_upper(pc.replace_substring_regex(isrc, "[^A-Za-z0-9]", ""))


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
