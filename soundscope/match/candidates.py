"""Finding the tracks that a chart key may mean: tracks are streamed past an index of the keys, so memory follows the keys, not the catalogue."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from rapidfuzz import fuzz, process

from soundscope.match.columns import text_column
from soundscope.match.credits import Credit, parse_credit
from soundscope.match.evidence import Evidence, Name, compare, credit_kinds, nested_names, parse_name
from soundscope.match.normalise import fold
from soundscope.match.plain import plain_artist_keys
from soundscope.match.prefilter import is_worth_parsing, starts
from soundscope.match.reach import FEW_NAMES, credit_column, plain_titles, plausible_credits, rows_with_title
from soundscope.match.spelling import is_latin, same_spelling
from soundscope.match.titles import parse_title
from soundscope.match.versions import kinds_in_album
from soundscope.spread import IN_TURN, Spread

FUZZY_TITLE = 80.0
FUZZY_ARTIST = 80.0
FUZZY_BEST = 6
# A block of fewer tracks is not worth the way to another process.
BLOCK_ROWS = 50_000


@dataclass
class Pairs:
    """Candidate pairs: positions of the key and of the track, and the evidence for each."""

    key: list[int] = field(default_factory=list)
    track: list[int] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    def add(self, key: int, track: int, evidence: Evidence) -> None:
        """Add one pair."""
        self.key.append(key)
        self.track.append(track)
        self.evidence.append(evidence)


class Catalogue:
    """The columns of `tracks` that matching reads, as Arrow arrays (titles of a million tracks as Python strings would not fit)."""

    def __init__(self, tracks: pd.DataFrame) -> None:
        self.title = text_column(tracks, "title")
        self.credit = credit_column(tracks)
        self.album = text_column(tracks, "album") if "album" in tracks else None
        encoded = self.credit.dictionary_encode()
        self.credits: pa.Array = encoded.dictionary
        self.credit_of: np.ndarray = encoded.indices.to_numpy(zero_copy_only=False)

    def album_kinds(self, row: int) -> frozenset[str]:
        """Version kinds that the album's name gives to a track."""
        album = self.album[row].as_py() if self.album is not None else None
        return kinds_in_album(fold(album)) if album else frozenset()


@dataclass
class _Block:
    """What the pass over one block of the catalogue finds; rows are counted from its beginning."""

    pairs: Pairs
    good: set[int]
    rows_of: dict[str, list[int]]
    titles: dict[int, str]


