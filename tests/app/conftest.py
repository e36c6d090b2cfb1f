"""Generated releases for the app's tests: a whole one for all, and what clears the app's caches between homes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from altair.utils import schemapi
from streamlit.testing.v1 import AppTest

from tests.app.made_release import make_release


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with a generated release and its model, and a track that charts. Tests do not change it."""
    home = tmp_path_factory.mktemp("app") / "home"
    return home, make_release(home)


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Draw a page of a home's app in this process: `open_page(home, "trends", view="Genres")`."""

    def draw(home: Path, page: str = "overview", **query: str) -> AppTest:
        st.cache_resource.clear()
        monkeypatch.setenv("SOUNDSCOPE_HOME", str(home))
        test = AppTest.from_string(f"from soundscope.app.site import draw\ndraw({page!r})", default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        return test.run()

    st.cache_data.clear()
    # The app leaves these checks out to be quick: a misspelt option of a chart is found here.
    schemapi.enable_debug_mode()
    yield draw
    schemapi.disable_debug_mode()
    st.cache_resource.clear()
    st.cache_data.clear()
