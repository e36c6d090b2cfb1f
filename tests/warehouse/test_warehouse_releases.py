"""Listing, going back and pruning, with hard links and without."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_warehouse import consistent_counter, fill_writer, publish_small

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_release
from soundscope.warehouse.releases import Release, current_release_id, list_releases, prune, rollback


def publish_number(settings: Settings, counter: int) -> Release:
    fill_writer(settings, counter)
    return publish_small(settings)


def test_rollback_and_forward_again(settings: Settings) -> None:
    first, second, third = (publish_number(settings, number) for number in (1, 2, 3))
    back = rollback(settings)
    assert (back.release_id, back.is_current) == (second.release_id, True)
    assert consistent_counter(settings.paths.published) == 2
    assert current_release_id(settings) == second.release_id
    assert rollback(settings).release_id == first.release_id
    with pytest.raises(BadInput, match="No earlier release"):
        rollback(settings)
    assert rollback(settings, third.release_id).release_id == third.release_id
    assert consistent_counter(settings.paths.published) == 3
    assert [release.is_current for release in list_releases(settings)] == [True, False, False]
    assert rollback(settings, third.release_id).is_current, "going to where one is does nothing, and leaves nothing"
    assert not list(settings.paths.warehouse.glob(".*.new"))


def test_rollback_skips_what_was_rolled_back_from(settings: Settings) -> None:
    good, bad = publish_number(settings, 1), publish_number(settings, 2)
    rollback(settings)
    publish_number(settings, 3)
    assert rollback(settings).release_id == good.release_id
    assert bad.path.exists()


def test_rollback_does_not_depend_on_the_history_being_whole(settings: Settings) -> None:
    first, second = publish_number(settings, 1), publish_number(settings, 2)
    history = settings.paths.releases / "history.jsonl"
    cut = history.read_text()[:-20]
    history.write_text(cut)
    third = publish_number(settings, 3)
    assert rollback(settings).release_id == second.release_id
    history.unlink()
    rollback(settings, third.release_id)
    assert rollback(settings).release_id == second.release_id
    assert first.path.exists()


def test_announced_step_that_did_not_happen_is_not_history(settings: Settings) -> None:
    first, second = publish_number(settings, 1), publish_number(settings, 2)
    rollback(settings)
    announced = {"at": "", "action": "publish", "release_id": second.release_id, "previous": first.release_id}
    with (settings.paths.releases / "history.jsonl").open("a") as history:
        history.write("\n" + json.dumps(announced))
    publish_number(settings, 3)
    assert rollback(settings).release_id == first.release_id


def test_unknown_and_unreadable_releases_are_refused(settings: Settings, published: Release) -> None:
    with pytest.raises(BadInput, match="not a release id"):
        rollback(settings, "yesterday")
    with pytest.raises(BadInput, match="is not kept"):
        rollback(settings, "20200101T000000Z-abcd")
    with pytest.raises(BadInput, match="is not kept"):
        open_release(settings, "20200101T000000Z-abcd")
    newer = publish_number(settings, 2)
    manifest = published.path.with_suffix(".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    with pytest.raises(BadInput, match=r"schema version 99; .* read 1"):
        rollback(settings)
    assert current_release_id(settings) == newer.release_id


def test_prune_keeps_the_newest_and_the_current(settings: Settings) -> None:
    made = [publish_number(settings, number) for number in range(1, 6)]
    rollback(settings, made[0].release_id)
    deleted = prune(settings, 2)
    assert set(deleted) == {release.release_id for release in made[1:3]}
    assert [release.release_id for release in list_releases(settings)] == [
        made[4].release_id,
        made[3].release_id,
        made[0].release_id,
    ]
    assert consistent_counter(settings.paths.published) == 1
    assert {file.suffix for file in settings.paths.releases.glob(f"{made[1].release_id}*")} == set()
    with pytest.raises(BadInput, match="Cannot keep 0"):
        prune(settings, 0)


def test_open_release_gives_the_current_one_while_an_older_connection_is_open(settings: Settings, published: Release) -> None:
    old = open_release(settings)
    newer = publish_number(settings, 2)
    new = open_release(settings)
    assert old.execute("SELECT release_id FROM main.release").fetchall() == [(published.release_id,)]
    assert new.execute("SELECT release_id FROM main.release").fetchall() == [(newer.release_id,)]
    again = open_release(settings, published.release_id)
    assert again.execute("SELECT max(counter) FROM core.tracks").fetchall() == [(1,)]
    for connection in (old, new, again):
        connection.close()


def test_published_file_alone_can_be_read(settings: Settings, published: Release) -> None:
    shutil.rmtree(settings.paths.releases)
    assert current_release_id(settings) is None
    with open_release(settings) as connection:
        assert connection.execute("SELECT release_id FROM main.release").fetchall() == [(published.release_id,)]
    settings.paths.releases.mkdir()
    newer = publish_number(settings, 2)
    assert current_release_id(settings) == newer.release_id


def test_copied_warehouse_still_knows_its_current_release(settings: Settings, published: Release, tmp_path: Path) -> None:
    publish_number(settings, 2)
    rollback(settings)
    for file in [settings.paths.published, *settings.paths.releases.glob("*.duckdb")]:
        copy = file.with_suffix(".copy")
        copy.write_bytes(file.read_bytes())
        os.replace(copy, file)
    assert current_release_id(settings) == published.release_id


def test_broken_manifest_is_named(settings: Settings, published: Release) -> None:
    published.path.with_suffix(".json").write_text("{")
    with pytest.raises(SoundScopeError, match=rf"{published.release_id}\.json cannot be read"):
        list_releases(settings)


@pytest.fixture
def releases_elsewhere(settings: Settings) -> Iterator[Path]:
    """The folder of releases on another file system, so that hard links are impossible."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == settings.home.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory))
    settings.paths.releases.rmdir()
    settings.paths.releases.symlink_to(folder)
    yield folder
    shutil.rmtree(folder)


def test_without_hard_links_the_release_is_copied(settings: Settings, releases_elsewhere: Path) -> None:
    first, second = publish_number(settings, 1), publish_number(settings, 2)
    assert settings.paths.published.stat().st_nlink == 1
    assert current_release_id(settings) == second.release_id
    assert rollback(settings).release_id == first.release_id
    assert current_release_id(settings) == first.release_id
    assert consistent_counter(settings.paths.published) == 1
    assert settings.paths.published.stat().st_mode & 0o777 == 0o444
