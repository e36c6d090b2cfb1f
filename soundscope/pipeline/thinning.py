"""What landing need not keep for ever: results of SoundScope itself that newer ones have replaced.

A file goes only if it is older than `retention.landing_days` and no table built now, or from landing alone, would miss a row of it. Answers of
providers, imports, links, decisions, trainings and back-tests are never touched here; `purge` and `expire` remove those, for other reasons.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import sqlalchemy as sa

from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.raw_schema import RAW
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.purge import landed_at
from soundscope.pipeline.run import Run
from soundscope.sources.internal import PROVIDER

# Kinds whose files may be replaced by newer ones as a whole; all of them can be computed again.
_KINDS = ("align", "score")
_REPLACEABLE = ("alignment_batches", "alignment", "alignment_contributions", "predictions", "explanations")
# The rows that count, as the models and the steps choose them. The newest batch of a date counts even if it is empty: it hides older ones.
_COUNTING = """
with landed_last as (
    select * from raw.alignment_batches
    qualify row_number() over (
        partition by chart, kind, as_of order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
),

batches as (
    select * from landed_last
    qualify kind = 'charting' or row_number() over (
        partition by chart, kind order by scored_at desc nulls last, fetched_at desc nulls last, as_of desc nulls last
    ) = 1
)

select landing_file from batches
union
select landing_file from raw.alignment where batch_id in (select batch_id from batches)
union
select landing_file from raw.alignment_contributions where batch_id in (select batch_id from batches)
union
(
    select landing_file from raw.predictions
    qualify scored_at is not distinct from max(scored_at) over (partition by track_id, model_id)
)
union
(
    select landing_file from raw.explanations
    qualify explained_at is not distinct from max(explained_at) over (partition by track_id, model_id)
)
"""


def thin_landing(run: Run, now: datetime | None = None) -> tuple[int, int]:
    """Remove landed results that newer ones have replaced, with their raw rows and the ledger's notes of them.

    Killed half-way, the rest is removed the next time.

    Args:
        run: an open run that holds the writer lock.
        now: the instant (UTC) to judge by.
    Returns:
        Files removed, and their bytes.
    """
    root = run.settings.paths.landing
    limit = (now or utcnow()) - timedelta(days=run.settings.retention.landing_days)
    folders = [root / PROVIDER / kind for kind in _KINDS]
    old = [path for folder in folders if folder.exists() for path in landing.files(folder) if landed_at(path) < limit]
    if not old:
        return 0, 0
    with run.writer() as con:
        create_raw(con)
        kept = _needed(con) | _settling(run)
        loaded = {row[0] for row in con.execute("select landing_file from raw.loaded_files").fetchall()}
        surplus = {path.relative_to(root).as_posix(): path for path in old}
        surplus = {name: path for name, path in surplus.items() if name in loaded and name not in kept}
        if not surplus:
            return 0, 0
        con.execute("begin")
        for table in (*_REPLACEABLE, "loaded_files"):
            con.execute(f"delete from raw.{table} where landing_file in (select unnest(?))", [list(surplus)])
        con.execute("commit")
    run.ledger.remove_files(list(surplus))
    size = sum(path.stat().st_size for path in surplus.values())
    for path in surplus.values():
        path.unlink()
    run.ledger.settle_store()
    return len(surplus), size


def _needed(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Files with a row that counts, or with rows of which nothing is known here."""
    names = {row[0] for row in con.execute(_COUNTING).fetchall()}
    for table in {*RAW, "quarantine"} - set(_REPLACEABLE):
        names |= {row[0] for row in con.execute(f"select distinct landing_file from raw.{table}").fetchall()}
    return names


def _settling(run: Run) -> set[str]:
    """Files by which the ledger knows that something is done."""
    with run.ledger.read() as connection:
        query = sa.select(t.units.c.landing_file).where(t.units.c.landing_file.is_not(None)).distinct()
        return set(connection.execute(query).scalars())
