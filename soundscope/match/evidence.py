"""What speaks for and against one track being what a chart entry means. Pure comparison of two parsed names; choosing is in `resolve.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from soundscope.match.credits import Credit, parse_credit
from soundscope.match.normalise import fold
from soundscope.match.titles import Title, parse_title

# Relations from best to worst; the position is the code that is stored.
TITLE_RELATIONS = ("same", "subtitle on one side", "one of two titles", "close spelling", "other subtitle")
ARTIST_RELATIONS = (
    "same",
    "guests on one side",
    "other guests",
    "named, not first",
    "one name shared",
    "close spelling",
    "longer form of the name",
)
VERSION_RELATIONS = ("same", "plain instead of the version asked for", "other version", "other take of that version", "imitation")
NUMBER_RELATIONS = ("same", "other numbers")

# How far a version is from the plain recording, for choosing among candidates (logits).
KIND_PENALTY = {
    "extended": 0.8, "part of a work": 1.5, "re-recorded": 1.6, "language": 1.6, "acoustic": 1.8, "live": 1.8, "demo": 2.0, "remix": 2.0,
    "instrumental": 3.0, "a cappella": 3.0, "speed": 5.0, "cover": 6.0, "karaoke": 6.0,
}  # fmt: skip
_IMITATORS = re.compile(r"karaoke|tribute|made famous|cover (band|version)|sunfly|lullab|rockabye|カラオケ|オルゴール")
IMITATIONS = frozenset({"speed", "cover", "karaoke"})


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed title and credit; featured artists of the title count as credited."""

    title_text: str
    title: Title
    credit: Credit
    guests: frozenset[str]
    names: frozenset[str]


class Evidence(NamedTuple):
    """Comparison of a chart key with a track: codes of the relations above, closeness in 0..100, words without a counterpart, version kinds that differ."""

    title: int
    artist: int
    version: int
    numbers: int
    title_ratio: float
    artist_ratio: float
    foreign_words: int
    kinds: frozenset[str]


def parse_name(title: str, credit: str) -> Name:
    """Parse a title with its credit."""
    parsed, credited = parse_title(title), parse_credit(credit)
    if not parsed.featured:
        return Name(title, parsed, credited, frozenset(credited.parts), credited.names)
    featured = parse_credit(parsed.featured)
    return Name(title, parsed, credited, frozenset(credited.parts) | frozenset(featured.parts), credited.names | featured.names)


def compare(key: Name, track: Name, album_kinds: frozenset[str] = frozenset()) -> Evidence:
    """Compare a chart key with a track."""
    title, title_ratio = _compare_titles(key.title, track.title)
    artist, artist_ratio = _compare_artists(key, track)
    kinds = track.title.kinds | album_kinds
    if artist <= 1:
        kinds = kinds - {"cover"}  # the act that charted with a cover is no imitator of itself
    version = _compare_versions(key.title, track.title, kinds)
    numbers = int(key.title.numbers != track.title.numbers and title != 2)
    foreign = foreign_words(key.title.words, track.title.words) if title == 3 else 0
    return Evidence(title, artist, version, numbers, title_ratio, artist_ratio, foreign, kinds ^ key.title.kinds)


def _compare_titles(key: Title, track: Title) -> tuple[int, float]:
    if key.full == track.full or key.bag == track.bag:
        return 0, 100.0
    ratio = fuzz.ratio(key.words, track.words)
    if key.has_more != track.has_more and (key.core == track.core or key.core == track.full or key.full == track.core):
        return 1, ratio
    if key.core == track.core and ratio < 88:
        return 4, ratio
    if track.core in key.sides or track.full in key.sides or key.core in track.sides or key.full in track.sides:
        return 2, ratio
    return 3, ratio


def foreign_words(a: str, b: str) -> int:
    """Words of either title without a counterpart in the other; one letter may differ, two in words of eight letters or more.

    This tells a spelling (`Feeling Alright`, `Feelin' Alright`) from another song (`The Popcorn`, `Mother Popcorn`).
    """
    one, other = a.split(), b.split()
    left = [word for word in one if not _take(word, other)]
    glued = "".join(left), "".join(other)
    if glued[0] == glued[1] or _same_word(*glued):
        return 0
    return max(len(left), len(other))


def _take(word: str, words: list[str]) -> bool:
    for i, candidate in enumerate(words):
        if _same_word(word, candidate):
            del words[i]
            return True
    return False


def _same_word(a: str, b: str) -> bool:
    if a == b:
        return True
    shorter = min(len(a), len(b))
    allowed = 0 if shorter < 3 else 1 if shorter < 8 else 2
    return bool(allowed) and Levenshtein.distance(a, b, score_cutoff=allowed) <= allowed


def _compare_artists(key: Name, track: Name) -> tuple[int, float]:
    a, b = key.credit, track.credit
    if a.whole == b.whole or a.bag == b.bag or key.guests == track.guests:
        return 0, 100.0
    if a.lead & b.lead:
        nested = key.guests <= track.guests or track.guests <= key.guests
        return (1 if nested else 2), 100.0
    if a.lead & track.names or b.lead & key.names:
        return 3, 100.0
    if key.names & track.names:
        return 4, 100.0
    if nested_names(a, b):
        return 6, 100.0
    return 5, max(fuzz.ratio(a.words, b.words), fuzz.token_sort_ratio(a.words, b.words))


def nested_names(a: Credit, b: Credit) -> bool:
    """Whether one leading name begins the other (`Reba`, `Reba McEntire`), or holds two or more of its words (`Evelyn King`)."""
    shorter, longer = sorted((a.lead_words, b.lead_words), key=len)
    if not shorter or sum(map(len, shorter)) < 4:
        return False
    return longer[: len(shorter)] == shorter or (len(shorter) > 1 and set(shorter) <= set(longer))


def _compare_versions(key: Title, track: Title, kinds: frozenset[str]) -> int:
    extra = kinds - key.kinds
    if extra & IMITATIONS:
        return 4
    if kinds == key.kinds:
        return 0 if not kinds or key.notes == track.notes or fuzz.ratio(key.notes, track.notes) >= 80 else 3
    return 1 if not kinds else 2


def imitates(credit: str) -> bool:
    """Whether a credit names an act that imitates others (karaoke, tribute)."""
    return _IMITATORS.search(fold(credit)) is not None
