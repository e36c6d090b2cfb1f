"""Fetch: one batch of units from one source, every answer landed, every outcome acknowledged in the ledger.

The file is landed first and the ledger told after, so that a death in between loses nothing: `reconcile` reads the outcomes back from
the file. One refusal or one spent budget ends the batch with one message, not with one failure per unit.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.plan import Batch
from soundscope.ingest.session import Session
from soundscope.settings import Settings
from soundscope.sources.base import Answer, Outcome, ProviderTrouble, Refused, Unit

log = logging.getLogger(__name__)


@dataclass
class FetchResult:
    """What came of a batch: units per outcome, the landed file, and the one message that ended it early, if any."""

    batch: str
    provider: str
    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    landing_file: str | None = None
    message: str | None = None
    retry_at: datetime | None = None


def fetch(session: Session, batch: Batch, progress: Callable[[int, int], None] | None = None) -> FetchResult:
    """Ask for the units of a batch.

    Args:
        session: open sources.
        batch: what to ask for.
        progress: called with units settled and units in all.
    Raises:
        DiskFull: an answer could not be landed.
    """
    source = session.sources[batch.provider]
    result = FetchResult(batch.name, batch.provider, batch.kind)
    units = {unit.key: unit for unit in batch.units}
    settled: dict[str, dict[str, object]] = {}
    session.asked.update((batch.provider, _unit_kind(batch, unit.key), unit.key) for unit in batch.units)
    root = session.settings.paths.landing
    with landing.LandingWriter(
        root, batch.provider, batch.kind, session.run_id, f"{batch.kind}-{batch.number}-{id(batch):x}"
    ) as writer:
        try:
            for answer in source.fetch(batch.kind, batch.units):
                _land(writer, batch, answer, units)
                settled |= _settle(session, batch, answer, units)
                if progress:
                    progress(len(settled), len(units))
        except ProviderTrouble as trouble:
            result.message, result.retry_at = trouble.message, trouble.retry_at
            if isinstance(trouble, Refused):
                session.refuse(batch.provider, trouble.capability, trouble.message)
            else:
                log.warning("%s: %s", batch.name, trouble.message)
            settled |= _leave(batch, trouble, settled)
    rows = [{**row, "kind": _unit_kind(batch, str(row["key"]))} for row in settled.values()]
    session.ledger.record(session.run_id, rows, writer.landed.row if writer.landed else None)
    result.outcomes = Counter(str(row["outcome"]) for row in settled.values())
    result.landing_file = writer.landed.row["landing_file"] if writer.landed else None
    return result


def reconcile(settings: Settings, ledger: Ledger) -> int:
    """Make the ledger know what landing holds, after a death between the two; returns how many files were taken up."""
    landing.recover(settings.paths.landing)
    with ledger.read() as connection:
        known: set[str] = set(connection.execute(sa.select(t.landing_files.c.landing_file)).scalars())
    taken = 0
    present = {path.relative_to(settings.paths.landing).as_posix(): path for path in landing.files(settings.paths.landing)}
    # A file somebody deleted: what it held is wanted again.
    ledger.forget_files(sorted(known - set(present)))
    for name, path in present.items():
        if name not in known:
            landed = landing.ledger_row(settings.paths.landing, path)
            ledger.record(landed.row["run_id"], [_as_unit(row) for row in landed.outcomes], landed.row)
            taken += 1
    return taken


def _unit_kind(batch: Batch, key: str) -> str:
    """The large archive file settles weeks, and itself."""
    if batch.kind == "all":
        return "all" if key == "all" else "week"
    return batch.kind


def _land(writer: landing.LandingWriter, batch: Batch, answer: Answer, units: dict[str, Unit]) -> None:
    one = units.get(answer.keys[0]) if len(answer.keys) == 1 else None
    payload = dict(one.payload) if one else {}
    writer.add(answer.kind, answer.keys, answer.reply, answer.outcomes, answer.message, payload=payload, unit_kind=batch.kind)


def _settle(session: Session, batch: Batch, answer: Answer, units: dict[str, Unit]) -> dict[str, dict[str, object]]:
    fresh = session.sources[batch.provider].fresh.get(batch.kind)
    rows: dict[str, dict[str, object]] = {}
    for key, outcome in answer.outcomes.items():
        rows[key] = {
            "provider": batch.provider, "key": key, "outcome": outcome, "http_status": answer.reply.status, "message": answer.message,
            "etag": answer.reply.headers.get("etag") or (units[key].etag if key in units else None),
            "fresh_until": utcnow() + fresh if fresh is not None and outcome is Outcome.OK else None,
        }  # fmt: skip
    return rows


def _leave(batch: Batch, trouble: ProviderTrouble, settled: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Units the trouble kept from being asked, or answered."""
    return {
        unit.key: {
            "provider": batch.provider, "key": unit.key, "outcome": trouble.outcome, "http_status": trouble.status,
            "message": trouble.message, "retry_at": trouble.retry_at,
        }
        for unit in batch.units
        if unit.key not in settled
    }  # fmt: skip


def _as_unit(row: dict[str, object]) -> dict[str, object]:
    kind = row["kind"]
    if kind == "all" and row["key"] != "all":
        row = {**row, "kind": "week"}
    return row
