"""Keys of whole columns are those of the full rules, or none."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest

from soundscope.match.credits import parse_credit
from soundscope.match.normalise import RULES
from soundscope.match.plain import plain_artist_keys, plain_title_keys
from soundscope.match.reach import may_name_guests
from soundscope.match.titles import parse_title

_WORDS = ["The", "a", "An", "love", "Me", "Ain't", "'til", "rock", "n'", "Two", "IV", "part", "I", "remix", "Radio", "Edit", "feat", "with", "and", "x", "Live", "Jr",
          "version", "pt", "'Cause", "volume", "until"]  # fmt: skip
TEXTS = sorted({" ".join(words) for n in (1, 2, 3) for words in itertools.product(_WORDS, repeat=n)})
ODD = [
    "",
    " ",
    "a  b",
    " love",
    "love ",
    "Beyoncé",
    "R.E.M.",
    "P!nk",
    "99 Luftballons",
    "Love - Live",
    "Love (Live)",
    "a'b",
    "'",
    "Guns N' Roses",
    "Loves' Me",
]
EXAMPLES = [text for rule in RULES for pair in rule.examples for text in pair]


def test_plain_titles_have_the_key_of_the_full_rules() -> None:
    texts = [*TEXTS, *ODD, *EXAMPLES]
    plain, keys = plain_title_keys(pa.array(texts))
    kept = [text for text, is_plain in zip(texts, plain, strict=True) if is_plain]
    assert len(kept) > 100
    full = [parse_title(text) for text in kept]
    assert [(title.full, title.kinds, title.notes) for title in full] == [(key, frozenset(), "") for key in keys]
    said = [(title.core, title.sides, title.parts, title.featured) for title in full]
    assert said == [(key, (), frozenset(), "") for key in keys]


def test_plain_artists_have_the_key_of_the_full_rules() -> None:
    texts = [*TEXTS, *ODD, *EXAMPLES, "Yaz", "Yazoo", "Act 2", "2 Pac", "10cc", "112", "Blink 182", "Sum41", "007 Act No 5"]
    plain, keys = plain_artist_keys(pa.array(texts))
    kept = [text for text, is_plain in zip(texts, plain, strict=True) if is_plain]
    assert {"Yaz", "2 Pac", "112"} <= set(kept)
    assert [parse_credit(text).parts for text in kept] == [(key,) for key in keys]
    assert [parse_credit(text).names for text in kept] == [frozenset((key,)) for key in keys]


def test_only_titles_that_may_name_a_guest_do() -> None:
    texts = [
        *TEXTS,
        *ODD,
        *EXAMPLES,
        *(f"Love {sign}" for sign in ("(with Me)", "- duet with Me", "【feat. Me】", "ＦＥＡＴ Me", "w/ Me", "〜with Me〜")),
    ]
    may = may_name_guests(pa.array(texts))
    names = [text for text in texts if text.strip() and parse_title(text).featured]
    assert len(names) > 20
    assert set(names) <= {text for text, one in zip(texts, may, strict=True) if one}
    assert not may.all()


@pytest.mark.parametrize("text", ["Love Remix", "Two Hearts", "Part IV", "Love feat Me", "Rock 'n' Roll", "Love (Live)", "Café"])
def test_whatever_a_rule_reads_is_left_to_the_rules(text: str) -> None:
    assert plain_title_keys(pa.array([text]))[0].tolist() == [False]
