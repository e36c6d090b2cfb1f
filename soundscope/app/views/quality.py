"""Whether the data can be trusted: quarantine, checks, matches by decade, coverage, budget, what waits, and the last runs."""

from __future__ import annotations

import time

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, ledger, look, text
from soundscope.app.source import Source, plain

_MATCHES = """
select e.chart, (year(e.chart_date) // 10 * 10)::varchar || 's' as decade, count(*) as entries, count(e.track_id) / count(*)::double as linked,
    count(f.feature_provider) / count(*)::double as with_sound
from core.chart_entries e left join marts.track_features f on f.track_id = e.track_id group by all order by 1, 2
"""
_COVERAGE = """
select provider, licence, count(*) as tracks, count(*) filter (train_ok) as trainable, max(fetched_at) as fetched_at
from core.audio_features group by all order by tracks desc
"""


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(source, "Data quality", "What was refused, what was checked, what is missing, and what is still waited for.")
    left, right = st.columns(2, gap="large")
    with left:
        _matches(source)
        _quarantine(source)
    with right:
        _coverage(source)
        _budget(source)
    _waiting(source)
    _checks(source)
    _runs(source)


def _matches(source: Source) -> None:
    st.subheader("Chart entries linked to a track", anchor=False)
    rows = source.ask(_MATCHES)
    if rows.empty:
        frame.nothing("There are no chart entries yet.")
        return
    charts = list(dict.fromkeys(rows["chart"]))
    chart = (
        charts[0]
        if len(charts) == 1
        else st.selectbox("Chart", charts, format_func=text.chart_name, key="chart", bind="query-params")
    )
    part = rows[rows["chart"] == chart]
    total = float((part["linked"] * part["entries"]).sum() / part["entries"].sum())
    heard = float((part["with_sound"] * part["entries"]).sum() / part["entries"].sum())
    st.markdown(
        f"**{total:.0%}** of the entries of {text.chart_name(str(chart))} are linked to a track, **{heard:.0%}** to one whose sound is known."
    )
    names = {"linked": "linked to a track", "with_sound": "with known sound"}
    drawn = part.melt(["decade", "entries"], ["linked", "with_sound"], "what", "share").assign(
        what=lambda f: f["what"].map(names)
    )
    bars = alt.Chart(drawn).mark_bar().encode(
        alt.X("decade:N", title=None, axis=alt.Axis(labelAngle=0)), alt.XOffset("what:N", sort=list(names.values())),
        alt.Y("share:Q", title="share of entries", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        alt.Color("what:N", sort=list(names.values()), scale=alt.Scale(domain=list(names.values()), range=[look.BLUE, look.ORANGE])),
        tooltip=[alt.Tooltip("decade:N"), alt.Tooltip("what:N"), alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("entries:Q", format=",")],
    )  # fmt: skip
    look.draw(
        bars,
        "Share of linked entries by decade: " + ", ".join(f"{r.decade} {r.linked:.0%}" for r in part.itertuples()),
        height=240,
    )
    review = source.one("select count(*) as n from core.track_matches where status = 'review'")
    if review and review["n"]:
        st.markdown(f"{review['n']:,} links wait for a person: `soundscope match review`.")


def _quarantine(source: Source) -> None:
    st.subheader("Quarantine", anchor=False)
    rows = source.ask(
        "select reason, table_name, field, provider, count(*) as n, any_value(raw_value) as example from ops.quarantine group by reason, table_name, field, provider order by n desc limit 200"
    )
    if rows.empty:
        frame.nothing("Nothing had to be refused: every value fitted its type and range.")
        return
    # A range says nothing without the field whose range it is.
    named = rows.assign(
        reason=[f"{r.field}: {r.reason}" if isinstance(r.field, str) and r.field else r.reason for r in rows.itertuples()]
    )
    by_reason = named.groupby("reason", as_index=False)["n"].sum().nlargest(10, "n")
    bars = alt.Chart(by_reason).mark_bar(height=14, color=look.VERMILION).encode(
        alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=260)), alt.X("n:Q", title="values or rows", axis=alt.Axis(tickMinStep=1, format=",d")), tooltip=[alt.Tooltip("reason:N"), alt.Tooltip("n:Q")],
    )  # fmt: skip
    look.draw(
        bars,
        "Quarantine by reason: " + ", ".join(f"{r.reason} {r.n}" for r in by_reason.itertuples()),
        height=look.rows_height(len(by_reason), 28),
    )
    rows = _with_names(rows)
    columns = {
        "reason": "Reason",
        "provider": "From",
        "table_name": "Table",
        "field": "Field",
        "n": "How many",
        "example": "Example",
    }
    frame.table(rows, source, "ops.quarantine", columns, "Quarantined values by reason", key="quarantine")


