"""Genres and their families: which there are, and which colour each has on every page. Charts are drawn elsewhere."""

from __future__ import annotations

from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass

from soundscope.app.source import Source

GREY = "#8a8f98"
OTHERS = "all others"
# Hues that people with the common colour-vision deficiencies tell apart (Okabe and Ito 2008; Paul Tol's muted scheme).
_FIXED = {
    "pop": "#009e73", "rock": "#d55e00", "hip hop": "#56b4e9", "electronic": "#e69f00", "r&b": "#c9b100", "latin": "#2a7fb8",
    "easy listening": "#cc79a7", "soul": "#b0706a", "country": "#999933", "metal": "#6f63bb", "jazz": "#aa4499", "folk": "#88ccaa",
}  # fmt: skip
# Lightness of the kinds of one family, the most frequent first, against the family's own.
_SHADES = (1.0, 0.76, 1.25, 0.58, 0.45)
_LIGHTEST = 0.7


@dataclass(frozen=True)
class Genres:
    """What a release holds: family of each genre (the genre itself where none is known), and the colour of each genre and family."""

    family: dict[str, str]
    colour: dict[str, str]
    families: list[str]

    def colour_of(self, name: str | None) -> str:
        """Colour of a genre or family; grey for anything else."""
        return self.colour.get(name or "", GREY)


def genres_of(source: Source) -> Genres:
    """Genres of the release, the most frequent first.

    Twelve families have a colour of their own: well-known ones always the same, further ones by frequency while colours are left. All others
    are grey. A genre has its family's colour; further kinds of the family are lighter and darker.
    """
    rows = source.ask(
        "select genre, coalesce(mode(family), genre) as family, count(*) as n from marts.track_features where genre is not null "
        "group by genre order by n desc, genre"
    )
    family = dict(zip(map(str, rows["genre"]), map(str, rows["family"]), strict=True))
    sizes = rows.groupby("family", sort=False)["n"].sum().sort_values(ascending=False, kind="stable")
    families = [str(name) for name in sizes.index]
    left = [colour for name, colour in _FIXED.items() if name not in families]
    colour = {name: _FIXED.get(name) or (left.pop(0) if left else GREY) for name in families}
    seen: dict[str, int] = {}
    for genre, whose in family.items():
        if genre in families:
            continue
        place = seen[whose] = seen.get(whose, 0) + 1
        colour[genre] = _shade(colour[whose], _SHADES[place % len(_SHADES)])
    return Genres(family, colour, families)


def choices(source: Source, most: int = 60) -> list[str]:
    """What a person can choose: the families, then the most frequent genres that are not families themselves."""
    known = genres_of(source)
    return [*known.families, *[genre for genre in list(known.family)[:most] if genre not in known.families]]


def _shade(colour: str, factor: float) -> str:
    if colour == GREY:
        return GREY
    hue, light, full = rgb_to_hls(*(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
    red, green, blue = hls_to_rgb(hue, min(light * factor, _LIGHTEST), full)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
