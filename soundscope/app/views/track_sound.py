"""How a track sounds beside its genre, its era and the current chart. Part of the page Track."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.source import Source, plain

_OWN = "This track"
_CHART = "The chart now"
_SHAPES = ("circle", "diamond", "square", "triangle-up")
_CHART_SOUND = """
select feature, mean, std from marts.chart_trends where window_weeks = 12 and mean is not null and not is_low_coverage and (chart, chart_date) in
    (select (chart, max(chart_date)) from core.chart_dates group by chart order by count(*) desc limit 1)
"""


def show(source: Source, track: dict[str, Any]) -> None:
    """Draw the features of a track (a row of `marts.track_features` by column)."""
    st.subheader("How it sounds", anchor=False)
    if not track["feature_provider"]:
        frame.nothing(
            "Nobody has told how this track sounds yet. `soundscope ingest features` asks, or import the values yourself."
        )
        return
    names = [name for name in (*text.SOUND, "popularity") if track[name] is not None]
    whose = _whose(source, track)
    drawn = _marks(track, names, whose)
    order = [who for who in (_OWN, *whose) if who in set(drawn["who"])]
    fixed = {_OWN: look.VERMILION, _CHART: look.BLUE, f"The {track['era']}": look.GREEN}
    colours = {who: fixed.get(who, look.ORANGE) for who in order}
    shapes = dict(zip(order, _SHAPES, strict=False))
    look.legend(colours, shapes)
    summary = ", ".join(f"{text.feature_name(n)} {text.figure(n, track[n])}" for n in names)
    look.draw(
        _layers(drawn, names, f"{track['genre']} tracks", colours, shapes),
        f"Features of the track against its genre, era and the current chart: {summary}",
        height=34 * len(names) + 30,
    )
    st.caption(
        "Left is the low end of a feature's usual range, right the high end. "
        + f"The orange bars hold the middle two thirds of {text.escape(track['genre'])} tracks. " * bool(track["genre"])
        + "The current chart is not drawn: too little of its sound is known. " * (_CHART not in order)
        + f"Measured by {text.escape(text.provider_name(track['feature_provider']))}."
    )


def _whose(source: Source, track: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Means to compare with, by whose they are: feature, mean, std."""
    profile = "select feature, mean, std from marts.{0}_profile where {0} = ? and mean is not null"
    return {
        f"{track['genre']} tracks": source.ask(profile.format("genre"), [track["genre"]]),
        f"The {track['era']}": source.ask(profile.format("era"), [track["era"]]),
        _CHART: source.ask(_CHART_SOUND),
    }


def _marks(track: dict[str, Any], names: list[str], whose: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per mark: feature, who, value, std, place, low and high (0 to 1 of the usual range), label, words."""
    marks: list[dict[str, Any]] = [{"feature": name, "who": _OWN, "value": track[name], "std": None} for name in names]
    for who, rows in whose.items():
        marks += [
            {"feature": r.feature, "who": who, "value": r.mean, "std": plain(r.std)}
            for r in rows.itertuples()
            if r.feature in names
        ]
    drawn = pd.DataFrame(marks)
    drawn["std"] = pd.to_numeric(drawn["std"])
    low = drawn["feature"].map({name: text.FEATURES[name].low for name in names})
    wide = drawn["feature"].map({name: text.FEATURES[name].high - text.FEATURES[name].low for name in names})
    for column, value in {
        "place": drawn["value"],
        "low": drawn["value"] - drawn["std"],
        "high": drawn["value"] + drawn["std"],
    }.items():
        drawn[column] = ((value.astype(float) - low) / wide).clip(0, 1)
    drawn["label"] = [text.feature_name(feature) for feature in drawn["feature"]]
    drawn["words"] = [text.figure(r.feature, r.value) for r in drawn.itertuples()]  # type: ignore[arg-type]
    return drawn


def _layers(drawn: pd.DataFrame, names: list[str], spread: str, colours: dict[str, str], shapes: dict[str, str]) -> Any:
    order = list(colours)
    colour = alt.Color("who:N", sort=order, legend=None, scale=alt.Scale(domain=order, range=list(colours.values())))
    shape = alt.Shape("who:N", sort=order, legend=None, scale=alt.Scale(domain=order, range=list(shapes.values())))
    y = alt.Y("label:N", title=None, sort=[text.feature_name(name) for name in names])
    x = alt.X(
        "place:Q", title=None, scale=alt.Scale(domain=[0, 1.12]), axis=alt.Axis(labels=False, ticks=False, values=[0, 0.25, 0.5, 0.75, 1])
    )  # fmt: skip
    spans = (
        alt.Chart(drawn[drawn["who"] == spread])
        .mark_rule(strokeWidth=7, opacity=0.25, color=look.ORANGE)
        .encode(y, alt.X("low:Q"), alt.X2("high:Q"))
    )
    tips = [alt.Tooltip("label:N"), alt.Tooltip("who:N"), alt.Tooltip("words:N", title="value")]
    others = alt.Chart(drawn[drawn["who"] != _OWN]).mark_point(filled=True, size=60, opacity=0.85)
    own = drawn[drawn["who"] == _OWN]
    mine = alt.Chart(own).mark_point(filled=True, size=150, opacity=1)
    said = (
        alt.Chart(own.assign(end=1.02))
        .mark_text(align="left", fontSize=12, color=look.GREY, fontWeight="bold")
        .encode(y, alt.X("end:Q"), alt.Text("words:N"))
    )
    return alt.layer(
        spans, *(marks.encode(y, x, colour, shape, tooltip=tips) for marks in (others, mine)), said
    )  # fmt: skip
