"""What a track's and an artist's chart history was as of a date. Only chart dates up to that date are ever counted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from soundscope.match.columns import text_column
from soundscope.match.credits import parse_credit, run_together
from soundscope.match.plain import plain_artist_keys
from soundscope.match.reach import may_name_guests
from soundscope.match.titles import parse_title
from soundscope.trends.catalogue import Catalogue, Days

# Half of an artist's chart weeks are forgotten after two years.
HALF_LIFE_DAYS = 730.0
FIVE_YEARS = np.timedelta64(1826, "D")
HISTORY = ("momentum", "chart_weeks", "chart_weeks_5y", "songs_5y", "best_points", "days_since_charted")


@dataclass(frozen=True)
class History:
    """Chart history of keys (artists or songs), sorted by key and date.

    code_of: key -> number. code, day (m,): each event's key and date as a day number. decayed, new_songs, best (m,): within the key up
    to that event, the sum of points over chart size weighted for forgetting, the songs seen for the first time, the best points over
    chart size. Each key has sums of its own: others, and later dates, leave no trace in them, not even by rounding.
    """

    code_of: dict[str, int]
    code: NDArray[np.int64]
    day: NDArray[np.int64]
    decayed: NDArray[np.float64]
    new_songs: NDArray[np.float64]
    best: NDArray[np.float64]
    origin: int

    def as_of(self, keys: Sequence[tuple[str, ...]], when: Days) -> pd.DataFrame:
        """Columns of `HISTORY` for n rows, each with several keys: the largest of them (the smallest for days_since_charted).

        Args:
            keys: n tuples of keys. when: (n,) dates; events of that very date count.

        momentum: weeks on the chart, each worth its points over the chart's size and half after every two years. chart_weeks: weeks so
        far. chart_weeks_5y, songs_5y: weeks and songs first charted in the last five years. best_points: best share of points. A key
        that never charted has zeros, and NaN days.
        """
        row = np.repeat(np.arange(len(keys)), [len(names) for names in keys])
        code = np.array([self.code_of.get(name, -1) for names in keys for name in names], dtype=np.int64)
        row, code = row[code >= 0], code[code >= 0]
        day = when.astype("datetime64[D]").astype(np.int64)[row]
        high = self._upto(code, day)
        low = self._upto(code, np.full(len(code), -(10**6)))
        recent = self._upto(code, day - FIVE_YEARS.astype(np.int64))
        any_yet = high > low
        forget = np.exp2(-(day - self.origin) / HALF_LIFE_DAYS)
        last = np.where(any_yet, day - self.day[np.maximum(high - 1, 0)], np.nan)
        values = {
            "momentum": _before(self.decayed, low, high) * forget,
            "chart_weeks": (high - low).astype(float),
            "chart_weeks_5y": (high - recent).astype(float),
            "songs_5y": _before(self.new_songs, low, high) - _before(self.new_songs, low, recent),
            "best_points": _before(self.best, low, high),
        }
        out = pd.DataFrame(0.0, index=np.arange(len(keys)), columns=list(HISTORY))
        for name, found in values.items():
            column = np.zeros(len(keys))
            np.maximum.at(column, row, found)
            out[name] = column
        nearest = np.full(len(keys), np.inf)
        np.minimum.at(nearest, row[any_yet], last[any_yet])
        out["days_since_charted"] = np.where(np.isfinite(nearest), nearest, np.nan)
        return out

    def _upto(self, code: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.intp]:
        """How many events, in sorted order, come before the end of that day of that key."""
        return np.searchsorted(self._rank, code * _SPAN + np.clip(day + _SHIFT, 0, _SPAN - 1), side="right")

    @cached_property
    def _rank(self) -> NDArray[np.int64]:
        return self.code * _SPAN + self.day + _SHIFT


def _before(values: NDArray[np.float64], low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.float64]:
    """What a running figure of a key, whose events begin at `low`, was just before event `high`; 0 before its first."""
    if not len(values):
        return np.zeros(len(high))
    return np.where(high > low, values[np.maximum(high - 1, 0)], 0.0)


# Room for day numbers of some centuries beside the key's number.
_SPAN, _SHIFT = 1 << 20, 1 << 19


def artist_history(catalogue: Catalogue, charts: Sequence[str] | None = None, of: Collection[str] | None = None) -> History:
    """History by artist: every name in a printed credit counts.

    Args:
        of: keys of the artists that are asked about, if not all are: only their entries are summed up then.
    """
    entries, place = _of_charts(catalogue, charts)
    keys = credited_keys(entries["artist"], catalogue.day[place])
    if of is not None:
        theirs = [number for number, names in enumerate(keys) if not set(names).isdisjoint(of)]
        entries, place, keys = entries.iloc[theirs], place[theirs], [keys[number] for number in theirs]
    return _history(keys, catalogue.day[place], entries, catalogue.song_of_entry[place])


def credited_keys(credits: pd.Series, day: Days) -> list[tuple[str, ...]]:
    """Keys of every name in the printed credits (n,) of chart entries of dates (n,).

    Names printed side by side without a joiner count too, once each of them has charted by itself: what charts later has no say.
    """
    number, printed = pd.factorize(credits)
    names = [parse_credit(credit).parts for credit in printed]
    first = pd.Series(day).groupby(number).min().to_numpy()
    known: dict[str, np.datetime64] = {}
    for parts, since in zip(names, first, strict=True):
        known |= {name: min(since, known.get(name, since)) for name in parts}
    beside = {code: found for code, credit in enumerate(printed) if (found := run_together(credit, known))}
    since_when = {code: max(known[name] for name in found) for code, found in beside.items()}
    return [
        names[code] + beside[code] if code in beside and when >= since_when[code] else names[code]
        for code, when in zip(number.tolist(), day, strict=True)
    ]


def song_history(catalogue: Catalogue, charts: Sequence[str] | None = None) -> History:
    """History by song: title and first artist."""
    entries, place = _of_charts(catalogue, charts)
    songs = catalogue.song_of_entry[place]
    return _history([(song,) for song in songs], catalogue.day[place], entries, songs)


def artist_keys(tracks: pd.DataFrame) -> list[tuple[str, ...]]:
    """Keys of everybody credited for each track: first artist, all artists, and guests named in the title."""
    credits = pa.concat_arrays([text_column(tracks, "artist"), text_column(tracks, "artists")])
    known = _parts(pc.unique(credits))
    guests: dict[int, tuple[str, ...]] = {}
    titles = text_column(tracks, "title")
    for place in np.flatnonzero(may_name_guests(titles)).tolist():
        featured = parse_title(titles[place].as_py()).featured
        if featured:
            guests[place] = parse_credit(featured).parts
    together: dict[tuple[str, str], tuple[str, ...]] = {}
    found = []
    n = len(tracks)
    for place, pair in enumerate(zip(credits[:n].to_pylist(), credits[n:].to_pylist(), strict=True)):
        names = together.get(pair)
        if names is None:
            names = together[pair] = tuple(dict.fromkeys(known[pair[0]] + known[pair[1]]))
        found.append(tuple(dict.fromkeys(names + guests[place])) if place in guests else names)
    return found


def _parts(credits: pa.Array) -> dict[str, tuple[str, ...]]:
    """Keys of all names of each credit; nobody for an empty one."""
    plain, keys = plain_artist_keys(credits)
    texts = credits.to_pylist()
    found = dict(zip(compress(texts, plain), ((key,) for key in keys), strict=True))
    found |= {text: parse_credit(text).parts for text in compress(texts, ~plain)}
    return found | {"": ()}


def _of_charts(catalogue: Catalogue, charts: Sequence[str] | None) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    wanted = np.ones(len(catalogue.entries), dtype=bool)
    if charts is not None:
        wanted = catalogue.entries["chart"].isin(list(charts)).to_numpy()
    return catalogue.entries[wanted], np.flatnonzero(wanted)


def _history(keys: Sequence[tuple[str, ...]], days: Days, entries: pd.DataFrame, songs: NDArray[np.object_]) -> History:
    row = np.repeat(np.arange(len(keys)), [len(names) for names in keys])
    names = np.array([name for several in keys for name in several], dtype=object)
    code, uniques = pd.factorize(names)
    day = days.astype(np.int64)[row]
    order = np.lexsort((entries["rank"].to_numpy()[row], day, code))
    code, day, row = code[order].astype(np.int64), day[order], row[order]
    worth = (entries["points"].to_numpy(dtype=float) / entries["size"].to_numpy(dtype=float))[row]
    origin = int(day.min()) if len(day) else 0
    first = ~pd.DataFrame({"code": code, "song": songs[row]}).duplicated().to_numpy()
    running = pd.DataFrame({"decayed": worth * np.exp2((day - origin) / HALF_LIFE_DAYS), "first": first.astype(float)}).groupby(
        code
    )
    return History(
        code_of={str(name): number for number, name in enumerate(uniques)},
        code=code,
        day=day,
        decayed=running["decayed"].cumsum().to_numpy(),
        new_songs=running["first"].cumsum().to_numpy(),
        best=pd.Series(worth).groupby(code).cummax().to_numpy(),
        origin=origin,
    )
