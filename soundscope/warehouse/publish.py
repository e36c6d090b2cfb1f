"""Publishing: candidate file, checks, then one atomic step to a new release. Nothing here decides what the tables contain.

A kill at any moment leaves the release that was current, or the new one, and never anything between.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

import soundscope
from soundscope.errors import BadInput, DiskFull, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.candidate import OpsTable, check, fill
from soundscope.warehouse.connect import is_disk_full, open_writer, require_space
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.releases import (
    SCHEMA_VERSION,
    Release,
    current_release_id,
    list_releases,
    make_current,
    release_file,
    sync,
    write_manifest,
)

__all__ = ["OpsTable", "leftovers", "new_release_id", "publish", "remove_leftovers"]

log = logging.getLogger(__name__)
_COMMENTS = {
    "release_id": "Id of the release: when it was begun (UTC) and four random hexadecimal digits.",
    "created_at": "When the release was copied from the private warehouse (UTC).",
    "schema_version": "Version of the tables; raised when a table or column is renamed, removed or changes its meaning.",
    "soundscope_version": "Version of SoundScope that made it.",
    "profile": "Profile it was made under: sandbox or live.",
    "is_synthetic": "Whether everything in it is synthetic (profile sandbox).",
    "run_id": "The run that published it; NULL if it was published by hand.",
}
_ROOM = 16 * 2**20
# A release of this size in bytes is copied and brought up to date; a smaller one is written anew in less than a second.
_COPIED_FROM = 64 * 2**20
_LEAST_USED = 0.6


def new_release_id(now: datetime) -> str:
    """An id such as `20261122T235603Z-ab12` for a release begun at `now` (naive values count as UTC)."""
    utc = now if now.tzinfo is None else now.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def publish(
    settings: Settings, release_id: str, *, ops: Mapping[str, OpsTable], info: Mapping[str, Any], force: bool = False
) -> Release:
    """Copy the private warehouse into a new release, check it, and make it the current one.

    Of a large warehouse only the tables that changed are copied; the others come with the file of the current release.

    Every open connection of this process to the private file must come from `open_writer`, and be in no transaction that
    has written. Older releases are kept until `prune`.

    Args:
        settings: whose warehouse.
        release_id: from `new_release_id`.
        ops: the ledger's tables by name, without the schema.
        info: `run_id`, and whatever else `main.release` should say; text, numbers, booleans, instants or None.
        force: publish even if a table has lost all its rows since the current release of the same profile.

    Returns:
        The new current release.

    Raises:
        Busy: another process is writing.
        BadInput: the id is malformed or taken, or `info` or `ops` use a name that is not plain.
        CheckFailed: the candidate is not whole; the message lists why. The old release stays.
        DiskFull: there is no room for another release; the old one stays.
        SoundScopeError: DuckDB could not copy; the old release stays.
    """
    target = release_file(settings, release_id)
    taken = sorted(set(info) & (set(_COMMENTS) - {"run_id"}))
    if taken:
        raise BadInput(f"info may not set {', '.join(taken)}.", next_step="leave it out: publishing fills it in.")
    with writer_lock(settings):
        remove_leftovers(settings)
        if target.exists():
            raise BadInput(f"Release {release_id} exists already.", next_step="publish under a new id.")
        previous = _comparable(settings)
        candidate = target.with_name(target.name + ".tmp")
        identity = _identity(settings, release_id, info)
        try:
            rows = _fill(settings, candidate, ops, identity, previous)
            check(candidate, rows, previous, force=force)
            return _release(settings, candidate, target, identity, rows, info, force)
        except (duckdb.Error, OSError) as error:
            if is_disk_full(error):
                raise DiskFull(
                    f"The disk filled up while release {release_id} was written: {error}",
                    next_step=f"free some space under {settings.paths.warehouse}, then run `soundscope publish`.",
                ) from error
            raise SoundScopeError(
                f"Release {release_id} could not be written: {error}",
                next_step="the release before is still current; correct the cause and run `soundscope publish`.",
            ) from error
        finally:
            for leftover in (candidate, candidate.with_name(candidate.name + ".wal")):
                leftover.unlink(missing_ok=True)


def _fill(
    settings: Settings,
    candidate: Path,
    ops: Mapping[str, OpsTable],
    identity: Mapping[str, tuple[Any, str]],
    previous: Release | None,
) -> dict[str, int]:
    with closing(open_writer(settings)) as writer:
        writer.execute("CHECKPOINT")
        used, block = writer.execute("SELECT used_blocks, block_size FROM pragma_database_size()").fetchall()[0]
        # The raw tables stay behind, so the last release is a closer guide than the private file, where there is one.
        sizes = [release.size for release in list_releases(settings)[:1]]
        need = min([int(used) * int(block), *(2 * size for size in sizes)])
        require_space(settings.paths.releases, need + _ROOM, "another release")
        if previous is not None and _is_base(previous):
            try:
                shutil.copyfile(previous.path, candidate)
                candidate.chmod(0o600)
                return fill(writer, candidate, ops, identity)
            except duckdb.Error as error:
                if is_disk_full(error):
                    raise
                # The release before is damaged, or not what it was: this one owes it nothing.
                log.warning("release %s could not be built upon, all tables are copied: %s", previous.release_id, error)
                for file in (candidate, candidate.with_name(candidate.name + ".wal")):
                    file.unlink(missing_ok=True)
        return fill(writer, candidate, ops, identity)


def _is_base(release: Release) -> bool:
    """Whether a copy of it saves work: it is large, and little of it is room that replaced tables left."""
    if release.size < _COPIED_FROM:
        return False
    try:
        with closing(duckdb.connect(str(release.path), read_only=True)) as connection:
            used, total = connection.execute("SELECT used_blocks, total_blocks FROM pragma_database_size()").fetchall()[0]
    except duckdb.Error:
        return False
    return bool(used >= _LEAST_USED * total)


def _release(
    settings: Settings,
    candidate: Path,
    target: Path,
    identity: Mapping[str, tuple[Any, str]],
    rows: Mapping[str, int],
    info: Mapping[str, Any],
    force: bool,
) -> Release:
    fields = {column: value for column, (value, _) in identity.items() if column in _COMMENTS}
    extra = {key: value for key, value in info.items() if key != "run_id"}
    release = Release(**fields, size=candidate.stat().st_size, forced=force, path=target, rows=rows, info=extra, is_current=True)
    candidate.chmod(0o444)
    sync(candidate)
    candidate.rename(target)
    try:
        write_manifest(release)
        sync(target.parent)
        make_current(settings, release.release_id, "publish")
    except OSError:
        if current_release_id(settings) != release.release_id:
            target.unlink(missing_ok=True)
            target.with_suffix(".json").unlink(missing_ok=True)
        raise
    return release


def _identity(settings: Settings, release_id: str, info: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    known = {
        "release_id": release_id,
        "created_at": datetime.now(UTC).replace(tzinfo=None),
        "schema_version": SCHEMA_VERSION,
        "soundscope_version": soundscope.__version__,
        "profile": settings.profile,
        "is_synthetic": settings.profile == "sandbox",
        "run_id": info.get("run_id"),
    }
    columns = {column: (value, _COMMENTS[column]) for column, value in known.items()}
    extra = {key: value for key, value in info.items() if key not in known}
    return columns | {key: (value, f"{key.replace('_', ' ')}, as the run gave it.") for key, value in extra.items()}


def _comparable(settings: Settings) -> Release | None:
    """The current release, if its tables can be compared: made under the same profile and with the same tables."""
    for release in list_releases(settings):
        same = release.profile == settings.profile and release.schema_version == SCHEMA_VERSION
        if release.is_current and same:
            return release
    return None


def remove_leftovers(settings: Settings) -> list[Path]:
    """Delete what a killed publish left; returns what that was. The caller holds the writer lock."""
    found = leftovers(settings)
    for file in found:
        file.unlink(missing_ok=True)
    return found


def leftovers(settings: Settings) -> list[Path]:
    """What a killed publish left: files still called .tmp, and finished ones that never got a manifest."""
    found = []
    current = current_release_id(settings)
    for file in settings.paths.releases.glob("*"):
        stale = ".tmp" in file.suffixes
        orphan = file.suffix == ".duckdb" and file.stem != current and not file.with_suffix(".json").exists()
        # A folder of that kind is where a reader spills.
        if (stale or orphan) and file.is_file():
            found.append(file)
    return sorted(found)
