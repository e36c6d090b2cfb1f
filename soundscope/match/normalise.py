"""Normalisation of titles and credits as small named rules, in the order in which they apply.

Here is what happens to *characters and words*. What a title's parts mean is in `titles.py`, who a credit names is in `credits.py`.
Every rule carries examples; they are tests. A rule must hold for both sides alike: it may merge two spellings of one name, and
must not merge two names (that is why `in'` is not turned into `ing` here: closeness is the business of the fuzzy step).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Rule:
    """One step of normalisation: `examples` are (before, after) pairs of this step alone."""

    name: str
    why: str
    apply: Callable[[str], str]
    examples: tuple[tuple[str, str], ...]


# Letters that NFKD leaves whole, and signs that artists use as letters wherever they stand.
_UNSEEN = (
    (0xAD, 0xAD),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x2069),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
)
_LETTERS = str.maketrans(
    {
        "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "İ": "I",
        "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ħ": "h", "Ħ": "H", "ŋ": "ng", "ə": "e", "Ə": "E", "ɐ": "a",
        "¥": "y", "×": " x ", "º": "°", "˚": "°", "ª": "a", "№": "#", "ʻ": "'", "ʼ": "'",
    }
    # Nobody sees these: soft hyphens, joiners and spaces without width, marks of direction, and which picture a sign is shown by.
    | {chr(code): "" for first, last in _UNSEEN for code in range(first, last + 1)}
)  # fmt: skip
# Arabic letters that are written in two ways, and the line that stretches words; the dot below Hindi letters, often left out, and two
# ways to write a nasal.
_DECOMPOSED = str.maketrans({"ـ": None, "ى": "ي", "ی": "ي", "ة": "ه", "ک": "ك", "ٱ": "ا", "\u093c": None, "ँ": "ं"})
# In these scripts a mark is an accent and may go; in Indic, Thai or Japanese text it is part of the letter.
_ACCENTED = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW")
# A nasal before a consonant of its own row is written as a letter or as a dot above: हिन्दी, हिंदी.
_NASAL = re.compile("ङ्(?=[कखगघ])|ञ्(?=[चछजझ])|ण्(?=[टठडढ])|न्(?=[तथदध])|म्(?=[पफबभ])")


def fold_letters(text: str) -> str:
    """Accents, ligatures, full-width and compatibility forms to plain letters."""
    if text.isascii():
        return text
    kept: list[str] = []
    accented = True
    for char in unicodedata.normalize("NFKD", text.translate(_LETTERS)).translate(_DECOMPOSED):
        if unicodedata.combining(char):
            if not accented:
                kept.append(char)
            continue
        accented = char.isascii() or unicodedata.name(char, "").startswith(_ACCENTED)
        kept.append(str(unicodedata.decimal(char)) if char.isdecimal() else char)
    return _NASAL.sub("ं", unicodedata.normalize("NFC", "".join(kept)))


def fold_case(text: str) -> str:
    """Upper and lower case alike."""
    return text.casefold()


_APOSTROPHES = re.compile(r"['’‘`´ʼ′＇]")
_QUOTES = re.compile(r"[\"“”„‟«»‹›″「」『』《》]")


def drop_quotes(text: str) -> str:
    """Apostrophes vanish inside a word, quotation marks separate words."""
    return _QUOTES.sub(" ", _APOSTROPHES.sub("", text))


_DOLLAR = re.compile(r"\$(?=[a-z])|(?<=[a-z])\$")
_BANG = re.compile(r"(?<=[a-z])!(?=[a-z])")
_AT = re.compile(r"(?<=[a-z])@(?=[a-z])")
_STARS = re.compile(r"(?<![^\W_])[a-z](?:\*[a-z])+(?![^\W_])")
_EURO = re.compile(r"€(?=[a-z])|(?<=[a-z])€")
_DEGREES = re.compile(r"(?<=\d)\s*°")


def stylised_letters(text: str) -> str:
    """Signs that stand for letters inside a name."""
    if "$" in text:
        text = _DOLLAR.sub("s", text)
    if "!" in text:
        text = _BANG.sub("i", text)
    if "@" in text:
        text = _AT.sub("a", text)
    if "*" in text:
        text = _STARS.sub(lambda found: found.group().replace("*", ""), text)
    if "€" in text:
        text = _EURO.sub("e", text)
    if "°" in text:
        text = _DEGREES.sub(" degrees ", text)
    return text


_MASKED = re.compile(r"[a-z]*\*+[a-z*]*")
_MASKABLE = [
    "fuck",
    "fucks",
    "fucked",
    "fucker",
    "fuckin",
    "fucking",
    "motherfucker",
    "motherfuckers",
    "motherfuckin",
    "motherfucking",
    "muthafucka",
    "muthafuckin",
    "shit",
    "shitty",
    "bullshit",
    "bitch",
    "bitches",
    "bitchin",
    "nigga",
    "niggas",
    "niggaz",
    "ass",
    "asses",
    "asshole",
    "pussy",
    "dick",
    "hoe",
    "hoes",
    "damn",
    "whore",
    "cock",
    "tits",
    "sex",
]


_LONGEST_MASKABLE = max(map(len, _MASKABLE))


def _unmask(match: re.Match[str]) -> str:
    masked = match.group().rstrip()
    if not re.search("[a-z]", masked):
        return match.group()
    exact = None if len(masked) > _LONGEST_MASKABLE else _usual_word(masked.replace("*", "[a-z]"))
    exact = exact or _usual_word(re.sub(r"\*+", "[a-z]+", masked))
    if exact:
        return exact
    # `apes**t`, `f*ckwithme`: the usual word is a part of what was masked, each asterisk one letter inside it; one at the end is a footnote's.
    begin, end = masked.index("*"), masked.rindex("*") + 1
    if end - begin > _LONGEST_MASKABLE:
        return match.group()
    for first in range(max(0, end - _LONGEST_MASKABLE), begin):
        for last in range(min(len(masked), begin + _LONGEST_MASKABLE), end, -1):
            word = _usual_word(masked[first:last].replace("*", "[a-z]"))
            if word:
                return masked[:first] + word + masked[last:]
    return match.group()


def _usual_word(pattern: str) -> str | None:
    return next((word for word in _MASKABLE if re.fullmatch(pattern, word)), None)


def uncensor(text: str) -> str:
    """Words masked with asterisks, where only one usual word fits best."""
    return _MASKED.sub(_unmask, text) if "*" in text else text


_NUMBER_SIGN = re.compile(r"#\s*(?=\d)|\bno\.\s*(?=\d)|\bnr\.?\s*(?=\d)")
_AND = re.compile(r"&|\+|＆")


def spell_signs(text: str) -> str:
    """`&` and `+` read `and`, `#1` and `No. 1` read `number 1`."""
    text = _NUMBER_SIGN.sub(" number ", text) if "#" in text or "n" in text else text
    return _AND.sub(" and ", text) if "&" in text or "+" in text else text


# After BGN/PCGN, without signs that have no sound; й and ё arrive here as и and е.
_ROMAN_LETTERS = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "к": "k", "л": "l",
    "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
    "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "і": "i", "ї": "i",
    "є": "ie", "ґ": "g", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz", "α": "a", "β": "v", "γ": "g",
    "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m", "ν": "n", "ξ": "x",
    "ο": "o", "π": "p", "ρ": "r", "σ": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_TO_ROMANISE = re.compile(r"(?<![a-z])[\u0370-\u03ff\u0400-\u04ff]+(?![a-z])")
_GREEK_PAIRS = (("ου", "ou"), ("αυ", "av"), ("ευ", "ev"), ("μπ", "b"), ("ντ", "nt"))


def romanise(text: str) -> str:
    """Cyrillic and Greek words in Latin letters, so that `Кино` and `Kino` are one name."""
    return text if text.isascii() else _TO_ROMANISE.sub(_romanise_word, text)


def _romanise_word(found: re.Match[str]) -> str:
    word = found.group()
    for pair, letters in _GREEK_PAIRS:
        word = word.replace(pair, letters)
    return "".join(_ROMAN_LETTERS.get(letter, letter) for letter in word)


_ACRONYM = re.compile(r"(?<![^\W_]{2})\.(?=[^\W_](?![^\W_])|\s|$|[^\w\s])|(?<=\d)[.,](?=\d{3})")
_ABBREVIATION_DOT = re.compile(r"(?<=[a-z])\.(?=[a-z])")


def drop_dots(text: str) -> str:
    """Dots of initials vanish, so that `R.E.M.` is one word."""
    if "." not in text and "," not in text:
        return text
    return _ACRONYM.sub("", text)


_ASCII_SEPARATORS = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=8192)
def _is_word_char(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"


def drop_punctuation(text: str) -> str:
    """Whatever is neither letter, number nor mark becomes one space."""
    if text.isascii():
        return _ASCII_SEPARATORS.sub(" ", text).strip()
    return " ".join("".join(char if _is_word_char(char) else " " for char in text).split())


_NUMBER_WORDS = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
            "thirty",
            "forty",
            "fifty",
            "sixty",
            "seventy",
            "eighty",
            "ninety",
        ],
        [str(n) for n in (*range(21), 30, 40, 50, 60, 70, 80, 90)],
        strict=True,
    )
) | {"first": "1st", "second": "2nd", "third": "3rd"}
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "x": "10"}
_NUMERALS = frozenset(_NUMBER_WORDS) | frozenset(_ROMAN)
_AFTER = {"part", "vol", "chapter", "number", "act"}
_LAST_ROMAN = {"ii", "iii", "iv", "vi", "vii", "viii", "ix"}


def numbers(text: str) -> str:
    """Number words and Roman numerals (after `part`, `vol`, ... or at the end) to digits."""
    words = text.split()
    if _NUMERALS.isdisjoint(words):
        return text
    previous, in_parts = "", False
    for i, word in enumerate(words):
        in_parts = previous in _AFTER or (in_parts and (previous in {"and", "to"} or previous.isdigit()))
        if word in _NUMBER_WORDS:
            words[i] = _NUMBER_WORDS[word]
        elif word in _ROMAN and (in_parts or (i > 0 and i == len(words) - 1 and word in _LAST_ROMAN)):
            words[i] = _ROMAN[word]
        previous = words[i]
    return " ".join(words)


_SYNONYMS = {
    "n": "and", "pt": "part", "pts": "part", "parts": "part", "volume": "vol", "versus": "vs", "saint": "st", "mister": "mr",
    "til": "till", "until": "till", "cause": "because", "cuz": "because", "coz": "because",
    "tonite": "tonight", "nite": "night", "thru": "through", "luv": "love", "u": "you", "lil": "little", "ole": "old",
    "wanna": "want to", "gonna": "going to",
    "co": "company", "bros": "brothers", "orch": "orchestra", "dr": "doctor", "sgt": "sergeant", "mt": "mount", "junior": "jr",
}  # fmt: skip


_LETTERS_FOR_WORDS = frozenset(word for word in _SYNONYMS if len(word) == 1)
REPLACED_WORDS = frozenset(word for spelled in _SYNONYMS.values() for word in spelled.split())
# Every word that `synonyms` or `numbers` may change.
CHANGED_WORDS = frozenset(_SYNONYMS) | _NUMERALS


def synonyms(text: str) -> str:
    """Usual short forms of one word."""
    words = text.split()
    if _SYNONYMS.keys().isdisjoint(words):
        return text
    if _LETTERS_FOR_WORDS.isdisjoint(words):
        return " ".join(_SYNONYMS.get(word, word) for word in words)
    spelled_out = [len(word) == 1 and word.isalpha() and word not in "ai" for word in ("", *words, "")]
    # A letter beside single letters is spelled out (T-R-O-U-B-L-E), not short for a word.
    return " ".join(
        word if len(word) == 1 and (spelled_out[i] or spelled_out[i + 2]) else _SYNONYMS.get(word, word)
        for i, word in enumerate(words)
    )


_ARTICLES = ("the ", "a ", "an ")


def leading_article(text: str) -> str:
    """`The`, `A` and `An` at the start, if something remains."""
    for article in _ARTICLES:
        if text.startswith(article):
            return text[len(article) :]
    return text


RULES: tuple[Rule, ...] = (
    Rule(
        "fold letters", "charts drop accents, catalogues keep them", fold_letters,
        (("Beyoncé", "Beyonce"), ("Møme", "Mome"), ("Kanye & ¥$", "Kanye & y$"), ("Łona", "Lona"), ("Ｆｕｌｌ", "Full"), ("98º", "98°"),
         ("Björk", "Bjork"), ("ガール", "ガール"), ("हिन्दी", "हिंदी"), ("ज़िंदगी", "जिंदगी"), ("Ёлка", "Елка"), ("좋은 날", "좋은 날"),
         ("أغنية", "اغنيه"), ("حبيبـــي", "حبيبي"), ("١٠٠", "100"), ("יְרוּשָׁלַיִם", "ירושלים"), ("ﾄﾞﾗｲ", "ドライ"), ("ไทย", "ไทย")),
    ),
    Rule("fold case", "case changes over time", fold_case, (("JAY-Z", "jay-z"), ("Straße", "strasse"))),
    Rule(
        "stylised letters", "signs used as letters", stylised_letters,
        (("p!nk", "pink"), ("ke$ha", "kesha"), ("a$ap rocky", "asap rocky"), ("y$", "ys"), ("98°", "98 degrees "), ("wow!", "wow!"), ("n*e*r*d", "nerd"),
         ("$100", "$100")),
    ),
    Rule("uncensor", "charts mask words", uncensor, (("f**k you", "fuck you"), ("b**** i'm", "bitch i'm"), ("sh*t", "shit"), ("apes**t", "apeshit"), ("mutha***** up", "muthafucka up"), ("*nsync", "*nsync"))),
    Rule("drop quotes", "quotes of all kinds", drop_quotes, (("don’t", "dont"), ("'til", "til"), ('"heroes"', " heroes "))),
    Rule("spell signs", "one spelling of and, number", spell_signs, (("salt & pepa", "salt  and  pepa"), ("1+1", "1 and 1"), ("#9 dream", " number 9 dream"))),
    Rule(
        "romanise", "charts print Cyrillic and Greek in either script", romanise,
        (("группа крови", "gruppa krovi"), ("ζαρι", "zari"), ("koяn", "koяn"), ("夜", "夜")),
    ),
    Rule("drop dots", "initials", drop_dots, (("r.e.m.", "rem"), ("b.o.b", "bob"), ("mr. brown", "mr. brown"), ("10,000 hours", "10000 hours"))),
    Rule("drop punctuation", "spacing and punctuation vary", drop_punctuation, (("jay-z", "jay z"), ("what's up?", "what s up"), ("ac/dc", "ac dc"))),
    Rule(
        "synonyms", "abbreviations and usual short forms", synonyms,
        (("rock n roll", "rock and roll"), ("fever pt 2", "fever part 2"), ("til dawn", "till dawn"), ("do you wanna dance", "do you want to dance"),
         ("hot tonite", "hot tonight"), ("fruitgum co", "fruitgum company"), ("walker bros", "walker brothers"), ("cool u 2", "cool you 2"), ("u2", "u2"), ("t r o u b l e", "t r o u b l e")),
    ),
    Rule(
        "numbers", "numbers and numerals", numbers,
        (("two hearts", "2 hearts"), ("part ii", "part 2"), ("part i and ii", "part 1 and 2"), ("rocky iv", "rocky 4"), ("x factor", "x factor"),
         ("i want you", "i want you")),
    ),
    Rule("leading article", "articles come and go", leading_article, (("the boxer", "boxer"), ("the", "the"), ("a ha", "ha"))),
)  # fmt: skip
_WITHOUT_ARTICLE = tuple(rule.apply for rule in RULES[2:-1])


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Letters and case only; punctuation stays, so that a title can still be taken apart."""
    return text.lower() if text.isascii() else fold_letters(text).casefold()


@lru_cache(maxsize=65_536)
def words_of(folded: str) -> str:
    """Folded text to its words, one space apart; text of signs alone stays as it is, so that no name becomes empty."""
    text = folded
    for apply in _WITHOUT_ARTICLE:
        text = apply(text)
    return text or folded.strip()


def title_key(words: str) -> str:
    """Words of a title to its key: no leading article, no spaces."""
    return leading_article(words).replace(" ", "")


def artist_key(words: str) -> str:
    """Words of an artist's name to its key: no leading `the` (but `A-ha` keeps its A), no spaces."""
    return words.removeprefix("the ").replace(" ", "") or words
