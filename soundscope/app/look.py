"""One visual language for every chart: colours, scales, bands, labels. What is shown is decided by the pages.

Colours are those of Okabe and Ito (2008, "Color Universal Design") and of Paul Tol's muted scheme, which people with any of the common
colour-vision deficiencies tell apart; the yellow is darker, to be seen on white. A doubtful value is drawn faintly, never left out.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from altair.utils import schemapi
from PIL import Image

from soundscope.app.genres import GREY as GREY
from soundscope.app.genres import Genres
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


def either(channel: Any, test: str, yes: object, no: object) -> Any:
    """A channel with one of two values, by a test on the row, as `alt.condition` gives it, which costs 15 ms of checks.

    Args:
        channel: such as `alt.OpacityValue`.
        test: an expression of Vega on `datum`.
        yes: where it holds.
        no: elsewhere.
    """
    return channel(no, condition={"test": test, "value": yes})


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
        opacity = either(alt.OpacityValue, "datum.is_faint", 0.08, 0.22)
        band = base.mark_area(color=colour).encode(
            x, alt.Y("low:Q", title=title, scale=scale), alt.Y2("high:Q"), alt.Detail("part:N"), opacity=opacity
        )
        layers.append(band)
    opacity = either(alt.OpacityValue, "datum.is_faint", FAINT, 1.0)
    line = base.mark_line(color=colour, strokeWidth=2)
    layers.append(line.encode(x, alt.Y(f"{y}:Q", title=title, scale=scale), alt.Detail("part:N"), opacity=opacity))
    # A line through one point is not seen. Without such points no layer: an empty one would be a picture without a name to readers aloud.
    alone = frame[frame.groupby("part")["part"].transform("size") == 1]
    if len(alone):
        dots = alt.Chart(alone).mark_circle(color=colour, size=30)
        layers.append(dots.encode(x, alt.Y(f"{y}:Q", title=title, scale=scale), opacity=opacity))
    return layers


class Bar(NamedTuple):
    """A row of `bars`.

    Attributes:
        label: what it is of.
        size: its length; to the left of zero if negative.
        figure: written at the right.
        colour: of the bar.
        is_faint: whether it is doubtful.
    """

    label: str
    size: float
    figure: str
    colour: str
    is_faint: bool = False


def bars(rows: Sequence[Bar], axis: str = "", whole: float = 0.0) -> None:
    """A few bars from a common zero, each with its figure, as HTML: a chart would take the browser some ten times as long.

    Args:
        rows: from above to below.
        axis: what their length says, in a line below them.
        whole: a size that takes all of the width; the largest if left out.
    """
    low = min([0.0, *(row.size for row in rows)])
    span = max([whole, *(row.size for row in rows)]) - low or 1.0
    zero = -low / span
    line = f'<span style="position:absolute;left:{zero:.2%};top:-.25rem;bottom:-.25rem;border-left:1px solid {GREY}"></span>'
    cells = "".join(
        f'<span style="text-align:right">{html.escape(clean(row.label))}</span>'
        f'<span style="position:relative;height:.95rem">{line}<span style="position:absolute;top:0;bottom:0;left:{zero + min(row.size, 0.0) / span:.2%};'
        f'width:{abs(row.size) / span:.2%};background:{row.colour};opacity:{FAINT if row.is_faint else 1}"></span></span>'
        f'<b style="font-weight:600;text-align:right">{html.escape(clean(row.figure))}</b>'
        for row in rows
    )
    below = f'<span></span><span style="grid-column:2/4;opacity:.75;font-size:.8rem">{html.escape(axis)}</span>' if axis else ""
    st.html(
        '<div style="display:grid;grid-template-columns:minmax(4.5rem,max-content) 1fr max-content;align-items:center;gap:.3rem .7rem;'
        f'font-size:.875rem">{cells}{below}</div>'
    )


def probabilities(labels: pd.DataFrame, known: Genres) -> None:
    """Bars of genre and probability, the likeliest first."""
    found = [(str(row["genre"]), float(row["probability"])) for row in labels.to_dict("records")]
    bars([Bar(genre, chance, f"{chance:.0%}", known.colour_of(genre)) for genre, chance in found], "probability", 1.0)


def icon() -> Image.Image:
    """The app's picture in the browser's tab, bars of sound. A named icon would be fetched from the network."""
    picture = np.zeros((32, 32, 4), dtype=np.uint8)
    for place, height in enumerate((10, 22, 30, 16, 24)):
        top = (32 - height) // 2
        picture[top : top + height, 2 + 6 * place : 6 + 6 * place] = (42, 127, 184, 255)
    return Image.fromarray(picture)
