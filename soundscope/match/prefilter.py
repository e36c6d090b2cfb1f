"""Cheap tests on whole columns of text, so that a few keys need not parse a million names. They may let too much through, not too little."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match.normalise import REPLACED_WORDS


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
