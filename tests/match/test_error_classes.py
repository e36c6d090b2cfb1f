"""Classes of error that were read in real charts, each as a small case: what must be linked, what must be marked, what must be left."""

from __future__ import annotations

import pytest

from soundscope.match import match_keys
from soundscope.match.evidence import parse_name
from soundscope.match.spelling import same_spelling, word_difference
from soundscope.match.titles import parse_title

LINKED = [
    # abbreviations and short forms
    (("Little Song", "1910 Acting Co."), ("Little Song", "1910 Acting Company")),
    (("Little Song", "The Stroller Bros."), ("Little Song", "The Stroller Brothers")),
    (("Little Song", "Mongo Maria Orch."), ("Little Song", "Mongo Maria Orchestra")),
    (("Do You Want To Sing", "Act"), ("Do You Wanna Sing", "Act")),
    (("The Kid Is Here Tonite", "Act"), ("The Kid Is Here Tonight", "Act")),
    (("He Calls U Not", "Act"), ("He Calls You Not", "Act")),
    (("Who Got The Props", "Act"), ("Who Got Da Props", "Act")),
    (("Lemon", "N*E*R*D & Singer"), ("Lemon", "N.E.R.D, Singer")),
    (("T-R-O-U-B-L-E", "Act"), ("Trouble", "Act")),
    (("Down In New Orleans", "Freddie Gunner"), ("Down In New Orleans", "Freddy Gunner")),
    # notes that leave the recording what it is
    (("Song Of Love", "Act"), ("Song Of Love (45 Version)", "Act")),
    (("Song Of Love", "Act"), ("Song Of Love - US Version", "Act")),
    (("Out/Off (Medley)", "Act"), ("Out / Off", "Act")),
    (("What Goes On", "All Star Tribute"), ("What Goes On", "All Star Tribute")),
    (("Little Song", "Act"), ("Little Song - Dirty Version", "Act")),
    (("Little Song", "Act"), ("Little Song - Encore", "Act")),
    (("Little Song", "Show Cast"), ("Little Song (Show Cast Version)", "Show Cast")),
    (("Little Song (The Country Version)", "Act"), ("Little Song - Country Version", "Act")),
    (("Little Song (My Version)", "Act"), ("Little Song (My Version)", "Act")),
    (("Little Song/Tall Song", "Act", 1976), ("Little Song", "Act")),
    # parts: of old two sides of one single, numbers in long subtitles count nothing
    (("Little Song", "Act", 1969), ("Little Song, Pt. 1", "Act")),
    (("Rockhouse (Part 2)", "Act", 1959), ("Rockhouse, Pts. 1 & 2", "Act")),
    (("Long Song (Part II)", "Act", 1972), ("Long Song", "Act")),
    (("Theme Of Love (Three Stars Will Shine Tonight)", "Act"), ("Theme Of Love", "Act")),
    (("Thousand Years (Part 2)", "Act"), ("Thousand Years - Pt. 2; The Saga Soundtrack", "Act")),
    # one name in two scripts
    (("Gruppa Krovi", "Kino"), ("Группа крови", "Кино")),
    (("Ζάρι", "Μαρίνα Σάττη"), ("ZARI", "Marina Satti")),
    (("Star", "윤하 (Younha)"), ("Star", "YOUNHA")),
    (("Celebrity", "아이유 (IU)"), ("Celebrity", "IU")),
    # credits that name a film, or a backing band
    (('The Player/"The Scam"', 'Marvin Ham/"The Scam"'), ("The Player / The Scam", "Marvin Ham")),
    (("Drop It", "Joe Act And The Believers"), ("Drop It", "Joe Act")),
]  # fmt: skip


@pytest.mark.parametrize(("charted", "track"), LINKED, ids=[f"{key[0]} - {key[1]}" for key, _ in LINKED])
def test_linked_and_not_marked(charted: tuple, track: tuple, keys, tracks) -> None:
    found = match_keys(keys(_dated(*charted)), tracks(("t:1", *track))).iloc[0]
    assert (found["status"], found["is_other_version"]) == ("matched", False), found["reason"]


MARKED = [
    (("Little Song", "Act", 1965), ("Little Song - Re-Recording", "Act")),
    (("Little Song", "Act", 1971), ("Little Song - Live At The Hall, New York - June 1990", "Act")),
    (("Little Song", "Act With The Strings", 1960), ("Little Song (Rerecorded)", "Act")),
    (("Send Me A Song '89", "Act", 1989), ("Send Me A Song", "Act")),
    (("Freedom", "Act", 1990), ("Freedom! '90", "Act")),
    (("Make It Loud", "Act Featuring Star", 2002), ("Make It Loud (feat. Star) - Remix Album Version", "Act, Star")),
    (("Fall Asleep", "Act Featuring Dupree", 2007), ("Fall Asleep (feat. Oh Wonder)", "Act")),
    (("In My Heart", "Act", 1959), ("In My Heart", "Act; Royal Philharmonic Orchestra")),
    # the other song of the single
    (("Little Song/Tall Song", "Act", 1976), ("Tall Song", "Act")),
    # whatever calls itself a version or an edit, in words that no list holds
    (("Little Song", "Act", 2006), ("Little Song - Country Version", "Act")),
    (("Little Song", "Act", 2018), ("Little Song (Film Version)", "Act")),
    (("Little Song (Some Producer Vers.)", "Act", 1998), ("Little Song", "Act")),
    (("Little Song", "Act", 2004), ("Little Song - Bachata", "Act")),
    (("Little Song", "Act", 1989), ("Little Song - Ver. 09", "Act")),
    (("Little Song", "Act", 1966), ("Little Song - 2008 Rio Version", "Act")),
    # since parts are no sides any more, part 1 is one of several recordings
    (("Oh, Oh, Oh", "Act", 1997), ("Oh, Oh, Oh, Pt. 1", "Act")),
    # a later cast of the show
    (("Little Song", "Showspell", 1972), ("Little Song", "Showspell - 1994 UK Cast")),
]


