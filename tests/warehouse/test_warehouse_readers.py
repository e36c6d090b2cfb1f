"""The promise to readers: whatever the writer does, and however it dies, there is one complete release to open."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from pathlib import Path

import duckdb
import pytest
from small_warehouse import (
    TABLES,
    consistent_counter,
    fill_writer,
    hold_lock,
    publish_and_die_at,
    publish_for_ever,
    publish_small,
    read_until,
    sort_more_than_fits,
    write_and_die,
)

from soundscope.settings import Settings
from soundscope.warehouse.releases import Release, list_releases, prune, rollback

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("publishes", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_readers_in_another_process_never_fail_nor_see_a_mixture(
    settings: Settings, published, child, tmp_path: Path, publishes: int
) -> None:
    stop, (ours, theirs) = tmp_path / "stop", multiprocessing.Pipe()
    reader = child(read_until, settings.home, stop, theirs)
    assert ours.recv() == "ready"
    for counter in range(2, publishes + 2):
        fill_writer(settings, counter)
        publish_small(settings)
        prune(settings, 3)
    stop.touch()
    seen = ours.recv()
    reader.join(10)
    assert reader.exitcode == 0
    assert seen == sorted(seen), "a reader went back in time"
    assert len(set(seen)) > 3, "the reader saw too few releases for this test to mean anything"
    assert consistent_counter(settings.paths.published) == publishes + 1


def test_open_connection_keeps_its_release(settings: Settings, published: Release) -> None:
    held = duckdb.connect(str(settings.paths.published), read_only=True)
    for counter in (2, 3, 4):
        fill_writer(settings, counter)
        publish_small(settings)
        prune(settings, 1)
    assert not published.path.exists()
    assert held.execute(f"SELECT DISTINCT counter FROM {TABLES[0]}").fetchall() == [(1,)]
    held.close()
    assert consistent_counter(settings.paths.published) == 4


@pytest.mark.slow
def test_kill_at_random_moments_leaves_a_whole_release(settings: Settings, published: Release, child) -> None:
    before, moments = 1, random.Random(20_261_122)
    for _ in range(12):
        ours, theirs = multiprocessing.Pipe()
        writer = child(publish_for_ever, settings.home, before, theirs)
        assert ours.recv() == "ready"
        time.sleep(moments.uniform(0.0, 0.5))
        writer.kill()
        writer.join(10)
        assert writer.exitcode == -signal.SIGKILL
        after = consistent_counter(settings.paths.published)
        assert after >= before
        before = after
    assert before > 1, "no publish ever ended, so the kills all came too early"
    _still_works(settings)


def test_kill_before_every_file_operation_leaves_the_old_or_the_new_release(settings: Settings, published, child) -> None:
    outcomes, counter = [], 1
    for step in range(1, 100):
        counter += 1
        fill_writer(settings, counter)
        prune(settings, 2)
        writer = child(publish_and_die_at, settings.home, step)
        writer.join(30)
        found = consistent_counter(settings.paths.published)
        outcomes.append(found == counter)
        current = [release for release in list_releases(settings) if release.is_current]
        assert len(current) == 1
        assert consistent_counter(current[0].path) == found
        if writer.exitcode == 0:
            break
        assert writer.exitcode == -signal.SIGKILL
    assert writer.exitcode == 0, "the publish never came to its end"
    assert len(outcomes) > 10
    assert outcomes[-1]
    assert not all(outcomes)
    _still_works(settings)


def test_stale_log_of_a_careless_reader_does_not_spoil_the_next_release(settings: Settings, published, child) -> None:
    log = settings.paths.published.with_name("soundscope.duckdb.wal")
    settings.paths.published.chmod(0o644)
    child(write_and_die, settings.paths.published).join(10)
    stale = log.read_bytes()
    fill_writer(settings, 2)
    release = publish_small(settings)
    assert not log.exists()
    assert consistent_counter(settings.paths.published) == 2
    log.write_bytes(stale)
    with pytest.raises(duckdb.Error, match="WAL"):
        duckdb.connect(str(settings.paths.published), read_only=True).close()
    rollback(settings, release.release_id)
    assert consistent_counter(settings.paths.published) == 2


def test_reading_does_not_wait_for_the_writer(settings: Settings, published: Release, child) -> None:
    ours, theirs = multiprocessing.Pipe()
    child(hold_lock, settings.home, theirs)
    assert ours.recv() == "ready"
    assert consistent_counter(settings.paths.published) == 1


@pytest.mark.slow
def test_two_readers_that_spill_do_not_disturb_each_other(settings: Settings, published: Release, child) -> None:
    pipes = [multiprocessing.Pipe() for _ in range(2)]
    readers = [child(sort_more_than_fits, settings.home, factor, theirs) for factor, (_, theirs) in enumerate(pipes, start=1)]
    assert [ours.recv() for ours, _ in pipes] == ["ready", "ready"]
    for reader, (ours, _) in zip(readers, pipes, strict=True):
        reader.join(60)
        assert reader.exitcode == 0
        assert ours.recv() == [(1_500_000, 1_500_000)]
    assert list(settings.paths.temp.iterdir()) == []


def _still_works(settings: Settings) -> None:
    fill_writer(settings, 1000)
    publish_small(settings)
    assert consistent_counter(settings.paths.published) == 1000
    leftovers = [file.name for file in settings.paths.warehouse.rglob("*") if ".tmp" in file.suffixes or file.suffix == ".new"]
    assert leftovers == []
    manifests = {file.stem for file in settings.paths.releases.glob("*.json")}
    assert manifests == {file.stem for file in settings.paths.releases.glob("*.duckdb")}
