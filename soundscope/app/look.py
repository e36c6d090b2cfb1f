"""One visual language for every chart: colours, scales, bands, labels. What is shown is decided by the pages.

Colours are those of Okabe and Ito (2008, "Color Universal Design") and of Paul Tol's muted scheme, which people with any of the common
colour-vision deficiencies tell apart; the yellow is darker, to be seen on white. A doubtful value is drawn faintly, never left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

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


def draw(
    chart: alt.Chart | alt.LayerChart, alternative: str, *, height: int = 300, key: str | None = None, select: str | None = None
):
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
    shown = shown.configure_view(strokeOpacity=0).configure_legend(orient="top", title=None, labelLimit=180)
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


def time_line(frame: pd.DataFrame, y: str, title: str, colour: str = BLUE, *, zero: bool = False) -> alt.LayerChart:
    """A line over time with its band: columns date, part, is_faint, `y`, and where known low, high; faint where little is known."""
    x = alt.X("date:T", title=None)
    scale = alt.Scale(zero=zero, nice=True)
    base = alt.Chart(frame)
    opacity = alt.condition("datum.is_faint", alt.value(FAINT), alt.value(1.0))
    band_opacity = alt.condition("datum.is_faint", alt.value(0.08), alt.value(0.22))
    layers = []
    if "low" in frame:
        band = base.mark_area(color=colour, interpolate="linear").encode(
            x, alt.Y("low:Q", title=title, scale=scale), alt.Y2("high:Q"), alt.Detail("part:N"), opacity=band_opacity
        )
        layers.append(band)
    layers.append(
        base.mark_line(color=colour, strokeWidth=2).encode(
            x, alt.Y(f"{y}:Q", title=title, scale=scale), alt.Detail("part:N"), opacity=opacity
        )
    )
    return alt.layer(*layers)
