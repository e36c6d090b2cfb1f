"""What a table holds, as one short text: whether two tables hold the same is told without comparing them row by row; and making a copy
the same again where few of its tracks differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

_PARTS = 16384


@dataclass(frozen=True)
class Content:
    """A hash of columns, types and rows, in whatever order the rows lie; and how many there are."""

    digest: str
    rows: int


def content_of(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, *, database: str | None = None, look: bool = True
) -> Content | None:
    """The content of a table or view; None if there is no such thing.

    DuckDB's 64-bit hash of every row, summed up and mixed. It says nothing across versions of DuckDB.

    Args:
        con: any connection.
        schema, table: which.
        database: name of an attached database; by default the one the connection is in.
        look: read the rows; of a view one may want to know only how it is defined.
    """
    columns = _columns(con, schema, table, database)
    if not columns:
        return None
    if not look:
        defined = con.execute(
            "select sql from duckdb_views() where schema_name = ? and view_name = ? and database_name = coalesce(?, current_database())",
            [schema, table, database],
        ).fetchall()
        return Content(digest([columns, defined]), 0)
    name = _name(database, schema, table)
    n, total, mixed = con.execute(f"select count(*), sum(hash(t)), bit_xor(hash(t)) from {name} as t").fetchall()[0]
    return Content(digest([columns, n, total, mixed]), int(n))


def bring_forward(con: duckdb.DuckDBPyConnection, schema: str, table: str, *, source: str, target: str) -> bool:
    """Make a table of tracks hold what another database's holds, by replacing the rows of those tracks that differ.

    Tracks are cut into parts by a hash of their id, and parts compared by what their rows come to. Rows that came lie behind the others.

    Args:
        con: a connection that both databases are attached to.
        schema, table: which.
        source: name of the database that has it as it should be.
        target: name of the database to change.

    Returns:
        Whether the tables now hold the same; False, and nothing done, for a table without `track_id`, one of other columns, or one that
        differs in more than a third of its parts: copying it is quicker.
    """
    columns = _columns(con, schema, table, source)
    if columns != _columns(con, schema, table, target) or "track_id" not in [name for name, _ in columns]:
        return False
    part = f"hash(track_id) % {_PARTS}"
    ours, theirs = (_name(database, schema, table) for database in (source, target))
    held = "select {part} as part, count(*) as n, sum(hash(t)) as total, bit_xor(hash(t)) as mixed from {name} as t group by all"
    found = [
        str(row[0])
        for row in con.execute(
            f"with ours as materialized ({held.format(part=part, name=ours)}), theirs as materialized ({held.format(part=part, name=theirs)}) "
            "select distinct part from ((from ours except from theirs) union (from theirs except from ours))"
        ).fetchall()
    ]
    if not found:
        return True
    if 3 * len(found) > con.execute(f"select count(distinct {part}) from {ours}").fetchall()[0][0]:
        return False
    those = f"{part} in ({', '.join(found)})"
    con.execute(f"delete from {theirs} where {those}")
    con.execute(f"insert into {theirs} select * from {ours} where {those}")
    return True


def _columns(con: duckdb.DuckDBPyConnection, schema: str, table: str, database: str | None) -> list[tuple[str, str]]:
    return con.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
        "and database_name = coalesce(?, current_database()) order by column_index",
        [schema, table, database],
    ).fetchall()


def _name(*parts: str | None) -> str:
    return ".".join(f'"{part}"' for part in parts if part)


def digest(parts: Iterable[object]) -> str:
    """A hash of values by what they look like."""
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:32]
