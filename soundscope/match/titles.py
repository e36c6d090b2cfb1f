"""A title taken apart: main text, further text (brackets, suffixes), version notes, featured artists, sides of a double A-side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from soundscope.match.normalise import fold, title_key, words_of
from soundscope.match.versions import read_note

_BRACKET = re.compile(r"[(\[{（【［〔]([^()\[\]{}（）【】［］〔〕]*)[)\]}）】］〕]?")
_FEATURED = re.compile(r"[\s,(]+(?:feat|ft|featuring|duet with)\b[.:]?\s+(.+)$")
_DASH = re.compile(r"\s+[-–—−~〜]+\s+|\s+[-–—]+(?=[^\s-])(?=.*(?:remaster|version|remix|live))")
_PART_1 = re.compile(r"\bpart 1\b")
_SLASH = re.compile(r"\s*/\s*")
_NOT_SIDES = re.compile(r"\d\s*/\s*\d|\b\w\s*/\s*\w\b")


@dataclass(frozen=True, slots=True)
class Title:
    """What a title says.

    Attributes:
        words: main and further text, as words.
        full: key of main and further text together.
        core: key of the main text alone.
        bag: key of the words in alphabetical order, so that swapped brackets agree.
        sides: keys of the sides, for `A / B`.
        has_more: there is text besides the main one.
        kinds: version kinds named (`live`, `remix`, ...), empty for the plain recording.
        notes: the version notes themselves, as a key; two remixes differ by it.
        numbers: number words of the text; `part 1` counts as no number, because part 1 is what is meant without one.
        featured: names of featured artists as written, joined by `;`.
    """

    words: str
    full: str
    core: str
    bag: str
    sides: tuple[str, ...]
    has_more: bool
    kinds: frozenset[str]
    notes: str
    numbers: frozenset[str]
    featured: str

    @property
    def forms(self) -> tuple[str, ...]:
        """Every key under which this title can be found."""
        return tuple(dict.fromkeys((self.full, self.core, "~" + self.bag)))


@lru_cache(maxsize=65_536)
def parse_title(title: str) -> Title:
    """Take a title apart; any text gives a title with at least one non-empty key (unless the text is blank)."""
    text = fold(title)
    plain = text
    notes: list[str] = []
    if "(" in text or "[" in text or "{" in text or not text.isascii():
        notes = [note for note in _BRACKET.findall(text) if note.strip()]
        plain = _BRACKET.sub(" ", text)
        if not title_key(words_of(plain)).strip("()[]{} "):
            plain, notes = (notes[0], notes[1:]) if notes else (text, notes)
    featured = []
    found = _FEATURED.search(plain)
    if found:
        featured.append(found.group(1).split(" - ")[0])
        plain = plain[: found.start()] + (" - " + found.group(1).split(" - ", 1)[1] if " - " in found.group(1) else "")
    main, *suffixes = _DASH.split(plain)
    if not main.strip():
        main, suffixes = plain, []
    more: list[str] = []
    kinds: set[str] = set()
    versions: list[str] = []
    for note in (*notes, *suffixes):
        what, named, rest = read_note(note)
        if what == "credit":
            featured.append(rest)
        elif what == "version":
            kinds |= named
            if named:
                versions.append(rest)
        elif rest:
            more.append(rest)
    return _assemble(main, more, frozenset(kinds), " ".join(sorted(versions)), ";".join(featured))


def _assemble(main: str, more: list[str], kinds: frozenset[str], versions: str, featured: str) -> Title:
    main_words = words_of(main)
    core = title_key(main_words)
    more_words = [words for words in map(words_of, more) if words and title_key(words) != core]
    words = " ".join([main_words, *more_words])
    parts = words.split()
    numbers = frozenset(word for word in _PART_1.sub("part", words).split() if any(c.isdigit() for c in word))
    sides: tuple[str, ...] = ()
    if "/" in main and not _NOT_SIDES.search(main):
        sides = tuple(key for key in (title_key(words_of(side)) for side in _SLASH.split(main)) if key)
    return Title(
        words=words,
        full=title_key(words),
        core=core,
        bag="".join(sorted(part for part in parts if part not in {"the", "a", "an"}) or parts),
        sides=sides if len(sides) > 1 else (),
        has_more=bool(more_words),
        kinds=kinds,
        notes=title_key(words_of(versions)) if versions else "",
        numbers=numbers,
        featured=featured,
    )
