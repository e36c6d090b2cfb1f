"""What happened to a track: its ranks in the charts, its popularity. Part of the page Track."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.genres import GREY
from soundscope.app.source import Source

# Weeks of a chart follow within so many days; a song that was away for longer than a year has come back.
_NEXT_WEEK_DAYS, _LONG_AWAY_DAYS, _MOST_STAYS = 20, 365, 4
_HISTORY = """
select e.chart, e.chart_date as date, e.rank, e.weeks_on_chart, e.peak_rank, d.stretch_no
from core.chart_entries e join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
where e.track_id in (select track_id from marts.track_features where recording_id = ?) order by e.chart, e.chart_date
"""


def charts(source: Source, track: dict[str, Any]) -> None:
    """Draw the chart history of a track's recording."""
    st.subheader("In the charts", anchor=False)
    rows = source.ask(_HISTORY, [track["recording_id"]])
    if rows.empty:
        frame.nothing("It has not been in a chart that this release holds.")
        return
    best = rows.groupby("chart").agg(peak=("rank", "min"), weeks=("date", "nunique"), first=("date", "min"), last=("date", "max"))
    for r in best.reset_index().itertuples():
        st.markdown(
            f"{text.chart_name(r.chart)}: best rank **{r.peak}**, **{r.weeks}** week{'s' * (r.weeks != 1)}, {_when(r.first, r.last)}."
        )
    gap = rows.groupby("chart")["date"].diff().dt.days
    rows["run"] = rows["chart"] + (gap > _NEXT_WEEK_DAYS).cumsum().astype(str)
    rows["stay"] = rows["chart"] + (gap > _LONG_AWAY_DAYS).cumsum().astype(str)
    rows["began"] = rows.groupby("stay")["date"].transform("min")
    # Weeks that are decades apart would be upright strokes on one axis of time: each stay then begins at the left.
    laid_over = 1 < rows["stay"].nunique() <= _MOST_STAYS
    years = (rows["date"].max() - rows["date"].min()).days / 365
    if laid_over:
        rows["week"] = (rows["date"] - rows["began"]).dt.days // 7 + 1
        x: Any = alt.X("week:Q", title="week since it entered", axis=alt.Axis(tickMinStep=1, format="d"))
    else:
        x = alt.X("date:T", title=None, axis=alt.Axis(format="%b %Y" if years < 4 else "%Y", tickCount=6))
    base = alt.Chart(rows).encode(
        x,
        alt.Y("rank:Q", title="rank (1 is the top)", scale=alt.Scale(reverse=True, domain=[1, max(int(rows["rank"].max()), 10)], nice=False), axis=alt.Axis(tickMinStep=1, format="d")),
        alt.Color("chart:N", scale=alt.Scale(range=[look.BLUE, look.ORANGE, look.GREEN, look.PURPLE]), legend=alt.Legend() if len(best) > 1 else None),
        tooltip=[alt.Tooltip("chart:N"), alt.Tooltip("date:T", format="%d %B %Y"), alt.Tooltip("rank:Q"), alt.Tooltip("weeks_on_chart:Q", title="weeks so far")],
    )  # fmt: skip
    layers: list[alt.Chart] = [base.mark_line().encode(alt.Detail("run:N")), base.mark_circle(size=28)]
    if laid_over:
        last = rows[rows["date"] == rows.groupby("stay")["date"].transform("max")]
        named = alt.Chart(last.assign(year=last["began"].dt.year)).mark_text(align="left", dx=7, color=GREY)
        layers.append(named.encode(alt.X("week:Q"), alt.Y("rank:Q"), alt.Text("year:Q", format="d")))
    look.draw(alt.layer(*layers), f"Rank over time; best rank {int(rows['rank'].min())}", height=240)


def _when(first: Any, last: Any) -> str:
    return f"on {text.day(first)}" if first == last else f"from {text.day(first)} to {text.day(last)}"


def popularity(source: Source, track: dict[str, Any]) -> None:
    """Draw what providers have said of a track's popularity so far."""
    rows = source.ask(
        "select provider, popularity, valid_from as date, coalesce(valid_to, last_observed_at) as until from core.popularity_history "
        "where track_id = ? and popularity is not null order by provider, valid_from",
        [track["track_id"]],
    )
    st.subheader("Popularity", anchor=False)
    if rows.empty:
        frame.nothing("No provider has said how popular it is.")
        return
    newest = rows.sort_values("date").groupby("provider").tail(1)
    st.markdown(
        "; ".join(
            f"**{r.popularity:.0f}** of 100 ({text.escape(text.provider_name(str(r.provider)))}, since {text.day(r.date)})"
            for r in newest.itertuples()
        )
        + "."
    )
    if len(rows) == len(newest):
        st.caption("One value only has been observed so far, so there is no curve yet.")
        return
    ends = rows.assign(date=rows["until"])
    drawn = pd.concat([rows, ends]).sort_values(["provider", "date"])
    line = alt.Chart(drawn).mark_line(interpolate="step-after", point=True).encode(
        alt.X("date:T", title=None), alt.Y("popularity:Q", title="popularity (0 to 100)", scale=alt.Scale(domain=[0, 100])),
        alt.Color("provider:N", scale=alt.Scale(range=[look.BLUE, look.ORANGE, look.GREEN])),
    )  # fmt: skip
    look.draw(line, "Popularity over time by provider", height=200)
