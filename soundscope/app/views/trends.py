"""How the sound of a chart moves: one feature over time, two periods side by side, genres, diversity and turnover, the songs of a year."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.source import Source

_MOST_POINTS = 450
_ALL = "all genres"
_TREND = """
select chart_date as date, mean, std, n_effective, n_tracks, coverage, is_low_coverage as is_faint from marts.chart_trends
where chart = ? and feature = ? and window_weeks = ? and mean is not null and year(chart_date) between ? and ? order by chart_date
"""
# Songs weigh as they chart; the mean of so many songs varies as that of n_effective drawn at random (Kish 1965).
_BY_GENRE = """
with songs as (
    select date_trunc('quarter', e.chart_date) as date, e.track_id, any_value(f.{feature}) as value, sum(d.size + 1 - e.rank) as points
    from core.chart_entries e
    join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
    join marts.track_features f on f.track_id = e.track_id
    where e.chart = $chart and f.genre = $genre and f.{feature} is not null and year(e.chart_date) between $first and $last
    group by all
),
sums as (
    select date, sum(points * value) / sum(points) as mean, sum(points) * sum(points) / sum(points * points) as n_effective,
        sum(points * value * value) / sum(points) as square, count(*) as n_tracks
    from songs group by date
)
select date, mean, sqrt(greatest(square - mean * mean, 0)) as std, n_effective, n_tracks, null::double as coverage, n_tracks < 8 as is_faint
from sums order by date
"""
_PERIOD = """
with songs as (
    select e.track_id, {values}, sum(d.size + 1 - e.rank) as points
    from core.chart_entries e
    join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
    left join marts.track_features f on f.track_id = e.track_id
    where e.chart = $chart and year(e.chart_date) between $first and $last and ($genre is null or f.genre = $genre)
    group by e.track_id
),
long as (unpivot songs on {names} into name feature value value)
select feature, sum(points * value) / sum(points) as mean,
    sqrt(greatest(sum(points * value * value) / sum(points) - pow(sum(points * value) / sum(points), 2), 0)) as std,
    sum(points) * sum(points) / sum(points * points) as n_effective, count(*) as n_tracks,
    sum(points) / (select sum(points) from songs) as coverage
from long where track_id is not null group by feature
"""
_SONGS = """
select e.title, e.artist, any_value(f.genre) as genre, min(e.rank) as peak_rank, count(*) as weeks_on_chart,
    sum(d.size + 1 - e.rank) as points, any_value(e.track_id) as track_id{value}
