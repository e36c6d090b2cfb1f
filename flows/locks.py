"""File locks (flock) that say which processes are alive: released by the system when their holder dies, however it dies.

What is locked and why is said by the modules that use them.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from soundscope.errors import Busy


class FileLock:
    """One open lock file; `shared` and `exclusive` replace what this object held before.

    Not inherited by child processes that are started with `subprocess`. Converting is not atomic: another process may get
    in between.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._fd: int | None = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)

    def shared(self, timeout: float = 0.0) -> bool:
        """Hold it together with others; False if someone held it exclusively all through `timeout` seconds."""
        return self._take(fcntl.LOCK_SH, timeout)

    def exclusive(self, timeout: float = 0.0) -> bool:
        """Hold it alone; False if someone held it all through `timeout` seconds."""
        return self._take(fcntl.LOCK_EX, timeout)

    def close(self) -> None:
        """Let go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _take(self, kind: int, timeout: float) -> bool:
        if self._fd is None:
            raise Busy(f"The lock {self.file} was already closed.", next_step="open it again.")
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(self._fd, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.1)
            else:
                return True


def is_held(file: Path) -> bool:
    """Whether a live process holds this lock exclusively."""
    if not file.exists():
        return False
    probe = FileLock(file)
    try:
        return not probe.shared()
    finally:
        probe.close()
