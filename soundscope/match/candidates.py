"""Finding the tracks that a chart key may mean: tracks are streamed past an index of the keys, so memory follows the keys, not the catalogue."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from soundscope.match.credits import Credit, aliases, parse_credit
from soundscope.match.evidence import Evidence, Name, compare, imitates, nested_names, parse_name
from soundscope.match.normalise import fold
from soundscope.match.titles import parse_title
from soundscope.match.versions import kinds_in_album

FUZZY_TITLE = 80.0
FUZZY_ARTIST = 80.0
FUZZY_BEST = 6
FEW_NAMES = 1500


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
        self.title = _text(tracks, "title")
        self.credit = _credit(tracks)
        self.album = _text(tracks, "album") if "album" in tracks else None
        encoded = self.credit.dictionary_encode()
        self.credits: pa.Array = encoded.dictionary
        self.credit_of: np.ndarray = encoded.indices.to_numpy(zero_copy_only=False)

    def album_kinds(self, row: int) -> frozenset[str]:
        """Version kinds that the album's name gives to a track."""
        album = self.album[row].as_py() if self.album is not None else None
        return kinds_in_album(fold(album)) if album else frozenset()


def find(names: list[Name], tracks: pd.DataFrame, *, weak: bool = True) -> Pairs:
    """All tracks that share a name and a form of the title with a key; for keys without a good one, close spellings too.

    Args:
        names: parsed chart keys.
        tracks: frame with `title`, `artist`, `artists` and, if known, `album`.
        weak: also look for close spellings.
    """
    search = _Search(names, Catalogue(tracks))
    search.exact()
    if weak:
        search.close_titles()
        search.close_artists()
    return search.pairs


