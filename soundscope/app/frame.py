"""What stands around every page: where the data is from, how the last run went, and the notice of a new release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import streamlit as st

from soundscope.app import ledger, text, warm
from soundscope.app.source import Source, newest, plain
from soundscope.errors import SoundScopeError
from soundscope.ingest.ledger import utcnow
from soundscope.settings import Settings
from soundscope.warehouse.releases import current_release_id

_POLL = "5s"
GENRE_HELP = "A family such as rock holds all its kinds; below the families stand the kinds, the most frequent first."


def heading(source: Source, title: str, words: str) -> None:
    """Title of a page, a sentence on what it is for, and where its data comes from."""
    st.title(title, anchor=False)
    st.markdown(words)
    if source.release.is_synthetic:
        st.markdown(
            ":material/science: **Synthetic data**: invented songs, artists and charts of the sandbox; nothing here is real music."
        )


def footing(source: Source) -> None:
    """Which release is shown, and how the newest run ended, in one line each."""
    st.divider()
    made = source.release.created_at
    st.markdown(
        f"Release {text.escape(source.release_id)}, published {text.day(made)}, {made:%H:%M} UTC ({ago(made)}), profile {source.release.profile}. "
        + health(source.settings)
    )


def health(said: Settings) -> str:
    """How the newest finished run went, with the way to the dashboard, as Markdown."""
    runs = ledger.newest_runs(said, 20)
    address = ledger.dashboard(said)
    more = f" [Open the dashboard]({address})." if address else " The dashboard starts with `soundscope up`."
    ended = runs[runs["status"] != "running"]
    running = (
        f" Under way now: {text.escape(runs['command'].iloc[0])}." if len(runs) and runs["status"].iloc[0] == "running" else ""
    )
    if ended.empty:
        return f"No run is recorded.{running}{more}"
    last = {str(k): plain(v) for k, v in ended.iloc[0].items()}
    when = f" {ago(last['ended_at'])}" if last["ended_at"] else ""
    return f"Last run: {text.escape(last['command'])}, {text.escape(last['status'])}{when}.{running}{more}"


def warn_of_failure(said: Settings, release_made: datetime) -> None:
    """Say so if the newest finished run failed after the shown release was made."""
    runs = ledger.newest_runs(said, 20)
    ended = runs[runs["status"] != "running"]
    if ended.empty or str(ended["status"].iloc[0]) not in ("failed", "crashed"):
        return
    last = {str(k): plain(v) for k, v in ended.iloc[0].items()}
    if last["started_at"] and last["started_at"] >= pd.Timestamp(release_made):
        st.warning(
            f"The newest run ({text.escape(last['command'])}) did not succeed: {text.escape(_cut(last['message'] or last['status']))} "
            "What is shown is the release before it. `soundscope runs` says more.",
            icon=":material/warning:",
        )


@st.fragment(run_every=_POLL)
def watch(shown: str, _said: Settings) -> None:
    """Look now and then whether a new release is there, and offer it; whoever reads is not interrupted."""
    found = current_release_id(_said)
    if found is None or found == shown:
        return
    with suppress(SoundScopeError):
        # Whoever goes on reading meanwhile finds the new one prepared; what is wrong with it is said when it is shown.
        warm.warm(Source(_said, newest(_said)))
    with st.container(border=True, key="news"):
        st.markdown(f":material/fiber_new: **A new release has arrived** ({text.escape(found)}). The next click shows it, or:")
        if st.button("Show it now", type="primary", key="show_new_release"):
            st.rerun()


def ago(instant: Any) -> str:
    """How long ago an instant (naive UTC) was, in words."""
    seconds = (utcnow() - pd.Timestamp(instant).to_pydatetime()).total_seconds()
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"


def nothing(sentence: str) -> None:
    """A sentence where a picture would be, if there is nothing to draw."""
    st.info(sentence, icon=":material/info:")


@st.fragment
def more(label: str, key: str, draw: Callable[..., None], *given: Any) -> None:
    """A part of a page that is made when it is opened, which the address keeps under `key`; `draw` is called with what is given."""
    part = st.expander(label, key=key, bind="query-params")
    if part.open:
        with part:
            draw(*given)


def pick_chart(source: Source, charts: Sequence[str]) -> str:
    """The chart a page is about, kept in the address."""
    return str(
        st.selectbox(
            "Chart",
            charts,
            format_func=text.chart_name,
            key="chart",
            bind="query-params",
            help=source.about("core.chart_entries.chart"),
        )
    )


def span(label: str, key: str, first: int, last: int, start: tuple[int, int] | None = None) -> tuple[int, int]:
    """A span of years on a slider, kept in the address under `key`; plain words where there is one year only."""
    if first == last:
        st.markdown(f"{label}: {first}")
        return first, last
    low, high = st.slider(label, first, last, start or (first, last), key=key, bind="query-params")
    return int(low), int(high)


def charts_of(source: Source) -> list[str]:
    """Charts of the release, the longest first."""
    rows = source.ask("select chart, count(*) as n from core.chart_dates group by chart order by n desc, chart")
    return [str(chart) for chart in rows["chart"]]


def table(
    frame: pd.DataFrame,
    source: Source,
    about: str,
    columns: dict[str, str],
    alternative: str,
    *,
    opens: bool = False,
    key: str = "table",
    height: int | Literal["auto"] = "auto",
) -> None:
    """A table with a line of help per column.

    Args:
        frame: the rows; with `opens` it has a column track_id, which is not shown.
        about: `schema.table` whose comments explain the columns.
        columns: column -> title, in order.
        alternative: what it lists, for those who cannot see it.
        opens: whether selecting a row opens the track.
        key: name of the element.
        height: in pixels; by the rows if left out, at most ten of them.
    """
    config = {name: _column(frame, name, title, source.about(f"{about}.{name}")) for name, title in columns.items()}
    state: Any = st.dataframe(
        frame, hide_index=True, column_order=list(columns), column_config=config, alt=alternative, lazy=False, key=key,
        on_select="rerun" if opens else "ignore", selection_mode="single-row", placeholder="–", height=height,
    )  # fmt: skip
    if opens:
        rows = state["selection"]["rows"] if state else []
        chosen = plain(frame["track_id"].iloc[rows[0]]) if rows and rows[0] < len(frame) else None
        if rows and chosen:
            open_track(str(chosen))
        elif rows:
            st.caption("This entry is not linked to a track, so there is nothing more to show of it.")
        else:
            st.caption("Select a row to open the track.")


def open_track(track_id: str) -> None:
    """Go to a track's page."""
    st.switch_page(st.session_state["pages"]["track"], query_params={"id": track_id})


def track_link(label: str, track_id: str) -> None:
    """A link to a track's page; `label` is Markdown."""
    st.page_link(st.session_state["pages"]["track"], label=label, query_params={"id": track_id})


def _column(frame: pd.DataFrame, name: str, title: str, comment: str) -> Any:
    about = text.escape(comment) if comment else None
    if name not in frame:
        return title
    if pd.api.types.is_datetime64_any_dtype(frame[name]):
        whole = frame[name].dropna()
        dated = (whole == whole.dt.normalize()).all()
        return st.column_config.DatetimeColumn(title, help=about, format="YYYY-MM-DD" if dated else "YYYY-MM-DD HH:mm")
    if pd.api.types.is_bool_dtype(frame[name]):
        return st.column_config.CheckboxColumn(title, help=about)
    if pd.api.types.is_float_dtype(frame[name]):
        return st.column_config.NumberColumn(title, help=about, format="%.3g")
    if pd.api.types.is_numeric_dtype(frame[name]):
        return st.column_config.NumberColumn(title, help=about)
    return st.column_config.TextColumn(title, help=about)


def _cut(words: str, most: int = 300) -> str:
    return words if len(words) <= most else words[:most] + "…"
