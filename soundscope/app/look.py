"""One visual language for every chart: colours, scales, bands, labels. What is shown is decided by the pages.

Colours are those of Okabe and Ito (2008, "Color Universal Design") and of Paul Tol's muted scheme, which people with any of the common
colour-vision deficiencies tell apart; the yellow is darker, to be seen on white. A doubtful value is drawn faintly, never left out.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from altair.utils import schemapi
from PIL import Image

from soundscope.app.genres import GREY, Genres
from soundscope.output import clean

# Checking every part of a chart, and then the whole, takes longer than drawing it; the tests draw every chart with the checks on.
schemapi.disable_debug_mode()
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#2a7fb8", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
FOR, AGAINST = BLUE, VERMILION
FAINT = 0.3
_MARKS = {
    "square": "",
    "circle": "border-radius:50%",
    "diamond": "transform:rotate(45deg) scale(.8)",
    "triangle-up": "clip-path:polygon(50% 0,100% 100%,0 100%)",
}
_CONFIG = alt.Config(
    axis=alt.AxisConfig(labelLimit=220, titleFontWeight="normal", gridOpacity=0.5),
    axisBand=alt.AxisConfig(labelOverlap=False),
    # Charts that stand below each other have one time axis only if their other axes are of one width.
    axisYQuantitative=alt.AxisConfig(minExtent=34),
    axisXQuantitative=alt.AxisConfig(tickCount=8),
    view=alt.ViewConfig(strokeOpacity=0),
    legend=alt.LegendConfig(orient="top", title=None, labelLimit=180),
)


class _Unchecked:
    """A chart as Streamlit asks for it, checked against its schema in the tests alone."""

    def __init__(self, chart: Any) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        return dict(self._chart.to_dict(validate=schemapi.DEBUG_MODE))


def scale_of(known: Genres, names: Sequence[str]) -> alt.Scale:
    """The colours of some genres or families as a scale; what is none of them is grey."""
    return alt.Scale(domain=list(names), range=[known.colour_of(name) for name in names])


def legend(colours: Mapping[str, str], marks: Mapping[str, str] | None = None) -> None:
    """Names with their colours above a chart, in lines that wrap on a narrow page, which a chart's own legend does not.

    Args:
        colours: name -> colour.
        marks: name -> one of the keys of `_MARKS`; squares if left out.
    """
    chips = "".join(
        f'<span style="white-space:nowrap"><span style="display:inline-block;width:.7em;height:.7em;margin-right:.4em;background:{colour};'
        f'{_MARKS[(marks or {}).get(name, "square")]}"></span>{html.escape(clean(name))}</span>'
        for name, colour in colours.items()
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.875rem">{chips}</div>')


def rows_height(n: int, each: int = 24) -> int:
    """Height in pixels of a chart with so many rows, its axis and title."""
    return each * n + 65


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
    # One call: each of the `configure` methods copies the whole chart.
    shown = chart.properties(height=height, config=_CONFIG)
    given: Any = _Unchecked(shown)
    if select is None:
        st.altair_chart(given, width="stretch", alt=alternative, key=key)
        return None
    return st.altair_chart(given, width="stretch", alt=alternative, key=key, on_select="rerun", selection_mode=select)


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
    # A line through one point is not seen. Without such points no layer: an empty one would be a picture without a name to readers aloud.
    alone = frame[frame.groupby("part")["part"].transform("size") == 1]
    if len(alone):
        dots = alt.Chart(alone).mark_circle(color=colour, size=30)
        layers.append(dots.encode(x, alt.Y(f"{y}:Q", title=title, scale=scale), opacity=opacity))
    return layers


def probabilities(labels: pd.DataFrame, known: Genres) -> Any:
    """Bars of genre and probability, the likeliest first, each with its figure."""
    names = [str(genre) for genre in labels["genre"]]
    base = alt.Chart(labels).encode(
        alt.Y("genre:N", sort=names, title=None),
        alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"), title="probability"),
    )
    colour = alt.Color("genre:N", legend=None, scale=scale_of(known, names))
    bars = base.mark_bar(height=18).encode(colour, tooltip=[alt.Tooltip("genre:N"), alt.Tooltip("probability:Q", format=".1%")])
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
