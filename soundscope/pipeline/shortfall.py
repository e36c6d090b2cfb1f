"""What a run asked for and did not get, in one clause, so that a run that ended well does not read as if nothing had been missing."""

from __future__ import annotations

from collections import Counter, defaultdict

import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger

_WORDS = {"error": "failed", "forbidden": "refused", "rate_limited": "deferred", "quota": "deferred"}


def shortfall(ledger: Ledger, run_id: str) -> str:
    """Providers with the number of units that failed, were refused or deferred in a run; empty if there are none.

    A unit counts once, by what came of it last.
    """
    c = t.fetch_attempts.c
    query = sa.select(c.provider, c.kind, c.key, c.outcome).where(c.run_id == run_id).order_by(c.attempt_id)
    with ledger.read() as connection:
        last = {(row.provider, row.kind, row.key): str(row.outcome) for row in connection.execute(query)}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (provider, _, _), outcome in last.items():
        if outcome in _WORDS:
            counts[str(provider)][_WORDS[outcome]] += 1
    parts = [f"{name}: " + ", ".join(f"{n:,} {word}" for word, n in sorted(of.items())) for name, of in sorted(counts.items())]
    return f"not all was answered ({'; '.join(parts)}), it is asked for again later" if parts else ""
