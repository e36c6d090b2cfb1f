"""Invented words, song titles and artist names, in several scripts and with accents.

Every name is put together from the small lists below by hashed draws, so a resemblance to a real act or song is chance.
How a chart prints a name is not decided here (see `spelling`).
"""

from __future__ import annotations

import unicodedata
from math import gcd

from soundscope.sandbox.draws import Ints, choose, uniform


def _list(text: str) -> list[str]:
    return text.split()


ADJECTIVES = _list(
    "Paper Neon Hollow Velvet Crooked Amber Static Lunar Rusty Glass Silver Reckless Tender Electric Wicked Sleepless"
    " Golden Frozen Borrowed Midnight Broken Gentle Scarlet Silent Plastic Restless Distant Honest Magnetic Sugar"
    " Thirsty Wooden Cobalt Careless Stolen Bitter Hazy Lonesome Marble Tangled"
)
NOUNS = _list(
    "Comet Orchard Lantern Harbour Tiger Mirror Carousel Thunder Meadow Engine Pocket Signal Feather Balcony Avalanche"
    " Postcard Satellite Window Umbrella Lemon Machine Parade Ladder Compass Ribbon Kingdom Teacup Asteroid Hallway"
    " Volcano Raincoat Telescope Elevator Whisper Horizon Candle Bicycle Ocean Diamond Garden Shadow River Cathedral"
    " Radio Basement Monsoon Polaroid Saturday Piñata Café Château Déjà Señora Über Naïveté Façade Crème Jalapeño Noël"
)
_HEADS = _list("moon ember thistle brass marrow wilder snow copper raven saffron frost juniper quill hollow velvet lark")
_TAILS = _list("harbour wick field glass mere song lock bloom drift spire fall gate wren stone light")
COMPOUNDS = [(h + t).capitalize() for h in _HEADS for t in _TAILS]
TITLE_WORDS = [*ADJECTIVES, *NOUNS, *COMPOUNDS]
NATIVE_TITLES = (
    ("달빛기차", "Dalbit Gicha"),
    ("별의 우산", "Byeorui Usan"),
    ("ガラスの彗星", "Garasu no Suisei"),
    ("夜の灯台", "Yoru no Todai"),
    ("Бумажная комета", "Bumazhnaya Kometa"),
    ("Тихий фонарь", "Tikhiy Fonar"),
    ("Χάρτινο Φεγγάρι", "Hartino Feggari"),
    ("قطار القمر", "Qitar Al Qamar"),
)
TITLE_TEMPLATES = (
    ("{a} {n}", 0.24),
    ("{n}", 0.17),
    ("{n} of {m}", 0.07),
    ("My {a} {n}", 0.06),
    ("In the {n}", 0.05),
    ("{a} {n} Tonight", 0.05),
    ("Don't Wake the {n}", 0.04),
    ("{n} ({a} Heart)", 0.05),
    ("(I Left My) {n}", 0.02),
    ("{n} & {m}", 0.04),
    ("{a}, {n}, {m}", 0.02),
    ("Dancin' with {n}", 0.04),
    ("{n}, Pt. 2", 0.02),
    ("Damn {n}", 0.02),
    ("#1 {n}", 0.01),
    ("{n}?", 0.02),
    ("{number}", 0.02),
    ("{n} / {m}", 0.01),
    ("{native}", 0.01),
    ("Snowbound {n}", 0.0),  # kept for holiday songs
)
HOLIDAY_TEMPLATE = len(TITLE_TEMPLATES) - 1
NATIVE_TEMPLATE = HOLIDAY_TEMPLATE - 1
NUMBER_TEMPLATE = HOLIDAY_TEMPLATE - 3
_SPLIT = len(ADJECTIVES)

