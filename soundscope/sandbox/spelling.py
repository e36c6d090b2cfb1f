"""How the charts print a song: accents stripped, guests joined their own way, old habits of case, censoring, A/B sides.

The catalogue's spelling is in `names`. A song keeps the spelling of its first week; restatements are made elsewhere.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import TYPE_CHECKING

from soundscope.sandbox import sound, words
from soundscope.sandbox.catalogue import day_number

if TYPE_CHECKING:
    from soundscope.sandbox.world import World

# Rates of the joiners follow counts in the Hot 100 archive: Featuring far ahead, then &, And, With, X, comma.
_JOINERS = (
    (" Featuring ", 0.52),
    (" & ", 0.22),
    (" And ", 0.05),
    (" With ", 0.06),
    (" X ", 0.05),
    (", ", 0.05),
    (" + ", 0.02),
    (" featuring ", 0.01),
    (" Duet With ", 0.02),
)
_CASE_CHANGES = day_number(dt.date(2023, 6, 1))


def plain(text: str) -> str:
    """Latin text without accents; names of other scripts in their romanised form."""
    text = words.ROMANISED.get(text, text)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).replace("ø", "o")


def b_side(world: World, song: int) -> int | None:
    """The other side of a double A-side, or None: another song by the same act that is out already."""
    if world.draw("spell.double", song) >= 0.02 or int(world.songs.kind[song]):
        return None
    mine = world.songs_of_artist(int(world.songs.artist[song]))
    for other in reversed(mine):
        if other < song and int(world.songs.kind[other]) == 0 and world.songs.day[other] <= world.songs.day[song]:
            return int(other)
    return None


def chart_title(world: World, song: int) -> str:
    """The title as the chart prints it."""
    original = int(world.songs.of_song[song]) if int(world.songs.kind[song]) == sound.TWIN else song
    text = plain(world.names.base_title(original))
    other = b_side(world, original)
    if other is not None:
        return f"{text}/{plain(world.names.base_title(other))}"
    draw = world.draw("spell.title", original)
    if "Damn" in text:
        return text.replace("Damn", "D***")
    if draw < 0.03:
        return re.sub(r"\s*\([^)]*\)", "", text).strip() or text  # the bracket is left out
    if draw < 0.05:
        return text.replace(" & ", " And ").replace("Dancin'", "Dancing")
    if draw < 0.06:
        return text.upper()
    return text


def _act(world: World, artist: int, song: int) -> str:
    name = plain(world.names.artist(artist))
    draw = world.draw("spell.act", artist)
    if draw < 0.05:  # from some date on the act is printed in capitals, for songs that come out after it
        since = _CASE_CHANGES + int(900 * world.draw("spell.case_date", artist))
        return name.upper() if world.songs.day[song] > since else name
    if draw < 0.07 and name.startswith("The "):
        return name[4:]
    if draw < 0.10:
        return name.replace(" & ", " And ")
    return name


def chart_artist(world: World, song: int) -> str:
    """The credit as the chart prints it."""
    original = int(world.songs.of_song[song]) if int(world.songs.kind[song]) == sound.TWIN else song
    main, *guests = world.names.song_artists(original)
    if not guests or world.draw("spell.omit", original) < 0.04:
        return _act(world, main, original)
    edges, draw = 0.0, world.draw("spell.joiner", original)
    joiner = _JOINERS[0][0]
    for text, share in _JOINERS:
        edges += share
        if draw < edges:
            joiner = text
            break
    return _act(world, main, original) + joiner + _act(world, guests[0], original)


def second_archive(world: World, title: str, artist: str, song: int) -> tuple[str, str]:
    """The same row as the CSV archive prints it: about three in a thousand songs differ in quotes, case or joiner."""
    draw = world.draw("spell.second", song)
    if draw < 0.010 and "'" in title:
        return title.replace("'", "\u2019"), artist
    if draw < 0.014 and " Featuring " in artist:
        return title, artist.replace(" Featuring ", " & ")
    if draw < 0.016:
        return title, artist.upper()
    return title, artist
