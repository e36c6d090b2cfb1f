"""A disk that runs full while answers are landed and while they are loaded: nothing acknowledged is lost, and the next run goes on.

Publishing on a full disk is in `test_warehouse_disk.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from soundscope.errors import DiskFull, known
from soundscope.pipeline import steps
from soundscope.pipeline.ingest import ingest
from soundscope.pipeline.run import Run, open_run
from soundscope.pipeline.setup_checks import look_over
from soundscope.sandbox import SandboxServer
from soundscope.settings import Settings, load_settings

pytestmark = pytest.mark.e2e
_ROWS = "select * exclude (fetched_at, run_id, landing_file, row_no) from raw.chart_entries order by all"


@pytest.fixture
def providers(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A sandbox of this test's own, which the configuration points at."""
    with SandboxServer(tracks=400, seed=5, today="2022-12-20", time_scale=50) as server:
        for name, url in server.provider_urls().items():
            field = "TOKEN_URL" if name.endswith("_token") else "URL"
            monkeypatch.setenv(f"SOUNDSCOPE_PROVIDERS__{name.upper().removesuffix('_TOKEN')}__{field}", url)
        yield


def _entries(run: Run) -> list[tuple[Any, ...]]:
    with run.writer() as con, closing(con.cursor()) as cursor:
        return cursor.execute(_ROWS).fetchall()


def _fill(settings: Settings, free: int) -> Path:
    """Leave so many bytes on the disk."""
    ballast = settings.home / "ballast"
    with ballast.open("wb") as file:
        file.write(b"x" * (shutil.disk_usage(settings.home).free - free))
    return ballast


def _undisturbed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[Any, ...]]:
    with monkeypatch.context() as patch:
        patch.setenv("SOUNDSCOPE_HOME", str(folder))
        with open_run(load_settings(), "ingest", providers=True) as run:
            ingest(run, ["charts"], lambda _: None)
            return _entries(run)


@pytest.mark.parametrize("free", [0, 400_000, 900_000])
def test_full_while_landing_and_loading(
    providers: None, small_disk: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int
) -> None:
    # The ledger and the private file are there already, as on any day but the first.
    with open_run(small_disk, "ingest", providers=True) as run:
        steps.probe_step(run)
        steps.plan_step(run, "charts")
    ballast = _fill(small_disk, free)
    with pytest.raises(Exception, match=r"(?i)space|full") as full, open_run(small_disk, "ingest", providers=True) as run:
        ingest(run, ["charts"], lambda _: None)
    assert isinstance(known(full.value), DiskFull), full.value
    ballast.unlink()
    with open_run(small_disk, "ingest", providers=True) as run:
        ingest(run, ["charts"], lambda _: None)
        held = _entries(run)
    assert held == _undisturbed(monkeypatch, tmp_path / "calm")
    assert list(small_disk.paths.landing.rglob("*.part")) == []
    assert [found for found in look_over(small_disk) if found.state == "trouble" and found.subject != "disk"] == []


@pytest.mark.parametrize("free", [0, 300_000])
def test_full_while_loading_what_is_landed(
    providers: None, small_disk: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int
) -> None:
    with open_run(small_disk, "ingest", providers=True) as run:
        steps.probe_step(run)
        for batch in steps.plan_step(run, "charts"):
            steps.fetch_step(run, batch)
    landed = sorted(small_disk.paths.landing.rglob("*.zst"))
    ballast = _fill(small_disk, free)
    with pytest.raises(Exception, match=r"(?i)space|full") as full, open_run(small_disk, "load") as run:
        steps.load_step(run)
    assert isinstance(known(full.value), DiskFull), full.value
    ballast.unlink()
    assert sorted(small_disk.paths.landing.rglob("*.zst")) == landed
    with open_run(small_disk, "load", providers=True) as run:
        steps.load_step(run)
        ingest(run, ["charts"], lambda _: None)
        held = _entries(run)
    assert held == _undisturbed(monkeypatch, tmp_path / "calm")
