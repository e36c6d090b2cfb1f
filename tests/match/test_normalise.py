"""The examples of every rule are tests, as are whole names, titles and credits."""

from __future__ import annotations

import random

import pytest

from soundscope.match.credits import ALIASES_FILE, aliases, parse_credit
from soundscope.match.normalise import RULES, Rule, artist_key, fold, title_key, uncensor, words_of
from soundscope.match.titles import parse_title

EXAMPLES = [(rule, before, after) for rule in RULES for before, after in rule.examples]


@pytest.mark.parametrize(("rule", "before", "after"), EXAMPLES, ids=[f"{rule.name}: {before}" for rule, before, _ in EXAMPLES])
def test_rule_example(rule: Rule, before: str, after: str) -> None:
    assert rule.apply(before) == after


def test_every_rule_is_named_once_and_has_examples() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.why and len(rule.examples) >= 2 for rule in RULES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beyoncé", "BEYONCE"), ("The Beatles", "Beatles"), ("P!nk", "Pink"), ("A$AP Rocky", "ASAP Rocky"), ("Ke$ha", "Kesha"),
        ("R.E.M.", "REM"), ("MØ", "Mo"), ("Łona", "Lona"), ("Guns N' Roses", "Guns & Roses"), ("AC/DC", "ACDC"), ("98º", "98 Degrees"),
        ("Mötley Crüe", "Motley Crue"), ("Sigur Rós", "Sigur Ros"), ("Björk", "Bjork"), ("Кино", "КИНО"), ("Ёлка", "Елка"), ("ＡＢＢＡ", "ABBA"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_artist(one: str, other: str) -> None:
    assert artist_key(words_of(fold(one))) == artist_key(words_of(fold(other)))


@pytest.mark.parametrize(
    ("one", "other"), [("ガール", "カール"), ("a-ha", "Ha"), ("112", "113"), ("हिन्दी", "हन्दी"), ("Sia", "Sian")]
)
def test_two_artists_stay_two(one: str, other: str) -> None:
    assert artist_key(words_of(fold(one))) != artist_key(words_of(fold(other)))


@pytest.mark.parametrize("text", ["???", "!!!", "+", "÷", "...", "$$$", "¡¿?", "( )", "[]", "-"])
def test_names_of_signs_keep_a_key(text: str) -> None:
    assert parse_title(text).full
    assert parse_credit(text).parts[0]


def test_any_text_is_taken_apart() -> None:
    rng = random.Random(3)
    words = [
        " - ",
        "(",
        ")",
        ";",
        "[",
        "]",
        " Live at ",
        "1999",
        " Pt. 2 ",
        " feat. ",
        "/",
        ", ",
        '"',
        "Suite",
        "'",
        "~",
        " & ",
        "Remaster",
        "",
    ]
    for _ in range(20_000):
        text = "".join(rng.choices(words, k=rng.randint(1, 9)))
        assert parse_title(text + "A").full, text
        parse_credit(text)
    note = parse_title("Song - Live (at Wembley; 1999)")
    assert note.kinds == parse_title("Song - Live at Wembley").kinds
    assert note.core == parse_title("Song").core


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Two Hearts", "2 Hearts"), ("Song, Pt. II", "Song (Part Two)"), ("Song", "Song - 2011 Remaster"), ("Song", 'Song (From "A Film")'),
        ("Song", "Song (feat. Someone)"), ("Song", "Song feat. Someone"), ("Song", "Song [with Someone]"), ("Don’t", "Don't"), ("#1", "Number One"),
        ("Rock & Roll", "Rock 'N' Roll"), ("The Song", "Song"), ("Song (A Bracket)", "Song - A Bracket"), ("(A Bracket) Song", "A Bracket Song"),
        ("Song (A Bracket)", "A Bracket (Song)"), ("Song", "Song [Official 2010 Anthem (TM) Song]"), ("Song", "Song - Radio Edit"), ("Song", "Song, Pt. 1"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_title(one: str, other: str) -> None:
    a, b = parse_title(one), parse_title(other)
    assert a.full == b.full or a.bag == b.bag
    assert (a.kinds, a.numbers) == (b.kinds, b.numbers) == (frozenset(), a.numbers)


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Song - Live at the Apollo", "live"), ("Song (Ao Vivo)", "live"), ("Song (Someone Remix)", "remix"), ("Song - Sped Up", "speed"),
        ("Song (Karaoke Version)", "karaoke"), ("Song (Originally Performed by X)", "cover"), ("Song (Taylor's Version)", "re-recorded"),
        ("Song - Demo", "demo"), ("Song (Acústico)", "acoustic"), ("Song - Instrumental", "instrumental"), ("Song - Extended Mix", "extended"),
        ("Song (Spanish Version)", "language"), ("Song - Reprise", "part of a work"), ("曲 (カラオケ)", "karaoke"), ("Song Remix", "remix"),
    ],
)  # fmt: skip
def test_version_words(title: str, kind: str) -> None:
    assert kind in parse_title(title).kinds


