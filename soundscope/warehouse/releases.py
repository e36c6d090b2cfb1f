"""The releases that are kept: listing, making one the current, going back, pruning. How one is made belongs in `publish`.

A release is `releases/<release_id>.duckdb`, never changed once it has its name, with a manifest `<release_id>.json` beside it.
The current one is the file that `soundscope.duckdb` is a second name of; `history.jsonl` keeps the order in which releases
became current, which is what "the one before" means.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.lock import writer_lock

# Raise by one when a published table or column is renamed, removed or changes its meaning or type; adding one is no reason.
SCHEMA_VERSION = 1
# What the app and `soundscope describe`, `trends`, `explain`... of this version can read.
READABLE_SCHEMA_VERSIONS = frozenset({1})

_RELEASE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")


@dataclass(frozen=True)
class Release:
    """One kept release. `created_at` is naive UTC, `rows` counts rows per `schema.table`, `size` is in bytes."""

    release_id: str
    created_at: datetime
    schema_version: int
    soundscope_version: str
    profile: str
    is_synthetic: bool
    run_id: str | None
    size: int
    forced: bool
    path: Path
    rows: Mapping[str, int] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    is_current: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether this version's app and commands understand its tables."""
        return self.schema_version in READABLE_SCHEMA_VERSIONS

    def as_dict(self) -> dict[str, Any]:
        """The release as plain values for JSON; instants as ISO 8601 with Z."""
        values = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        return values | {
            "created_at": self.created_at.isoformat(timespec="microseconds") + "Z",
            "rows": dict(self.rows),
            "info": dict(self.info),
            "is_current": self.is_current,
            "path": str(self.path),
        }


_PLAIN_FIELDS = (
    "release_id",
    "schema_version",
    "soundscope_version",
    "profile",
    "is_synthetic",
    "run_id",
    "size",
    "forced",
)


def release_file(settings: Settings, release_id: str) -> Path:
    """The file of a release, whether it is there or not.

    Raises:
        BadInput: that is no release id.
    """
    if not _RELEASE_ID.fullmatch(release_id):
        raise BadInput(
            f"{release_id!r} is not a release id; one looks like 20261122T235603Z-ab12.",
            next_step="`soundscope releases` lists them.",
        )
    return settings.paths.releases / f"{release_id}.duckdb"


def list_releases(settings: Settings) -> list[Release]:
    """The releases that are kept, newest first.

    Raises:
        SoundScopeError: a manifest cannot be read.
    """
    current = current_release_id(settings)
    found = [_read_manifest(file, current) for file in settings.paths.releases.glob("*.json")]
    kept = [release for release in found if release is not None and release.path.exists()]
    return sorted(kept, key=lambda release: (release.created_at, release.release_id), reverse=True)


def current_release_id(settings: Settings) -> str | None:
    """The release that `soundscope.duckdb` is; None if there is none, or its own file is gone."""
    for _ in range(3):
        try:
            published = settings.paths.published.stat()
        except FileNotFoundError:
            return None
        name = _release_like(settings.paths.releases, published)
        if name is not None:
            return name
        # Otherwise it was replaced and pruned between the two looks; look again.
        if settings.paths.published.stat().st_ino == published.st_ino:
            break
    return _release_id_inside(settings)


def rollback(settings: Settings, release_id: str | None = None, *, wait_s: float = 0.0) -> Release:
    """Make an earlier release the current one; by default the one that was current before.

    Args:
        settings: whose warehouse.
        release_id: the release to return to.
        wait_s: seconds to wait for a running writer.

    Raises:
        BadInput: there is none to return to, or this version cannot read it.
        Busy: a run is writing.
    """
    with writer_lock(settings, wait_s):
        kept = {release.release_id: release for release in list_releases(settings)}
        if release_id is None:
            earlier = [name for name in _line_of_current(settings)[:-1] if name in kept]
            if not earlier:
                raise BadInput("No earlier release is kept.", next_step="`soundscope releases` lists what is there.")
            release_id = earlier[-1]
        elif release_id not in kept:
            release_file(settings, release_id)
            raise BadInput(f"Release {release_id} is not kept.", next_step=f"kept are {', '.join(kept) or 'none'}.")
        target = kept[release_id]
        if not target.is_readable:
            raise BadInput(
                f"Release {release_id} has schema version {target.schema_version}; "
                f"the app and commands of this version read {', '.join(map(str, sorted(READABLE_SCHEMA_VERSIONS)))}.",
                next_step=f"open {target.path} with `duckdb -readonly`, or install SoundScope {target.soundscope_version}.",
            )
        make_current(settings, release_id, "rollback")
        return next(release for release in list_releases(settings) if release.release_id == release_id)


