"""Whether a found track may be the one asked for: a coarse comparison that decides only whether another provider is asked as well.

Which track a chart entry means is decided later, by matching, from all candidates.
"""

from __future__ import annotations

import re
import unicodedata

_BRACKETS = re.compile(r"[(\[].*?[)\]]|\s-\s.*$")
_GUESTS = re.compile(r"(?i)\s+(?:featuring|feat\.?|ft\.?|with|duet with|x|vs\.?)\s+|\s*[,&+/]\s*|\s+and\s+")


# P!nk, but not Uptown Funk!
_INNER = re.compile(r"(?<=\w)!(?=\w)")
_FEATURED = re.compile(r"(?i)\s+[(\[]?(?:featuring|feat\.?|ft\.?|with|duet with)\s.*$")


def without_guests(credit: str) -> str:
    """A credit up to its guests: searches look for one name, and providers list guests apart."""
    return _FEATURED.sub("", credit).strip() or credit


def plain(words: str) -> str:
    """Letters and digits only, without accents and case."""
    folded = unicodedata.normalize("NFKD", _INNER.sub("i", words.replace("$", "s"))).casefold()
    return "".join(c for c in folded if c.isalnum())


def lead(credit: str) -> str:
    """The first act of a credit, plain."""
    return plain(_GUESTS.split(credit.strip(), maxsplit=1)[0])


def may_be(title: str, artist: str, found_title: str, found_artist: str) -> bool:
    """Title and artist fit: brackets, guests, accents and case aside.

    Args:
        title, artist: as charted.
        found_title, found_artist: as the provider names them; the artist may be a whole credit.
    """
    return _title_fits(title, found_title) and _artist_fits(artist, found_artist)


def _title_fits(title: str, found: str) -> bool:
    ours, theirs = plain(title), plain(found)
    if not ours or not theirs:
        return title.strip().casefold() == found.strip().casefold()
    short = plain(_BRACKETS.sub("", title)) or ours, plain(_BRACKETS.sub("", found)) or theirs
    sides = {plain(side) for side in title.split("/")} - {""}
    return ours == theirs or short[0] == short[1] or theirs in sides or short[1] in sides


def _artist_fits(artist: str, found: str) -> bool:
    ours, theirs = plain(artist), plain(found)
    if not ours or not theirs:
        return artist.strip().casefold() == found.strip().casefold()
    return ours == theirs or lead(artist) == lead(found) or theirs in ours or (len(ours) > 3 and ours in theirs)
