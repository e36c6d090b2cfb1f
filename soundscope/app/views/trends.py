"""How the sound of a chart moves: one feature over time, two periods side by side, genres, diversity and turnover, the songs of a year."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, genres, look, text
from soundscope.app.source import Source
from soundscope.app.views import mix, periods

_MOST_POINTS = 450
# Points to click at are dearer to draw than a line, and so many lie close enough to hit.
_MOST_SPOTS = 150
_LONG = 12
_ALL = "all genres"
_TREND = """
select chart_date as date, mean, std, n_effective, n_tracks, coverage, is_low_coverage as is_faint from marts.chart_trends
where chart = ? and feature = ? and window_weeks = ? and mean is not null and year(chart_date) between ? and ? order by chart_date
"""
# Songs weigh as they chart; the mean of so many songs varies as that of n_effective drawn at random (Kish 1965).
_BY_GENRE = """
with songs as (
    select date_trunc($step, e.chart_date) as date, e.track_id, any_value(f.{feature}) as value, sum(d.size + 1 - e.rank) as points
    from core.chart_entries e
    join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
    join marts.track_features f on f.track_id = e.track_id
    where e.chart = $chart and $genre in (f.genre, f.family) and f.{feature} is not null and year(e.chart_date) between $first and $last
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
_SONGS = """
select e.title, e.artist, any_value(f.genre) as genre, min(e.rank) as peak_rank, count(*) as weeks_on_chart,
    sum(d.size + 1 - e.rank) as points, any_value(e.track_id) as track_id{value}
from core.chart_entries e
join core.chart_dates d on d.chart = e.chart and d.chart_date = e.chart_date
left join marts.track_features f on f.track_id = e.track_id
where e.chart = $chart and year(e.chart_date) = $year and ($genre is null or $genre in (f.genre, f.family))
group by e.title, e.artist order by points desc, e.title limit 100
"""


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
        "A feature": _feature, "Two periods": periods.show, "Genres": mix.genres_over_time, "Diversity and turnover": mix.measures,
    }  # fmt: skip
    left, middle, right = st.columns([2, 2, 3])
    with left:
        chart = frame.pick_chart(source, charts)
    years = source.one(
        "select year(min(chart_date)) as first, year(max(chart_date)) as last from core.chart_dates where chart = ?", [chart]
    )
    assert years is not None
    with right:
        span = frame.span("Years", "years", int(years["first"]), int(years["last"]))
    view = st.segmented_control(
        "View", list(views), default="A feature", required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    with middle:
        genre = _genre(source) if view in ("A feature", "Two periods") else None
    views[str(view)](source, chart, span, genre)
    _year(source, chart, span, genre)


def _genre(source: Source) -> str | None:
    chosen = st.selectbox("Genre", [_ALL, *genres.choices(source)], key="genre", bind="query-params", help=frame.GENRE_HELP)
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
    # A genre has too few songs for windows of weeks: it is averaged over quarters, or over years where the span is long.
    step = "year" if span[1] - span[0] >= _LONG else "quarter"
    if genre is None:
        with right:
            window = st.segmented_control(
                "Averaged over", [4, 12, 52], default=52, required=True, format_func=lambda n: f"{n} weeks", key="window", bind="query-params",
                help=text.escape(source.about("marts.chart_trends.window_weeks")),
            )  # fmt: skip
        rows = source.ask(_TREND, [chart, feature, window, *span])
    else:
        known = {"chart": chart, "genre": genre, "first": span[0], "last": span[1], "step": step}
        rows = source.ask(_BY_GENRE.format(feature=feature), known)
    if rows.empty:
        frame.nothing(f"No song of this choice has a known {text.feature_name(feature).lower()} between {span[0]} and {span[1]}.")
        return
    drawn, rows = _banded(rows, feature)
    st.markdown(_in_words(feature, rows, genre))
    colour = genres.genres_of(source).colour_of(genre) if genre else look.BLUE
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
        f"Faint: fewer than eight songs. One point per {step}."
        if genre
        else f"Faint: {text.escape(_low(source.about('marts.chart_trends.is_low_coverage')))}"
    )
    st.caption(band + faint)


def _low(words: str) -> str:
    return words[:1].lower() + words[1:]


def _banded(rows: pd.DataFrame, feature: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is drawn, in parts without holes, and the thinned rows: value, low and high in the unit of the axis."""
    scale = 60_000 if feature == "duration_ms" else 1
    error = 2 * rows["std"] / (rows["n_effective"] - 1).clip(lower=1) ** 0.5
    rows = rows.assign(value=rows["mean"] / scale, low=(rows["mean"] - error) / scale, high=(rows["mean"] + error) / scale)
    known = text.FEATURES[feature]
    if known.unit.startswith("0 "):
        rows = rows.assign(low=rows["low"].clip(known.low, known.high), high=rows["high"].clip(known.low, known.high))
    # What lies further apart than three steps of the thinned curve is a hole.
    step = float(rows["date"].diff().dt.days.median()) if len(rows) > 2 else 31.0
    every = max(len(rows) // _MOST_POINTS, 1)
    rows = rows.iloc[::every]
    drawn = look.segments(rows, "date", "is_faint", 3 * step * every)
    return drawn, rows


def _draw_trend(drawn: pd.DataFrame, feature: str, colour: str, alternative: str) -> int | None:
    lines = look.time_line(drawn, "value", text.FEATURES[feature].axis, colour)
    pick = alt.selection_point(name="year", fields=["date"], nearest=True, on="click", empty=False)
    spots = (
        alt.Chart(drawn.iloc[:: max(len(drawn) // _MOST_SPOTS, 1)])
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


def _in_words(feature: str, rows: pd.DataFrame, genre: str | None) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    who = f"Songs of {text.escape(genre)} in the chart" if genre else "The chart"
    now = f"{who}, {last['date']:%B %Y}: **{text.figure(feature, last['mean'])}** on average ({text.count(int(last['n_tracks']), 'song')})"
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
