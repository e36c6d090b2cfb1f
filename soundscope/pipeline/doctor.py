"""`doctor`: what each provider allows with these credentials and what is done instead.

Trouble in the set-up is looked for in `setup_checks`, `stored_checks` and `release_checks`, and repaired in `repairs`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.pipeline import setup_checks
from soundscope.pipeline.finding import Finding

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class _Known:
    """One remembered answer of a provider."""

    capability: str
    is_allowed: bool
    reason: str
    instead: str
    checked_at: datetime


def examine(run: Run, *, fresh: bool = False, setup: Sequence[Finding] | None = None) -> list[Finding]:
    """Ask the providers what they allow, where that is not known from the last day, and look the set-up over.

    Args:
        run: an open run with providers; it need not hold the writer lock.
        fresh: ask again although the answers are younger than a day. An account that was refused as a whole is always asked again.
        setup: what was found in the set-up before the run was opened; looked for now if left out.
    Returns:
        Findings: providers first, then the set-up.
    """
    from soundscope.pipeline.steps import probe_step

    again = fresh or any(
        not known.is_allowed and known.capability in ("catalogue", "token")
        for name in run.session.sources
        for known in _known(run, name)
    )
    probe_step(run, force=again)
    findings = [finding for name in run.session.sources for finding in _provider(run, name)]
    findings += [Finding(off.name, "provider", "off", off.reason, off.next_step) for off in run.session.disabled]
    return findings + list(setup_checks.look_over(run.settings) if setup is None else setup)


def _provider(run: Run, name: str) -> Iterator[Finding]:
    known = _known(run, name)
    if not known:
        yield Finding(
            name, "provider", "trouble", "could not be asked: see warehouse/logs/soundscope.log", "the next run asks again"
        )
    for row in known:
        yield Finding(name, row.capability, "ok" if row.is_allowed else "refused", row.reason, row.instead)
    yield from _budget(run, name)


def _known(run: Run, name: str) -> list[_Known]:
    c = t.capabilities.c
    query = sa.select(c.capability, c.is_allowed, c.reason, c.instead, c.checked_at).where(
        c.provider == name, c.account == run.session.budgets[name].account
    )
    with run.ledger.read() as connection:
        rows: list[Any] = list(connection.execute(query))
    newest = max((row.checked_at for row in rows), default=None)
    # An older answer about something the newest probe did not mention is history.
    return [
        _Known(r.capability, bool(r.is_allowed), r.reason or "", r.instead or "", r.checked_at)
        for r in rows
        if r.checked_at == newest
    ]


def _budget(run: Run, name: str) -> Iterator[Finding]:
    budget = run.session.budgets[name]
    h = t.holds.c
    with run.ledger.read() as connection:
        hold = connection.execute(sa.select(h.until, h.reason).where(h.provider == name, h.account == budget.account)).first()
    if hold and hold.until > time.time():
        until = datetime.fromtimestamp(hold.until, UTC)
        yield Finding(
            name,
            "budget",
            "refused",
            f"it asked us to wait ({hold.reason})",
            f"asked again from {until:%Y-%m-%d %H:%M} UTC by itself",
        )
        return
    left, limits = budget.remaining(), budget.limits
    if left is None:
        rate = f"{limits.rate} calls in any {limits.window_s:g} s" if limits.rate else "as fast as it answers"
        yield Finding(name, "budget", "ok", f"no daily limit; {rate}")
    elif left:
        yield Finding(name, "budget", "ok", f"{left:,} of {limits.quota:,} calls left in {limits.quota_window_s / 3600:g} h")
    else:
        yield Finding(
            name,
            "budget",
            "refused",
            f"all {limits.quota:,} calls of {limits.quota_window_s / 3600:g} h are spent",
            "the next runs go on by themselves",
        )
