"""The one-writer lock, and the words for whoever finds it taken. Opening the warehouse belongs in `connect`.

`flock` and not a POSIX record lock: the latter is dropped as soon as its process closes *any* descriptor of the file, for
instance after reading who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from soundscope.errors import Busy
from soundscope.settings import Settings

_POLL_S = 0.05


@dataclass(frozen=True)
class LockOwner:
    """Who wrote the lock file last: process id, host, start (ISO 8601, UTC) and command."""

    pid: int
    host: str
    since: str
    command: str

    def __str__(self) -> str:
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid} ({self.command}){where} has been writing since {self.since}"


@dataclass
class _Held:
    descriptor: int
    depth: int


_held: dict[Path, _Held] = {}
_mutex = threading.Lock()


@contextmanager
def writer_lock(settings: Settings, wait_s: float = 0.0, *, command: str | None = None) -> Iterator[None]:
    """Hold the right to write the warehouse; re-entrant within a process, whatever the thread.

    The kernel frees the lock when its process ends, however it ends; what a dead owner left in the file is overwritten. A
    forked child does not inherit the lock and cannot release its parent's.

    Args:
        settings: whose warehouse.
        wait_s: seconds to wait for another process.
        command: what to tell others that this process is doing; its command line by default.

    Raises:
        Busy: another process still holds it after `wait_s`; the message names that process.
    """
    path = settings.paths.lock
    if not path.parent.exists():
        settings.paths.create()
    _acquire(path, wait_s, command or _command_line())
    owner = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == owner:
            _release(path)


def holds_lock(settings: Settings) -> bool:
    """Whether this process holds the writer lock."""
    with _mutex:
        return settings.paths.lock in _held


def lock_owner(settings: Settings) -> LockOwner | None:
    """Who holds the writer lock now, this process included; None if nobody does.

    An owner that has not yet written its name is given as process 0.
    """
    try:
        descriptor = os.open(settings.paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_owner(settings.paths.lock) or LockOwner(0, socket.gethostname(), "just now", "unknown")
    finally:
        os.close(descriptor)
    return None


def stale_owner(settings: Settings) -> LockOwner | None:
    """Who wrote the lock file last and ended without a word (killed, or the power went); None if somebody holds it or it was left in order."""
    return _read_owner(settings.paths.lock) if lock_owner(settings) is None else None


@contextmanager
def no_writer(settings: Settings) -> Iterator[bool]:
    """Keep writers away for a moment without being one, to look at the private file; gives False where one is at work.

    What a dead owner left in the lock file stays to be read.
    """
    try:
        descriptor = os.open(settings.paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _acquire(path: Path, wait_s: float, command: str) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        with _mutex:
            if path in _held:
                _held[path].depth += 1
                return
            descriptor = _try_lock(path, command)
            if descriptor is not None:
                _held[path] = _Held(descriptor, 1)
                return
        if time.monotonic() >= deadline:
            raise _busy(path, wait_s)
        time.sleep(_POLL_S)


def _try_lock(path: Path, command: str) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody may have deleted the file since it was opened: a lock on a nameless file excludes nobody.
        if os.fstat(descriptor).st_ino != path.stat().st_ino:
            raise FileNotFoundError(path)
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return None
    owner = LockOwner(os.getpid(), socket.gethostname(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), command)
    # On a full disk the lock is as good; only the words for others are missing.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(owner)).encode(), 0)
    return descriptor


def _release(path: Path) -> None:
    with _mutex:
        held = _held.get(path)
        if held is None:
            return
        held.depth -= 1
        if held.depth == 0:
            del _held[path]
            with suppress(OSError):
                os.ftruncate(held.descriptor, 0)
            # Closing, not LOCK_UN: unlocking through a descriptor shared with a forked process would unlock for both.
            os.close(held.descriptor)


def _forget_in_child() -> None:
    global _mutex
    _mutex = threading.Lock()
    for held in _held.values():
        os.close(held.descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _busy(path: Path, wait_s: float) -> Busy:
    owner = _read_owner(path)
    waited = f" Waited {wait_s:g} s for it." if wait_s else ""
    if owner is None:
        return Busy(f"Another process is writing the warehouse.{waited}", next_step="wait for it to end, then try again.")
    return Busy(
        f"The warehouse is being written: {owner}.{waited}",
        next_step=f"wait for it to end, or stop it (`kill {owner.pid}`) if it hangs; what it had not published is then redone.",
    )


def _read_owner(path: Path) -> LockOwner | None:
    try:
        return LockOwner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # Empty or half-written: its owner is just starting, or had no space to write.
        return None


def _command_line() -> str:
    words = [Path(sys.argv[0]).name or "python", *sys.argv[1:]]
    line = " ".join(words)
    return line if len(line) <= 80 else line[:77] + "..."
