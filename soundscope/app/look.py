"""One visual language for every chart: colours, scales, bands, labels. What is shown is decided by the pages.

Colours are those of Okabe and Ito (2008, "Color Universal Design") and of Paul Tol's muted scheme, which people with any of the common
colour-vision deficiencies tell apart; the yellow is darker, to be seen on white. A doubtful value is drawn faintly, never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from soundscope.app.source import Source

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY = "#2a7fb8", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a8f98"
_GENRES = (
    ORANGE,
    "#56b4e9",
    GREEN,
    "#c9b100",
    "#2a7fb8",
    VERMILION,
    PURPLE,
    "#88ccaa",
    "#aa4499",
    "#999933",
    "#6f63bb",
    "#b0706a",
)
FOR, AGAINST = BLUE, VERMILION
FAINT = 0.3


def genre_colours(source: Source) -> dict[str, str]:
    """Colour of each genre, the same on every page: the most frequent twelve have one of their own, all others are grey."""
    rows = source.ask("select value from marts.category_counts where field = 'genre' order by n desc, value")
    names = [str(value) for value in rows["value"]]
    return {name: _GENRES[place] if place < len(_GENRES) else GREY for place, name in enumerate(names)}


def genre_scale(source: Source, genres: Sequence[str]) -> alt.Scale:
    """The colours of some genres as a scale; 'other' is grey."""
    colours = genre_colours(source)
    return alt.Scale(domain=list(genres), range=[colours.get(genre, GREY) for genre in genres])


def draw(chart: Any, alternative: str, *, height: int = 300, key: str | None = None, select: str | None = None) -> Any:
    """Put a chart on the page, as wide as its place.

    Args:
        chart: without width and height.
        alternative: what it shows, in a sentence, for those who cannot see it.
        height: in pixels.
        key: name of the element, needed with `select`.
        select: name of a selection of the chart that the page answers to.

    Returns:
        The state of the selection, or None.
    """
    shown = chart.properties(height=height).configure_axis(labelLimit=220, titleFontWeight="normal", gridOpacity=0.5)
    shown = (
        shown.configure_axisBand(labelOverlap=False)
        .configure_view(strokeOpacity=0)
        .configure_legend(orient="top", title=None, labelLimit=180)
    )
    if select is None:
        st.altair_chart(shown, width="stretch", alt=alternative, key=key)
        return None
    return st.altair_chart(shown, width="stretch", alt=alternative, key=key, on_select="rerun", selection_mode=select)


def segments(frame: pd.DataFrame, date: str, faint: str, gap_days: float) -> pd.DataFrame:
    """The frame with `part`, a number that changes at every hole in time and wherever `faint` changes, so that no line bridges them.

    The first point after a change of `faint` is repeated at the end of the part before, so that the line stays whole.
    """
    frame = frame.sort_values(date).reset_index(drop=True)
    hole = frame[date].diff().dt.days > gap_days
    turn = frame[faint].astype(bool) != frame[faint].astype(bool).shift(
        fill_value=bool(frame[faint].iloc[0]) if len(frame) else False
    )
    frame["part"] = (hole | turn).cumsum()
    joins = frame[turn & ~hole].copy()
    before = frame.loc[joins.index - 1] if len(joins) else frame.iloc[:0]
    joins["part"], joins[faint] = before["part"].to_numpy(), before[faint].to_numpy()
    return pd.concat([frame, joins], ignore_index=True).sort_values([date, "part"], ignore_index=True)


def time_line(frame: pd.DataFrame, y: str, title: str, colour: str = BLUE) -> list[alt.Chart]:
    """A line over time with its band: columns date, part, is_faint, `y`, and where known low, high; faint where little is known."""
    x = alt.X("date:T", title=None)
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(frame)
    layers = []
    if "low" in frame:
        opacity = alt.condition("datum.is_faint", alt.value(0.08), alt.value(0.22))
        band = base.mark_area(color=colour).encode(
            x, alt.Y("low:Q", title=title, scale=scale), alt.Y2("high:Q"), alt.Detail("part:N"), opacity=opacity
        )
        layers.append(band)
    opacity = alt.condition("datum.is_faint", alt.value(FAINT), alt.value(1.0))
    line = base.mark_line(color=colour, strokeWidth=2)
    layers.append(line.encode(x, alt.Y(f"{y}:Q", title=title, scale=scale), alt.Detail("part:N"), opacity=opacity))
    return layers


def probabilities(labels: pd.DataFrame, colours: dict[str, str]) -> Any:
    """Bars of genre and probability, the likeliest first, each with its figure."""
    names = [str(genre) for genre in labels["genre"]]
    base = alt.Chart(labels).encode(
        alt.Y("genre:N", sort=names, title=None),
        alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"), title="probability"),
    )
    colour = alt.Color("genre:N", legend=None, scale=alt.Scale(domain=names, range=[colours.get(name, GREY) for name in names]))
    bars = base.mark_bar(height=18).encode(colour, tooltip=["genre", alt.Tooltip("probability:Q", format=".1%")])
    figures = base.mark_text(align="left", dx=4, color=GREY, fontWeight="bold").encode(
        text=alt.Text("probability:Q", format=".0%")
    )
    return alt.layer(bars, figures)


def icon() -> Image.Image:
    """The app's picture in the browser's tab, bars of sound. A named icon would be fetched from the network."""
    picture = np.zeros((32, 32, 4), dtype=np.uint8)
    for place, height in enumerate((10, 22, 30, 16, 24)):
        top = (32 - height) // 2
        picture[top : top + height, 2 + 6 * place : 6 + 6 * place] = (42, 127, 184, 255)
    return Image.fromarray(picture)
