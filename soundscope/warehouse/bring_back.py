"""Tables that another engine built, brought from Parquet into the private file, so that they look as if DuckDB had built them.

Types and the order of columns come from the models' own SQL as DuckDB reads it; views stay views. How the files came to be is `spark.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from soundscope.errors import DiskFull, SoundScopeError
from soundscope.warehouse.connect import is_disk_full
from soundscope.warehouse.dictionary import comment_on, quoted


@dataclass(frozen=True)
class Definition:
    """What DuckDB needs to know of a model or seed: its name, its SQL (None for a seed), and the comments it carries."""

    schema: str
    table: str
    sql: str | None
    is_view: bool
    comment: str
    column_comments: Mapping[str, str]

    @property
    def name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.table}"


def bring_back(
    con: duckdb.DuckDBPyConnection, definitions: Sequence[Definition], files_of: Callable[[str], Sequence[str | Path]]
) -> dict[str, int]:
    """Replace tables and views by what files say, all of them or none.

    Args:
        con: a connection to the private file, in no transaction.
        definitions: each after everything it reads.
        files_of: the Parquet files of `schema.table`; a partition is a folder chart_date=YYYY-MM-DD. No file means no row.

    Returns:
        Rows per table.

    Raises:
        SoundScopeError: files do not fit to the model; the private file is as it was.
        DiskFull: there is no room for the tables; the private file is as it was.
    """
    rows: dict[str, int] = {}
    doing = ""
    try:
        con.execute("begin")
        for definition in definitions:
            doing = definition.name
            _drop(con, definition)
        for definition in definitions:
            doing = definition.name
            name = f"{quoted(definition.schema)}.{quoted(definition.table)}"
            con.execute(f"create schema if not exists {quoted(definition.schema)}")
            if definition.is_view:
                con.execute(f"create view {name} as ({definition.sql})")
            else:
                rows[doing] = _fill(con, name, definition, [str(file) for file in files_of(doing)])
            kind = "VIEW" if definition.is_view else "TABLE"
            comment_on(con, name, definition.comment, definition.column_comments, kind=kind)
        con.execute("commit")
    except BaseException as error:
        with suppress(duckdb.Error):
            con.execute("rollback")
        if not isinstance(error, duckdb.Error):
            raise
        if is_disk_full(error):
            raise DiskFull(
                f"The disk filled up while {doing} was brought back; the private warehouse is as it was.",
                next_step="free some space and build again.",
            ) from error
        raise SoundScopeError(
            f"{doing} could not be brought back: {str(error).splitlines()[0]}; the private warehouse is as it was.",
            next_step="correct the model in sql/ and build again.",
        ) from error
    return rows


def _drop(con: duckdb.DuckDBPyConnection, definition: Definition) -> None:
    found = con.execute(
        "select table_type from information_schema.tables "
        "where table_catalog = current_database() and table_schema = ? and table_name = ?",
        [definition.schema, definition.table],
    ).fetchone()
    if found:
        kind = "view" if found[0] == "VIEW" else "table"
        con.execute(f"drop {kind} {quoted(definition.schema)}.{quoted(definition.table)}")


def _fill(con: duckdb.DuckDBPyConnection, name: str, definition: Definition, files: Sequence[str]) -> int:
    # Seeds have no SQL, and types that one file of Parquet tells. Names as chart_date=2024-01-06 are columns for the others.
    source = "read_parquet($files, hive_partitioning = $weeks, hive_types = {'chart_date': DATE})"
    weeks = any("chart_date=" in file for file in files)
    if not weeks:
        source = "read_parquet($files, hive_partitioning = false)"
    given = {"files": list(files)} | ({"weeks": True} if weeks else {})
    if definition.sql is None:
        con.execute(f"create table {name} as select * from {source}", given)
        return _count(con, name)
    con.execute(f"create table {name} as ({definition.sql}) with no data")
    if not files:
        return 0
    wanted = [row[0] for row in con.execute(f"describe {name}").fetchall()]
    found = [row[0] for row in con.execute(f"describe select * from {source}", given).fetchall()]
    if set(wanted) != set(found):
        raise SoundScopeError(
            f"{definition.name} came back with other columns: {', '.join(sorted(set(wanted) ^ set(found)))}.",
            next_step="the private warehouse is as it was; build again with --full.",
        )
    con.execute(f"insert into {name} by name select * from {source}", given)
    return _count(con, name)


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    found = con.execute(f"select count(*) from {name}").fetchone()
    return int(found[0]) if found else 0
