"""A title taken apart: main text, further text (brackets, suffixes), version notes, featured artists, sides of a double A-side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from soundscope.match.normalise import fold, title_key, words_of
from soundscope.match.versions import read_note

_BRACKET = re.compile(r"[(\[{（【［〔]([^()\[\]{}（）【】［］〔〕]*)(?:[)\]}）】］〕]|$)")
# Brackets already read as part of the title; the marks occur in no title.
_OPEN, _CLOSE = "\x01", "\x02"
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}]")
_MARKED = re.compile(f"{_OPEN}[^{_CLOSE}]*{_CLOSE}")
_FEATURED = re.compile(r"[\s,(]+(?:feat|ft|featuring|duet with)(?:[.:]\s*|\s+)(.+)$")
_DASH = re.compile(r"\s+[-–—−~〜]+\s+|\s*[-–—]+(?=[^-]*\b(?:remaster|remix|live at|radio edit)\w*$)")
_TRAILING = re.compile(
    r"(?<=\w)[\s,]+(remix|radio edit|(?:acoustic|live|karaoke|instrumental|album|single|radio) version|remaster(?:ed)?)$"
)
# `Song '89` and `Song 1989` are an artist's later version of `Song`; after such a word the year is part of the name (Summer Of '69).
_DATED = re.compile(r"(?<=\w)[!?]?,?\s+(?:['’‘`´]([5-9]\d|[0-2]\d)|(19[5-9]\d|20[0-2]\d))$")
_NAMES_A_YEAR = frozenset(
    {"of", "in", "from", "since", "to", "the", "and", "for", "till", "until", "class", "back", "summer", "winter", "spring", "autumn",
     "fall", "east", "west", "anno", "vol", "january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december"}
)  # fmt: skip
_WORK = re.compile(
    r"^(?:(?:love )?theme |main title |music )?from (?:the )?(?:(?:film|movie|motion picture|musical|series) )?[\"“]([^\"”]+)[\"”]"
)
_PARTS = re.compile(r"(?:^| )part ((?:\d+(?: and | |$))+)$")
_PART_1 = re.compile(r"(?<=.) part 1(?: (?:and )?2)?(?: (?:and )?3)?$")
_DIGITS = re.compile(r"\d+")
_SLASH = re.compile(r"\s*/\s*")
_NOT_SIDES = re.compile(r"\d\s*/\s*\d|\b\w\s*/\s*\w\b")
_WAVES = re.compile(r"(?<=[\s\w])\s*[-~〜～−]\s?([^-~〜～−]+?)\s?[-~〜～−]$")
_LATIN_RUN = re.compile(r"[a-z0-9' ]*[a-z][a-z0-9' ]*")
_STANDALONE = 6  # characters a subtitle needs to be looked up by itself


@dataclass(frozen=True, slots=True)
class Title:
    """What a title says.

    Attributes:
        words: main and further text, as words.
        full: key of main and further text together.
        core: key of the main text alone.
        bag: key of the words in alphabetical order, so that swapped brackets agree.
        sides: keys of what may stand for the whole: the sides of `A / B`, the parts in one script.
        subtitles: keys of longer subtitles, under which some charts print a song.
        has_more: there is text besides the main one.
        kinds: version kinds named (`live`, `remix`, ...), empty for the plain recording.
        notes: the version notes themselves, as a key; two remixes differ by it.
        numbers: numbers in the text; `part 1` at the end is dropped everywhere, because part 1 is what is meant without a number.
        featured: names of featured artists as written, joined by `;`.
        parts: numbers of the parts named at the end (`part 2`), if other than part 1.
        first_part: `part 1` alone stands at the end.
        two_songs: `sides` are two songs of one single, not one title in two scripts.
        dated: key with the year of a later version (`Song '89`), if the title has one; else empty.
        work: key of the film or musical that a note names (`from "Jaws"`).
    """

    words: str
    full: str
    core: str
    bag: str
    sides: tuple[str, ...]
    subtitles: tuple[str, ...]
    has_more: bool
    kinds: frozenset[str]
    notes: str
    numbers: frozenset[str]
    featured: str
    parts: frozenset[str]
    work: str
    dated: str
    first_part: bool
    two_songs: bool

    @property
    def forms(self) -> tuple[str, ...]:
        """Every key under which this title can be found."""
        forms = dict.fromkeys((self.full, self.core, "~" + self.bag, *self.sides, *self.subtitles))
        return (*forms, self.dated) if self.dated else tuple(forms)


@lru_cache(maxsize=65_536)
def parse_title(title: str) -> Title:
    """Take a title apart; any text gives a title with at least one non-empty key (unless the text is blank)."""
    notes = _Notes()
    text = fold(title).strip()
    if text[-1:] in "-~〜～−":  # Japanese titles bracket their subtitles -like this-
        text = _WAVES.sub(r" (\1)", text)
    kept, plain, extra = _without_brackets(text, notes)
    if not kept.strip():
        kept = plain = text
    if title_key(words_of(cut := notes.cut_featured(kept))):  # else it is all there is
        kept, plain = cut, notes.cut_featured(plain)
    # Both texts are split alike: `plain` decides what a piece is, `kept` still holds the brackets that are part of the title.
    pieces, kept_pieces = _DASH.split(plain), _DASH.split(kept)
    if len(pieces) != len(kept_pieces) or not pieces[0].strip():
        pieces = kept_pieces = [kept]
    main, rest = pieces[0], [kept_pieces[0]]
    before = len(notes.versions)
    for piece, kept_piece in _split_notes(pieces[1:], kept_pieces[1:]):
        told = len(notes.versions) > before
        # What follows a version note belongs to it: `Song - Live at the Hall, New York - June 1990`.
        if piece.strip() and notes.read(piece) and not told:
            rest.append(kept_piece)
            extra.append(piece)
    main, rest[-1] = notes.cut_trailing(main), notes.cut_trailing(rest[-1])
    last, rest[-1] = rest[-1], notes.cut_year(rest[-1])
    if last != rest[-1]:
        main = rest[0] if main == last else main
        extra = [rest[-1] if one == last else one for one in extra]
        notes.dated = title_key(words_of(" ".join([*rest[:-1], last])))
    return _assemble(main, " ".join(rest), extra, notes)


def _split_notes(pieces: list[str], kept_pieces: list[str]) -> Iterator[tuple[str, str]]:
    """Notes joined by a semicolon are several: `Pt. 2; 2007 Remaster`. One within brackets joins nothing."""
    for piece, kept in zip(pieces, kept_pieces, strict=True):
        parts, kept_parts = piece.split(";"), kept.split(";")
        yield from zip(parts, kept_parts, strict=True) if len(parts) == len(kept_parts) else [(piece, kept)]


class _Notes:
    """What the notes of one title said."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.versions: list[str] = []
        self.featured: dict[str, None] = {}
        self.work = ""
        self.dated = ""

    def read(self, note: str) -> bool:
        """Take in a note; true if it is part of the title itself."""
        what, named, rest = read_note(note)
        if what == "credit":
            self.featured[rest] = None
        elif what == "version":
            self.kinds |= named
            work = _WORK.match(rest)
            self.work = title_key(words_of(work.group(1))) if work else self.work
            if named:
                self.versions.append(rest)
        return what == "text" and bool(rest)

    def cut_featured(self, text: str) -> str:
        found = _FEATURED.search(text)
        if not found:
            return text
        who, dash, suffix = found.group(1).partition(" - ")
        self.featured[who] = None
        return text[: found.start()] + dash + suffix

    def cut_year(self, text: str) -> str:
        """Take the year of a later version off the end."""
        found = _DATED.search(text.rstrip()) if text[-1:].isdigit() else None
        if not found:
            return text
        words = words_of(text[: found.start()]).split()
        if words[-1] in _NAMES_A_YEAR or words[-1].isdigit() or (found.group(2) and len(words) < 2):
            return text
        short = found.group(1)
        year = found.group(2) or ("19" if int(short) >= 50 else "20") + short
        self.kinds.add("dated")
        self.versions.append(year)
        return text[: found.start()]

    def cut_trailing(self, text: str) -> str:
        found = _TRAILING.search(text.rstrip())
        if found:
            self.read(found.group(1))
            return text[: found.start()]
        return text


