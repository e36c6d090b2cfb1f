"""Songs that fit the trend and are little known, and hits that defy it."""

from __future__ import annotations

from datetime import date
from typing import Any

import altair as alt
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.source import Source

_LIMIT = 500
_LIST = """
select f.title, f.artist, f.genre, f.era, round(a.alignment, 1) as alignment, round(a.alignment_in_genre, 1) as alignment_in_genre,
    round(a.popularity, 1) as popularity, a.popularity_source, round(a.popularity_gap, 1) as popularity_gap, round(a.chart_likelihood, 4) as chart_likelihood,
    round(a.artist_momentum, 2) as artist_momentum, round(a.confidence, 2) as confidence, a.is_charting, t.release_date, a.chart, a.as_of, a.track_id
from marts.popularity_alignment a
join marts.track_features f on f.track_id = a.track_id
join core.tracks t on t.track_id = a.track_id
where a.is_current and a.chart = $chart and a.popularity_gap is not null
    and ($genre is null or f.genre = $genre) and ($era is null or f.era = $era)
    and a.confidence >= $sure and a.alignment between $low and $high
    and ($misfits = false or a.is_charting) and ($fresh = false or not a.is_charting)
order by case when $misfits then a.popularity_gap else -a.popularity_gap end, a.track_id limit $limit
"""
_COLUMNS = {
    "title": "Title", "artist": "Artist", "genre": "Genre", "era": "Era", "alignment": "Fit", "popularity": "Popularity", "popularity_gap": "Gap",
    "chart_likelihood": "Chart likelihood", "artist_momentum": "Artist's fame", "confidence": "Confidence",
}  # fmt: skip


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(
        source,
        "Fits and sleepers",
        "Songs that sound like what charts now and are hardly known, and hits that sound like nothing else in the chart.",
    )
    charts = (
        source.ask(
            "select chart, count(*) as n from marts.popularity_alignment where is_current group by chart order by n desc, chart"
        )
        if source.has("marts.popularity_alignment")
        else None
    )
    if charts is None or charts.empty:
        frame.nothing("This release has no alignment yet; `soundscope run` makes it once a chart with known sound is there.")
        return
    left, right = st.columns([1, 1], vertical_alignment="bottom")
    with left:
        chart = frame.pick_chart(source, [str(c) for c in charts["chart"]])
    with right:
        kind = st.segmented_control(
            "Show", ["Sleepers", "Hits that defy the trend"], default="Sleepers", required=True, key="kind", bind="query-params"
        )
    misfits = kind != "Sleepers"
    genres = source.ask("select value from marts.category_counts where field = 'genre' order by n desc, value limit 60")["value"]
    eras = source.ask("select value from marts.category_counts where field = 'era' order by value desc")["value"]
    cells = st.columns(4)
    genre = cells[0].selectbox("Genre", ["any", *genres], key="genre", bind="query-params")
    era = cells[1].selectbox("Era", ["any", *eras], key="era", bind="query-params")
    low, high = cells[2].slider(
        "Fit",
        0,
        100,
        (0, 100),
        key="fit",
        bind="query-params",
        help=text.escape(source.about("marts.popularity_alignment.alignment")),
    )
    sure = cells[3].slider(
        "Confidence at least",
        0.0,
        1.0,
        0.0,
        0.05,
        key="sure",
        bind="query-params",
        help=text.escape(source.about("marts.popularity_alignment.confidence")),
    )
    rows = source.ask(
        _LIST,
        {
            "chart": chart, "genre": None if genre == "any" else genre, "era": None if era == "any" else era, "sure": sure, "low": low, "high": high,
            "misfits": misfits, "fresh": not misfits, "limit": _LIMIT,
        },
    )  # fmt: skip
    if rows.empty:
        frame.nothing(
            "No track of this choice has both a fit and a popularity. Widen the filters; `soundscope doctor` says who gives popularity."
        )
        return
    first = rows.iloc[0]
    st.markdown(
        f"{'The hit that fits least' if misfits else 'The song that fits most and is known least'}: **{text.song(first['title'], first['artist'])}**, "
        f"fit {first['alignment']:.0f}, popularity {first['popularity']:.0f}. The gap is the fit minus the percentile of the popularity."
    )
    _map(rows, source, misfits)
    frame.table(rows, source, "marts.popularity_alignment", _COLUMNS, str(kind), opens=True, key="fits")
    stem = f"soundscope-{'misfits' if misfits else 'sleepers'}-{date.today():%Y%m%d}"
    with st.container(horizontal=True):
        st.download_button(
            "Download CSV",
            lambda: text.to_csv(rows),
            f"{stem}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="csv",
        )
        st.download_button(
            "Download Parquet",
            lambda: text.to_parquet(rows),
            f"{stem}.parquet",
            "application/vnd.apache.parquet",
            icon=":material/download:",
            on_click="ignore",
            key="parquet",
        )
    st.caption(
        f"At most {_LIMIT} rows, the strongest first. In CSV, texts that a spreadsheet would run as a formula begin with an apostrophe."
    )


def _map(rows: Any, source: Source, misfits: bool) -> None:
    drawn = rows.head(200).assign(genre=rows["genre"].fillna("no genre"))
    own = [genre for genre, colour in look.genre_colours(source).items() if colour != look.GREY and genre in set(drawn["genre"])]
    drawn["group"] = drawn["genre"].where(drawn["genre"].isin(own), "other or no genre")
    names = [*own, "other or no genre"]
    dots = alt.Chart(drawn).mark_circle(size=70, opacity=0.8).encode(
        alt.X("popularity:Q", title="popularity (0 to 100)", scale=alt.Scale(zero=False, nice=True)),
        alt.Y("alignment:Q", title="fit with the chart (0 to 100)", scale=alt.Scale(zero=False, nice=True)),
        alt.Color("group:N", scale=look.genre_scale(source, names), sort=names),
        tooltip=["title", "artist", "genre", alt.Tooltip("alignment", title="fit"), "popularity", alt.Tooltip("popularity_gap", title="gap")],
    )  # fmt: skip
    what = "hits that fit little" if misfits else "songs that fit and are little known"
    look.draw(dots, f"Fit against popularity of {len(drawn)} {what}", height=300)
