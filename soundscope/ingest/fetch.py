"""Fetch: one batch of units from one source, every answer landed, every outcome acknowledged in the ledger.

The file is landed first and the ledger told after, so that a death in between loses nothing: `reconcile` reads the outcomes back from
the file. One refusal or one spent budget ends the batch with one message, not with one failure per unit; a unit without a usable answer
is set aside, and several in a row mean that the provider is down.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing, shared
from soundscope.ingest.claims import claim
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.plan import Batch
from soundscope.ingest.session import Session
from soundscope.settings import Settings
from soundscope.sources.base import Answer, Outcome, ProviderTrouble, Refused, Stopping, Unit, Unreachable
from soundscope.sources.registry import SOURCES

log = logging.getLogger(__name__)
# So many units in a row without a usable answer, and the provider counts as down.
_PATIENCE = 3
# So many answers in a row that say nothing usable (a refused request, a list that is not there), and it counts as down too.
_USELESS = 10


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
    session.asked.update((batch.provider, unit_kind(batch.kind, unit.key), unit.key) for unit in batch.units)
    mine = _mine(session, batch)
    return _ask(session, mine, progress) if mine.units else FetchResult(batch.name, batch.provider, batch.kind)


def _ask(session: Session, batch: Batch, progress: Callable[[int, int], None] | None) -> FetchResult:
    result = FetchResult(batch.name, batch.provider, batch.kind)
    units = {unit.key: unit for unit in batch.units}
    settled: dict[str, dict[str, object]] = {}
    useless = 0
    root = session.settings.paths.landing
    with landing.LandingWriter(
        root, batch.provider, batch.kind, session.run_id, f"{batch.kind}-{batch.number}-{id(batch):x}"
    ) as writer:
        patience = _PATIENCE
        while patience and len(settled) < len(units):
            before = len(settled)
            try:
                if batch.provider in session.down:
                    raise session.down[batch.provider]
                if said := session.refused.get((batch.provider, "catalogue")):
                    raise Refused(said, capability="catalogue", status=403)
                left = [unit for unit in batch.units if unit.key not in settled]
                for answer in session.sources[batch.provider].fetch(batch.kind, left):
                    _land(writer, batch, answer, units)
                    _watch(session, batch.provider, answer)
                    settled |= _settle(session, batch, answer, units)
                    if progress:
                        progress(len(settled), len(units))
                    useless = useless + 1 if set(answer.outcomes.values()) == {Outcome.ERROR} else 0
                    if useless == _USELESS:
                        words = f"{batch.provider} gave nothing usable {useless} times in a row; last: {answer.message}"
                        raise Unreachable(words, status=answer.reply.status, is_silent=True)
                    if session.stop.is_set():
                        raise Stopping("the run is ending")
                break
            except Stopping:
                break
            except Unreachable as trouble:
                patience = _less(patience, trouble, len(settled) > before)
                result.message = trouble.message
                _set_aside(session, batch, trouble, settled, patience)
            except ProviderTrouble as trouble:
                patience = 0
                result.message, result.retry_at = trouble.message, trouble.retry_at
                if isinstance(trouble, Refused):
                    session.refuse(batch.provider, trouble.capability, trouble.message)
                else:
                    log.warning("%s: %s", batch.name, trouble.message)
                settled |= _leave(batch, trouble, settled)
    rows = [{**row, "kind": unit_kind(batch.kind, str(row["key"]))} for row in settled.values()]
    session.ledger.record(session.run_id, rows, writer.landed.row if writer.landed else None)
    result.outcomes = Counter(str(row["outcome"]) for row in settled.values())
    result.landing_file = writer.landed.row["landing_file"] if writer.landed else None
    return result


def _mine(session: Session, batch: Batch) -> Batch:
    """The batch without what a run on another machine is asking for now or has settled since this was planned.

    On one machine runs take turns, and a claim would only keep the next run from what a run on a full disk could not let go of.
    """
    if session.ledger.shared is None:
        return batch
    keys = {unit.key: unit_kind(batch.kind, unit.key) for unit in batch.units}
    given = claim(session.ledger, session.run_id, batch.provider, keys, session.planned_at)
    if len(given) < len(keys):
        log.info("%s: %d of %d are asked for by another run", batch.name, len(keys) - len(given), len(keys))
    return replace(batch, units=tuple(unit for unit in batch.units if unit.key in given))


def _less(patience: int, trouble: Unreachable, has_moved: bool) -> int:
    """How many more units may fail in a row. One that is answered in between shows that the provider works."""
    if trouble.is_silent:
        return 0
    return _PATIENCE - 1 if has_moved else patience - 1


def _set_aside(
    session: Session, batch: Batch, trouble: Unreachable, settled: dict[str, dict[str, object]], patience: int
) -> None:
    """Leave the units that failed and go on with the others; after several in a row leave the provider alone for this run."""
    size = session.sources[batch.provider].batch_size(batch.kind) if patience else len(batch.units)
    open_units = [unit for unit in batch.units if unit.key not in settled]
    failed = Batch(batch.provider, batch.kind, tuple(open_units[:size]), batch.number)
    log.warning("%s: %s", batch.name, trouble.message)
    settled |= _leave(failed, trouble, settled)
    if not patience:
        session.down[batch.provider] = trouble


def reconcile(settings: Settings, ledger: Ledger) -> int:
    """Make the ledger know what landing holds, after a death between the two; returns how many files were taken up.

    With a shared landing place, what other machines landed is brought here, what they removed on purpose is removed, and what the store
    lacks is copied to it.

    Raises:
        StoreUnreachable: something has to come from or go to the shared store, and it does not answer.
    """
    root = settings.paths.landing
    landing.recover(root)
    with ledger.read() as connection:
        noted = shared.known(connection)
    if ledger.shared:
        # A missing package is said before anything is asked of anyone.
        ledger.shared.store.ready()
        shared.drop_removed(root, noted)
        ledger.store_lacks(shared.bring_lacking(ledger.shared, noted))
    taken = 0
    present = {path.relative_to(root).as_posix(): path for path in landing.files(root)}
    if not ledger.shared:
        # A file somebody deleted: what it held is wanted again. One that is shared may be had yet, from another machine.
        ledger.forget_files(sorted(set(noted.files) - set(present)))
    for name, path in present.items():
        if name not in noted.files:
            try:
                landed = landing.ledger_row(root, path)
            except SoundScopeError as error:
                aside = landing.set_aside(root, path, settings.paths.damaged)
                log.warning("%s It is now %s.", error.message, aside)
                continue
            ledger.record(landed.row["run_id"], [_as_unit(row) for row in landed.outcomes], landed.row)
            taken += 1
    ledger.settle_store()
    return taken


def unit_kind(kind: str, key: str) -> str:
    """The kind of a unit that was settled by a request of this kind: the large archive files settle weeks, and themselves."""
    if key == "all":
        return kind
    return "week" if kind == "all" else kind.removesuffix("_all")


def _watch(session: Session, provider: str, answer: Answer) -> None:
    """Report what is not as it was when the source was written; nothing stops because of it."""
    shape = SOURCES[provider].source.shapes.get(answer.kind)
    body = answer.reply.body
    told = set(answer.outcomes.values())
    if shape is None or answer.reply.status != 200 or told == {Outcome.ABSENT} or body.startswith(b'{"error"'):
        return
    try:
        changes = shape.changes(body)
    except ValueError:
        return
    for change in changes:
        example = f", for instance {change.example}" if change.example else ""
        message = f"{change.key} {_DRIFT[change.what]}{example}; rows are read as far as they can be, the answers stay in landing"
        session.note("schema_drift", f"{provider}.{answer.kind}", "warn", 1, message, f"{change.what} {change.key}")


_DRIFT = {"appeared": "is new", "disappeared": "is gone", "retyped": "has another type"}


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
    return {**row, "kind": unit_kind(str(row["kind"]), str(row["key"]))}