from core.chart_entries e
join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
left join marts.track_features f on f.track_id = e.track_id
where e.chart = $chart and year(e.chart_date) = $year and ($genre is null or f.genre = $genre)
group by e.title, e.artist order by points desc, e.title limit 100
"""
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


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(
        source, "How the sound moves", "Pick a feature and a span. Click a point of the curve to see the songs of that year."
    )
    charts = [c for c in frame.charts_of(source)] if source.has("marts.chart_trends") else []
    if not charts:
        frame.nothing("This release has no chart with known sound yet, so there is nothing to draw.")
        return
    views: dict[str, Callable[[Source, str, tuple[int, int], str | None], None]] = {
        "A feature": _feature, "Two periods": _periods, "Genres": _genres, "Diversity and turnover": _measures,
    }  # fmt: skip
    left, middle, right = st.columns([2, 2, 3])
    with left:
        chart = frame.pick_chart(source, charts)
    years = source.one(
        "select year(min(chart_date)) as first, year(max(chart_date)) as last from core.chart_dates where chart = ?", [chart]
    )
    assert years is not None
    with right:
        span = _span("Years", "years", int(years["first"]), int(years["last"]))
    view = st.segmented_control(
        "View", list(views), default="A feature", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with middle:
        genre = _genre(source) if view in ("A feature", "Two periods") else None
    views[str(view)](source, chart, span, genre)
    _year(source, chart, span, genre)


def _span(label: str, key: str, first: int, last: int, start: tuple[int, int] | None = None) -> tuple[int, int]:
    if first == last:
        st.markdown(f"{label}: {first}")
        return first, last
    low, high = st.slider(label, first, last, start or (first, last), key=key, bind="query-params")
    return int(low), int(high)


def _genre(source: Source) -> str | None:
    rows = source.ask("select value from marts.category_counts where field = 'genre' order by n desc, value limit 60")
    chosen = st.selectbox(
        "Genre",
        [_ALL, *rows["value"]],
        key="genre",
        bind="query-params",
        help=text.escape(source.about("marts.track_features.genre")),
    )
    return None if chosen == _ALL else str(chosen)


def _pick_feature(source: Source) -> str:
    known = source.ask("select distinct feature from marts.chart_trends where mean is not null")["feature"].tolist()
    names = [name for name in text.FEATURES if name in known] or ["energy"]
    return str(
        st.selectbox(
            "Feature", names, index=names.index("energy") if "energy" in names else 0, format_func=text.feature_name, key="feature", bind="query-params",
            help="  \n".join(f"**{text.feature_name(n)}**: {text.escape(source.about(f'marts.track_features.{n}'))}" for n in names),
        )
    )  # fmt: skip


def _feature(source: Source, chart: str, span: tuple[int, int], genre: str | None) -> None:
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        feature = _pick_feature(source)
    with right:
        window = st.segmented_control(
            "Averaged over", [4, 12, 52], default=52, required=True, format_func=lambda n: f"{n} weeks", key="window", bind="query-params",
            disabled=genre is not None, help=text.escape(source.about("marts.chart_trends.window_weeks")),
        )  # fmt: skip
    if genre is None:
        rows = source.ask(_TREND, [chart, feature, window, *span])
    else:
        rows = source.ask(_BY_GENRE.format(feature=feature), {"chart": chart, "genre": genre, "first": span[0], "last": span[1]})
    if rows.empty:
        frame.nothing(f"No song of this choice has a known {text.feature_name(feature).lower()} between {span[0]} and {span[1]}.")
        return
    scale = 60_000 if feature == "duration_ms" else 1
    error = 2 * rows["std"] / (rows["n_effective"] - 1).clip(lower=1) ** 0.5
    rows = rows.assign(value=rows["mean"] / scale, low=(rows["mean"] - error) / scale, high=(rows["mean"] + error) / scale)
    # What lies further apart than three steps of the thinned curve is a hole.
    step = float(rows["date"].diff().dt.days.median()) if len(rows) > 2 else 31.0
    every = max(len(rows) // _MOST_POINTS, 1)
    rows = rows.iloc[::every]
    drawn = look.segments(rows, "date", "is_faint", 3 * step * every)
    said = _in_words(source, chart, feature, rows, genre)
    st.markdown(said)
    colour = look.genre_colours(source).get(genre, look.GREY) if genre else look.BLUE
    clicked = _draw_trend(
        drawn, feature, colour, f"{text.feature_name(feature)} of {text.chart_name(chart)} from {span[0]} to {span[1]}"
    )
    if clicked is not None and span[0] <= clicked <= span[1] and clicked != st.session_state.get("clicked_year"):
        st.session_state["clicked_year"] = clicked
        st.session_state["year"] = clicked
    if genre is None:
        _coverage(drawn)
    band = "The band holds the mean of all such songs in 19 of 20 cases, if songs are taken as drawn at random. "
    faint = (
        "Faint: fewer than eight songs."
        if genre
        else "Faint: too little of the chart is known, "
        + text.escape(
            source.about("marts.chart_trends.is_low_coverage")[:1].lower()
            + source.about("marts.chart_trends.is_low_coverage")[1:]
        )
    )
    st.caption(band + faint + (" One point per quarter." if genre else ""))


def _draw_trend(drawn: pd.DataFrame, feature: str, colour: str, alternative: str) -> int | None:
    lines = look.time_line(drawn, "value", text.FEATURES[feature].axis, colour)
    pick = alt.selection_point(name="year", fields=["date"], nearest=True, on="click", empty=False)
    spots = (
        alt.Chart(drawn)
        .mark_point(color=colour, filled=True, size=70)
        .encode(
            alt.X("date:T"),
            alt.Y("value:Q"),
            opacity=alt.condition(pick, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("date:T", title="up to", format="%d %B %Y"),
                alt.Tooltip("value:Q", title="mean", format=".3~g"),
                alt.Tooltip("low:Q", title="from", format=".3~g"),
                alt.Tooltip("high:Q", title="to", format=".3~g"),
                alt.Tooltip("n_tracks:Q", title="songs"),
                alt.Tooltip("coverage:Q", title="coverage", format=".0%"),
            ],
        )
        .add_params(pick)
    )
    state = look.draw(alt.layer(*lines, spots), alternative, height=340, key="trend", select="year")
    points = (state or {}).get("selection", {}).get("year", [])
    return int(pd.Timestamp(points[0]["date"], unit="ms").year) if points and "date" in points[0] else None


def _coverage(drawn: pd.DataFrame) -> None:
    area = (
        alt.Chart(drawn)
        .mark_area(color=look.GREY, opacity=0.35, line={"color": look.GREY})
        .encode(
            alt.X("date:T", title=None),
            alt.Y(
                "coverage:Q",
                stack=None,
                title="known",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.5, 1]),
            ),
            alt.Detail("part:N"),
        )
    )
    look.draw(area, "Share of the chart's points whose sound is known, over time", height=90)


def _in_words(source: Source, chart: str, feature: str, rows: pd.DataFrame, genre: str | None) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    who = f"{text.escape(genre)} songs in the chart" if genre else "The chart"
    now = f"{who} now: **{text.figure(feature, last['mean'])}** on average ({int(last['n_tracks'])} songs)"
    then = f"{first['date'].year}: {text.figure(feature, first['mean'])}"
    change = last["mean"] - first["mean"]
    noise = (
        2 * ((last["std"] ** 2 / max(last["n_effective"] - 1, 1)) + (first["std"] ** 2 / max(first["n_effective"] - 1, 1))) ** 0.5
    )
    if last["date"].year == first["date"].year or first["is_faint"] or last["is_faint"]:
        return now + "."
    words = text.FEATURES[feature].more if change > 0 else text.FEATURES[feature].less
    verdict = (
        f"**{words}** by {text.figure(feature, abs(change))}" if abs(change) > noise else "no different, as far as can be told"
    )
    return f"{now}; {then}. That is {verdict}."


def _periods(source: Source, chart: str, span: tuple[int, int], genre: str | None) -> None:
    if span[0] == span[1]:
        frame.nothing("Two periods need more than one year; widen the years above.")
        return
    width = max((span[1] - span[0]) // 6, 0)
    left, right = st.columns(2)
    with left:
        first = _span("First period", "period_a", span[0], span[1], (span[0], span[0] + width))
    with right:
        second = _span("Second period", "period_b", span[0], span[1], (span[1] - width, span[1]))
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
            "label",
            "period",
            alt.Tooltip("words", title="mean"),
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


def _genres(source: Source, chart: str, span: tuple[int, int], _genre: str | None) -> None:
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
    order = rows.groupby("genre")["n"].sum().sort_values(ascending=False)
    ranked = [g for g in look.genre_colours(source) if g in order.index[:9]]
    rows = rows.assign(genre=rows["genre"].where(rows["genre"].isin(ranked), "other genres"))
    rows = rows.groupby(["date", "genre"], as_index=False).agg(n=("n", "sum"), coverage=("coverage", "max"))
    rows["share"] = rows["n"] / rows.groupby("date")["n"].transform("sum")
    names = [*sorted(ranked, key=lambda g: -order[g]), "other genres"]
    rows["place"] = rows["genre"].map({g: i for i, g in enumerate(names)})
    covered = rows.groupby("date", as_index=False)["coverage"].max()
    low = float((covered["coverage"] < 0.5).mean())
    leader = order.index[0]
    st.markdown(
        f"Most entries of these years are **{text.escape(leader)}**, among songs whose genre is known."
        + (f" In {low:.0%} of the time fewer than half of the entries have a known genre: read it with care." if low else "")
    )
    # Bars, because an area would bridge the holes of an archive.
    unit: Any = "year" if span[1] - span[0] > 12 else "yearmonth"
    bars = (
        alt.Chart(rows)
        .mark_bar(opacity=0.9 if low < 0.5 else 0.55)
        .encode(
            alt.X("date:T", timeUnit=unit, title=None), alt.Y("share:Q", stack="normalize", title="share of entries with a known genre", axis=alt.Axis(format="%")),
            alt.Color("genre:N", scale=look.genre_scale(source, names), sort=names), alt.Order("place:Q"),
            tooltip=[alt.Tooltip("date:T", format="%B %Y"), "genre", alt.Tooltip("share:Q", format=".0%"), alt.Tooltip("coverage:Q", format=".0%", title="genre known")],
        )
    )  # fmt: skip
    look.draw(
        bars,
        f"Shares of genres in {text.chart_name(chart)} over time; most frequent: {', '.join(names[:3])}",
        height=380,
    )
    line = alt.Chart(covered).mark_bar(color=look.GREY, opacity=0.6).encode(
        alt.X("date:T", timeUnit=unit, title=None), alt.Y("coverage:Q", stack=None, title="known", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", values=[0, 0.5, 1]))
    )  # fmt: skip
    look.draw(line, "Share of the entries with a known genre, over time", height=90)


def _measures(source: Source, chart: str, span: tuple[int, int], _genre: str | None) -> None:
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


def _year(source: Source, chart: str, span: tuple[int, int], genre: str | None) -> None:
    years = list(range(span[1], span[0] - 1, -1))
    if st.session_state.get("year") not in years and "year" in st.session_state:
        del st.session_state["year"]
    st.subheader("The songs of a year", anchor=False)
    year = int(st.selectbox("Year", years, key="year", bind="query-params"))
    feature = str(st.session_state.get("feature", "energy"))
    value = f", any_value(f.{feature}) as value" if feature in text.SOUND else ""
    rows = source.ask(_SONGS.format(value=value), {"chart": chart, "year": year, "genre": genre})
    if rows.empty:
        frame.nothing(f"No song of this choice charted in {year}.")
        return
    columns = {
        "title": "Title",
        "artist": "Artist",
        "genre": "Genre",
        "peak_rank": f"Best rank in {year}",
        "weeks_on_chart": f"Weeks in {year}",
    }
    if value:
        columns["value"] = text.feature_name(feature)
    frame.table(
        rows, source, "core.chart_entries", columns, f"Songs of {year}, most successful first", opens=True, key="songs_of_year"
    )
