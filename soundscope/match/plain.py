"""Keys of plain names, for whole columns at once: exactly what the full rules give, for texts so plain that most rules cannot apply.

A plain text is of ASCII letters (names also of digits), single spaces and apostrophes, without any word that a rule reads or changes.
Whatever is not plain is left to `titles.parse_title` and `credits.parse_credit`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match.credits import JOINING_WORDS, aliases
from soundscope.match.normalise import CHANGED_WORDS

# Words by which a title without brackets or dashes may say a version or a guest.
_TITLE_WORDS = frozenset({"feat", "ft", "featuring", "duet", "remix", "edit", "version", "remaster", "remastered"})
_PLAIN_TITLE = r"^[a-z]+(?: [a-z]+)*$"  # a number at the end may be a year, which is a version
_PLAIN_ARTIST = r"^[a-z0-9]+(?: [a-z0-9]+)*$"


def plain_title_keys(titles: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Keys of plain titles.

    Args:
        titles: text without NULLs.

    Returns:
        Which titles are plain, shape (n,), and the keys of those, in order: `parse_title(title).full`; such titles name no version.
    """
    words, plain = _plain(titles, _PLAIN_TITLE, CHANGED_WORDS | _TITLE_WORDS)
    return plain, _joined(words, plain, "^(?:the|a|an) ")


def plain_artist_keys(artists: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Keys of plain names of one artist.

    Args:
        artists: text without NULLs.

    Returns:
        Which names are plain, shape (n,), and the keys of those, in order: `parse_credit(name).parts[0]`.
    """
    words, plain = _plain(artists, _PLAIN_ARTIST, CHANGED_WORDS | JOINING_WORDS)
    keys = _joined(words, plain, "^the ")
    known = aliases()
    return plain, np.array([known.get(key, key) for key in keys], dtype=object)


def _plain(texts: pa.Array, pattern: str, words: frozenset[str]) -> tuple[pa.Array, np.ndarray]:
    lowered = pc.replace_substring(pc.ascii_lower(texts), "'", "")
    is_plain = pc.and_(
        pc.match_substring_regex(lowered, pattern),
        pc.invert(pc.match_substring_regex(lowered, r"\b(?:" + "|".join(sorted(words)) + r")\b")),
    )
    # An apostrophe before n joins names (Guns N' Roses has one after it), so it stays to the full rules.
    return lowered, pc.and_(is_plain, pc.invert(pc.match_substring(texts, "'n"))).to_numpy(zero_copy_only=False)


def _joined(words: pa.Array, plain: np.ndarray, article: str) -> np.ndarray:
    kept = pc.replace_substring_regex(words.filter(pa.array(plain)), article, "")
    return pc.replace_substring(kept, " ", "").to_numpy(zero_copy_only=False)
