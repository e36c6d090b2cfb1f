"""What may be wrong with an installation: lock, private files, what dead processes left, ports, disk. Nothing here asks a provider or changes a file.

Ledger and landing are looked at in `stored_checks`, releases in `release_checks`; `repairs` puts in order what is safe to.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import requests

from soundscope.pipeline.finding import Finding
from soundscope.pipeline.healing import damage_of
from soundscope.pipeline.release_checks import check_releases
from soundscope.pipeline.store_checks import check_store
from soundscope.pipeline.stored_checks import check_landing, check_ledger
from soundscope.processes import is_running
from soundscope.settings import Settings
from soundscope.warehouse.lock import lock_owner, no_writer, stale_owner

FIX = "soundscope doctor --fix"
_LOW_DISK = 1 << 30
# State files of the server and of `up`, each true only while somebody holds the lock beside it.
_STATE_FILES = (("server.json", "server.lock"), ("up.json", "up.lock"), ("schedules.json", "up.lock"))


def look_over(settings: Settings) -> list[Finding]:
    """Every check, cheapest first; to be called before a run is opened, because that already puts some things in order."""
    settings.paths.create()
    checks = (check_writer, check_leftovers, check_ledger, check_landing, check_store, check_releases, _ports, _disk)
    return [finding for check in checks for finding in check(settings)]


def check_writer(settings: Settings) -> Iterator[Finding]:
    """The writer lock and the private file."""
    owner, dead = lock_owner(settings), stale_owner(settings)
    if owner is not None:
        yield Finding("warehouse", "writer lock", "ok", str(owner), "other writers wait for it; readers are not concerned")
    elif dead is not None:
        words = f"free, but process {dead.pid} ({dead.command}), which began to write at {dead.since}, ended without a word"
        yield Finding("warehouse", "writer lock", "leftover", words, f"it keeps nobody out; the next run or {FIX} clears it")
    else:
        yield Finding("warehouse", "writer lock", "ok", "free")
    yield from _private_file(settings)


def _private_file(settings: Settings) -> Iterator[Finding]:
    file = settings.paths.writer
    wal = file.with_name(file.name + ".wal")
    with no_writer(settings) as quiet:
        if not quiet or not file.exists():
            return
        if (why := damage_of(settings)) is not None:
            words = f"{file} is damaged: {why}"
            yield Finding("warehouse", "private file", "trouble", words, f"the next run or {FIX} makes it anew from landing")
        elif wal.exists() and wal.stat().st_size:
            words = f"{wal.name} ({wal.stat().st_size / 1e6:.1f} MB) was left by a run that was interrupted"
            yield Finding("warehouse", "private file", "leftover", words, f"the next run or {FIX} takes it in; do not delete it")
        else:
            yield Finding("warehouse", "private file", "ok", f"{file.stat().st_size / 1e6:.1f} MB, {_blocks(file)}")


def _blocks(file: Path) -> str:
    try:
        with closing(duckdb.connect(str(file), read_only=True)) as con:
            row = con.execute("select free_blocks, total_blocks from pragma_database_size()").fetchone()
    except duckdb.Error as error:
        return f"cannot be read now: {str(error).splitlines()[0]}"
    return f"{row[0]:,} of {row[1]:,} blocks free" if row else "empty"


def check_leftovers(settings: Settings) -> Iterator[Finding]:
    """State files and spill folders of processes that are gone."""
    for name in stale_state_files(settings):
        yield Finding(
            "server",
            name,
            "leftover",
            "its process ended without a word",
            f"it is not believed; the next start or {FIX} removes it",
        )
    dead = dead_spill(settings)
    if dead:
        words = f"{len(dead)} folders of processes that are gone"
        yield Finding("warehouse", "spilled data", "leftover", words, f"the next run or {FIX} removes them")


def stale_state_files(settings: Settings) -> list[str]:
    """State files in the private folder whose process is gone."""
    private = settings.paths.private
    return [file for file, lock in _STATE_FILES if (private / file).exists() and not _is_held(private / lock)]


def dead_spill(settings: Settings) -> list[Path]:
    """Folders of spilled data whose process is gone."""
    folders = [folder for folder in settings.paths.temp.glob("*-*") if folder.is_dir()]
    return [
        folder
        for folder in folders
        if folder.name.rsplit("-", 1)[1].isdigit() and not is_running(int(folder.name.rsplit("-", 1)[1]))
    ]


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _ports(settings: Settings) -> Iterator[Finding]:
    checks = (
        ("server", settings.server.port, "/api/health", "a Prefect server"),
        ("app", settings.server.app_port, "/_stcore/health", "an app of Streamlit"),
        ("sandbox", settings.sandbox.port, "/_sandbox/", "a sandbox"),
    )
    for name, port, path, kind in checks:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                yield Finding("port", f"{name} {port}", "ok", "free")
                continue
        try:
            ours = requests.get(f"http://127.0.0.1:{port}{path}", timeout=1).ok
        except requests.RequestException:
            ours = False
        words = f"in use by {kind}" if ours else "in use by another program"
        yield Finding("port", f"{name} {port}", "ok", words, "" if ours else "the next free one is taken")


def _disk(settings: Settings) -> Iterator[Finding]:
    paths = settings.paths
    free = shutil.disk_usage(paths.warehouse).free
    # A publish holds the private file, the candidate and the old release at once.
    need = max(_LOW_DISK, 3 * (paths.writer.stat().st_size if paths.writer.exists() else 0))
    words = f"{free / 1e9:.1f} GB free, {need / 1e9:.1f} GB wanted"
    if free < need:
        next_step = "free some space, or keep fewer releases ([retention] releases)"
        yield Finding("disk", str(paths.warehouse), "trouble", words, next_step)
    else:
        yield Finding("disk", str(paths.warehouse), "ok", words)
