"""What alignment reads of a build: tracks, chart entries and popularity, as frames. Only reads; decides nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from soundscope.match.columns import text_column
from soundscope.match.credits import parse_credit
from soundscope.match.plain import plain_artist_keys, plain_title_keys
from soundscope.match.titles import parse_title
from soundscope.trends.sound import MIN_KNOWN, points

Days = NDArray[np.datetime64]
NEVER = np.datetime64("NaT", "D")

_TRACKS = """
select f.track_id, f.recording_id, f.title, f.artist, coalesce(t.artists, f.artist) as artists, t.album, f.genre,
    t.release_date, t.release_precision, f.feature_provider, f.train_ok, f.key, f.mode, f.time_signature,
    f.tempo, f.danceability, f.energy, f.valence, f.loudness, f.acousticness, f.instrumentalness, f.speechiness, f.liveness,
    f.duration_ms
from marts.track_features f
inner join core.tracks t on t.track_id = f.track_id
order by f.track_id
"""
_ENTRIES = """
select e.chart, e.chart_date, e.rank, d.size + 1 - e.rank as points, d.size, e.title, e.artist, e.track_id
from core.chart_entries e
inner join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
order by e.chart, e.chart_date, e.rank
"""
# The sound of tracks by the providers that were not chosen for them.
_OTHER_SOUND = """
select a.track_id, a.provider, a.train_ok, a.key, a.mode, a.time_signature,
    a.tempo, a.danceability, a.energy, a.valence, a.loudness, a.acousticness, a.instrumentalness, a.speechiness, a.liveness,
    coalesce(a.duration_ms, f.duration_ms) as duration_ms
