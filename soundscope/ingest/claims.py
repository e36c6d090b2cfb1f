"""Who asks for what right now: runs on several machines that share a ledger take units before they ask, so that none is asked for twice.

A claim goes with the answer (`Ledger.record`), with the end of its run, or with its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from soundscope.ingest import tables as t

if TYPE_CHECKING:
    from soundscope.ingest.ledger import Ledger

# A machine that died keeps what it was asking for to itself for so long; a process that died, until its machine's next run looks.
LASTS = timedelta(hours=1)
_AT_ONCE = 500


def asked_so_far(ledger: Ledger) -> int:
    """Number of the newest attempt in the ledger: whatever is settled from now on has a greater one."""
    with ledger.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(t.fetch_attempts.c.attempt_id))).scalar()
    return int(newest or 0)


def claim(ledger: Ledger, run_id: str, provider: str, keys: Mapping[str, str], since: int | None = None) -> set[str]:
    """Take units for a run.

    Args:
        ledger: which all runs share.
        run_id: the run.
        provider: whom it will ask.
        keys: unit key -> kind.
        since: what `asked_so_far` said when they were planned: those that another run has settled since are not given.
    Returns:
        The keys that this run may ask for.
    """
    from soundscope.ingest.ledger import utcnow

    now, c, a = utcnow(), t.claims.c, t.fetch_attempts.c
    # In one order everywhere, or two runs could wait for each other.
    rows = [{"provider": provider, "kind": keys[key], "key": key, "run_id": run_id, "until": now + LASTS} for key in sorted(keys)]
    insert = sqlite.insert if ledger.engine.dialect.name == "sqlite" else postgresql.insert
    kinds = set(keys.values())
    with ledger.begin() as connection:
        connection.execute(sa.delete(t.claims).where(c.until < now))
        if rows:
            connection.execute(insert(t.claims).on_conflict_do_nothing(), rows)
        mine = sa.select(c.key).where(c.provider == provider, c.kind.in_(kinds), c.run_id == run_id)
        given: set[str] = set(connection.execute(mine).scalars()) & set(keys)
        if since is not None:
            settled = sa.select(a.key).where(a.attempt_id > since, a.provider == provider, a.kind.in_(kinds), a.run_id != run_id)
            given -= set(connection.execute(settled).scalars())
    return given


def release(connection: sa.Connection, run_id: str, units: Sequence[tuple[str, str, str]]) -> None:
    """Let go of units, as (provider, kind, key), inside the caller's transaction."""
    c = t.claims.c
    for provider, kind in sorted({unit[:2] for unit in units}):
        keys = [key for *of, key in units if of == [provider, kind]]
        for start in range(0, len(keys), _AT_ONCE):
            mine = sa.and_(c.run_id == run_id, c.provider == provider, c.kind == kind, c.key.in_(keys[start : start + _AT_ONCE]))
            connection.execute(sa.delete(t.claims).where(mine))