def _without_brackets(text: str, notes: _Notes) -> tuple[str, str, list[str]]:
    """The text with only the brackets that are part of the title, the text without any, and the former."""
    if text.isascii() and not any(sign in text for sign in "([{"):
        return text, text, []
    extra: list[str] = []

    def read(found: re.Match[str]) -> str:
        note = _MARKS.sub(" ", found.group(1)).replace(" - ", " ").strip()
        if not note or not notes.read(note):
            return " "
        extra.append(note)
        return f" {_OPEN}{note}{_CLOSE} "

    marked, before = text, ""
    while marked != before:  # innermost first
        before, marked = marked, _BRACKET.sub(read, marked)
    kept = _MARKS.sub(" ", marked)
    plain = _MARKED.sub(" ", marked)
    return (kept, plain, extra) if re.search(r"\w", plain) else (kept, kept, [])


def _assemble(main: str, text: str, extra: list[str], notes: _Notes) -> Title:
    whole = words_of(text)
    if "/" in main:
        notes.kinds.discard("part of a work")  # a medley by its title, so the note says nothing more
    words, main_words = _PART_1.sub("", whole), _PART_1.sub("", words_of(main))
    core = title_key(main_words)
    parts = words.split()
    parts_named = _PARTS.search(words)
    sides: tuple[str, ...] = ()
    if "/" in main and not _NOT_SIDES.search(main):
        sides = tuple(key for key in (title_key(words_of(side)) for side in _SLASH.split(main)) if key)
        sides = sides if len(sides) > 1 else ()
    # `part 2` behind a title in another script is no second name of it.
    scripts = () if parts_named else tuple(key for key in map(title_key, _scripts(main_words)) if _stands_alone(key))
    subtitles = tuple(key for key in (title_key(words_of(one)) for one in extra) if key != core and _stands_alone(key))
    return Title(
        words=words,
        full=title_key(words),
        core=core,
        bag="".join(sorted(part for part in parts if part not in {"the", "a", "an"}) or parts),
        sides=sides or scripts,
        subtitles=subtitles,
        has_more=words != main_words,
        kinds=frozenset(notes.kinds),
        notes=title_key(words_of(" ".join(sorted(notes.versions)))) if notes.versions else "",
        numbers=frozenset(_DIGITS.findall(words)),
        featured=";".join(notes.featured),
        parts=frozenset(_DIGITS.findall(parts_named.group(1))) - {"1"} if parts_named else frozenset(),
        work=notes.work,
        dated=notes.dated,
        first_part=whole.endswith(" part 1"),
        two_songs=bool(sides),
    )


def _stands_alone(key: str) -> bool:
    return len(key) >= (_STANDALONE if key.isascii() else 2)


def _scripts(words: str) -> list[str]:
    """The Latin and the other part of a title in two scripts (`달라달라 dalla dalla`), which charts may print alone."""
    if words.isascii():
        return []
    latin = [run.strip() for run in _LATIN_RUN.findall(words)]
    other = " ".join(_LATIN_RUN.sub(" ", words).split())
    return [*latin, other] if latin and other and not other.isdigit() else []
