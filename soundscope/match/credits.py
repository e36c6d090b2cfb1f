"""A credit taken apart: who comes first, who else is named, under every key by which they may be found."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from soundscope.errors import BadInput
from soundscope.match.normalise import artist_key, fold, words_of

ALIASES_FILE = Path(__file__).with_name("aliases.csv")

# Words that never belong to a name, and words that may (Earth, Wind & Fire): the first always part names, the second part them too
# but the undivided name stays a key beside its parts.
_HARD = re.compile(
    r"\s*;\s*|[\s(,]+(?:w/|f/)\s*|[\s(,]+(?:featuring|feat|ft|duet with|duet|with|vs|versus|presents|pres|introducing|starring|co-starring|con|avec)"
    r"(?:\.|\b)[:.]?(?:\s+|(?<=[.:])(?=\w))"
)
_SOFT = re.compile(r"\s*[,&+/＆、・|]\s*|\s+(?:and|und|et|y|e|og|och|x|×|or|n')\s+|\s+-\s+")
_SECOND_SCRIPT = re.compile(r"(?<=\w) *[(\[]([^()\[\]]+)[)\]]")
# `周杰倫 Jay Chou`: Chinese and Korean charts print both names side by side.
_SIDE_BY_SIDE = re.compile(r"(?<=[\u3400-\u9fff\uac00-\ud7a3]) +(?=(?!(?:and|or|und|vs)\b)[a-z]{2})")
_FEATURING = re.compile(r"(?<=\w)[\s(,]+(?:featuring|feat|ft)\b")
_NICKNAME = re.compile(r"(?<=\w )[\"“][^\"”]+[\"”](?= \w)")
_SIGNS = re.compile(r"[;,&+/＆、・|×:]|n'|w/|f/| - ")
JOINING_WORDS = frozenset(
    [
        "featuring",
        "feat",
        "ft",
        "with",
        "vs",
        "versus",
        "duet",
        "presents",
        "pres",
        "introducing",
        "starring",
        "co-starring",
        "con",
        "avec",
        "and",
        "und",
        "et",
        "y",
        "e",
        "og",
        "och",
        "x",
        "or",
    ]
)
_SUFFIX = re.compile(r",\s*(?=(?:jr|sr|ii|iii)\b)")
_FILLER = re.compile(
    r"^[\"“].*|.*\bsoundtrack$|^(?:his|her|their|the)? ?(?:orchestra|orch|chorus|band|friends|co|company|others?)(?: .*)?$|^(?:his|her|their) .*$"
)


@dataclass(frozen=True, slots=True)
class Credit:
    """Who a credit names.

    Attributes:
        whole: key of the credit as one name.
        lead: keys of the first name: undivided, and its first part.
        parts: keys of all single names, in order.
        names: every key under which somebody in it can be found: undivided names and parts.
        bag: all words of names in alphabetical order, joiners left out.
        featured: keys of names after `featuring`.
        before: keys of all names before it; both empty without it.
        pieces: the single names as words, in order.
        lead_words: words of the first name; a nickname in quotation marks left out.
    """

    whole: str
    lead: frozenset[str]
    parts: tuple[str, ...]
    names: frozenset[str]
    bag: str
    featured: frozenset[str]
    before: frozenset[str]
    pieces: tuple[str, ...]
    lead_words: tuple[str, ...]

    @property
    def words(self) -> str:
        """All names as words, for fuzzy comparison."""
        return " ".join(piece.removeprefix("the ") for piece in self.pieces)


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Key of a name -> key of the name it is an alias of, from `aliases.csv`.

    Raises:
        BadInput: a row of the file has no name or no alias.
    """
    table: dict[str, str] = {}
    with ALIASES_FILE.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            name, alias = (row.get("name") or "").strip(), (row.get("alias") or "").strip()
            if not name or not alias:
                raise BadInput(
                    f"{ALIASES_FILE.name}, line {number}: a name or its alias is missing.",
                    next_step="write both, or delete the line.",
                )
            table[_key(fold(alias), use_aliases=False)] = _key(fold(name), use_aliases=False)
    return table


