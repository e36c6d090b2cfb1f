"""The site: finds the release, draws the frame around every page, hands over to the page that the address asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable

import duckdb
import streamlit as st

from soundscope.app import frame, look, source, text, warm
from soundscope.app.views import fits, model, overview, playground, quality, track, trends
from soundscope.errors import SoundScopeError
from soundscope.settings import Settings

_PAGES = (
    ("overview", "Overview", ":material/home:", overview.show),
    ("trends", "Trends", ":material/show_chart:", trends.show),
    ("track", "Track", ":material/music_note:", track.show),
    ("fits", "Fits and sleepers", ":material/bedtime:", fits.show),
    ("model", "Genre model", ":material/category:", model.show),
    ("playground", "Playground", ":material/tune:", playground.show),
    ("quality", "Data quality", ":material/verified:", quality.show),
)


# Less empty space above the title, none that a phone has to scroll past, and links to tracks that wrap instead of being cut.
_STYLE = (
    "<style>.stMainBlockContainer{padding-top:4.5rem;padding-bottom:3rem} .stMainBlockContainer h1{padding-top:0}"
    " [data-testid=stPageLink] a,[data-testid=stPageLink] a *{white-space:normal;height:auto}</style>"
)


def draw(start: str = "overview") -> None:
    """Draw what the address asks for; the page `start` if it asks for none."""
    st.set_page_config(page_title="SoundScope", page_icon=look.icon(), layout="wide")
    st.html(_STYLE)
    try:
        said = source.settings()
        shown = source.Source(said, source.newest(said))
        source.instance(shown.release_id, str(shown.release.path))
    except SoundScopeError as error:
        _nothing_to_show(error)
        return
    pages = {
        name: st.Page(_page(show, shown, said), title=title, icon=icon, url_path=name, default=name == start)
        for name, title, icon, show in _PAGES
    }
    st.session_state["pages"] = pages
    chosen = st.navigation(list(pages.values()), position="top")
    frame.watch(shown.release_id, said)
    chosen.run()
    warm.warm(shown)


def _page(show: Callable[[source.Source], None], shown: source.Source, said: Settings) -> Callable[[], None]:
    def whole() -> None:
        frame.warn_of_failure(said, shown.release.created_at)
        try:
            show(shown)
        except SoundScopeError as error:
            st.error(
                text.escape(error.message) + (f" Next: {error.next_step}" if error.next_step else ""), icon=":material/error:"
            )
        except duckdb.Error as error:
            # A table or column that this release does not have: it was published by another version.
            logging.getLogger(__name__).warning("release %s: %s", shown.release_id, error)
            st.error(
                "This release lacks something that the page needs; it was probably published by another version. "
                "`soundscope run --rebuild` publishes it anew.",
                icon=":material/error:",
            )
        frame.footing(shown)

    return whole


def _nothing_to_show(error: SoundScopeError) -> None:
    st.title("SoundScope", anchor=False)
    st.info(f"{text.escape(error.message)}", icon=":material/hourglass_empty:")
    st.markdown(f"Next: {error.next_step}" if error.next_step else "")
    frame.watch("", source.settings())
