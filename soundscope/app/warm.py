"""What takes a second or two the first time, done before it is asked for: the index of titles, sounds, the chart's profile, the model and its calibration."""

from __future__ import annotations

import atexit
import logging
import threading

import duckdb
import streamlit as st
from streamlit import runtime

from soundscope.app import fit, nearest, predict, search
from soundscope.app.calibration import calibration
from soundscope.app.source import Source, newest, settings
from soundscope.errors import SoundScopeError

# The first view of a release that arrives comes first.
_AFTER_S = 1.0
_BEFORE_S = 15.0
_AT_MOST_S = 5.0
_LOG = logging.getLogger(__name__)


def before_serving() -> None:
    """Prepare the release of now, for at most fifteen seconds, so that nobody's first view shares the processor with it; the rest goes on aside."""
    # It tells that there is no server yet, once per function.
    told = logging.getLogger("streamlit.runtime.caching.cache_data_api")
    before = told.level
    told.setLevel(logging.ERROR)
    try:
        said = settings()
        shown = Source(said, newest(said))
        _thread(shown.release_id, shown, 0.0).join(_BEFORE_S)
    except SoundScopeError as error:
        # The page says so, and waits for a release.
        _LOG.info("nothing to prepare: %s", error)
    finally:
        told.setLevel(before)


def warm(source: Source) -> None:
    """Begin, once per release; returns at once. Whoever needs one of them meanwhile waits for it instead of making it twice."""
    if runtime.exists():
        _thread(source.release_id, source, _AFTER_S)


@st.cache_resource(max_entries=3, show_spinner=False)
def _thread(release_id: str, _source: Source, _after_s: float) -> threading.Timer:
    thread = threading.Timer(_after_s, _prepare, [_source])
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
        nearest.prepare(source)
        charts = source.ask("select chart from core.chart_dates group by chart order by count(*) desc, chart limit 1")
        for chart in charts["chart"]:
            fit.fit_of(source, str(chart))
        chosen = predict.champion(source)
        if chosen is not None:
            predict.model(str(chosen["model_id"]), chosen["artefact_sha256"])
            calibration(source, str(chosen["model_id"]), str(chosen["target"]))
    except (SoundScopeError, duckdb.Error) as error:
        _LOG.info("release %s: %s", source.release_id, error)
