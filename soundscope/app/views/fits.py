"""Songs that fit the trend and are little known, and hits that defy it."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any

import altair as alt
import streamlit as st

from soundscope.app import frame, genres, look, text
from soundscope.app.source import Source
from soundscope.match.titles import parse_title

_LIMIT = 500
# A recording of its own, though its title says more than its name.
_NO_VERSION = frozenset({"dated", "part of a work"})
_DRAWN = 200
_NAMED = 6
# Popularity and gap as of the chart's date; where that is hardly known, the newest popularity, compared in the same way: alignment less the
# share of tracks that are less popular, ties counting half.
_AS_OF = {"popularity": "a.popularity", "provider": "a.popularity_source", "gap": "a.popularity_gap"}
_NEWEST = {
    "popularity": "f.popularity",
    "provider": "f.popularity_provider",
    "gap": "a.alignment - 100 * (select any_value(less.share) from less where less.popularity = f.popularity)",
}
# The strongest are chosen by few columns before names are looked up; three editions of a recording are rarely among them.
_LIST = """
with sizes as (
    select f.popularity, count(*) as n from marts.popularity_alignment a join marts.track_features f on f.track_id = a.track_id
    where a.is_current and a.chart = $chart and f.popularity is not null group by f.popularity
),
less as (
    select popularity, (sum(n) over (order by popularity) - n / 2.0) / sum(n) over () as share from sizes
),
gaps as (
    select a.track_id, a.alignment, a.confidence, a.is_charting, f.genre, f.family, f.era, {popularity} as popularity,
        {provider} as popularity_source, {gap} as gap
    from marts.popularity_alignment a join marts.track_features f on f.track_id = a.track_id
    where a.is_current and a.chart = $chart and {popularity} is not null
),
strongest as (
    select track_id, popularity, popularity_source, gap from gaps
    where case when $misfits then gap < 0 and is_charting else gap > 0 and not is_charting end
        and ($genre is null or $genre in (genre, family)) and ($era is null or era = $era)
        and confidence >= $sure and alignment between $low and $high and popularity between $least and $most
    order by case when $misfits then gap else -gap end, track_id limit 3 * $limit
)
select f.title, f.artist, f.genre, f.era, round(a.alignment, 1) as alignment, round(a.alignment_in_genre, 1) as alignment_in_genre,
    round(s.popularity, 1) as popularity, s.popularity_source, round(s.gap, 1) as popularity_gap,
    round(a.chart_likelihood, 4) as chart_likelihood, round(a.artist_momentum, 2) as artist_momentum, round(a.confidence, 2) as confidence,
    a.is_charting, t.release_date, a.chart, a.as_of, s.track_id
from strongest s
join marts.popularity_alignment a on a.track_id = s.track_id and a.is_current and a.chart = $chart
join marts.track_features f on f.track_id = s.track_id
join core.tracks t on t.track_id = s.track_id
qualify row_number() over (partition by f.recording_id order by s.popularity desc, s.track_id) = 1
order by case when $misfits then s.gap else -s.gap end, s.track_id limit $limit
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
    today = _today(source, chart)
    sql = _LIST.format(**(_NEWEST if today else _AS_OF))
    rows = source.ask(sql, {"chart": chart, "misfits": misfits, "limit": 2 * _LIMIT, **_filters(source)})
    if not misfits and not st.toggle("Live takes, remixes and other versions too", key="versions", bind="query-params"):
        rows = rows[~rows["title"].map(_is_version).astype(bool)]
    rows = rows.head(_LIMIT).reset_index(drop=True)
    if rows.empty:
        frame.nothing(
            "No track of this choice has both a fit and a popularity that differs from it. Widen the filters; `soundscope doctor` says "
            "who gives popularity."
        )
        return
    _in_words(rows, chart, misfits, today)
    _map(rows, source, misfits)
    frame.table(rows, source, "marts.popularity_alignment", _COLUMNS, str(kind), opens=True, key="fits")
    _downloads(rows, f"soundscope-{'misfits' if misfits else 'sleepers'}-{date.today():%Y%m%d}")


def _is_version(title: Any) -> bool:
    """Whether a title names a live take, a remix, a copy by somebody else or the like."""
    return isinstance(title, str) and bool(parse_title(title).kinds - _NO_VERSION)


def _today(source: Source, chart: str) -> bool:
    """Whether popularity as of the chart's date is hardly known, so that the newest one has to do: the chart is an old one."""
    known = source.one(
        "select count(a.popularity_gap) as then, count(f.popularity) as now from marts.popularity_alignment a "
        "join marts.track_features f on f.track_id = a.track_id where a.is_current and a.chart = ?",
        [chart],
    )
    return bool(known and known["then"] < known["now"] / 5)


