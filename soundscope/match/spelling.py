"""How far two spellings are from each other, word by word. What a difference means for a link is in `evidence.py`."""

from __future__ import annotations

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

# Words less alike than this (of 100) are two words; above, they may be spellings or misprints of one (`Streiht`, `Straight`).
REPLACED = 50.0
# From this length on, a letter of a word in a script other than the Latin one may differ: there a letter is a syllable or a consonant, and
# mostly makes another word (`사랑해`, `사랑해요`; `ビル`, `ビール`). Cyrillic and Greek arrive here in Latin letters.
LONG_ELSEWHERE = 8
# Spellings of speech that one title may use and another not, and the clean words that charts print for others.
_SPOKEN = frozenset(
    frozenset(pair)
    for pair in (
        ("the", "da"), ("the", "tha"), ("you", "ya"), ("your", "yo"), ("your", "ur"), ("are", "r"), ("them", "dem"), ("that", "dat"),
        ("this", "dis"), ("of", "o"), ("to", "2"), ("to", "ii"), ("for", "4"), ("with", "wit"), ("old", "ol"), ("little", "li"), ("bitch", "chick"), ("bitch", "trick"),
    )
)  # fmt: skip


def same_spelling(a: str, b: str) -> bool:
    """Whether two names of as many words differ in a letter or two of a word only (`Freddie Cannon`, `Freddy Cannon`)."""
    one, other = a.split(), b.split()
    return len(one) == len(other) and all(
        x == y or Levenshtein.distance(x, y) <= _letters_of_a_name(x, y) for x, y in zip(one, other, strict=True)
    )


def is_latin(text: str) -> bool:
    """Whether normalised text is in Latin letters alone, where closeness says something about short words."""
    return text.isascii()


def _letters_of_a_name(a: str, b: str) -> int:
    shorter = min(len(a), len(b))
    if not (is_latin(a) and is_latin(b)):
        return int(shorter >= LONG_ELSEWHERE)
    return 0 if shorter <= 3 else 1 if shorter <= 5 else 2


def word_difference(a: str, b: str) -> tuple[float, float]:
    """Share (0..1) of the words of two titles without a counterpart; and the same again where a word stands for quite another one
    (`There It Went`, `There It Is`) instead of being left out, else 0.

    One letter may differ, two in words of eight letters or more. This tells a spelling (`Feeling Alright`, `Feelin' Alright`) from another
    song (`The Popcorn`, `Mother Popcorn`).
    """
    one, other = a.split(), b.split()
    total = max(len(one), len(other), 1)
    left = [word for word in one if not _take(word, other)]
    if _same_word("".join(left), "".join(other)):
        return 0.0, 0.0
    share = max(len(left), len(other)) / total
    mine, theirs = "".join(left), "".join(other)
    nested = mine.startswith(theirs) or theirs.startswith(mine)  # true too if nothing stands on one side
    replaced = not nested and fuzz.ratio(mine, theirs) < REPLACED
    return share, share if replaced else 0.0


def _take(word: str, words: list[str]) -> bool:
    for i, candidate in enumerate(words):
        if _same_word(word, candidate):
            del words[i]
            return True
    return False


def _same_word(a: str, b: str) -> bool:
    if a == b or frozenset((a, b)) in _SPOKEN:
        return True
    shorter = min(len(a), len(b))
    allowed = 0 if shorter < 3 else 1 if shorter < 8 else 2
    if not (is_latin(a) and is_latin(b)):
        allowed = int(shorter >= LONG_ELSEWHERE)
    return bool(allowed) and Levenshtein.distance(a, b, score_cutoff=allowed) <= allowed