@lru_cache(maxsize=1)
def alias_spellings() -> dict[str, tuple[str, ...]]:
    """Key of a name -> all its spellings in `aliases.csv`."""
    found: dict[str, list[str]] = defaultdict(list)
    with ALIASES_FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[_key(fold(row["name"]))] += [row["name"], row["alias"]]
    return {key: tuple(dict.fromkeys(spellings)) for key, spellings in found.items()}


def _key(name: str, *, use_aliases: bool = True) -> str:
    key = artist_key(words_of(name))
    return aliases().get(key, key) if use_aliases else key


@lru_cache(maxsize=65_536)
def parse_credit(credit: str) -> Credit:
    """Take a credit apart; names keep their order."""
    text = fold(credit)
    if "(" in text or "[" in text:
        text = _SECOND_SCRIPT.sub(_as_two_names, text)
        text = re.sub(r"[()\[\]]", " ", text).strip() or text
    if not text.isascii():
        text = _SIDE_BY_SIDE.sub(", ", text)
    text = _SUFFIX.sub(" ", text.strip())
    text = _NICKNAME.sub(" ", text) if '"' in text or "”" in text else text
    if _is_one_name(text):
        key, one = _key(text), words_of(text)
        return Credit(
            key, frozenset((key,)), (key,), frozenset((key,)), _bag([one]), frozenset(), frozenset(), (one,), _lead(one)
        )
    segments = [segment for segment in _HARD.split(" " + text) if segment and segment.strip()] or [text]
    names: dict[str, None] = {}
    parts: dict[str, None] = {}
    lead: list[str] = []
    featuring = _FEATURING.search(text)
    before = parse_credit(text[: featuring.start()]).names if featuring else frozenset()
    words: list[str] = []
    for segment in segments:
        whole = _key(segment)
        pieces = [piece for piece in _SOFT.split(segment) if piece and piece.strip()]
        kept = [pieces[0], *(piece for piece in pieces[1:] if not _FILLER.match(piece.strip()))] if pieces else [segment]
        keys = [key for key in map(_key, kept) if key] or [whole]
        if not lead:
            lead = [whole, keys[0]]
        names.update(dict.fromkeys([whole, *keys]))
        parts.update(dict.fromkeys(keys))
        words += [words_of(piece) for piece in pieces]
    return Credit(
        whole=_key(text),
        lead=frozenset(lead),
        parts=tuple(parts),
        names=frozenset(names) | {_key(text)},
        bag=_bag(words),
        featured=frozenset(names) - before if before else before,
        before=before,
        pieces=tuple(words),
        lead_words=_lead(words[0]) if words else (),
    )


def run_together(credit: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of two names printed side by side with nothing between (`Jay Z Kanye West`); empty where the credit is anything else.

    Args:
        known: since when names are known, by key. Both names must be known and of two words at least: one word too many a name begins or ends
            with. Where a credit can be cut in several ways, that which was known first counts, so that names known later change nothing.
    """
    pieces = parse_credit(credit).pieces
    words = pieces[0].split() if len(pieces) == 1 else []
    cuts = [(_key(" ".join(words[:cut])), _key(" ".join(words[cut:]))) for cut in range(2, len(words) - 1)]
    both = [names for names in cuts if all(name in known for name in names)]
    return min(both, key=lambda names: max(known[name] for name in names), default=())


def _as_two_names(found: re.Match[str]) -> str:
    """A bracket in another script than the name before it is that name again: `아이유 (IU)`."""
    before, inside = found.string[: found.start()], found.group(1)
    return f", {inside}" if before[-1:].isascii() != inside.isascii() and inside.strip() else found.group()


def _is_one_name(text: str) -> bool:
    """Whether nothing in the text could join names; most credits of a catalogue are of this kind, so it is worth asking first."""
    return not _SIGNS.search(text) and JOINING_WORDS.isdisjoint(text.replace(".", " ").split())


def _bag(names: list[str]) -> str:
    return "".join(sorted(word for name in names for word in name.split() if word not in {"the", "and"}))


def _lead(words: str) -> tuple[str, ...]:
    return tuple(word for word in words.split() if word != "the")