from core.audio_features a
inner join marts.track_features f on f.track_id = a.track_id and f.feature_provider <> a.provider
order by a.track_id, a.provider
"""
_POPULARITY = """
select track_id, provider, popularity, valid_from, valid_to, is_native_scale from core.popularity_history order by track_id
"""


@dataclass
class Catalogue:
    """Everything alignment looks at.

    Attributes:
        tracks: one row per track, in the order of track_id. own_released: (n,) the day by which it was out at the latest (a release
            known by its year counts from the year's last day), NaT where unknown. released: (n,) the earliest of its recording's.
        entries: chart entries with points, and `row`, the track's row in `tracks` or -1. day: (m,) their dates.
        popularity: observations with their validity. other_sound: what providers not chosen for a track say of its sound, or None.
    """

    tracks: pd.DataFrame
    entries: pd.DataFrame
    popularity: pd.DataFrame
    other_sound: pd.DataFrame | None = None
    own_released: Days = field(init=False)
    released: Days = field(init=False)
    day: Days = field(init=False)

    def __post_init__(self) -> None:
        released = days(self.tracks["release_date"])
        precision = self.tracks["release_precision"].astype("string").fillna("day").to_numpy()
        year, month = released.astype("datetime64[Y]"), released.astype("datetime64[M]")
        released = np.where(precision == "year", (year + 1).astype("datetime64[D]") - np.timedelta64(1, "D"), released)
        released = np.where(precision == "month", (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D"), released)
        self.own_released = days(pd.Series(released))
        # A recording is as old as its earliest edition.
        order = pd.Series(released).groupby(self.tracks["recording_id"].to_numpy()).transform("min")
        self.released = days(order)
        self.day = days(self.entries["chart_date"])
        self.entries["row"] = self.row_of.get_indexer(pd.Index(self.entries["track_id"])).astype(np.int64)

    @cached_property
    def row_of(self) -> pd.Index:
        """The tracks' ids as an index: `row_of.get_indexer(ids)` gives rows, -1 for what is not held."""
        return pd.Index(self.tracks["track_id"].to_numpy())

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Points (n, 10) of the tracks, NaN where unknown."""
        return points(self.tracks)

    @cached_property
    def harmony(self) -> NDArray[np.float64]:
        """(n, 3) key, mode and time signature, NaN where unknown."""
        return harmony(self.tracks)

    @cached_property
    def train_ok(self) -> NDArray[np.bool_]:
        """(n,) whether models may be trained on, and fed with, each track's sound."""
        return self.tracks["train_ok"].fillna(False).to_numpy(dtype=bool)

    @cached_property
    def draw(self) -> NDArray[np.int64]:
        """(n,) numbers that look random and depend on a track's id alone, so that a sample of the past is the same tomorrow."""
        return np.array([zlib.crc32(str(name).encode()) for name in self.tracks["track_id"]], dtype=np.int64)

    @cached_property
    def drawn(self) -> NDArray[np.intp]:
        """Rows of the scorable tracks in the order of `draw`."""
        rows = np.flatnonzero(self.is_scorable)
        return rows[np.argsort(self.draw[rows], kind="stable")]

    @cached_property
    def fingerprint(self) -> NDArray[np.uint64]:
        """(n,) hash of each track's id, recording, genre, sound and licence: what figures of it are made from besides dates."""
        named = self.tracks[["track_id", "recording_id", "genre", "train_ok"]].astype("string").fillna("")
        numbers = pd.DataFrame(np.column_stack([self.points, self.harmony]))
        hashes = [pd.util.hash_pandas_object(part, index=False).to_numpy(dtype=np.uint64) for part in (named, numbers)]
        return np.asarray(hashes[0] ^ (hashes[1] * np.uint64(0x9E3779B97F4A7C15)), dtype=np.uint64)

    @cached_property
    def observed(self) -> tuple[Days, Days]:
        """Days from which, and until which, each observation of popularity holds; NaT where it still does."""
        return days(self.popularity["valid_from"]), days(self.popularity["valid_to"])

    @cached_property
    def observed_since(self) -> np.datetime64:
        """The first of the days from which observations hold; NaT without any."""
        begin = self.observed[0]
        return begin[~np.isnat(begin)].min() if (~np.isnat(begin)).any() else NEVER

    @cached_property
    def is_scorable(self) -> NDArray[np.bool_]:
        """(n,) tracks of which enough features are known."""
        return (~np.isnan(self.points)).sum(axis=1) >= MIN_KNOWN

    @cached_property
    def recording(self) -> NDArray[np.int64]:
        """(n,) number of each track's recording."""
        return pd.factorize(self.tracks["recording_id"], sort=True)[0].astype(np.int64)

    @cached_property
    def known_from(self) -> Days:
        """(n,) the day from which a track is known to exist: its release or its first chart date, whichever is earlier.

        Those of its recording stand in where it has none of its own; a later edition did not exist when the first one came out.
        """
        row = self.entries["row"].to_numpy()
        rows, day = row[row >= 0], pd.Series(self.day[row >= 0])
        own = days(day.groupby(rows).min().reindex(np.arange(len(self.tracks))))
        of_recording = days(day.groupby(self.recording[rows]).min().reindex(self.recording))
        own = np.fmin(self.own_released, own)
        return np.where(np.isnat(own), np.fmin(self.released, of_recording), own)

    @cached_property
    def known_since(self) -> Days:
        """The days of `known_from` that are known, in order: how many tracks existed by a day is a place in it."""
        return np.sort(self.known_from[~np.isnat(self.known_from)])

    @cached_property
    def _by_recording(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        order = np.argsort(self.recording, kind="stable")
        return order, self.recording[order]

    def editions(self, recording: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows (m,) of all tracks of some recordings (k,), and which of these (0..k-1) each is of."""
        order, ordered = self._by_recording
        low, high = np.searchsorted(ordered, recording, "left"), np.searchsorted(ordered, recording, "right")
        of = np.repeat(np.arange(len(recording)), high - low)
        first = np.cumsum(high - low) - (high - low)
        return order[low[of] + np.arange(len(of)) - first[of]], of

    @cached_property
    def genre(self) -> NDArray[np.int64]:
        """(n,) number of each track's genre, -1 without one."""
        return pd.factorize(self.tracks["genre"], sort=True)[0].astype(np.int64)

    @cached_property
    def track_id(self) -> NDArray[np.object_]:
        """(n,) ids of the tracks."""
        return self.tracks["track_id"].to_numpy(dtype=object)

    @cached_property
    def is_single(self) -> NDArray[np.bool_]:
        """(n,) tracks whose album is called as they are: singles, mostly."""
        named = self.tracks[["title", "album"]].astype("object")
        core = {text: parse_title(text).core for text in pd.unique(named.to_numpy().ravel()) if isinstance(text, str)}
        pairs = zip(named["title"], named["album"], strict=True)
        return np.array([bool(core.get(title)) and core.get(title) == core.get(album) for title, album in pairs], dtype=bool)

    @cached_property
    def song(self) -> NDArray[np.object_]:
        """(n,) name key of title and first artist: editions of other lengths share it."""
        return song_keys(self.tracks["title"], self.tracks["artist"])

    @cached_property
    def song_of_entry(self) -> NDArray[np.object_]:
        """(m,) the same key of every chart entry."""
        return song_keys(self.entries["title"], self.entries["artist"])

    def entries_of(self, chart: str) -> NDArray[np.intp]:
        """Positions of one chart's entries, by date and rank."""
        return np.flatnonzero((self.entries["chart"] == chart).to_numpy())

    @property
    def charts(self) -> list[str]:
        """Charts that have entries."""
        return sorted(self.entries["chart"].unique())


def read_catalogue(con: duckdb.DuckDBPyConnection, *, for_models: bool = False) -> Catalogue:
    """Read a build or a release; the connection is only read.

    Args:
        for_models: with the sound by other providers, which candidates need and profiles do not.
    """
    queries = (_TRACKS, _ENTRIES, _POPULARITY, *([_OTHER_SOUND] if for_models else []))
    return Catalogue(*(_frame(con, query) for query in queries))


def _frame(con: duckdb.DuckDBPyConnection, query: str) -> pd.DataFrame:
    """By Arrow, which the columns of text stay in: a million tracks as Python strings would take a gigabyte on the way."""
    return con.sql(query).to_arrow_table().to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)


def harmony(frame: pd.DataFrame) -> NDArray[np.float64]:
    """(n, 3) key, mode and time signature, NaN where unknown."""
    names = ("key", "mode", "time_signature")
    return np.column_stack([pd.to_numeric(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan) for name in names])


def days(values: pd.Series) -> Days:
    """Dates as whole days; NaT where missing."""
    return pd.to_datetime(values).to_numpy().astype("datetime64[D]")


def song_keys(titles: pd.Series, artists: pd.Series) -> NDArray[np.object_]:
    """Keys (n,) of title and first artist, as matching spells them."""
    frame = pd.DataFrame({"title": titles.to_numpy(), "artist": artists.to_numpy()})
    title, artist = (text_column(frame, column).dictionary_encode() for column in ("title", "artist"))
    title_of = _of_unique(title.dictionary, plain_title_keys, lambda text: parse_title(text).full)
    artist_of = _of_unique(artist.dictionary, plain_artist_keys, first_artist)
    found = title_of[title.indices.to_numpy()] + "|" + artist_of[artist.indices.to_numpy()]
    return np.asarray(found, dtype=object)


def _of_unique(texts: pa.Array, plain_keys: Callable[[pa.Array], tuple[Any, Any]], full: Callable[[str], str]) -> Any:
    """Keys (k,) of texts: plain ones at once, the others one by one."""
    plain, keys = plain_keys(texts)
    found = np.empty(len(texts), dtype=object)
    found[plain] = keys
    for place in np.flatnonzero(~plain).tolist():
        text = texts[place].as_py()
        found[place] = full(text) if text else ""
    return found


def first_artist(credit: str) -> str:
    """Key of the first name of a credit."""
    parts = parse_credit(credit).parts
    return parts[0] if parts else ""
