"""The errors a person may see. Each names the object, what happened and what to do next; nothing else belongs here.

Exit status: 2 for bad use or bad input, 1 for a run that failed.
"""

from __future__ import annotations

import errno


class SoundScopeError(Exception):
    """A failure that a person can understand and act on.

    Args:
        message: which object, and what happened to it.
        next_step: what to do now; printed on a line of its own.
    """

    exit_status = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  Next: {self.next_step}" if self.next_step else self.message


class BadInput(SoundScopeError):
    """The command, a file or a setting is wrong; nothing was changed."""

    exit_status = 2


class Busy(SoundScopeError):
    """Another process is writing; nothing was changed."""


class CheckFailed(SoundScopeError):
    """The candidate release did not pass its checks, so it was not published."""


class DiskFull(SoundScopeError):
    """There is too little free space for the next step; nothing was half-written."""


def known(error: BaseException) -> SoundScopeError | None:
    """The error as one a person can act on, or None if it is none of the known kinds.

    A full disk shows itself in many ways: as an operating system's error, or in the words of DuckDB and SQLite.
    """
    if isinstance(error, SoundScopeError):
        return error
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or any(words in str(error) for words in _FULL):
        return DiskFull(
            f"The disk is full: {str(error).splitlines()[0]}",
            next_step="free some space and run again; what was fetched is kept, and the current release stays.",
        )
    return None


_FULL = ("No space left on device", "database or disk is full", "not enough space")
