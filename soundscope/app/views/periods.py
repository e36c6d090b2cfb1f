"""Two periods of a chart side by side, feature by feature. Part of the page Trends."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.source import Source

_PERIOD = """
with songs as (
    select e.track_id, {values}, sum(d.size + 1 - e.rank) as points
    from core.chart_entries e
    join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
    left join marts.track_features f on f.track_id = e.track_id
    where e.chart = $chart and year(e.chart_date) between $first and $last and ($genre is null or $genre in (f.genre, f.family))
    group by e.track_id
),
long as (unpivot songs on {names} into name feature value value)
select feature, sum(points * value) / sum(points) as mean,
    sqrt(greatest(sum(points * value * value) / sum(points) - pow(sum(points * value) / sum(points), 2), 0)) as std,
    sum(points) * sum(points) / sum(points * points) as n_effective, count(*) as n_tracks,
    sum(points) / (select sum(points) from songs) as coverage
from long where track_id is not null group by feature
"""


def show(source: Source, chart: str, span: tuple[int, int], genre: str | None) -> None:
    """Draw both periods of a chart, of all songs or of one genre."""
    if span[0] == span[1]:
        frame.nothing("Two periods need more than one year; widen the years above.")
        return
    width = max((span[1] - span[0]) // 6, 0)
    left, right = st.columns(2)
    with left:
        first = frame.span("First period", "period_a", span[0], span[1], (span[0], span[0] + width))
    with right:
        second = frame.span("Second period", "period_b", span[0], span[1], (span[1] - width, span[1]))
    values = ", ".join(f"any_value(f.{n}) as {n}" for n in text.SOUND)
    sql = _PERIOD.format(values=values, names=", ".join(text.SOUND))
    spread = dict(source.ask("select feature, std from marts.feature_summary").itertuples(index=False))
    middle = dict(source.ask("select feature, mean from marts.feature_summary").itertuples(index=False))
    parts = []
    for name, (low, high) in (("first", first), ("second", second)):
        rows = source.ask(sql, {"chart": chart, "first": low, "last": high, "genre": genre})
        parts.append(rows.assign(period=f"{low}–{high}" if low != high else str(low), which=name))
    both = pd.concat(parts, ignore_index=True)
    if any(part.empty for part in parts):
        frame.nothing("For one of the two periods no song of this choice has a known sound.")
        return
    error = 2 * both["std"] / (both["n_effective"] - 1).clip(lower=1) ** 0.5
    at = both["feature"].map(middle)
    size = both["feature"].map(spread).replace(0, float("nan"))
    both = both.assign(
        place=(both["mean"] - at) / size, low=(both["mean"] - error - at) / size, high=(both["mean"] + error - at) / size,
        label=[text.feature_name(f) for f in both["feature"]], words=[text.figure(r.feature, r.mean) for r in both.itertuples()],
        period=both["which"].map({"first": "First: ", "second": "Second: "}) + both["period"],
    )  # fmt: skip
    names = list(dict.fromkeys(both["period"]))
    colour = alt.Color("period:N", scale=alt.Scale(domain=names, range=[look.ORANGE, look.BLUE]))
    y = alt.Y("label:N", title=None, sort=[text.feature_name(n) for n in text.SOUND])
    offset = alt.YOffset("period:N", sort=names)
    base = alt.Chart(both).encode(y, offset, colour)
    spans = base.mark_rule(strokeWidth=3, opacity=0.5).encode(alt.X("low:Q"), alt.X2("high:Q"))
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        alt.X("place:Q", title="standard deviations from the average of all tracks"),
        tooltip=[
            alt.Tooltip("label:N"),
            alt.Tooltip("period:N"),
            alt.Tooltip("words:N", title="mean"),
            alt.Tooltip("n_tracks:Q", title="songs"),
            alt.Tooltip("coverage:Q", format=".0%"),
        ],
    )
    look.draw(alt.layer(spans, dots), f"The sound of {names[0]} and {names[1]}, feature by feature", height=420)
    wide = (
        both.pivot(index="label", columns="period", values="words")
        .reindex([text.feature_name(n) for n in text.SOUND])
        .dropna(how="all")
        .reset_index()
    )
    st.dataframe(
        wide.rename(columns={"label": "Feature"}), hide_index=True, alt="Means of both periods with their units", key="periods"
    )
    covered = both.groupby("period")["coverage"].min()
    st.caption(
        "Bars show how far the mean may be off by chance. Known sound: "
        + ", ".join(f"{name} {share:.0%} of the chart's points" for name, share in covered.items())
        + "."
    )
