"""What speaks for and against one track being what a chart entry means. Pure comparison of two parsed names; choosing is in `resolve.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from rapidfuzz import fuzz

from soundscope.match.credits import Credit, parse_credit
from soundscope.match.normalise import fold
from soundscope.match.spelling import same_spelling, word_difference
from soundscope.match.titles import Title, parse_title


class TitleRelation(IntEnum):
    """How a key's title relates to a track's."""

    SAME = 0
    SUBTITLE = 1
    FIRST_SIDE = 2
    CLOSE = 3
    OTHER_SUBTITLE = 4
    SECOND_SIDE = 5


class ArtistRelation(IntEnum):
    """How a key's credit relates to a track's."""

    SAME = 0
    FURTHER_GUESTS = 1
    OTHER_GUESTS = 2
    NOT_FIRST = 3
    ONE_SHARED = 4
    CLOSE = 5
    LONGER_NAME = 6
    GUESTS_MISSING = 7
    LEAD_MISSING = 8


class VersionRelation(IntEnum):
    """How the version a key asks for relates to a track's."""

    SAME = 0
    PLAIN = 1
    OTHER = 2
    OTHER_TAKE = 3
    IMITATION = 4


TITLE_WORDS = {
    TitleRelation.SAME: "same",
    TitleRelation.SUBTITLE: "subtitle on one side",
    TitleRelation.FIRST_SIDE: "one of two titles",
    TitleRelation.CLOSE: "close spelling",
    TitleRelation.OTHER_SUBTITLE: "other subtitle",
    TitleRelation.SECOND_SIDE: "second of two titles, or a subtitle",
}
ARTIST_WORDS = {
    ArtistRelation.SAME: "same",
    ArtistRelation.FURTHER_GUESTS: "further guests on the track",
    ArtistRelation.OTHER_GUESTS: "other guests",
    ArtistRelation.NOT_FIRST: "named, not first",
    ArtistRelation.ONE_SHARED: "one name shared",
    ArtistRelation.CLOSE: "close spelling",
    ArtistRelation.LONGER_NAME: "longer form of the name",
    ArtistRelation.GUESTS_MISSING: "guests missing on the track",
    ArtistRelation.LEAD_MISSING: "a guest alone",
}
VERSION_WORDS = {
    VersionRelation.SAME: "same",
    VersionRelation.PLAIN: "plain instead of the version asked for",
    VersionRelation.OTHER: "other version",
    VersionRelation.OTHER_TAKE: "other take of that version",
    VersionRelation.IMITATION: "imitation",
}

