"""Cheap tests on whole columns of text, so that a few keys need not parse a million names. They may let too much through, not too little."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match.normalise import CHANGED_WORDS, REPLACED_WORDS, fold
from soundscope.match.titles import Title

# Letters of a title that are looked for in other titles before these are taken apart.
_START = 4
_SEPARATORS = str.maketrans(
    {chr(code): " " for code in range(128) if not chr(code).isalnum()} | {"'": None, "`": None, ".": None}
)
# Signs that rules read as letters or words, and words that they change; `i` counts only after words for parts.
_READ = re.compile(r"[0-9$@*#&+]|[a-z]![a-z]")
_CHANGED = (CHANGED_WORDS - {"i", "v", "x"}) | {
    "part",
    "vol",
    "chapter",
    "number",
    "act",
    "feat",
    "ft",
    "featuring",
    "with",
    "duet",
}
_SHORT_MAIN = re.compile(r"^\W*\w?\W*\w?\W*\w?\W*(?:[(\[{]| [-~] |$)")


def fold_column(text: pa.Array) -> pa.Array:
    """Lower case without accents, for whole columns; only texts that need it pay for Unicode."""
    lowered = pc.utf8_lower(text)
    odd = pc.invert(pc.string_is_ascii(lowered))
    if not pc.any(odd).as_py():
        return lowered
    plain = pc.replace_substring_regex(pc.utf8_normalize(lowered.filter(odd), form="NFKD"), r"[\x{300}-\x{36f}’]", "")
    return pc.replace_with_mask(lowered, odd, plain)


def any_name(names: set[str]) -> str:
    """A pattern for texts that hold one of the names: its words in order, or its longest one where some may be spelled otherwise."""
    patterns = set()
    for name in names:
        words = name.split()
        steady = [word for word in words if not word.isdigit() and word not in REPLACED_WORDS] or words
        kept = words if len(steady) == len(words) else [max(steady, key=len)]
        if name.isascii():
            patterns.add(r"\b" + r"[^a-z0-9]+".join(map(re.escape, kept)) + r"\b")
        else:
            patterns.add(re.escape(fold_column(pa.array([max(kept, key=len)]))[0].as_py()))
    return "|".join(sorted(patterns)) or r"^\x00$"


def beginning(starts: list[str]) -> str:
    """A pattern for titles that begin with one of these letters, whatever signs stand between."""
    gap = "[^a-z0-9]*"
    spelled = {gap.join(re.escape(char) for char in start) for start in starts}
    return rf"^{gap}(?:(?:the|a|an) )?{gap}(?:" + "|".join(sorted(spelled)) + ")"


def main_text(folded: pa.Array) -> pa.Array:
    """Letters and digits of the text before the first bracket, dash or `feat`."""
    text = pc.replace_substring_regex(folded, r"^(?:the|a|an) |(.)(?: [-–] | ?[(\[]| feat| ft\.).*$", r"\1")
    return pc.replace_substring_regex(text, r"[^\p{L}\p{N}\p{M}]+", "")


def starts(title: Title) -> set[str]:
    """The first letters of every form of a title, and of its longest word, because words may stand in another order."""
    forms = {form[:_START] for form in title.forms if not form.startswith("~")}
    return forms | {max(title.words.split(), key=len, default="")[:_START]}


def is_worth_parsing(title: str, wanted: set[str]) -> bool:
    """Whether a title may have a form that begins like one of `wanted` (see `starts`): true for all that any rule may change."""
    if not title.isascii():
        return True
    text = fold(title)
    if _READ.search(text) or _SHORT_MAIN.match(text):
        return True
    words = text.translate(_SEPARATORS).split()
    if not _CHANGED.isdisjoint(words):
        return True
    squeezed = "".join(words)
    return any(start in squeezed for start in wanted)
