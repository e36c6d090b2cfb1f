"""How far a change reaches: which tracks a few keys may mean, and which keys a few tracks may change. Sets may be too large, not too small.

With it the answers for a few keys can be had without going through the whole catalogue. Comparing keys with tracks is `candidates.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match.columns import text_column
from soundscope.match.credits import alias_spellings, parse_credit
from soundscope.match.evidence import Name
from soundscope.match.normalise import fold, words_of
from soundscope.match.plain import plain_artist_keys
from soundscope.match.prefilter import any_name, beginning, fold_column, main_text
from soundscope.match.titles import parse_title

# More keys than this are not looked for by pattern.
FEW_NAMES = 1500
_FOLDED_BY_RULES = r"[øłđðþıæœßħŋə¥×°]|[\p{Cyrillic}\p{Greek}\p{Arabic}\p{Devanagari}]"
# Only such titles can name a guest; as a pattern for RE2, which Arrow and DuckDB share.
MAY_NAME_GUESTS = r"[^ -~]|[-(\[{~]|(?i:feat|ft|duet)"


def credit_column(tracks: pd.DataFrame) -> pa.Array:
    """Whom tracks credit: all artists where known, else the first."""
    artist = text_column(tracks, "artist")
    if "artists" not in tracks:
        return artist
    artists = text_column(tracks, "artists")
    return pc.if_else(pc.equal(artists, ""), artist, artists)


def artist_names(titles: pa.Array, credits: pa.Array) -> list[frozenset[str]]:
    """Keys of everybody credited or named in the title, as `evidence.parse_name` gives them, without taking every title apart."""
    unique = credits.dictionary_encode()
    plain, keys = plain_artist_keys(unique.dictionary)
    names_of = np.empty(len(plain), dtype=object)
    names_of[plain] = [frozenset((key,)) for key in keys]
    for place in np.flatnonzero(~plain).tolist():
        names_of[place] = parse_credit(unique.dictionary[place].as_py()).names
    found: list[frozenset[str]] = names_of[unique.indices.to_numpy()].tolist()
    for place in np.flatnonzero(may_name_guests(titles)).tolist():
        featured = parse_title(titles[place].as_py()).featured
        if featured:
            found[place] |= parse_credit(featured).names
    return found


def may_name_guests(titles: pa.Array) -> np.ndarray:
    """Whether titles (n,) may name a guest."""
    return np.asarray(pc.match_substring_regex(titles, MAY_NAME_GUESTS).to_numpy(zero_copy_only=False), dtype=bool)


def plain_titles(titles: pa.Array) -> pa.Array:
    """Titles by the cheap reduction under which those of an artist spelled otherwise are found."""
    return main_text(fold_column(titles))


def rows_with_title(titles: pa.Array, wanted: Collection[str]) -> np.ndarray:
    """Positions of titles whose cheap reduction is one of `wanted`."""
    sought = pa.array(sorted({text for text in wanted if text}), pa.string())
    rows = np.arange(len(titles))
    if len(sought) <= FEW_NAMES:
        pattern = title_pattern(sought.to_pylist())
        # Only few titles need Unicode, so whether these begin so is not asked before they are folded.
        begins = pc.or_(pc.match_substring_regex(titles, pattern, ignore_case=True), pc.invert(pc.string_is_ascii(titles)))
        rows = np.flatnonzero(begins.to_numpy(zero_copy_only=False))
        titles = titles.take(pa.array(rows))
    return rows[pc.is_in(plain_titles(titles), sought).to_numpy(zero_copy_only=False)]


def title_pattern(wanted: Iterable[str]) -> str:
    """A pattern, case aside, for ASCII titles that may reduce to one of `wanted`."""
    return beginning([text[:4] for text in wanted])


def plausible_credits(credits: pa.Array, names: Iterable[Name]) -> np.ndarray:
    """Which credits (n,) hold a word of one of the names, or are such that only the full rules can tell."""
    folded = pc.replace_substring_regex(fold_column(credits), "['’`´]", "")
    undotted = pc.replace_substring(folded, ".", "")
    pattern = any_name(_single_names(names))
    hits = pc.or_(pc.match_substring_regex(folded, pattern), pc.match_substring_regex(undotted, pattern))
    # Very short names, and letters that only the full rules fold, are parsed whatever they hold.
    odd = pc.match_substring_regex(folded, r"^.{0,3}$|[$!@*]").to_numpy(zero_copy_only=False).copy()
    foreign = np.flatnonzero(pc.invert(pc.string_is_ascii(folded)).to_numpy(zero_copy_only=False))
    odd[foreign] |= pc.match_substring_regex(folded.take(pa.array(foreign)), _FOLDED_BY_RULES).to_numpy(zero_copy_only=False)
    return np.asarray(hits.to_numpy(zero_copy_only=False) | odd, dtype=bool)


def _single_names(names: Iterable[Name]) -> set[str]:
    """Words of every single name, in all spellings."""
    spelled = alias_spellings()
    found: set[str] = set()
    for name in names:
        found.update(name.credit.pieces)
        if name.title.featured:
            found.update(parse_credit(name.title.featured).pieces)
        found.update(words_of(fold(text)) for who in name.names for text in spelled.get(who, ()))
    return {name.removeprefix("the ") for name in found} - {""}


def reached_keys(titles: pa.Array, names: list[frozenset[str]], tracks: pd.DataFrame) -> np.ndarray:
    """Which keys (k,) may be answered otherwise because of some tracks.

    Args:
        titles, names: of the keys, shape (k,), names as `artist_names` gives them.
        tracks: `title`, `artist`, `artists` of tracks that came, went or changed, as they were and as they are.
    """
    track_titles = text_column(tracks, "title")
    known = frozenset().union(*artist_names(track_titles, credit_column(tracks)))
    reduced = pc.unique(plain_titles(track_titles))
    same_title = pc.is_in(plain_titles(titles), reduced.filter(pc.not_equal(reduced, ""))).to_numpy(zero_copy_only=False)
    return np.asarray(same_title | np.array([not known.isdisjoint(one) for one in names], dtype=bool), dtype=bool)
