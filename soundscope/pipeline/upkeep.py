"""Keeping an installation small: old notes leave the ledger, and the private file gives back the space that it no longer uses.

What may not be kept any longer (a provider's terms) is removed by `purge.expire`; what landing need not keep, by `thinning`.
"""

from __future__ import annotations

import os
from contextlib import closing
from datetime import datetime, timedelta

import duckdb
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.run import Run
from soundscope.warehouse.connect import STORAGE_VERSION, open_writer, require_space
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.releases import sync

# Below this nobody minds, and DuckDB fills free blocks again before it makes the file larger.
SMALL = 64 << 20
FREE_SHARE = 0.4
# Calls count for a budget while its window lasts, at most a day; some more are kept to be looked at.
_CALLS_KEPT = timedelta(days=30)
_EPOCH = datetime(1970, 1, 1)


def trim_ledger(run: Run) -> dict[str, int]:
    """Remove notes older than `retention.ledger_days`: attempts, results of checks, ended runs; and calls of more than a month ago.

    What is held, wanted, published or decided stays: units, landed files, releases, and checks that a person has overridden.

    Returns:
        Rows removed per table.
    """
    limit = utcnow() - timedelta(days=run.settings.retention.ledger_days)
    old = {
        t.fetch_attempts: t.fetch_attempts.c.attempted_at < limit,
        t.check_results: sa.and_(t.check_results.c.checked_at < limit, t.check_results.c.status != "overridden"),
        t.runs: sa.and_(t.runs.c.ended_at < limit, t.runs.c.status != "running"),
        t.requests: t.requests.c.sent_at < (utcnow() - _CALLS_KEPT - _EPOCH).total_seconds(),
    }
    removed = {}
    with run.ledger.begin() as connection:
        for table, is_old in old.items():
            n = connection.execute(sa.delete(table).where(is_old)).rowcount
            if n:
                removed[table.name] = n
    if removed and run.ledger.engine.dialect.name == "sqlite":
        with run.ledger.read() as connection:
            connection.exec_driver_sql("vacuum")
    return removed


def compact_writer(run: Run, *, small: int = SMALL, share: float = FREE_SHARE) -> tuple[int, int] | None:
    """Copy the private file into a new one where much of it is free; returns its size in bytes before and after, or None if it is not worth it.

    The copy takes the old one's place in one step, after its tables and rows have been compared; a kill before that leaves the old one.

    Args:
        run: a run that holds the writer lock.
        small: files up to so many bytes are left alone.
        share: of free blocks from which it is worth it, 0..1.
    Raises:
        DiskFull: there is no space for the copy.
        SoundScopeError: the copy is not like the original; it is thrown away.
    """
    file = run.settings.paths.writer
    fresh = file.with_name("writer.compact.duckdb")
    if not file.exists() or file.stat().st_size <= small:
        return None
    with writer_lock(run.settings):
        with closing(open_writer(run.settings)) as con:
            con.execute("checkpoint")
            total, free = con.execute("select total_blocks, free_blocks from pragma_database_size()").fetchall()[0]
            if free < share * total:
                return None
            before = file.stat().st_size
            require_space(file.parent, before, "a smaller copy of the private warehouse")
            fresh.unlink(missing_ok=True)
            source = str(con.execute("select current_database()").fetchall()[0][0])
            con.execute(f"attach '{str(fresh).replace(chr(39), chr(39) * 2)}' as compact (storage_version '{STORAGE_VERSION}')")
            con.execute(f'copy from database "{source}" to compact')
            alike = _contents(con, source) == _contents(con, "compact")
            con.execute("detach compact")
        if not alike:
            fresh.unlink()
            raise SoundScopeError(
                "The smaller copy of the private warehouse is not like the original.", next_step="nothing was changed; report it."
            )
        fresh.chmod(file.stat().st_mode & 0o777)
        sync(fresh)
        os.replace(fresh, file)
        sync(file.parent)
    return before, file.stat().st_size


def _contents(con: duckdb.DuckDBPyConnection, database: str) -> list[tuple[str, str, int, str]]:
    query = "select schema_name, table_name, coalesce(comment, '') from duckdb_tables() where database_name = ? and not internal order by all"
    return [
        (schema, name, int(con.execute(f'select count(*) from "{database}"."{schema}"."{name}"').fetchall()[0][0]), comment)
        for schema, name, comment in con.execute(query, [database]).fetchall()
    ]
