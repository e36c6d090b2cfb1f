"""Which songs of a chart are which songs of the catalogue, for labels: whether and when a song charted. Matching to tracks is elsewhere.

A chart credits whoever its publisher puts first, a catalogue whoever owns the album, and either may name guests in the title or in
a bracket. So two names are of one song if their titles agree without brackets and suffixes, numbers of parts apart, and anybody is
credited in both. What matching has linked to the same recording is the same song too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.match.columns import text_column
from soundscope.match.plain import plain_title_keys
from soundscope.match.titles import parse_title
from soundscope.trends.catalogue import Catalogue
from soundscope.trends.momentum import artist_keys, credited_keys


def days_on_chart(catalogue: Catalogue, entries: NDArray[np.intp], rows: NDArray[np.intp]) -> pd.DataFrame:
    """Dates on which songs charted: columns `place` (0..n-1, into rows) and `day`, each pair once.

    Args:
        entries: positions (m,) of chart entries in the catalogue. rows: (n,) the songs' tracks.
    """
    day, held = catalogue.day[entries], catalogue.entries.iloc[entries]
    song = pd.MultiIndex.from_frame(held[["title", "artist"]].astype("object"))
    code, _ = pd.factorize(song)
    first = np.unique(code, return_index=True)[1]
    last = len(code) - 1 - np.unique(code[::-1], return_index=True)[1]
    charted = held.iloc[first].assign(artists=held["artist"].iloc[first])
    together = credited_keys(held["artist"], day)
    credited = [(*keys, *together[place]) for keys, place in zip(artist_keys(charted), last.tolist(), strict=True)]
    known = _keys(np.arange(len(first)), charted["title"], credited, "song")
    titles = catalogue.tracks["title"].iloc[rows]
    place = _may_be_called(titles, {name for title in charted["title"] for name in _title_keys(title)})
    wanted = _keys(place, titles.iloc[place], artist_keys(catalogue.tracks.iloc[rows[place]]), "place")
    pairs = wanted.merge(known, on="key")[["place", "song"]].drop_duplicates()
    by_name = pairs.merge(pd.DataFrame({"song": code, "day": day}).drop_duplicates(), on="song")
    linked = held["row"].to_numpy()
    recordings = pd.DataFrame({"recording": catalogue.recording[linked[linked >= 0]], "day": day[linked >= 0]})
    own = pd.DataFrame({"place": np.arange(len(rows)), "recording": catalogue.recording[rows]})
    by_recording = own.merge(recordings.drop_duplicates(), on="recording")
    return pd.concat([by_name[["place", "day"]], by_recording[["place", "day"]]]).drop_duplicates()


def _may_be_called(titles: pd.Series, names: set[str]) -> NDArray[np.intp]:
    """Positions of titles that may have one of the keys; only those are taken apart."""
    plain, keys = plain_title_keys(text_column(titles.to_frame("title"), "title"))
    found = ~plain
    found[plain] = [key in names for key in keys]
    return np.flatnonzero(found)


def _keys(number: NDArray[np.int64], titles: Iterable[object], artists: Sequence[tuple[str, ...]], called: str) -> pd.DataFrame:
    rows = [
        (one, f"{name}|{artist}")
        for one, title, names in zip(number.tolist(), titles, artists, strict=True)
        for name in _title_keys(title)
        for artist in names
    ]
    return pd.DataFrame(rows, columns=[called, "key"]).astype({called: np.int64})


def _title_keys(title: object) -> set[str]:
    """Keys of a title, of its text outside brackets and suffixes, and of each song of a double A-side."""
    if not isinstance(title, str):
        return set()
    parsed = parse_title(title)
    names = {parsed.core, parsed.full} | (set(parsed.sides) if parsed.two_songs else set())
    part = "#" + ",".join(sorted(parsed.parts)) if parsed.parts else ""
    return {name + part for name in names if name}
