"""What a table holds, as one short text: whether two tables hold the same is told without comparing them row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb


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
    columns = con.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
        "and database_name = coalesce(?, current_database()) order by column_index",
        [schema, table, database],
    ).fetchall()
    if not columns:
        return None
    if not look:
        defined = con.execute(
            "select sql from duckdb_views() where schema_name = ? and view_name = ? and database_name = coalesce(?, current_database())",
            [schema, table, database],
        ).fetchall()
        return Content(digest([columns, defined]), 0)
    name = ".".join(f'"{part}"' for part in (database, schema, table) if part)
    n, total, mixed = con.execute(f"select count(*), sum(hash(t)), bit_xor(hash(t)) from {name} as t").fetchall()[0]
    return Content(digest([columns, n, total, mixed]), int(n))


def digest(parts: Iterable[object]) -> str:
    """A hash of values by what they look like."""
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:32]
