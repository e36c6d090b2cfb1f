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

# Files that take minutes, the longest first: begun last, one of them would keep a single core busy at the end of a run.
_LONGEST = (
    "test_kills.py", "test_pipeline.py", "test_real_input.py", "test_app_browser.py", "test_spark.py", "test_damage.py", "test_train_score.py",
    "test_soak.py", "test_at_once.py", "test_server_gone.py", "test_workers.py", "test_unchanged.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the order within a file stays."""
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


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
