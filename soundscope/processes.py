"""Whether a process that left a note of itself is still there."""

from __future__ import annotations

import os


def is_running(pid: int | None) -> bool:
    """Whether a process of this machine has this id; False for None and 0. One of another user counts."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