def find(names: list[Name], tracks: pd.DataFrame, *, weak: bool = True, spread: Spread = IN_TURN) -> Pairs:
    """All tracks that share a name and a form of the title with a key; for keys without a good one, close spellings too.

    Args:
        names: parsed chart keys.
        tracks: frame with `title`, `artist`, `artists` and, if known, `album`.
        weak: also look for close spellings.
        spread: where blocks of the catalogue are gone through; the result is the same wherever.
    """
    search = _Search(names, Catalogue(tracks))
    n_blocks = min(spread.width, len(tracks) // BLOCK_ROWS)
    if n_blocks <= 1:
        search.exact()
    else:
        read = tracks[[column for column in ("title", "artist", "artists", "album") if column in tracks]]
        ends = np.linspace(0, len(read), n_blocks + 1).astype(int).tolist()
        blocks = {f"tracks {a + 1:,} to {b:,}": read.iloc[a:b] for a, b in itertools.pairwise(ends)}
        for start, block in zip(ends, spread("match", partial(_exact, names), blocks), strict=False):
            search.take(block, start)
    if weak:
        search.close_titles()
        search.close_artists()
    return search.pairs


def _exact(names: list[Name], tracks: pd.DataFrame) -> _Block:
    search = _Search(names, Catalogue(tracks))
    search.exact()
    return _Block(search.pairs, search.good, dict(search.rows_of), search.titles)


class _Search:
    def __init__(self, names: list[Name], catalogue: Catalogue) -> None:
        self.names = names
        self.catalogue = catalogue
        self.pairs = Pairs()
        self.good: set[int] = set()
        self.by_name: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for key, name in enumerate(names):
            for who in name.names:
                for form in name.title.forms:
                    self.by_name[who][form].append(key)
        self.starts: dict[str, set[str]] = defaultdict(set)
        for name in names:
            begin = starts(name.title)
            for who in name.names:
                self.starts[who] |= begin
        self.rows_of: dict[str, list[int]] = defaultdict(list)
        self.titles: dict[int, str] = {}

    def exact(self) -> None:
        for row, title_text, who in self._rows_by_known_artists():
            found: set[int] = set()
            credit = parse_credit(who)
            known = [one for one in credit.names if one in self.by_name]
            if not any(is_worth_parsing(title_text, self.starts[one]) for one in known):
                self.titles[row] = title_text
                for one in known:
                    self.rows_of[one].append(row)
                continue
            title = parse_title(title_text)
            everyone = credit.names | (parse_credit(title.featured).names if title.featured else frozenset())
            for one in everyone:
                forms = self.by_name.get(one)
                if forms is None:
                    continue
                self.rows_of[one].append(row)
                self.titles[row] = title_text
                for form in title.forms:
                    found.update(forms.get(form, ()))
            if found:
                self._compare(sorted(found), row, title_text, who)

    def take(self, block: _Block, start: int) -> None:
        """What `exact` would have found in the rows from `start` on; blocks are to be taken in their order."""
        self.pairs.key += block.pairs.key
        self.pairs.track += [row + start for row in block.pairs.track]
        self.pairs.evidence += block.pairs.evidence
        self.good |= block.good
        for who, rows in block.rows_of.items():
            self.rows_of[who] += [row + start for row in rows]
        self.titles |= {row + start: title for row, title in block.titles.items()}

    def _compare(self, keys: list[int], row: int, title: str, who: str) -> None:
        track = parse_name(title, who)
        album = self.catalogue.album_kinds(row)
        for key in keys:
            evidence = compare(self.names[key], track, album | credit_kinds(self.names[key], who))
            self.pairs.add(key, row, evidence)
            if evidence.is_good:
                self.good.add(key)

    def _rows_by_known_artists(self) -> Iterator[tuple[int, str, str]]:
        """Rows whose credit names somebody charted; a title's own `feat.` is read only for those and in the pass over titles."""
        credits = self.catalogue.credits
        mask = np.zeros(len(credits), dtype=bool)
        positions = self._plausible_credits()
        plain, keys = plain_artist_keys(credits.take(pa.array(positions)))
        mask[positions[plain]] = [key in self.by_name for key in keys]
        for position in positions[~plain].tolist():
            mask[position] = any(one in self.by_name for one in parse_credit(credits[position].as_py()).names)
        rows = np.flatnonzero(mask[self.catalogue.credit_of])
        yield from self._read(rows)

    def _read(self, rows: np.ndarray, size: int = 50_000) -> Iterator[tuple[int, str, str]]:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            index = pa.array(part)
            titles = self.catalogue.title.take(index).to_pylist()
            credits = self.catalogue.credit.take(index).to_pylist()
            yield from zip(part.tolist(), titles, credits, strict=True)

    def _plausible_credits(self) -> np.ndarray:
        """Positions of credits worth parsing: all, or for few keys those that hold a word of a charted name."""
        credits = self.catalogue.credits
        if len(self.by_name) > FEW_NAMES:
            return np.arange(len(credits))
        return np.flatnonzero(plausible_credits(credits, self.names))

    def close_titles(self) -> None:
        seen = set(zip(self.pairs.key, self.pairs.track, strict=True))
        choices: dict[str, dict[str, list[int]]] = {}
        for key, name in enumerate(self.names):
            if key in self.good:
                continue
            rows: set[int] = set()
            for who in sorted(name.names):
                if who not in self.rows_of:
                    continue
                if who not in choices:
                    grouped: dict[str, list[int]] = defaultdict(list)
                    for row in self.rows_of[who]:
                        grouped[parse_title(self.titles[row]).words].append(row)
                    choices[who] = grouped
                for words, _, _ in process.extract(
                    name.title.words, choices[who].keys(), scorer=fuzz.ratio, score_cutoff=FUZZY_TITLE, limit=FUZZY_BEST
                ):
                    rows.update(choices[who][words])
            fresh = np.array(sorted(row for row in rows if (key, row) not in seen), dtype=np.int64)
            for row, title, who in self._read(fresh):
                self._compare([key], row, title, who)

    def close_artists(self) -> None:
        """The same title by an artist spelled otherwise."""
        wanted: dict[str, list[int]] = defaultdict(list)
        for key, name in enumerate(self.names):
            if key not in self.good:
                for form in {name.title.full, name.title.core}:
                    if len(form) > 2:
                        wanted[form].append(key)
        if not wanted:
            return
        own = self._own_titles(sorted({key for keys in wanted.values() for key in keys}))
        rows = rows_with_title(self.catalogue.title, own.keys())
        reduced = plain_titles(self.catalogue.title.take(pa.array(rows))).to_pylist()
        for (row, title, who), text in zip(self._read(rows), reduced, strict=True):
            parsed = parse_title(title)
            keys = sorted({key for form in (parsed.full, parsed.core) for key in wanted.get(form, ()) if key in own[text]})
            if not keys:
                continue
            credit = parse_credit(who)
            close = [key for key in keys if _close_names(self.names[key].credit, credit)]
            close = [key for key in close if not (self.names[key].names & parse_name(title, who).names)]
            if close:
                self._compare(close, row, title, who)

    def _own_titles(self, keys: list[int]) -> dict[str, set[int]]:
        """Keys by the cheap reduction of their titles. A key sees tracks by its own alone, so that its answer does not depend on other keys."""
        found: dict[str, set[int]] = defaultdict(set)
        texts = plain_titles(pa.array([self.names[key].title_text for key in keys], pa.string())).to_pylist()
        for key, text in zip(keys, texts, strict=True):
            found[text].add(key)
        found.pop("", None)
        return found


def _close_names(a: Credit, b: Credit) -> bool:
    if nested_names(a, b) or not (is_latin(a.words) and is_latin(b.words)):
        return nested_names(a, b) or same_spelling(a.words, b.words)
    return max(fuzz.ratio(a.words, b.words), fuzz.token_sort_ratio(a.words, b.words)) >= FUZZY_ARTIST