@pytest.mark.parametrize(("charted", "track"), MARKED, ids=[f"{key[0]} - {track[0]} - {track[1]}" for key, track in MARKED])
def test_the_only_copy_is_linked_and_marked_as_another_version(charted: tuple, track: tuple, keys, tracks) -> None:
    found = match_keys(keys(_dated(*charted)), tracks(("t:1", *track))).iloc[0]
    assert (found["status"], found["is_other_version"]) == ("matched", True), (found["score"], found["reason"])


LEFT = [
    # a song of the film, another film's song under the same generic title
    (('Main Title (Theme From "Teeth")', "John Composer"), ('Main Title (From "Space")', "John Composer")),
    # the guest's own older recording, of which the hit is made
    (("Low Rider", "New Act Featuring Peace"), ("Low Rider", "Peace")),
    (("I'll Be There", "Young Act feat. The Elders"), ("I'll Be There", "The Elders")),
    # a new version of the guest's old song, and that song
    (("Little Song (Y2K Version)", "New Act With Old Act"), ("Little Song", "Old Act")),
    # one word stands for quite another
    (("Whoomp! There It Went", "Act"), ("Whoomp! There It Is", "Act")),
    (("School Is In", "Act"), ("School Is Out", "Act")),
    (("Come With Me", "Act"), ("Come To Me", "Act")),
    # later, part 2 is another song; two years are two versions; two parts are two songs
    (("She Is Mine Pt. 2", "Act", 2015), ("She Is Mine", "Act")),
    (("Walk The Line '64", "Act", 1964), ("Walk The Line '75", "Act")),
    (("Song For You, Pt. 2", "Act", 1975), ("Song For You, Pt. 3", "Act")),
    # covers, tributes and karaoke where the right recording is absent
    (("Little Song", "Act"), ("Little Song", "Other Singer")),
    (("Little Song", "Act"), ("Little Song", "A Tribute To Act")),
    (("Little Song", "Act"), ("Little Song (In The Style Of Act)", "Backing Tracks Ltd.")),
]


@pytest.mark.parametrize(("charted", "track"), LEFT, ids=[f"{key[0]} - {key[1]} - {track[1]}" for key, track in LEFT])
def test_another_song_or_performer_is_not_linked(charted: tuple, track: tuple, keys, tracks) -> None:
    found = match_keys(keys(_dated(*charted)), tracks(("t:1", *track))).iloc[0]
    assert found["status"] != "matched", (found["score"], found["reason"])


def test_the_whole_of_two_titles_beats_one_of_them_and_the_titles_letters_break_ties(keys, tracks) -> None:
    rows = tracks(
        ("t:1", "One Chance", "Act"), ("t:2", "One Chance / Stay Here - Remix", "Act"), ("t:3", "Tonight, Tonight", "Act"),
        ("t:4", "Tonite, Tonite", "Act"),
    )  # fmt: skip
    found = match_keys(keys(("One Chance/Stay Here", "Act"), ("Tonite, Tonite", "Act")), rows)
    assert found["track_id"].tolist() == ["t:2", "t:4"]


@pytest.mark.parametrize("title", ["Summer Of '69", "December, 1963", "Disco 2000", "1999", "Class Of '58", "Untitled 07"])
def test_years_that_are_the_name_stay(title: str) -> None:
    assert parse_title(title).kinds == frozenset()
    assert parse_title(title).numbers


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("freddie cannon", "freddy cannon", True), ("jaynetts", "jaynettes", True), ("dionne warwicke", "dionne warwick", True),
        ("los del mar", "los del rio", False), ("al", "ali", False), ("mary jones", "mary", False),
    ],
)  # fmt: skip
def test_spellings_of_a_name(one: str, other: str, same: bool) -> None:
    assert same_spelling(one, other) is same


@pytest.mark.parametrize(
    ("one", "other", "share", "replaced"),
    [
        ("there it went", "there it is", 1 / 3, 1 / 3), ("turn around look at me", "turn around and look at me", 1 / 6, 0.0),
        ("feeling alright", "feelin alright", 0.0, 0.0), ("who got the props", "who got da props", 0.0, 0.0),
        ("streiht up menace", "straight up menace", 1 / 3, 0.0), ("b please", "bitch please", 0.5, 0.0),
    ],
)  # fmt: skip
def test_words_without_a_counterpart_and_words_replaced(one: str, other: str, share: float, replaced: float) -> None:
    assert word_difference(one, other) == pytest.approx((share, replaced))


def test_a_guest_in_title_or_credit_is_the_same_guest() -> None:
    in_title, in_credit = parse_name("Song (feat. Guest)", "Act"), parse_name("Song", "Act Featuring Guest")
    assert in_title.guests == in_credit.guests
    assert in_title.title.full == in_credit.title.full


def _dated(title: str, artist: str, year: int = 2010) -> dict[str, str]:
    return {"title": title, "artist": artist, "first_date": f"{year}-03-01", "last_date": f"{year}-06-01"}
