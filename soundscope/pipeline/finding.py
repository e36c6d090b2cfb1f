"""What `doctor` finds: one line about a provider or about the set-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "refused", "off", "leftover", "trouble", "fixed"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        subject: provider, or part of the set-up.
        what: capability, or what was looked at.
        state: ok; refused (a provider does not allow it); off (not asked at all); leftover (harmless, of something that ended
            without a word; the next run or `doctor --fix` clears it); trouble (somebody has to do something); fixed (`doctor --fix` did it).
        detail: what was found, in words.
        instead: what SoundScope does instead, or what to do next.
    """

    subject: str
    what: str
    state: State
    detail: str
    instead: str = ""