def _with_names(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(provider=[text.provider_name(name) if isinstance(name, str) else name for name in rows["provider"]])


def _coverage(source: Source) -> None:
    st.subheader("Sound by provider", anchor=False)
    rows = source.ask(_COVERAGE)
    total = source.one(
        "select count(*) as tracks, count(feature_provider) as heard, count(genre) as named, count(popularity) as famous from marts.track_features"
    )
    if total and total["tracks"]:
        n = total["tracks"]
        st.markdown(
            f"Of **{n:,}** tracks **{total['heard'] / n:.0%}** have a known sound, {total['named'] / n:.0%} a genre, {total['famous'] / n:.0%} a popularity."
        )
    if rows.empty:
        frame.nothing("No provider has told how any track sounds.")
        return
    rows = _with_names(rows)
    columns = {
        "provider": "Provider",
        "tracks": "Tracks",
        "trainable": "For training",
        "licence": "Licence",
        "fetched_at": "Newest (UTC)",
    }
    frame.table(rows, source, "core.audio_features", columns, "Tracks with known sound by provider", key="coverage")


def _budget(source: Source) -> None:
    st.subheader("Calls left", anchor=False)
    rows = source.ask("select * from ops.request_budget order by budget is null, provider")
    if rows.empty:
        frame.nothing("No provider is asked.")
        return
    # The release knows limits and accounts; how many calls were made since is in the ledger as it is now.
    now = {
        float(hours): ledger.calls_since(source.settings, time.time() - 3600 * float(hours))
        for hours in rows["window_hours"].unique()
    }
    if any(now.values()):
        rows = rows.assign(used=[now[float(r.window_hours)].get((r.provider, r.account), 0) for r in rows.itertuples()])
        rows["remaining"] = (rows["budget"] - rows["used"]).clip(lower=0)
    limited = rows[rows["budget"].notna()]
    if len(limited):
        st.markdown(
            "; ".join(
                f"{text.escape(text.provider_name(r.provider))}: **{int(r.remaining):,}** of {int(r.budget):,} calls left in {r.window_hours:g} h"
                for r in limited.itertuples()
            )
            + "."
        )
    held = rows[rows["held_until"].notna()]
    for row in held.itertuples():
        st.markdown(
            f"- {text.escape(text.provider_name(row.provider))} is not asked before {row.held_until:%d %B, %H:%M} UTC: {text.escape(row.held_for)}."
        )
    rows = _with_names(rows)
    columns = {"provider": "Provider", "used": "Used", "remaining": "Left", "budget": "Allowed", "window_hours": "Within hours"}
    frame.table(rows, source, "ops.request_budget", columns, "Calls made and left by provider", key="budget")


def _waiting(source: Source) -> None:
    st.subheader("What is waited for", anchor=False)
    rows = ledger.waiting_units(source.settings)
    if rows.empty:
        frame.nothing("Nothing is waiting to be fetched.")
        return
    rows = rows.assign(asked_again_at=pd.to_datetime(rows["asked_again_at"]))
    deferred = rows[rows["status"] == "deferred"]
    st.markdown(
        f"**{int(rows['units'].sum()):,}** things are still to be asked for"
        + (
            f", {int(deferred['units'].sum()):,} of them deferred"
            + (
                f" until {deferred['asked_again_at'].min():%d %B, %H:%M} UTC at the earliest"
                if deferred["asked_again_at"].notna().any()
                else ""
            )
            if len(deferred)
            else ""
        )
        + "."
    )
    columns = {
        "provider": "Provider",
        "kind": "What",
        "status": "State",
        "units": "How many",
        "asked_again_at": "Asked again from (UTC)",
    }
    frame.table(rows, source, "ops.freshness", columns, "What is still to be fetched", key="waiting")


def _checks(source: Source) -> None:
    st.subheader("Checks", anchor=False)
    # A build and a publishing check different things, so the newest result of each check counts; what is no longer checked fades after a month.
    rows = source.ask(
        'select "check", table_name, status, failures, message, checked_at from ops.check_results '
        "where checked_at > (select max(checked_at) from ops.check_results) - interval 30 day "
        'qualify row_number() over (partition by "check", table_name order by checked_at desc) = 1 '
        "order by status <> 'fail', status <> 'warn', table_name, \"check\""
    )
    if rows.empty:
        frame.nothing("No check has been recorded.")
        return
    rows = rows.assign(
        message=[_found(message, failures) for message, failures in zip(rows["message"], rows["failures"], strict=True)]
    )
    count = rows["status"].value_counts()
    st.markdown(
        ", ".join(f"**{count.get(s, 0)}** {w}" for s, w in (("pass", "passed"), ("warn", "worth a look"), ("fail", "failed")))
        + "."
    )
    odd = rows[rows["status"] != "pass"]
    columns = {
        "check": "Check",
        "table_name": "Table",
        "status": "Result",
        "failures": "Rows",
        "message": "What was found",
        "checked_at": "When (UTC)",
    }
    if len(odd):
        frame.table(odd, source, "ops.check_results", columns, "Checks that found something", key="odd_checks")
    frame.more(
        "All checks with their newest result",
        "every_check",
        lambda: frame.table(rows, source, "ops.check_results", columns, "All checks", key="checks"),
    )


def _found(message: object, failures: object) -> str:
    """What a check said; the standing words of dbt become plain ones."""
    if isinstance(message, str) and not message.startswith("Got "):
        return message
    return "" if plain(failures) in (None, 0) else f"{text.count(int(plain(failures)), 'row')} break it"


def _runs(source: Source) -> None:
    st.subheader("The last runs", anchor=False)
    rows = ledger.newest_runs(source.settings)
    if rows.empty:
        frame.nothing("No run is recorded.")
        return
    rows = rows.assign(started_at=pd.to_datetime(rows["started_at"]), ended_at=pd.to_datetime(rows["ended_at"]))
    columns = {
        "command": "Command",
        "status": "Status",
        "started_at": "Started (UTC)",
        "ended_at": "Ended (UTC)",
        "message": "Message",
        "release_id": "Release",
    }
    frame.table(rows, source, "ops.runs", columns, "The last runs", key="runs")
