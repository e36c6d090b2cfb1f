"""Finding the tracks that a chart key may mean: tracks are streamed past an index of the keys, so memory follows the keys, not the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from soundscope.match.columns import text_column
from soundscope.match.credits import Credit, alias_spellings, parse_credit
from soundscope.match.evidence import Evidence, Name, compare, credit_kinds, nested_names, parse_name
from soundscope.match.normalise import fold, words_of
from soundscope.match.plain import plain_artist_keys
from soundscope.match.prefilter import any_name, beginning, fold_column, is_worth_parsing, main_text, starts
from soundscope.match.spelling import is_latin, same_spelling
from soundscope.match.titles import parse_title
from soundscope.match.versions import kinds_in_album

FUZZY_TITLE = 80.0
FUZZY_ARTIST = 80.0
FUZZY_BEST = 6
FEW_NAMES = 1500
_FOLDED_BY_RULES = r"[øłđðþıæœßħŋə¥×°]|[\p{Cyrillic}\p{Greek}\p{Arabic}\p{Devanagari}]"


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
        self.credit = _credit(tracks)
        self.album = text_column(tracks, "album") if "album" in tracks else None
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
        if len(self.by_name) > FEW_NAMES:
            return np.arange(len(self.catalogue.credits))
        folded = pc.replace_substring_regex(fold_column(self.catalogue.credits), "['’`´]", "")
        undotted = pc.replace_substring(folded, ".", "")
        pattern = any_name(self._single_names())
        hits = pc.or_(pc.match_substring_regex(folded, pattern), pc.match_substring_regex(undotted, pattern))
        # Very short names, and letters that only the full rules fold, are parsed whatever they hold.
        odd = pc.match_substring_regex(folded, r"^.{0,3}$|[$!@*]").to_numpy(zero_copy_only=False).copy()
        foreign = np.flatnonzero(pc.invert(pc.string_is_ascii(folded)).to_numpy(zero_copy_only=False))
        odd[foreign] |= pc.match_substring_regex(folded.take(pa.array(foreign)), _FOLDED_BY_RULES).to_numpy(zero_copy_only=False)
        return np.flatnonzero(hits.to_numpy(zero_copy_only=False) | odd)

    def _single_names(self) -> set[str]:
        """Words of every single name, in all spellings."""
        spelled = alias_spellings()
        names: set[str] = set()
        for name in self.names:
            names.update(name.credit.pieces)
            if name.title.featured:
                names.update(parse_credit(name.title.featured).pieces)
            names.update(words_of(fold(text)) for who in name.names for text in spelled.get(who, ()))
        return {name.removeprefix("the ") for name in names} - {""}

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
        rows = self._rows_with_title({key for keys in wanted.values() for key in keys})
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

    def _rows_with_title(self, keys: set[int]) -> np.ndarray:
        """Positions of tracks whose title reduces to that of a key, by the cheap reduction that whole columns can afford."""
        wanted = main_text(fold_column(pa.array([self.names[key].title_text for key in sorted(keys)], pa.string())))
        wanted = pc.unique(wanted.filter(pc.not_equal(wanted, "")))
        titles = self.catalogue.title
        rows = np.arange(len(titles))
        if len(wanted) <= FEW_NAMES:
            begins = pc.match_substring_regex(titles, beginning([text[:4] for text in wanted.to_pylist()]), ignore_case=True)
            # Only few titles need Unicode, so whether these begin so is not asked before they are folded.
            begins = pc.or_(begins, pc.invert(pc.string_is_ascii(titles)))
            rows = np.flatnonzero(begins.to_numpy(zero_copy_only=False))
            titles = titles.take(pa.array(rows))
        return rows[pc.is_in(main_text(fold_column(titles)), wanted).to_numpy(zero_copy_only=False)]


def _close_names(a: Credit, b: Credit) -> bool:
    if nested_names(a, b) or not (is_latin(a.words) and is_latin(b.words)):
        return nested_names(a, b) or same_spelling(a.words, b.words)
    return max(fuzz.ratio(a.words, b.words), fuzz.token_sort_ratio(a.words, b.words)) >= FUZZY_ARTIST


def _credit(tracks: pd.DataFrame) -> pa.Array:
    artist = text_column(tracks, "artist")
    if "artists" not in tracks:
        return artist
    artists = text_column(tracks, "artists")
    return pc.if_else(pc.equal(artists, ""), artist, artists)
