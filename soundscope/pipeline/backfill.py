"""Backfill: all that one provider can give for a stretch of time, with its cost shown before, to be stopped and continued at will.

It is the ordinary ingest with another list of units: the ledger knows what was fetched, so nothing is fetched twice, whatever ended the run
before. Where the budget is spent it stops and says when it goes on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from soundscope.errors import BadInput
from soundscope.ingest import charts, identity, wanted
from soundscope.ingest.claims import asked_so_far
from soundscope.ingest.plan import batches
from soundscope.ingest.typed import create_raw
from soundscope.pipeline import steps
from soundscope.pipeline.ingest import AT_ONCE, fetch_all
from soundscope.pipeline.run import Run
from soundscope.sources.base import Unit
from soundscope.sources.registry import SOURCES

# A search that finds its track takes a second call there for the ISRC.
_CALLS_PER_UNIT = {("deezer", "search"): 2}
_FOREVER = ("0001-01-01", "9999-12-31")


@dataclass(frozen=True)
class Part:
    """One kind of request of a backfill.

    Attributes:
        provider, kind: whom, and what for.
        units: what is still to be asked for.
        held: how many of what is in the stretch are had already.
        calls: how many requests that takes at most.
        days: in how many days the daily budget allows them, today's rest included; 0 for none to make.
        hours: how long the rate limit makes it last.
    """

    provider: str
    kind: str
    units: int
    held: int
    calls: int
    days: int
    hours: float


def plan_backfill(
    run: Run, source: str, since: str | None, until: str | None, *, again: bool = False
) -> list[tuple[Part, list[Unit]]]:
    """What a backfill would ask for, and what that costs.

    Args:
        run: an open run with providers, under the writer lock.
        source: the provider.
        since, until: first and last day as YYYY-MM-DD, both included; chart weeks by their date, tracks by when they charted.
        again: ask for held chart weeks as well, conditionally, to notice that they were restated.
    Raises:
        BadInput: the source is unknown, off, or has no past to ask for; or a date is wrong.
    """
    between = _dates(since, until)
    session = run.session
    session.is_backfill = True
    session.planned_at = asked_so_far(session.ledger)
    if source not in session.sources:
        off = next((off for off in session.disabled if off.name == source), None)
        if off is None:
            raise BadInput(f"There is no source {source!r}.", next_step=f"say one of {', '.join(SOURCES)}.")
        raise BadInput(f"{source} is not asked: {off.reason}.", next_step=off.next_step)
    if source == "apple":
        raise BadInput("Apple's feed has today's list only.", next_step="follow apple_<country>: its history grows day by day.")
    with run.writer() as con:
        create_raw(con)
        if source == "billboard_hot_100":
            found = _hot_100(run, between, again)
        elif source == "billboard_csv":
            found = [part for kind in ("hot_100", "top_200") for part in _csv(run, kind, between, again)]
        else:
            found = _tracks(run, con, source, between)
    return [(_cost(run, provider, kind, units, held), units) for provider, kind, units, held in found]


def backfill(
    run: Run, planned: Iterable[tuple[Part, list[Unit]]], say: Callable[[str], None] = print
) -> tuple[Counter[str], datetime | None]:
    """Fetch and load what was planned, a few batches at a time.

    Returns:
        Units per outcome, and when it goes on, if the provider or the budget said stop (UTC); run it again then.
    """
    outcomes: Counter[str] = Counter()
    for part, units in planned:
        waiting = batches(part.provider, part.kind, units)
        total = len(waiting)
        while waiting:
            now, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            results = fetch_all(run, now)
            steps.load_step(run, others=True)
            for result in results:
                outcomes.update(result.outcomes)
            say(f"{part.provider} {part.kind}: {total - len(waiting)} of {total} batches; {dict(outcomes)}")
            stopped = next((result for result in results if result.message), None)
            if stopped is not None:
                say(f"{part.provider}: {stopped.message}")
                if stopped.retry_at is not None or part.provider in run.session.down:
                    return outcomes, stopped.retry_at
    return outcomes, None


def as_rows(planned: Iterable[tuple[Part, list[Unit]]]) -> list[dict[str, Any]]:
    """The parts as rows for a table or JSON."""
    return [asdict(part) for part, _ in planned]


def _dates(since: str | None, until: str | None) -> tuple[str, str]:
    low, high = since or _FOREVER[0], until or _FOREVER[1]
    for name, value in (("--from", low), ("--to", high)):
        try:
            date.fromisoformat(value)
        except ValueError as error:
            raise BadInput(f"{name} {value} is not a date.", next_step="write it as YYYY-MM-DD.") from error
    if low > high:
        raise BadInput(f"--from {low} is after --to {high}.", next_step="exchange them.")
    return low, high


def _inside(days: Iterable[str], between: tuple[str, str]) -> list[str]:
    return [day for day in days if between[0] <= day <= between[1]]


Found = tuple[str, str, list[Unit], int]


def _hot_100(run: Run, between: tuple[str, str], again: bool) -> list[Found]:
    name = "billboard_hot_100"
    charts.refresh_dates(run.session)
    days = _inside(run.session.ledger.unit_rows(name, "week"), between)
    return _weeks(run, name, "week", "all", days, again)


def _csv(run: Run, kind: str, between: tuple[str, str], again: bool) -> list[Found]:
    name, rows = "billboard_csv", run.session.ledger.unit_rows("billboard_csv", kind)
    if not any(row.status == "done" for row in rows.values()):
        # This archive has no list of its weeks; its one large file is the list.
        return [(name, f"{kind}_all", run.session.due(name, f"{kind}_all", [Unit(name, f"{kind}_all", "all")]), 0)]
    return _weeks(run, name, kind, f"{kind}_all", _inside(rows, between), again)


def _weeks(run: Run, name: str, kind: str, bulk: str, days: list[str], again: bool) -> list[Found]:
    session = run.session
    rows = session.ledger.unit_rows(name, kind)
    held = [day for day in days if rows[day].status == "done"]
    due = session.due(name, kind, charts.weeks(session, name, kind, set(days) - set(held)))
    whole = charts.bulk(session, name, bulk, due)
    if whole:
        return [(*part, len(held)) for part in whole]
    units = due + ([Unit(name, kind, day, 0.0, {}, rows[day].etag) for day in sorted(held, reverse=True)] if again else [])
    return [(name, kind, units, len(held))]


def _tracks(run: Run, con: Any, source: str, between: tuple[str, str]) -> list[Found]:
    """Searches for what charted in the stretch, and features of what is known to have."""
    session = run.session
    found: list[Found] = []
    if source in identity.order(session):
        keys, status = identity.keys(con, between), session.ledger.unit_status(source, "search")
        units = identity.due(session, con, between, only=source)[0][2]
        found.append((source, "search", units, sum(status.get(key[0]) == "done" for key in keys)))
    if source in session.settings.feature_order and session.allows(source, "audio_features"):
        units = wanted.units(session, con, source, "audio_features", "features")
        if between != _FOREVER:
            charted = wanted.charted_ids(con, between)
            units = [unit for unit in units if unit.key in charted]
        held = sum(said == "done" for said in session.ledger.unit_status(source, "audio_features").values())
        found.append((source, "audio_features", session.due(source, "audio_features", units), held))
    if not found:
        raise BadInput(f"{source} has nothing to fill back.", next_step="soundscope doctor says what it allows.")
    return found


def _cost(run: Run, provider: str, kind: str, units: list[Unit], held: int) -> Part:
    budget = run.session.budgets[provider]
    size = 1 if kind != "audio_features" else run.session.sources[provider].batch_size(kind)
    whole = kind == "all" or kind.endswith("_all")
    calls = min(len(units), 1) if whole else math.ceil(len(units) / size) * _CALLS_PER_UNIT.get((provider, kind), 1)
    days = 1 if calls else 0
    if (quota := budget.limits.quota) is not None and calls:
        left = budget.remaining() or 0
        days = 1 if calls <= left else (1 if left else 0) + math.ceil((calls - left) / max(quota, 1))
    hours = calls / budget.limits.rate * budget.limits.window_s / 3600 if budget.limits.rate else 0.0
    return Part(provider, kind, len(units), held, calls, days, round(hours, 2))
