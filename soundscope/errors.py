"""The errors a person may see. Each names the object, what happened and what to do next; nothing else belongs here.

Exit status: 2 for bad use or bad input, 1 for a run that failed.
"""

from __future__ import annotations


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