_FIRST = [
    a + b
    for a in _list("Vel Or Mi Ta Bri Zan Kel Jo Ly Nar Fe Du Sol Ish Cor Pel")
    for b in _list("ora ix essa an ique io wen ara eth u ón iël")
]
_LAST = [
    a + b
    for a in _list("Quint Brass Marl Hol Dray Oster Fen Wick Tarl Voss Elm Carr Ny Thor Bel Sund Mc Ós")
    for b in _list("more ell ington by aux ard ström ley wood ez ov nair ham üller")
]
ARTIST_TEMPLATES = (
    ("{f} {l}", 0.46),
    ("{f}", 0.08),
    ("The {a} {c}s", 0.10),
    ("{c} & {n}", 0.04),
    ("{a}, {c} & {n}", 0.01),
    ("DJ {f}", 0.04),
    ("{f} {l} & The {c}s", 0.03),
    ("Lil {c}", 0.06),
    ("${f}", 0.02),
    ("{a} {c}", 0.13),
    ("{f}-{l}", 0.02),
    ("{native}", 0.01),
    ("{c} Karaoke Players", 0.0),  # the three houses that record other people's songs
    ("The {c} Tribute Band", 0.0),
    ("{c} Speed Lab", 0.0),
)
HOUSE_TEMPLATES = (12, 13, 14)
NATIVE_ARTIST_TEMPLATE = 11
NATIVE_ARTISTS = (
    ("은하정류장", "Eunha Jeongryujang"),
    ("青い電車", "Aoi Densha"),
    ("Северный Лифт", "Severny Lift"),
    ("Ηλεκτρικό Λεμόνι", "Ilektriko Lemoni"),
    ("فانوس أزرق", "Fanous Azraq"),
    ("小さな灯台", "Chiisana Todai"),
)


def fold(text: str) -> str:
    """Lower case without combining marks."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def title_draws(seed: int, song: Ints) -> tuple[Ints, Ints, Ints]:
    """(template, first word, second word) of each song's title; about 3 % share the title of an older song."""
    source = song.copy()
    shared = uniform(seed, "title.homonym", song) < 0.03
    source[shared] = song[shared] // 2
    template = choose(uniform(seed, "title.template", source), [w for _, w in TITLE_TEMPLATES])
    first = (uniform(seed, "title.a", source) * _SPLIT).astype("int64")
    second = _SPLIT + (uniform(seed, "title.n", source) * (len(TITLE_WORDS) - _SPLIT)).astype("int64")
    return template, first, second


def title(template: int, a: int, n: int) -> str:
    """The catalogue title (no version suffix, no featured artist)."""
    text = TITLE_TEMPLATES[template][0]
    if template == NATIVE_TEMPLATE:
        return NATIVE_TITLES[n % len(NATIVE_TITLES)][0]
    m = _SPLIT + (n * 31 + a * 7) % (len(TITLE_WORDS) - _SPLIT)
    number = str((1960 + a * 3 + n % 60) if n % 2 else 10 + n)
    return text.format(a=TITLE_WORDS[a], n=TITLE_WORDS[n], m=TITLE_WORDS[m], number=number)


def artist_draws(seed: int, artist: Ints) -> Ints:
    """Template of each artist's name."""
    return choose(uniform(seed, "artist.template", artist), [w for _, w in ARTIST_TEMPLATES])


def _pair(index: int, seed: int, n_first: int, n_second: int) -> tuple[int, int]:
    # An affine permutation of all pairs: names repeat only after every pair was used.
    size = n_first * n_second
    step = 7919
    while gcd(step, size) != 1:
        step += 2
    return divmod((index * step + seed * 104_729) % size, n_second)


def artist_name(index: int, template: int, seed: int) -> str:
    """The catalogue name of an artist."""
    if template == NATIVE_ARTIST_TEMPLATE:
        return NATIVE_ARTISTS[index % len(NATIVE_ARTISTS)][0]
    f, last = _pair(index, seed, len(_FIRST), len(_LAST))
    a, c = _pair(index, seed + 1, len(ADJECTIVES), len(COMPOUNDS))
    text = ARTIST_TEMPLATES[template][0]
    return text.format(f=_FIRST[f], l=_LAST[last], a=ADJECTIVES[a], c=COMPOUNDS[c], n=NOUNS[(index * 17 + c) % len(NOUNS)])


ROMANISED = dict(NATIVE_TITLES) | dict(NATIVE_ARTISTS)
"""How the chart prints a name that the catalogue writes in another script."""
