"""Loading what is landed, as a step of a run; and the form in which a check's result is noted. How files are read is `ingest.load`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing, shared
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import LoadResult, load_new
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.run import Run
from soundscope.sources.internal import PROVIDER

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


def load_step(run: Run, progress: Progress | None = None, *, others: bool = False) -> LoadResult:
    """Load what is landed here and not loaded yet.

    Args:
        run: an open run that holds the writer lock.
        progress: called with files done and files to do.
        others: where landing is shared, follow what other machines landed, removed and rewrote meanwhile; not in the middle of a build.
    Raises:
        StoreUnreachable: something has to come from the shared store, and it does not answer.
    """
    place, lacks = run.ledger.shared, {}
    with run.writer() as con:
        if place and others:
            create_raw(con)
            lacks = shared.follow(place, _noted(run), con)
        result = load_new(con, run.settings.paths.landing, progress)
        if place and result.damaged:
            noted = _noted(run)
            known = [name for name in result.damaged if name in noted.files]
            failed = shared.bring_lacking(place, noted, known)
            lacks |= failed
            result.damaged = {name: why for name, why in result.damaged.items() if name not in known or name in failed}
            result += load_new(con, run.settings.paths.landing, progress)
    run.ledger.store_lacks(lacks)
    for name, why in lacks.items():
        run.ledger.insert(t.check_results, [check_row(run, "landing_file_shared", name, "warn", 1, why)])
    if result.damaged:
        _set_aside(run, list(result.damaged))
        rows = [check_row(run, "landing_file_readable", file, "warn", 1, reason) for file, reason in result.damaged.items()]
        run.ledger.insert(t.check_results, rows)
    run.facts.setdefault("loaded", []).append(result)
    return result


def waits(run: Run) -> bool:
    """Whether a run that was killed, or another machine, has landed, removed or rewritten something that is not followed here yet."""
    root, place = run.settings.paths.landing, run.ledger.shared
    with run.writer() as con:
        create_raw(con)
        loaded = {row[0] for row in con.execute("select landing_file from raw.loaded_files").fetchall()}
    if any(path.relative_to(root).as_posix() not in loaded for path in landing.files(root)):
        return True
    if place is None:
        return False
    noted = _noted(run)
    return bool(loaded & (noted.removed - set(noted.files)) or shared.stale(root, noted) or shared.lacking(root, noted.files))


def load_waiting(run: Run) -> LoadResult | None:
    """Load what waits; None if nothing does. To be called before anything is planned or built."""
    return load_step(run, others=True) if waits(run) else None


def load_results(run: Run, kind: str) -> None:
    """Load what other machines have landed of one kind of SoundScope's own results (match, align, ...), and nothing else of theirs."""
    if (place := run.ledger.shared) is None:
        return
    noted = _noted(run)
    wanted = shared.lacking(place.root, [name for name in noted.files if name.startswith(f"{PROVIDER}/{kind}/")])
    if wanted:
        run.ledger.store_lacks(shared.bring_lacking(place, noted, wanted))
        load_step(run)


def _noted(run: Run) -> shared.Known:
    with run.ledger.read() as connection:
        return shared.known(connection)


def _set_aside(run: Run, names: list[str]) -> None:
    """Files whose bytes are not those that were landed leave landing, so that what they held is wanted again."""
    root = run.settings.paths.landing
    for name in names:
        try:
            landing.verify(root / name)
        except SoundScopeError as error:
            aside = landing.set_aside(root, root / name, run.settings.paths.damaged)
            run.ledger.forget_files([name])
            log.warning("%s It is now %s.", error.message, aside)


def check_row(run: Run, name: str, table: str, status: str, failures: int, message: str) -> dict[str, Any]:
    """One row of `ops.check_results`; status is pass, warn, fail or overridden."""
    return {
        "run_id": run.run_id, "release_id": run.release_id, "check": name, "table_name": table, "status": status,
        "failures": failures, "message": message, "checked_at": utcnow(),
    }  # fmt: skip