# How far a version is from the plain recording, for choosing among candidates (logits).
KIND_PENALTY = {
    "guest remix": 0.4, "extended": 0.8, "radio remix": 0.8, "other guests": 0.8, "dated": 1.2, "named version": 1.4, "orchestral": 1.6, "part of a work": 1.5, "re-recorded": 1.6, "language": 1.6, "acoustic": 1.8, "live": 1.8,
    "demo": 2.0, "remix": 2.0, "instrumental": 3.0, "a cappella": 3.0, "speed": 5.0, "cover": 6.0, "karaoke": 6.0,
}  # fmt: skip
_GUEST_REMIX = frozenset({"remix", "officialremix", "remixversion", "remixremix"})
_IMITATORS = re.compile(r"karaoke|tribute|made famous|cover (band|version)|sunfly|lullab|rockabye|カラオケ|オルゴール")
_ORCHESTRA = re.compile(
    r"\b(philharmonic|symphony|symphonic|pops|concert) orchestra|\borchest\w+ (philharmoni|symphoni)|philharmoniker"
)
# A cast that names its year or place sang the show again: `1994 UK Cast`; the first one calls itself original.
_LATER_CAST = re.compile(r"(?<!original )\b(19|20)\d\d\b[^;]*\bcast\b|\b(revival|studio|touring) cast\b")
_GENERATIONS = frozenset({"jr", "sr", "junior", "senior", "2", "3", "2nd", "3rd"})
SAME_GUEST = 60.0
# Words from which on a subtitle is a phrase of the song, whose numbers count nothing.
LONG_SUBTITLE = 4
IMITATIONS = frozenset({"speed", "cover", "karaoke"})


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed title and credit; featured artists of the title count as credited."""

    title_text: str
    title: Title
    credit: Credit
    guests: frozenset[str]
    names: frozenset[str]
    credit_text: str = ""


class Evidence(NamedTuple):
    """Comparison of a chart key with a track.

    `title_ratio` and `artist_ratio` are closeness in 0..100, `foreign_share` the share (0..1) of words of close titles without a counterpart, `kinds` the
    version kinds in which the two differ, `other_numbers` whether the numbers in the titles differ, `other_part` whether one names a part (`part 2`)
    and the other none, `other_work` whether they name different films, `replaced_share` is `foreign_share` where a word stands for quite another one,
    `other_side` whether the track is the second of the two songs that the key names, `first_part` whether one names part 1 and the other no part.
    """

    title: TitleRelation
    artist: ArtistRelation
    version: VersionRelation
    other_numbers: bool
    title_ratio: float
    artist_ratio: float
    foreign_share: float
    kinds: frozenset[str]
    other_part: bool = False
    other_work: bool = False
    replaced_share: float = 0.0
    other_side: bool = False
    first_part: bool = False

    @property
    def is_other_version(self) -> bool:
        """Another version than the chart asked for, or the other song of its single."""
        return self.version != VersionRelation.SAME or self.other_side

    def in_words(self) -> dict[str, str]:
        """What is said about title, artist, version and numbers."""
        title, artist, version = TITLE_WORDS[self.title], ARTIST_WORDS[self.artist], VERSION_WORDS[self.version]
        if self.title == TitleRelation.CLOSE:
            title += f" ({self.title_ratio:.0f} of 100)"
        if self.artist == ArtistRelation.CLOSE:
            artist += f" ({self.artist_ratio:.0f} of 100)"
        if self.kinds:
            version += f" ({', '.join(sorted(self.kinds))})"
        return {"title": title, "artist": artist, "version": version, "numbers": self._numbers()}

    def _numbers(self) -> str:
        if self.other_work:
            return "same, but another film"
        if self.other_numbers:
            return "differ"
        return "a part on one side" if self.other_part else "part 1 on one side" if self.first_part else "same"

    @property
    def is_good(self) -> bool:
        """Good enough to look no further for close spellings."""
        return (
            self.title in (TitleRelation.SAME, TitleRelation.SUBTITLE)
            and self.artist
            not in (ArtistRelation.ONE_SHARED, ArtistRelation.CLOSE, ArtistRelation.LONGER_NAME, ArtistRelation.LEAD_MISSING)
            and self.version != VersionRelation.IMITATION
            and not (self.other_numbers or self.other_work)
        )


def parse_name(title: str, credit: str) -> Name:
    """Parse a title with its credit."""
    parsed, credited = parse_title(title), parse_credit(credit)
    if not parsed.featured:
        return Name(title, parsed, credited, frozenset(credited.parts), credited.names, credit)
    featured = parse_credit(parsed.featured)
    guests = frozenset(credited.parts) | frozenset(featured.parts)
    return Name(title, parsed, credited, guests, credited.names | featured.names, credit)


def compare(key: Name, track: Name, album_kinds: frozenset[str] = frozenset()) -> Evidence:
    """Compare a chart key with a track; `album_kinds` are version kinds known from elsewhere."""
    title, title_ratio = _compare_titles(key.title, track.title)
    artist, artist_ratio = _compare_artists(key, track)
    kinds = track.title.kinds | album_kinds
    if artist in (ArtistRelation.SAME, ArtistRelation.FURTHER_GUESTS, ArtistRelation.GUESTS_MISSING):
        kinds = kinds - {"cover"}  # the act that charted with a cover is no imitator of itself
    if artist == ArtistRelation.OTHER_GUESTS and _others_featured(key, track):
        kinds = kinds | {"other guests"}
    sides = title in (TitleRelation.FIRST_SIDE, TitleRelation.SECOND_SIDE)
    if sides and track.title.dated in key.title.sides:
        kinds = kinds - {"dated"}
    if kinds == {"remix"} and artist == ArtistRelation.SAME and len(key.guests) > 1 and track.title.notes in _GUEST_REMIX:
        kinds = frozenset({"guest remix"})  # the chart credits the remix's guests: it asks for this version
        version = VersionRelation.SAME
    else:
        version = _compare_versions(key.title, track.title, kinds)
    if artist == ArtistRelation.NOT_FIRST and version == VersionRelation.PLAIN and " with " in key.credit_text.lower():
        artist = ArtistRelation.LEAD_MISSING  # a version of another act's song, together with that act
    other_part = _one_names_a_part(key.title, track.title) and not sides
    other_numbers = key.title.numbers != track.title.numbers and not sides and not other_part
    other_numbers |= "dated" in (key.title.kinds & track.title.kinds) and key.title.notes[:4] != track.title.notes[:4]
    other_work = bool(key.title.work and track.title.work) and fuzz.partial_ratio(key.title.work, track.title.work) < 75
    if other_numbers and title == TitleRelation.SUBTITLE:
        other_numbers = _numbers_count(key.title, track.title)
    foreign, replaced = word_difference(key.title.words, track.title.words) if title == TitleRelation.CLOSE else (0.0, 0.0)
    return Evidence(
        title,
        artist,
        version,
        other_numbers,
        title_ratio,
        artist_ratio,
        foreign,
        kinds ^ key.title.kinds,
        other_part,
        other_work,
        replaced,
        other_side=title == TitleRelation.SECOND_SIDE and _is_second_side(key.title, track.title),
        first_part=key.title.first_part != track.title.first_part and not (key.title.parts or track.title.parts) and not sides,
    )


def _numbers_count(a: Title, b: Title) -> bool:
    """Whether numbers in a subtitle that one side lacks tell songs apart: `(Vol. 2)` does, `(Three Stars Will Shine Tonight)` does not."""
    longer, shorter = sorted((a.words.split(), b.words.split()), key=len, reverse=True)
    return len(longer) - len(shorter) < LONG_SUBTITLE


def _one_names_a_part(key: Title, track: Title) -> bool:
    """Whether the titles are alike but for `part 2` at the end of one: of old, the two sides of one single."""
    if not (key.parts or track.parts) or (key.parts and track.parts):
        return False
    whole, part = (track, key) if key.parts else (key, track)
    return part.full in {f"{base}part{number}" for base in (whole.full, whole.core) for number in part.parts}


def _compare_titles(key: Title, track: Title) -> tuple[TitleRelation, float]:
    if key.full == track.full or key.bag == track.bag:
        return TitleRelation.SAME, 100.0
    ratio = fuzz.ratio(key.words, track.words)
    if key.has_more != track.has_more and (key.core == track.core or key.core == track.full or key.full == track.core):
        return TitleRelation.SUBTITLE, ratio
    if key.core == track.core and _nested(key.words, track.words):
        return TitleRelation.SUBTITLE, ratio
    if key.core == track.core and ratio < 88:
        return TitleRelation.OTHER_SUBTITLE, ratio
    for whole, side in ((key, track), (track, key)):
        if {side.core, side.full, side.dated} & set(whole.sides):
            first = whole.sides[0] in (side.core, side.full, side.dated)
            return (TitleRelation.FIRST_SIDE if first else TitleRelation.SECOND_SIDE), ratio
        if {side.core, side.full} & set(whole.subtitles):
            return TitleRelation.SECOND_SIDE, ratio
    return TitleRelation.CLOSE, ratio


def _is_second_side(key: Title, track: Title) -> bool:
    """Whether the key names two songs (`A/B`) and the track is B; titles in two scripts name one."""
    return key.two_songs and bool({track.core, track.full, track.dated} & set(key.sides[1:]))


def _nested(a: str, b: str) -> bool:
    one, other = set(a.split()), set(b.split())
    return one <= other or other <= one


def _compare_artists(key: Name, track: Name) -> tuple[ArtistRelation, float]:
    a, b = key.credit, track.credit
    if a.whole == b.whole or a.bag == b.bag or key.guests == track.guests:
        return ArtistRelation.SAME, 100.0
    if a.lead & b.lead:
        if key.guests <= track.guests:
            return ArtistRelation.FURTHER_GUESTS, 100.0
        return (ArtistRelation.GUESTS_MISSING if track.guests <= key.guests else ArtistRelation.OTHER_GUESTS), 100.0
    if _is_guest_alone(key, track):
        return ArtistRelation.LEAD_MISSING, 100.0
    if a.lead & track.names or b.lead & key.names:
        return ArtistRelation.NOT_FIRST, 100.0
    if key.names & track.names:
        return ArtistRelation.ONE_SHARED, 100.0
    if nested_names(a, b):
        return ArtistRelation.LONGER_NAME, 100.0
    if same_spelling(a.words, b.words):
        return ArtistRelation.CLOSE, 100.0
    return ArtistRelation.CLOSE, max(fuzz.ratio(a.words, b.words), fuzz.token_sort_ratio(a.words, b.words))


def _is_guest_alone(key: Name, track: Name) -> bool:
    """Whether the chart says `A featuring B` and the track is by B alone: mostly B's own recording that A's is made of."""
    if len(track.credit.parts) != 1 or not key.credit.featured:
        return False
    return track.credit.whole in key.credit.featured and not (key.credit.lead | key.credit.before) & track.names


def _others_featured(key: Name, track: Name) -> bool:
    """Whether each side features somebody whom the other does not name in any spelling: another recording of the song, with other guests."""
    one, other = _featured_pieces(key), _featured_pieces(track)
    everyone = [
        " ".join((*name.credit.pieces, *(parse_credit(name.title.featured).pieces if name.title.featured else ())))
        for name in (key, track)
    ]
    return any(_is_new(who, everyone[1]) for who in one) and any(_is_new(who, everyone[0]) for who in other)


def _featured_pieces(name: Name) -> list[str]:
    pieces = list(name.credit.pieces[1:]) if name.credit.featured or "," in name.credit_text or ";" in name.credit_text else []
    return pieces + (list(parse_credit(name.title.featured).pieces) if name.title.featured else [])


def _is_new(who: str, others: str) -> bool:
    words = set(others.split())
    if any(len(word) > 2 and word in words for word in who.split()) or any(word.startswith(who) for word in words):
        return False
    return fuzz.partial_ratio(who, others) < SAME_GUEST


def nested_names(a: Credit, b: Credit) -> bool:
    """Whether one leading name begins the other (`Reba`, `Reba McEntire`), or holds two or more of its words (`Evelyn King`)."""
    if _GENERATIONS & (set(a.lead_words) ^ set(b.lead_words)):
        return False
    shorter, longer = sorted((a.lead_words, b.lead_words), key=len)
    if not shorter or sum(map(len, shorter)) < 4:
        return False
    return longer[: len(shorter)] == shorter or (len(shorter) > 1 and set(shorter) <= set(longer))


def _compare_versions(key: Title, track: Title, kinds: frozenset[str]) -> VersionRelation:
    if (kinds - key.kinds) & IMITATIONS:
        return VersionRelation.IMITATION
    if kinds == key.kinds:
        same = not kinds or key.notes == track.notes or fuzz.ratio(key.notes, track.notes) >= 80
        return VersionRelation.SAME if same else VersionRelation.OTHER_TAKE
    return VersionRelation.OTHER if kinds else VersionRelation.PLAIN


def credit_kinds(key: Name, credit: str) -> frozenset[str]:
    """Version kinds that a track's credit gives away: imitators, and orchestras that were added to old recordings, unless the chart names such too."""
    folded = fold(credit)
    kinds = set()
    if _IMITATORS.search(folded) and not imitates(key.credit_text):
        kinds.add("karaoke")
    if _LATER_CAST.search(folded) and not _LATER_CAST.search(fold(key.credit_text)):
        kinds.add("re-recorded")
    if _ORCHESTRA.search(folded) and "orch" not in fold(key.credit_text) and "philharmoni" not in fold(key.credit_text):
        kinds.add("orchestral")
    return frozenset(kinds)


def imitates(credit: str) -> bool:
    """Whether a credit names an act that imitates others (karaoke, tribute)."""
    return _IMITATORS.search(fold(credit)) is not None
