"""Opening the private writer file and the published releases, and asking for disk space first. No SQL of the project here.

The writer file is touched through DuckDB alone: its lock is a POSIX one, which the process would drop by closing any other
descriptor of the file, as a copy or a checksum in Python does.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import duckdb

from soundscope.errors import BadInput, Busy, DiskFull, SoundScopeError
from soundscope.processes import is_running
from soundscope.settings import Settings
from soundscope.warehouse.lock import holds_lock, lock_owner
from soundscope.warehouse.releases import current_release_id, no_release_yet, release_file

STORAGE_VERSION = "v1.5.0"
_NO_SPACE = ("No space left", "File too large", "Disk quota exceeded", "not enough space", "max_temp_directory_size")


def open_writer(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the private file for writing, made if absent; close it before any other tool of this process opens it.

    Connections of one process share the file; all of them must come from here. Time zone UTC; threads, memory and the
    folder for spilled data from the settings.

    Raises:
        Busy: this process does not hold the writer lock, or somebody opened the private file without asking for it.
        SoundScopeError: the file cannot be opened; the message says how to rebuild it.
    """
    paths = settings.paths
    if not holds_lock(settings):
        owner = lock_owner(settings)
        raise Busy(
            f"The warehouse may only be written by the holder of {paths.lock}" + (f", and {owner}." if owner else "."),
            next_step="wait for that process." if owner else "open it inside `with writer_lock(settings):`.",
        )
    paths.create()
    remove_dead_spill(settings)
    config = _limits(settings, "writer") | {"storage_compatibility_version": STORAGE_VERSION}
    try:
        connection = duckdb.connect(str(paths.writer), config=config)
    except duckdb.Error as error:
        raise _cannot_open_writer(paths.writer, error) from error
    return _prepared(connection)


def open_release(settings: Settings, release_id: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open a release for reading, the current one by default.

    The release's own file is opened, not the moving `soundscope.duckdb`: while a process keeps one connection to that path
    open, a second one would see the old release.

    Raises:
        BadInput: nothing is published yet, or that release is not kept.
    """
    for attempt in range(3):
        wanted = release_id or current_release_id(settings)
        file = release_file(settings, wanted) if wanted else settings.paths.published
        if wanted is None and not file.exists():
            raise no_release_yet(settings)
        try:
            connection = duckdb.connect(str(file), read_only=True, config=_limits(settings, file.stem))
        except duckdb.Error as error:
            # Published over and pruned between the two steps: look again.
            if release_id is None and attempt < 2 and not file.exists():
                continue
            if not file.exists():
                raise BadInput(
                    f"Release {wanted} is not kept.", next_step="`soundscope releases` lists those that are."
                ) from error
            raise SoundScopeError(
                f"The release {file} cannot be opened: {_first_line(error)}.",
                next_step="go back to another one with `soundscope rollback`, or publish anew with `soundscope run`.",
            ) from error
        return _prepared(connection)
    raise no_release_yet(settings)


def spill_folder(settings: Settings, name: str) -> Path:
    """A folder for DuckDB's spilled data that no other process or database uses; DuckDB makes and removes it itself.

    Two processes that spill into one folder overwrite each other's blocks, and both crash (seen with DuckDB 1.5.6).
    """
    base = settings.paths.temp
    if not os.access(base, os.W_OK):
        base = Path(tempfile.gettempdir())
        name = f"soundscope-{name}"
    return base / f"{name}-{os.getpid()}"


def remove_dead_spill(settings: Settings) -> None:
    """Delete the spill folders of processes that ended without doing so."""
    for folder in settings.paths.temp.glob("*-*"):
        pid = re.search(r"-(\d+)$", folder.name)
        if pid and folder.is_dir() and not is_running(int(pid.group(1))):
            shutil.rmtree(folder, ignore_errors=True)


def require_space(folder: Path, need: int, purpose: str) -> None:
    """Check that the disk under `folder` has `need` bytes free.

    A DuckDB file that runs full keeps its size and blocks every later commit, so it is asked for beforehand.

    Raises:
        DiskFull: it has not; the message gives both numbers in MB.
    """
    have = shutil.disk_usage(folder).free
    if have < need:
        raise DiskFull(
            f"Too little space in {folder} for {purpose}: {_mb(need)} MB needed, {_mb(have)} MB free.",
            next_step="free some space, or keep fewer releases ([retention] releases in soundscope.toml).",
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether a DuckDB error or an OSError means that the disk, a quota or a file size limit is exhausted."""
    return any(text in str(error) for text in _NO_SPACE)


def _limits(settings: Settings, name: str) -> dict[str, str | bool | int | float | list[str]]:
    # As configuration and not as SET: connections of one process to one file must agree, and a used spill folder cannot move.
    return {
        "threads": settings.engine.threads,
        "memory_limit": settings.engine.memory_limit,
        "temp_directory": str(spill_folder(settings, name)),
        "autoinstall_known_extensions": False,
    }


def _prepared(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def _cannot_open_writer(file: Path, error: duckdb.Error) -> SoundScopeError:
    text = str(error)
    if "Conflicting lock" in text:
        holder = re.search(r"\(PID (\d+)", text)
        who = f"process {holder.group(1)}" if holder else "another process"
        return Busy(
            f"{file} is open in {who}, which does not hold the writer lock.",
            next_step="close it there; to read, open warehouse/soundscope.duckdb with `duckdb -readonly` instead.",
        )
    if "different configuration" in text:
        return SoundScopeError(
            f"{file} is already open in this process with other options.",
            next_step="close that connection first (after a dbt build, release its adapter).",
        )
    if is_disk_full(error):
        return DiskFull(f"{file} cannot be opened: {_first_line(error)}.", next_step="free some space, then try again.")
    return SoundScopeError(
        f"{file} cannot be opened: {_first_line(error)}.",
        next_step="readers are not affected. Move it and its .wal aside and run `soundscope replay`: it is rebuilt from landing.",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