@pytest.mark.parametrize(
    "title",
    [
        "Live And Let Die",
        "Long Live",
        "Remix To Ignition",
        "Demons",
        "Acoustic",
        "Live",
        "Karaoke",
        "Cover Me",
        "Video Killed The Radio Star",
    ],
)
def test_version_words_in_a_name_are_no_version(title: str) -> None:
    assert parse_title(title).kinds == frozenset()


def test_a_note_does_not_touch_the_same_words_in_the_name() -> None:
    title = parse_title("Long Live (Live)")
    assert (title.full, title.kinds) == ("longlive", {"live"})
    assert parse_title("Song (Song)").full == "songsong"
    assert parse_title("Runnin' (Dying To Live)").kinds == frozenset()


def test_sides_of_a_double_a_side() -> None:
    assert parse_title("Something / Come Together").sides == ("something", "cometogether")
    assert parse_title("50/50").sides == ()


def test_credit_keeps_order_and_whole_names() -> None:
    credit = parse_credit("Earth, Wind & Fire With The Emotions")
    assert credit.parts == ("earth", "wind", "fire", "emotions")
    assert "earthwindandfire" in credit.lead
    assert parse_credit("Sammy Davis, Jr.").parts == ("sammydavisjr",)
    assert parse_credit("Ray Charles and his Orchestra").parts == ("raycharles",)


@pytest.mark.parametrize(
    "joiner",
    [
        " Featuring ",
        " feat. ",
        " ft. ",
        " & ",
        " And ",
        ", ",
        " X ",
        " x ",
        " + ",
        " / ",
        " With ",
        " Duet With ",
        " Or ",
        "; ",
        " vs. ",
        " w/ ",
        " feat.",
    ],
)
def test_joiners(joiner: str) -> None:
    assert parse_credit(f"Alpha Act{joiner}Beta Act").parts == ("alphaact", "betaact")


def test_aliases_are_neither_idle_nor_chained() -> None:
    table = aliases()
    assert all(alias != name for alias, name in table.items()), "an alias that normalisation already covers says nothing"
    assert not set(table) & set(table.values()), "an alias of an alias is ambiguous"
    lines = ALIASES_FILE.read_text(encoding="utf-8").splitlines()
    assert len(lines) - 1 == len(set(lines[1:])) == len(table)


def test_title_key_drops_articles_only_where_something_remains() -> None:
    assert title_key("the the") == "the"
    assert title_key("the") == "the"


@pytest.mark.parametrize("title", ["Last Christmas*", "Texas*", "Adam*", "*Hits", "Shoe*"])
def test_a_footnote_is_no_mask(title: str) -> None:
    assert parse_title(title).core == parse_title(title.replace("*", "")).core


def test_a_long_word_with_an_asterisk_takes_no_time() -> None:
    """Each span was tried: hours for a word of some thousand letters."""
    word = "a" * 5_000 + "*" + "b" * 5_000
    assert uncensor(word) == word
    assert uncensor("a" * 5_000 + "s*itb") == "a" * 5_000 + "shitb"
