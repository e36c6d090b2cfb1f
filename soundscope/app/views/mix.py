"""What a chart is made of over time: genres, diversity, turnover. Part of the page Trends."""

from __future__ import annotations

from typing import Any

import altair as alt
import streamlit as st

from soundscope.app import frame, genres, look, text
from soundscope.app.source import Source

_MOST_POINTS = 450
_MOST_FAMILIES, _MOST_KINDS = 12, 9
_MEASURES = {
    "chart_diversity.sound_spread": "How far apart the songs sound",
    "chart_diversity.effective_genres": "Over how many genres it spreads",
    "chart_diversity.effective_artists": "Over how many artists it spreads",
    "chart_turnover.share_new": "Share of new entries",
    "chart_turnover.mean_rank_change": "How far songs move",
    "chart_turnover.median_weeks_on_chart": "How long songs have been charting",
    "chart_turnover.median_age_weeks": "How old the music is",
    "chart_turnover.share_older_than_2y": "Share of songs older than two years",
}
_UNITS = {
    "sound_spread": "spread (1 = the chart's own history)", "effective_genres": "effective genres", "effective_artists": "effective artists",
    "share_new": "share of entries", "mean_rank_change": "ranks a week", "median_weeks_on_chart": "weeks (median)",
    "median_age_weeks": "weeks since release (median)", "share_older_than_2y": "share of entries",
}  # fmt: skip


def genres_over_time(source: Source, chart: str, span: tuple[int, int], _genre: str | None) -> None:
    """Draw the shares of genres over time, by family or by kind."""
    rows = source.ask(
        """
        select date_trunc(case when $last - $first > 12 then 'year' else 'month' end, chart_date) as date, genre,
            sum(n_entries) as n, sum(n_entries / nullif(coverage, 0)) / count(distinct chart_date) as known, avg(coverage) as coverage
        from marts.genre_share where chart = $chart and year(chart_date) between $first and $last group by all
        """,
        {"chart": chart, "first": span[0], "last": span[1]},
    )
    if rows.empty:
        frame.nothing("No charting song of these years has a known genre.")
        return
    known = genres.genres_of(source)
    kinds = st.segmented_control(
        "By", ["Families", "Kinds"], default="Families", required=True, key="by", bind="query-params", label_visibility="collapsed",
        help="A family such as rock holds many kinds, album rock or dance rock for example.",
    )  # fmt: skip
    if kinds == "Families":
        rows = rows.assign(genre=[known.family.get(str(genre), str(genre)) for genre in rows["genre"]])
    order = rows.groupby("genre")["n"].sum().sort_values(ascending=False)
    coloured = [str(name) for name in order.index if known.colour_of(str(name)) != look.GREY]
    ranked = coloured[: _MOST_FAMILIES if kinds == "Families" else _MOST_KINDS]
    rows = rows.assign(genre=rows["genre"].where(rows["genre"].isin(ranked), genres.OTHERS))
    rows = rows.groupby(["date", "genre"], as_index=False).agg(n=("n", "sum"), coverage=("coverage", "max"))
    rows["share"] = rows["n"] / rows.groupby("date")["n"].transform("sum")
    names = [name for name in [*ranked, genres.OTHERS] if name in set(rows["genre"])]
    rows["place"] = rows["genre"].map({g: i for i, g in enumerate(names)})
    covered = rows.groupby("date", as_index=False)["coverage"].max()
    low = float((covered["coverage"] < 0.5).mean())
    st.markdown(
        f"Most entries of these years are **{text.escape(order.index[0])}**, among songs whose genre is known."
        + (f" In {low:.0%} of the time fewer than half of the entries have a known genre: read it with care." if low else "")
    )
    look.legend({name: known.colour_of(name) for name in names})
    # Bars, because an area would bridge the holes of an archive.
    unit: Any = "year" if span[1] - span[0] > 12 else "yearmonth"
    bars = (
        alt.Chart(rows)
        .mark_bar(opacity=0.9 if low < 0.5 else 0.55, binSpacing=0)
        .encode(
            alt.X("date:T", timeUnit=unit, title=None), alt.Y("share:Q", stack="normalize", title="share of entries with a known genre", axis=alt.Axis(format="%")),
            alt.Color("genre:N", scale=look.scale_of(known, names), sort=names, legend=None), alt.Order("place:Q"),
            tooltip=[alt.Tooltip("date:T", format="%B %Y"), alt.Tooltip("genre:N"), alt.Tooltip("share:Q", format=".0%"), alt.Tooltip("coverage:Q", format=".0%", title="genre known")],
        )
    )  # fmt: skip
    look.draw(
        bars,
        f"Shares of genres in {text.chart_name(chart)} over time; most frequent: {', '.join(names[:3])}",
        height=380,
    )
    line = alt.Chart(covered).mark_bar(color=look.GREY, opacity=0.6, binSpacing=0).encode(
        alt.X("date:T", timeUnit=unit, title=None), alt.Y("coverage:Q", stack=None, title="known", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", values=[0, 0.5, 1]))
    )  # fmt: skip
    look.draw(line, "Share of the entries with a known genre, over time", height=90)


def measures(source: Source, chart: str, span: tuple[int, int], _genre: str | None) -> None:
    """Draw one measure of diversity or turnover over time."""
    measure = str(st.selectbox("What", list(_MEASURES), format_func=lambda m: _MEASURES[m], key="measure", bind="query-params"))
    table, name = measure.split(".")
    st.markdown(text.escape(source.about(f"marts.{measure}")))
    narrow = "and window_weeks = 52" if table == "chart_diversity" else ""
    faint = {
        "sound_spread": "coverage < 0.5",
        "median_age_weeks": "age_coverage < 0.5",
        "share_older_than_2y": "age_coverage < 0.5",
    }.get(name, "false")
    rows = source.ask(
        f"select chart_date as date, {name} as value, {faint} as is_faint from marts.{table} where chart = ? {narrow} "
        f"and {name} is not null and year(chart_date) between ? and ? order by 1",
        [chart, *span],
    )
    if rows.empty:
        frame.nothing("It is not known for these years.")
        return
    # Single weeks jump; the line is the mean of half a year around each week, the dots are the weeks.
    rows = rows.assign(
        smooth=rows["value"].rolling(26, min_periods=1, center=True).mean() if table == "chart_turnover" else rows["value"]
    )
    thin = rows.iloc[:: max(len(rows) // _MOST_POINTS, 1)]
    lines = look.time_line(look.segments(thin, "date", "is_faint", 400), "smooth", _UNITS[name], look.GREEN)
    layers: list[alt.Chart] = list(lines)
    if table == "chart_turnover":
        layers.insert(
            0, alt.Chart(thin).mark_circle(size=9, opacity=0.25, color=look.GREEN).encode(alt.X("date:T"), alt.Y("value:Q"))
        )
    look.draw(alt.layer(*layers), f"{_MEASURES[measure]} of {text.chart_name(chart)}, {span[0]} to {span[1]}", height=360)
    if table == "chart_turnover":
        st.caption("Dots are single charts, the line is their mean over half a year.")
