"""What takes a second or two the first time, done aside once a release is shown: the index of titles, the chart's profile, the model."""

from __future__ import annotations

import atexit
import logging
import threading

import duckdb
import streamlit as st
from streamlit import runtime

from soundscope.app import fit, predict, search
from soundscope.app.source import Source
from soundscope.errors import SoundScopeError

# The first view comes first.
_AFTER_S = 1.0
_AT_MOST_S = 5.0
_LOG = logging.getLogger(__name__)


def warm(source: Source) -> None:
    """Begin, once per release; returns at once. Whoever needs one of them meanwhile waits for it instead of making it twice."""
    if runtime.exists():
        _thread(source.release_id, source)


@st.cache_resource(max_entries=3, show_spinner=False)
def _thread(release_id: str, _source: Source) -> threading.Timer:
    thread = threading.Timer(_AFTER_S, _prepare, [_source])
    thread.daemon = True
    thread.name = f"warm {release_id}"
    thread.start()
    # A process that ends while a thread is inside DuckDB is aborted.
    atexit.register(_end, thread)
    return thread


def _end(thread: threading.Timer) -> None:
    thread.cancel()
    thread.join(_AT_MOST_S)


def _prepare(source: Source) -> None:
    # Whatever is wrong is said on the page that needs it.
    try:
        search.prepare(source)
        charts = source.ask("select chart from core.chart_dates group by chart order by count(*) desc, chart limit 1")
        for chart in charts["chart"]:
            fit.fit_of(source, str(chart))
        chosen = predict.champion(source)
        if chosen is not None:
            predict.model(str(chosen["model_id"]), chosen["artefact_sha256"])
    except (SoundScopeError, duckdb.Error) as error:
        _LOG.info("release %s: %s", source.release_id, error)