def prune(settings: Settings, keep: int) -> list[str]:
    """Delete all but the `keep` newest releases; the current one always stays. Returns the ids deleted.

    Readers that have a deleted release open keep it until they close it.

    Raises:
        BadInput: `keep` is below 1.
        Busy: another process is writing.
    """
    if keep < 1:
        raise BadInput(f"Cannot keep {keep} releases.", next_step="keep at least one.")
    with writer_lock(settings):
        doomed = [release for release in list_releases(settings)[keep:] if not release.is_current]
        for release in doomed:
            release.path.unlink(missing_ok=True)
            release.path.with_suffix(".json").unlink(missing_ok=True)
        for manifest in settings.paths.releases.glob("*.json"):
            if not manifest.with_suffix(".duckdb").exists():
                manifest.unlink(missing_ok=True)
        return [release.release_id for release in doomed]


def make_current(settings: Settings, release_id: str, action: Literal["publish", "rollback"]) -> None:
    """Give a finished release file the name `soundscope.duckdb`, at once and for good; the caller holds the writer lock."""
    paths = settings.paths
    previous = current_release_id(settings)
    source, staged = release_file(settings, release_id), paths.warehouse / ".soundscope.duckdb.new"
    staged.unlink(missing_ok=True)
    try:
        os.link(source, staged)
    except OSError:
        shutil.copyfile(source, staged)
        shutil.copystat(source, staged)
        sync(staged)
    # Noted before the step: a step that then does not happen is recognised, a step that is not noted would be forgotten.
    entry = {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "action": action,
        "release_id": release_id,
        "previous": previous,
    }
    with _history(settings).open("a", encoding="utf-8") as history:
        # The line break comes first, so that an entry cut short by a kill does not swallow this one.
        history.write("\n" + json.dumps(entry))
        history.flush()
        os.fsync(history.fileno())
    # A log left by somebody who opened the file for writing and died would make the new release unreadable.
    for file in (paths.published, source):
        file.with_name(file.name + ".wal").unlink(missing_ok=True)
    os.replace(staged, paths.published)
    # Renaming one name of a file to another of its names does nothing at all.
    staged.unlink(missing_ok=True)
    sync(paths.warehouse)


def write_manifest(release: Release) -> None:
    """Write the release's manifest beside its file, whole or not at all."""
    file = release.path.with_suffix(".json")
    temporary = file.with_suffix(".json.tmp")
    values = {key: value for key, value in release.as_dict().items() if key not in ("is_current", "path")}
    temporary.write_text(json.dumps(values, indent=1, default=str) + "\n", encoding="utf-8")
    sync(temporary)
    os.replace(temporary, file)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def no_release_yet(settings: Settings) -> BadInput:
    """The error for a warehouse that has nothing to read."""
    return BadInput(f"Nothing is published in {settings.paths.warehouse} yet.", next_step="run `soundscope run` first.")


def _release_like(folder: Path, published: os.stat_result) -> str | None:
    alike = None
    for file in folder.glob("*.duckdb"):
        try:
            state = file.stat()
        except FileNotFoundError:
            # Pruned by another process since it was listed.
            continue
        if not _RELEASE_ID.fullmatch(file.stem):
            continue
        if (state.st_dev, state.st_ino) == (published.st_dev, published.st_ino):
            return file.stem
        # Where hard links are impossible the published file is a copy with the same size and time to the nanosecond.
        if (state.st_size, state.st_mtime_ns) == (published.st_size, published.st_mtime_ns):
            alike = file.stem
    return alike


def _read_manifest(file: Path, current: str | None) -> Release | None:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Release(
            **{name: values[name] for name in _PLAIN_FIELDS},
            created_at=datetime.fromisoformat(values["created_at"].removesuffix("Z")),
            path=file.with_suffix(".duckdb"),
            rows=values["rows"],
            info=values["info"],
            is_current=values["release_id"] == current,
        )
    except FileNotFoundError:
        # Pruned by another process since it was listed.
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SoundScopeError(
            f"The manifest {file} cannot be read: {error!r}.",
            next_step="delete it and the .duckdb file of the same name; other releases are not affected.",
        ) from error


def _release_id_inside(settings: Settings) -> str | None:
    try:
        with duckdb.connect(str(settings.paths.published), read_only=True) as connection:
            row = connection.execute("SELECT release_id FROM main.release").fetchone()
    except duckdb.Error:
        # Not one of ours, or damaged: whoever opens it gets the engine's own words.
        return None
    return str(row[0]) if row and release_file(settings, str(row[0])).exists() else None


def _line_of_current(settings: Settings) -> list[str]:
    """The releases that were current, oldest first, without those that were rolled back from; the last one is current."""
    line: list[str] = []
    history = _history(settings)
    for text in history.read_text(encoding="utf-8").splitlines() if history.exists() else ():
        try:
            entry = json.loads(text)
        except ValueError:
            # A line that was cut short by a kill or a full disk; the step it announced did not happen.
            continue
        line = _after(_settled(line, entry["previous"]), entry["release_id"], entry["action"])
    return _settled(line, current_release_id(settings))


def _settled(line: list[str], current: str | None) -> list[str]:
    return line if current is None or line[-1:] == [current] else _after(line, current, "rollback")


def _after(line: list[str], release_id: str, action: str) -> list[str]:
    if action == "rollback" and release_id in line:
        return line[: line.index(release_id) + 1]
    return [*line, release_id]


def _history(settings: Settings) -> Path:
    return settings.paths.releases / "history.jsonl"
