"""What charts now, what moved, and how fresh everything is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.source import Source, plain
from soundscope.ingest.ledger import utcnow

_OLD_DAYS = 21
_KINDS = {
    "chart": "the chart",
    "all": "whole archive",
    "valid_dates": "list of dates",
    "week": "single charts",
    "import": "your file",
}
_NOW = """
select e.rank, case when e.previous_rank is not null then e.previous_rank - e.rank end as move, e.title, e.artist, f.genre,
    e.weeks_on_chart, e.peak_rank, e.previous_rank, e.track_id
from core.chart_entries e left join marts.track_features f on f.track_id = e.track_id
where e.chart = ? and e.chart_date = ? order by e.rank
"""
_CHANGES = """
select feature, mean, std, change_1y, is_change_1y_beyond_noise, is_low_coverage, coverage, n_tracks
from marts.chart_trends where chart = ? and window_weeks = 12 and chart_date = ? and change_1y is not null and std > 0
"""


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(source, "What is charting now", "The newest chart, who moved, and how its sound differs from a year ago.")
    charts = frame.charts_of(source)
    if not charts:
        frame.nothing(
            "This release holds no chart yet. `soundscope run` fetches one, or import your own with `soundscope import`."
        )
        _fresh(source)
        return
    chart = frame.pick_chart(source, charts)
    newest = source.one("select max(chart_date) as day from core.chart_dates where chart = ?", [chart])
    day: Any = newest["day"] if newest else None
    now = source.ask(_NOW, [chart, day])
    _figures(source, chart, day, now)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader(f"{text.chart_name(chart)}, {text.day(day)}", anchor=False)
        old = (utcnow().date() - pd.Timestamp(day).date()).days
        if old > _OLD_DAYS:
            st.caption(f"The newest chart that is known is {old // 7:,} weeks old: *now* on these pages means that week.")
        shown = now.assign(move=[_move(row) for row in now.itertuples()])
        columns = {
            "rank": "Rank",
            "move": "Move",
            "title": "Title",
            "artist": "Artist",
            "genre": "Genre",
            "weeks_on_chart": "Weeks",
        }
        frame.table(
            shown, source, "core.chart_entries", columns, "The newest chart, one row per rank", opens=True, key="chart_now"
        )
    with right:
        _sound(source, chart, day)
        _movers(now)
    _fresh(source)


def _figures(source: Source, chart: str, day: Any, now: pd.DataFrame) -> None:
    turnover = source.one("select * from marts.chart_turnover where chart = ? and chart_date = ?", [chart, day]) or {}
    totals = source.one("select count(*) as tracks, count(feature_provider) as known from marts.track_features") or {
        "tracks": 0,
        "known": 0,
    }
    top = now.iloc[0] if len(now) else None
    cells = st.columns([2, 1, 1, 1])
    cells[0].metric(
        "Number one",
        _short(top["title"]) if top is not None else "–",
        help=text.song(top["title"], top["artist"]) if top is not None else None,
    )
    new = turnover.get("n_new")
    cells[1].metric(
        "New this week", "–" if new is None else f"{new:,.0f}", help=text.escape(source.about("marts.chart_turnover.n_new"))
    )
    linked = now["track_id"].notna().mean() if len(now) else 0.0
    cells[2].metric("Entries linked to a track", f"{linked:.0%}", help=text.escape(source.about("core.chart_entries.track_id")))
    cells[3].metric("Tracks with known sound", f"{totals['known']:,}", help=f"Of {totals['tracks']:,} tracks in this release.")


def _short(title: object) -> str:
    words = title if isinstance(title, str) else "–"
    return text.escape(words if len(words) <= 34 else words[:33] + "…")


def _move(row: object) -> str:
    move, weeks = plain(row.move), plain(row.weeks_on_chart)  # type: ignore[attr-defined]
    if move is None:
        return "new" if weeks == 1 else "back" if weeks else ""
    return "=" if move == 0 else f"{'▲' if move > 0 else '▼'} {abs(int(move))}"


def _movers(now: Any) -> None:
    known = now[now["move"].notna()]
    if known.empty:
        return
    st.subheader("Who moved", anchor=False)
    lines = []
    for word, part in (("Up", known.nlargest(3, "move")), ("Down", known.nsmallest(3, "move"))):
        for row in part[part["move"] != 0].itertuples():
            lines.append(f"- {word} {abs(int(row.move))} to {row.rank}: {text.song(row.title, row.artist)}")
    for row in now[(now["weeks_on_chart"] == 1) & now["previous_rank"].isna()].head(3).itertuples():
        lines.append(f"- New at {row.rank}: {text.song(row.title, row.artist)}")
    st.markdown("\n".join(lines))


def _sound(source: Source, chart: str, day: Any) -> None:
    st.subheader("Its sound, against a year ago", anchor=False)
    rows = source.ask(_CHANGES, [chart, day])
    rows = rows[rows["feature"].isin(text.FEATURES)]
    if rows.empty:
        frame.nothing(
            "A year of this chart with known sound is needed to compare it with a year ago; this release does not have it."
        )
        return
    clear = rows[rows["is_change_1y_beyond_noise"].astype(bool) & ~rows["is_low_coverage"].astype(bool)]
    if clear.empty:
        said = "Over the last twelve weeks no feature differs from a year ago by more than chance would explain."
    else:
        parts = [
            f"**{text.FEATURES[r.feature].more if r.change_1y > 0 else text.FEATURES[r.feature].less}** ({text.figure(r.feature, r.change_1y, signed=True)})"
            for r in clear.assign(size=(clear["change_1y"] / clear["std"]).abs())
            .sort_values("size", ascending=False)
            .itertuples()
        ]
        said = "The songs of the last twelve weeks are " + ", ".join(parts[:4]) + " than a year ago."
    st.markdown(said)
    drawn = rows.assign(
        size=rows["change_1y"] / rows["std"],
        sure=rows["is_change_1y_beyond_noise"].astype(bool) & ~rows["is_low_coverage"].astype(bool),
    ).sort_values("size", ascending=False)
    look.bars(
        [
            look.Bar(
                text.feature_name(row["feature"]),
                float(row["size"]),
                text.figure(row["feature"], row["change_1y"], signed=True),
                look.BLUE if row["size"] > 0 else look.ORANGE,
                not row["sure"],
            )
            for row in drawn.to_dict("records")
        ],
        "change, in the spread between songs (faint: within chance)",
    )


def _fresh(source: Source) -> None:
    st.subheader("Where it comes from, and how fresh it is", anchor=False)
    given = source.ask(
        "select feature_provider as provider, count(*) as n from marts.track_features where feature_provider is not null group by all order by n desc"
    )
    if len(given):
        st.markdown(
            "Sound comes from "
            + ", ".join(f"{text.escape(text.provider_name(r.provider))} ({r.n:,} tracks)" for r in given.itertuples())
            + "."
        )
    rows = source.ask("select * from ops.freshness order by kind <> 'chart', subject, kind")
    if rows.empty:
        frame.nothing("Nothing has been fetched yet.")
        return
    stale = rows[rows["is_stale"].fillna(False).astype(bool)]
    if len(stale):
        st.warning(
            "Not brought up to date for two weeks: "
            + ", ".join(text.escape(text.provider_name(s)) for s in stale["subject"])
            + ".",
            icon=":material/schedule:",
        )
    rows = rows.assign(
        subject=[text.provider_name(str(s)) for s in rows["subject"]], kind=[_KINDS.get(str(k), str(k)) for k in rows["kind"]]
    )
    columns = {
        "subject": "Source",
        "kind": "What",
        "newest_date": "Newest chart",
        "fetched_at": "Last fetched (UTC)",
        "age_days": "Age in days",
        "n_waiting": "Waiting",
    }
    frame.table(rows, source, "ops.freshness", columns, "How new each source is", key="freshness")
