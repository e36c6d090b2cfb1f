"""A disk that runs full while a release is written: the old release stays, and nothing half-written does."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_warehouse import consistent_counter, fill_writer, publish_small

from soundscope.errors import BadInput, DiskFull
from soundscope.settings import Settings, load_settings
from soundscope.warehouse.connect import remove_dead_spill, require_space, spill_folder
from soundscope.warehouse.releases import Release, list_releases


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond so many bytes; the limit is lifted at the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [20_000, 1_000_000])
def test_size_limit_leaves_the_old_release(settings: Settings, published: Release, file_size_limit, limit: int) -> None:
    fill_writer(settings, 2, rows=60_000)
    file_size_limit(limit)
    with pytest.raises(DiskFull, match="filled up") as full:
        publish_small(settings)
    assert "free some space" in full.value.next_step
    file_size_limit(2**40)
    assert consistent_counter(settings.paths.published) == 1
    assert [release.release_id for release in list_releases(settings)] == [published.release_id]
    names = {file.name for file in settings.paths.releases.iterdir()}
    assert names == {published.path.name, f"{published.release_id}.json", "history.jsonl"}
    publish_small(settings)
    assert consistent_counter(settings.paths.published) == 2


def test_too_little_space_is_said_before_anything_is_written(home: Path, small_disk: Settings) -> None:
    fill_writer(small_disk, 1)
    release = publish_small(small_disk)
    (small_disk.home / "ballast").write_bytes(b"x" * (shutil.disk_usage(small_disk.home).free - 5_000_000))
    with pytest.raises(DiskFull, match=r"MB needed, [45]\.\d MB free"):
        publish_small(small_disk)
    assert list_releases(small_disk) == [release]


@pytest.mark.slow
def test_full_disk_leaves_the_old_release(home: Path, small_disk: Settings) -> None:
    fill_writer(small_disk, 1)
    publish_small(small_disk)
    # The estimate goes by the last release, which was small; the tables have grown far beyond it in the meantime.
    fill_writer(small_disk, 2, rows=500_000)
    ballast = small_disk.home / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk.home).free - 25_000_000))
    with pytest.raises(DiskFull, match="filled up"):
        publish_small(small_disk)
    assert consistent_counter(small_disk.paths.published) == 1
    ballast.unlink()
    publish_small(small_disk)
    assert consistent_counter(small_disk.paths.published) == 2


def test_need_and_have_are_named(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "nothing much")
    with pytest.raises(DiskFull, match=r"for a week of charts: 1,000,000,000,000\.0 MB needed, [\d,]+\.\d MB free"):
        require_space(tmp_path, 10**18, "a week of charts")


def test_spill_folders_are_private_to_a_process_and_those_of_dead_ones_go(settings: Settings) -> None:
    mine = spill_folder(settings, "writer")
    assert mine != spill_folder(settings, "release")
    assert mine.name.endswith(f"-{os.getpid()}")
    mine.mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead = settings.paths.temp / f"writer-{ended.pid}"
    dead.mkdir()
    (dead / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    remove_dead_spill(settings)
    assert mine.exists()
    assert not dead.exists()


def test_home_that_cannot_be_written_is_bad_input(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "warehouse").write_text("a file where the folder should be")
    with pytest.raises(BadInput, match="cannot be written"):
        load_settings().paths.create()