def _filters(source: Source) -> dict[str, Any]:
    """Draw the filters; their values by the names in `_LIST`."""
    eras = source.ask("select value from marts.category_counts where field = 'era' order by value desc")["value"]
    upper, lower = st.columns(2), st.columns(3)
    genre = upper[0].selectbox("Genre", ["any", *genres.choices(source)], key="genre", bind="query-params", help=frame.GENRE_HELP)
    era = upper[1].selectbox("Era", ["any", *eras], key="era", bind="query-params")
    about = "marts.popularity_alignment."
    low, high = lower[0].slider(
        "Fit", 0, 100, (0, 100), key="fit", bind="query-params", help=text.escape(source.about(f"{about}alignment"))
    )
    least, most = lower[1].slider(
        "Popularity", 0, 100, (1, 100), key="known", bind="query-params",
        help="From 1 on, because Spotify gives 0 to editions that are no longer offered, whatever the song.",
    )  # fmt: skip
    sure = lower[2].slider(
        "Confidence at least", 0.0, 1.0, 0.0, 0.05, key="sure", bind="query-params", help=text.escape(source.about(f"{about}confidence"))
    )  # fmt: skip
    return {
        "genre": None if genre == "any" else genre, "era": None if era == "any" else era, "sure": sure, "low": low, "high": high,
        "least": least, "most": most,
    }  # fmt: skip


def _in_words(rows: Any, chart: str, misfits: bool, today: bool) -> None:
    first = rows.iloc[0]
    st.markdown(
        f"{'The hit that fits least for its popularity' if misfits else 'Fits well and is hardly known'}: "
        f"**{text.song(first['title'], first['artist'])}**, fit {first['alignment']:.0f}, popularity {first['popularity']:.0f}."
    )
    said = f"Compared with {text.chart_name(chart)} of {text.day(first['as_of'])}. Gap: the fit minus the share of tracks that are less popular. "
    if today:
        said += "Popularity of that day is not known, so the newest one that is known stands for it. "
    if rows["confidence"].max() < 0.4:
        said += "**Confidence is weak: the sound of too few songs of this chart is known. Take the order as a hint.**"
    st.caption(said)


def _map(rows: Any, source: Source, misfits: bool) -> None:
    known = genres.genres_of(source)
    drawn = rows.head(_DRAWN)
    drawn = drawn.assign(group=[known.family.get(str(genre), genres.OTHERS) for genre in drawn["genre"].tolist()])
    drawn["group"] = drawn["group"].where([known.colour_of(name) != look.GREY for name in drawn["group"]], genres.OTHERS)
    drawn["label"] = [title if len(title) <= 24 else title[:23] + "…" for title in drawn["title"].fillna("(no title)")]
    names = [name for name in [*known.families, genres.OTHERS] if name in set(drawn["group"])]
    look.legend({name: known.colour_of(name) for name in names})
    # The strongest lie close together in a corner of 0 to 100.
    near = alt.Scale(zero=False, nice=True, padding=12)
    x = alt.X("popularity:Q", title="popularity (0 to 100)", scale=near, axis=alt.Axis(tickCount=8))
    y = alt.Y("alignment:Q", title="fit (0 to 100)", scale=near, axis=alt.Axis(tickCount=5))
    dots = alt.Chart(drawn).mark_circle(size=70, opacity=0.8).encode(
        x, y, alt.Color("group:N", scale=look.scale_of(known, names), sort=names, legend=None),
        tooltip=[alt.Tooltip("title:N"), alt.Tooltip("artist:N"), alt.Tooltip("genre:N"), alt.Tooltip("alignment:Q", title="fit"), alt.Tooltip("popularity:Q"), alt.Tooltip("popularity_gap:Q", title="gap")],
    )  # fmt: skip
    words = alt.Chart(_apart(drawn)).mark_text(align="left", dx=7, color=look.GREY, fontSize=11).encode(x, y, alt.Text("label:N"))
    what = "hits that fit little" if misfits else "songs that fit and are little known"
    look.draw(alt.layer(dots, words), f"Fit against popularity of {len(drawn)} {what}", height=380)


def _apart(drawn: Any) -> Any:
    """The first few rows whose names would not lie upon each other or beyond the right edge."""
    kept: list[tuple[float, float]] = []
    rows = []
    x, y = (
        (drawn[name] - drawn[name].min()) / max(float(drawn[name].max() - drawn[name].min()), 1.0)
        for name in ("popularity", "alignment")
    )
    for row, at in enumerate(zip(x, y, strict=True)):
        if at[0] < 0.75 and all(abs(at[0] - other[0]) > 0.25 or abs(at[1] - other[1]) > 0.07 for other in kept):
            kept.append(at)
            rows.append(row)
        if len(rows) == _NAMED:
            break
    return drawn.iloc[rows]


def _downloads(rows: Any, stem: str) -> None:
    forms = {
        "CSV": ("csv", "text/csv", text.to_csv),
        "Parquet": ("parquet", "application/vnd.apache.parquet", text.to_parquet),
    }
    with st.container(horizontal=True):
        for name, (ending, kind, write) in forms.items():
            st.download_button(
                f"Download {name}", partial(write, rows), f"{stem}.{ending}", kind, icon=":material/download:",
                on_click="ignore", key=ending,
            )  # fmt: skip
    st.caption(
        f"At most {_LIMIT} rows, the strongest first. In CSV, texts that a spreadsheet would run as a formula begin with an apostrophe."
    )
