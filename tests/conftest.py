"""Fixtures used everywhere: a home folder of its own for each test, the sandbox over HTTP, and real data where there is some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from soundscope.settings import PROJECT, Settings, load_settings

os.environ.setdefault("DO_NOT_TRACK", "1")
# The DuckDB shell keeps a history in the home folder otherwise.
os.environ.setdefault("DUCKDB_HISTORY", os.devnull)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty SOUNDSCOPE_HOME; no setting of the machine reaches the test."""
    for name in list(os.environ):
        if name.startswith(("SOUNDSCOPE_", "SPOTIPY_")) and name != "SOUNDSCOPE_REALDATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of the empty home, its folders made."""
    loaded = load_settings()
    loaded.paths.create()
    return loaded


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real charts and tracks; skips where there is none."""
    folder = Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "billboard_hot_100_all.json.gz").exists():
        pytest.skip(f"no real data in {folder}; set SOUNDSCOPE_REALDATA to a folder that holds it")
    return folder


@pytest.fixture(scope="session")
def sandbox() -> Iterator[object]:
    """One sandbox with a small world for the whole session; tests that script faults start their own."""
    from soundscope.sandbox import SandboxServer

    with SandboxServer(tracks=400, seed=3) as server:
        yield server