class _Search:
    def __init__(self, names: list[Name], catalogue: Catalogue) -> None:
        self.names = names
        self.catalogue = catalogue
        self.pairs = Pairs()
        self.good: set[int] = set()
        self.by_name: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for key, name in enumerate(names):
            for who in name.names:
                for form in (*name.title.forms, *name.title.sides):
                    self.by_name[who][form].append(key)
        self.rows_of: dict[str, list[int]] = defaultdict(list)
        self.words: dict[int, str] = {}

    def exact(self) -> None:
        for row, title_text, who in self._rows_by_known_artists():
            title = parse_title(title_text)
            found: set[int] = set()
            credit = parse_credit(who)
            everyone = credit.names | (parse_credit(title.featured).names if title.featured else frozenset())
            for one in everyone:
                forms = self.by_name.get(one)
                if forms is None:
                    continue
                self.rows_of[one].append(row)
                self.words[row] = title.words
                for form in (*title.forms, *title.sides):
                    found.update(forms.get(form, ()))
            if found:
                self._compare(sorted(found), row, title_text, who)

    def _compare(self, keys: list[int], row: int, title: str, who: str) -> None:
        track = parse_name(title, who)
        album = self.catalogue.album_kinds(row) | (frozenset({"karaoke"}) if imitates(who) else frozenset())
        for key in keys:
            evidence = compare(self.names[key], track, album)
            self.pairs.add(key, row, evidence)
            if evidence.title < 2 and evidence.artist < 4 and evidence.version < 4 and not evidence.numbers:
                self.good.add(key)

    def _rows_by_known_artists(self) -> Iterator[tuple[int, str, str]]:
        """Rows whose credit names somebody charted; a title's own `feat.` is read only for those and in the pass over titles."""
        credits = self.catalogue.credits
        mask = np.zeros(len(credits), dtype=bool)
        for position in self._plausible_credits():
            who = credits[position].as_py()
            mask[position] = any(one in self.by_name for one in parse_credit(who).names)
        rows = np.flatnonzero(mask[self.catalogue.credit_of])
        yield from self._read(rows)

    def _read(self, rows: np.ndarray, size: int = 50_000) -> Iterator[tuple[int, str, str]]:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            index = pa.array(part)
            titles = self.catalogue.title.take(index).to_pylist()
            credits = self.catalogue.credit.take(index).to_pylist()
            yield from zip(part.tolist(), titles, credits, strict=True)

    def _plausible_credits(self) -> Iterator[int]:
        """Positions of credits worth parsing: all, or for few keys those that hold the longest word of a charted name."""
        if len(self.by_name) > FEW_NAMES:
            yield from range(len(self.catalogue.credits))
            return
        stems: set[str] = set()
        for name in self.names:
            for text in (name.credit.words, name.title.featured):
                stems.update(word for word in text.split() if word.isascii() and len(word) > 2)
        folded = fold_column(self.catalogue.credits)
        hits = matching(folded, stems)
        known = pc.is_in(folded, pa.array([alias for alias in _spelled_aliases()]))
        odd = pc.invert(pc.string_is_ascii(folded))
        short = pc.less(pc.utf8_length(folded), 4)
        mask = pc.or_(pc.or_(hits, known), pc.or_(odd, short))
        yield from np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()

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
                        grouped[self.words[row]].append(row)
                    choices[who] = grouped
                for words, _, _ in process.extract(
                    name.title.words, choices[who].keys(), scorer=fuzz.ratio, score_cutoff=FUZZY_TITLE, limit=FUZZY_BEST
                ):
                    rows.update(choices[who][words])
            fresh = np.array(sorted(row for row in rows if (key, row) not in seen), dtype=np.int64)
            for row, title, who in self._read(fresh):
                self._compare([key], row, title, who)

    def close_artists(self) -> None:
        wanted: dict[str, list[int]] = defaultdict(list)
        for key, name in enumerate(self.names):
            if key not in self.good:
                for form in {name.title.full, name.title.core}:
                    if len(form) > 2:
                        wanted[form].append(key)
        if not wanted:
            return
        rows = np.flatnonzero(self._rows_with_title(wanted))
        for row, title, who in self._read(rows):
            parsed = parse_title(title)
            keys = sorted({key for form in (parsed.full, parsed.core) for key in wanted.get(form, ())})
            if not keys:
                continue
            credit = parse_credit(who)
            close = [key for key in keys if _close_names(self.names[key].credit, credit)]
            close = [key for key in close if not (self.names[key].names & parse_name(title, who).names)]
            if close:
                self._compare(close, row, title, who)

    def _rows_with_title(self, wanted: dict[str, list[int]]) -> np.ndarray:
        """Rows whose title reduces to a wanted one, by a cheap vectorised reduction (main text, letters and digits only)."""
        title = fold_column(self.catalogue.title)
        main = pc.replace_substring_regex(title, r"^(the|a|an) ", "")
        main = pc.replace_substring_regex(main, r"(.)( [-–] | ?\(| ?\[| feat| ft\.).*$", r"\1")
        main = pc.replace_substring_regex(main, r"[^\p{L}\p{N}\p{M}]+", "")
        return pc.is_in(main, pa.array(list(wanted), pa.string())).to_numpy(zero_copy_only=False)


def _close_names(a: Credit, b: Credit) -> bool:
    return nested_names(a, b) or max(fuzz.ratio(a.words, b.words), fuzz.token_sort_ratio(a.words, b.words)) >= FUZZY_ARTIST


def _spelled_aliases() -> list[str]:
    return sorted(set(aliases()) | set(aliases().values()))


def matching(folded: pa.Array, stems: set[str]) -> pa.Array:
    """Which strings hold one of the words."""
    pattern = "|".join(re.escape(stem) for stem in sorted(stems)) or r"\z\A."
    return pc.match_substring_regex(folded, pattern)


def fold_column(text: pa.Array) -> pa.Array:
    """Lower case without accents, for whole columns; only strings that need it pay for Unicode."""
    if pc.all(pc.string_is_ascii(text)).as_py():
        return pc.ascii_lower(text)
    lowered = pc.utf8_lower(pc.utf8_normalize(text, form="NFKD"))
    return pc.replace_substring_regex(lowered, r"[\x{300}-\x{36f}'’]", "")


def _text(frame: pd.DataFrame, column: str) -> pa.Array:
    array = pa.array(frame[column], pa.string(), from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return pc.fill_null(array, "")


def _credit(tracks: pd.DataFrame) -> pa.Array:
    artist = _text(tracks, "artist")
    if "artists" not in tracks:
        return artist
    artists = _text(tracks, "artists")
    return pc.if_else(pc.equal(artists, ""), artist, artists)
