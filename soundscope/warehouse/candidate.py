"""The file that may become a release: filling it from the private file, and checking its structure. Publishing it is `publish`.

A candidate may begin as a copy of the release before: a table that holds the same in both is then left as it is. Whether the *values* are right was decided before, by the tests of the SQL models; here it is only whether everything arrived.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from soundscope.errors import BadInput, CheckFailed
from soundscope.warehouse.connect import STORAGE_VERSION
from soundscope.warehouse.content import bring_forward, content_of
from soundscope.warehouse.dictionary import comment_on, comments_of, copy_comments, create_dictionary, missing_comments, quoted
from soundscope.warehouse.releases import Release

SCHEMAS = ("core", "marts", "ml")
DATABASE = "candidate"

# Physical order of the larger tables: readers filter by these, and a sorted table skips blocks and compresses better.
_ORDER = {
    "core.tracks": "track_id",
    "core.chart_entries": "chart, chart_date, rank",
    "core.track_matches": "title, artist, run_no",
    "core.audio_features": "track_id, provider",
    "core.track_genres": "track_id, genre, source",
    "core.popularity_history": "track_id, provider, valid_from",
    "marts.track_features": "track_id",
    "marts.chart_trends": "chart, feature, window_weeks, chart_date",
    "marts.genre_share": "chart, chart_date, genre",
    "marts.popularity_alignment": "chart, as_of, track_id",
    "marts.alignment_contributions": "chart, as_of, track_id, feature",
    "ml.predictions": "model_id, track_id, rank",
    "ml.explanations": "model_id, track_id, feature",
}
_SORT_AT_MOST = 5_000_000


@dataclass(frozen=True)
class OpsTable:
    """One table of `ops`: its rows, its comment, the comment of every column, and DuckDB types where the rows may not tell them.

    Instants with a time zone are stored as naive UTC. A column that is empty and has no type given becomes VARCHAR.
    """

    frame: pd.DataFrame
    comment: str
    column_comments: Mapping[str, str]
    column_types: Mapping[str, str] = field(default_factory=dict)


def fill(
    writer: duckdb.DuckDBPyConnection, file: Path, ops: Mapping[str, OpsTable], identity: Mapping[str, tuple[Any, str]]
) -> dict[str, int]:
    """Copy `core`, `marts`, `ml` as of now into a file, add `ops.*`, `main.release` and `main.dictionary`.

    Args:
        writer: a connection to the private file, in no transaction.
        file: the file to make; or a copy of a release, which is brought up to date.
        ops: the tables of schema `ops`, by name.
        identity: the columns of the one row of `main.release`: value and comment.

    Returns:
        Rows per `schema.table` as counted in the source, of all tables copied and given.

    Raises:
        BadInput: the name of an `ops` table or a column of `main.release` is no plain lower-case name.
        CheckFailed: the private file holds no table to publish.
        duckdb.Error: the copy failed; the file is to be deleted.
    """
    source = str(writer.execute("SELECT current_database()").fetchall()[0][0])
    writer.execute(f"ATTACH '{str(file).replace(chr(39), chr(39) * 2)}' AS {DATABASE} (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        # One transaction, so that all tables are copied as of one instant whatever other threads write.
        writer.execute("BEGIN")
        _remove_own(writer)
        rows, copied = _copy_tables(writer, source)
        writer.execute("COMMIT")
        writer.execute("BEGIN")
        copy_comments(writer, source, DATABASE, [(schema, table) for schema, table in map(_split, copied)])
        rows |= _create_ops(writer, ops)
        _create_release(writer, identity)
        create_dictionary(writer, DATABASE)
        writer.execute("COMMIT")
    except BaseException:
        # The first error is the one to report; a failed commit has already rolled back, and may have detached.
        for statement in ("ROLLBACK", f"DETACH {DATABASE}"):
            with suppress(duckdb.Error):
                writer.execute(statement)
        raise
    writer.execute(f"DETACH {DATABASE}")
    return rows


def check(file: Path, expected: Mapping[str, int], previous: Release | None, *, force: bool) -> None:
    """Check a finished candidate, opened read-only from its own file.

    Args:
        file: the candidate.
        expected: rows per `schema.table` that `fill` counted.
        previous: the release to compare with, or None.
        force: accept tables of `core`, `marts` and `ml` that have lost all their rows or have disappeared.

    Raises:
        CheckFailed: with all that is wrong.
    """
    with duckdb.connect(str(file), read_only=True) as connection:
        problems = _structure(connection, expected)
    if previous is not None and not force:
        problems += _losses(expected, previous)
    if problems:
        shown = "\n".join(f"  - {problem}" for problem in problems[:12])
        more = f"\n  - and {len(problems) - 12} more" if len(problems) > 12 else ""
        raise CheckFailed(
            f"The candidate release has {len(problems)} problem(s) and was not published:\n{shown}{more}",
            next_step="correct the cause and run again; `soundscope publish --force` accepts a table that is meant to be empty.",
        )


def _remove_own(writer: duckdb.DuckDBPyConnection) -> None:
    """Take out of a copied release what is made anew for each: `ops`, and what `main` says of the release."""
    writer.execute(f"DROP SCHEMA IF EXISTS {DATABASE}.ops CASCADE")
    writer.execute(f"DROP VIEW IF EXISTS {DATABASE}.main.dictionary")
    for table in ("release", "dictionary_entries"):
        writer.execute(f"DROP TABLE IF EXISTS {DATABASE}.main.{table}")


def _copy_tables(writer: duckdb.DuckDBPyConnection, source: str) -> tuple[dict[str, int], list[str]]:
    """Bring every table over that is not there as it is; returns rows of all, and the names of those copied."""
    tables = writer.execute(
        """
        SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $source AND schema_name IN $schemas
        UNION ALL
        SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $source AND schema_name IN $schemas
        ORDER BY 1, 2
        """,
        {"source": source, "schemas": list(SCHEMAS)},
    ).fetchall()
    if not tables:
        raise CheckFailed("The private warehouse holds no table to publish.", next_step="run `soundscope build` first.")
    for schema in SCHEMAS:
        writer.execute(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.{schema}")
    same = _same(writer, source, tables)
    rows: dict[str, int] = {}
    copied = []
    for schema, table in tables:
        name = f"{quoted(schema)}.{quoted(table)}"
        if (schema, table) in same:
            rows[f"{schema}.{table}"] = same[schema, table]
            continue
        count = int(writer.execute(f"SELECT count(*) FROM {quoted(source)}.{name}").fetchall()[0][0])
        order = _ORDER.get(f"{schema}.{table}") if count <= _SORT_AT_MOST else None
        has = {row[0] for row in writer.execute(f"DESCRIBE {quoted(source)}.{name}").fetchall()}
        by = f" ORDER BY {order}" if order and has.issuperset(order.split(", ")) else ""
        writer.execute(f"CREATE OR REPLACE TABLE {DATABASE}.{name} AS SELECT * FROM {quoted(source)}.{name}{by}")
        rows[f"{schema}.{table}"] = count
        copied.append(f"{schema}.{table}")
    return rows, copied


def _same(writer: duckdb.DuckDBPyConnection, source: str, tables: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Tables that the candidate has as the source has them, comments included, with their rows; what the source has not is dropped.

    Of tables that lie in the order of tracks few tracks are replaced where few differ, and then they are the same. The candidate's own rows are read: what a release should hold is no proof of what its file does.
    """
    held = writer.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $database AND schema_name IN $schemas",
        {"database": DATABASE, "schemas": list(SCHEMAS)},
    ).fetchall()
    for schema, table in set(held) - set(tables):
        writer.execute(f"DROP TABLE {DATABASE}.{quoted(schema)}.{quoted(table)}")
    theirs, ours = comments_of(writer, DATABASE), comments_of(writer, source)
    same = {}
    for key in sorted(set(held) & set(tables)):
        if theirs.get(key) == ours.get(key):
            by_track = _ORDER.get(".".join(key), "track_id").startswith("track_id")
            if by_track and bring_forward(writer, *key, source=source, target=DATABASE):
                same[key] = int(
                    writer.execute(f"SELECT count(*) FROM {quoted(source)}.{quoted(key[0])}.{quoted(key[1])}").fetchall()[0][0]
                )
                continue
            content = content_of(writer, *key, database=source)
            if content is not None and content == content_of(writer, *key, database=DATABASE):
                same[key] = content.rows
    return same


def _create_ops(writer: duckdb.DuckDBPyConnection, ops: Mapping[str, OpsTable]) -> dict[str, int]:
    writer.execute(f"CREATE SCHEMA {DATABASE}.ops")
    rows: dict[str, int] = {}
    for name, table in ops.items():
        _plain_name(name, "table of ops")
        # A frame of its own name in this connection only, so that a caller's view of the same name is not replaced.
        writer.register("_ops_frame", table.frame)
        try:
            typed = writer.execute("DESCRIBE _ops_frame").fetchall()
            columns = ", ".join(_ops_column(table, row[0], row[1]) for row in typed)
            writer.execute(f"CREATE TABLE {DATABASE}.ops.{name} AS SELECT {columns} FROM _ops_frame")
        finally:
            writer.unregister("_ops_frame")
        comment_on(writer, f"{DATABASE}.ops.{name}", table.comment, table.column_comments)
        rows[f"ops.{name}"] = len(table.frame)
    return rows


def _ops_column(table: OpsTable, column: str, type_: str) -> str:
    _plain_name(column, "column of ops")
    value = f"{quoted(column)} AT TIME ZONE 'UTC'" if type_ == "TIMESTAMP WITH TIME ZONE" else quoted(column)
    if column in table.column_types:
        value = f"CAST({value} AS {table.column_types[column]})"
    elif table.frame[column].dtype == object and table.frame[column].isna().all():
        value = f"CAST({value} AS VARCHAR)"
    return f"{value} AS {quoted(column)}"


def _create_release(writer: duckdb.DuckDBPyConnection, identity: Mapping[str, tuple[Any, str]]) -> None:
    for column in identity:
        _plain_name(column, "column of main.release")
    columns = ", ".join(f"CAST(? AS {_sql_type(c, value)}) AS {quoted(c)}" for c, (value, _) in identity.items())
    values = [value for value, _ in identity.values()]
    writer.execute(f"CREATE TABLE {DATABASE}.main.release AS SELECT {columns}", values)
    about = "Which release this file is: one row."
    comment_on(writer, f"{DATABASE}.main.release", about, {column: text for column, (_, text) in identity.items()})


def _sql_type(column: str, value: Any) -> str:
    # bool before int: True is an int too.
    for kind, name in ((str, "VARCHAR"), (bool, "BOOLEAN"), (int, "BIGINT"), (float, "DOUBLE"), (datetime, "TIMESTAMP")):
        if isinstance(value, kind):
            return name
    if value is None:
        return "VARCHAR"
    raise BadInput(f"main.release cannot hold {column} = {value!r}.", next_step="give text, a number, a boolean or an instant.")


def _structure(connection: duckdb.DuckDBPyConnection, expected: Mapping[str, int]) -> list[str]:
    database, tags = connection.execute(
        "SELECT database_name, tags FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL"
    ).fetchall()[0]
    problems = []
    if tags.get("storage_version") != f"{STORAGE_VERSION}+":
        problems.append(f"the file has storage version {tags.get('storage_version')}, not {STORAGE_VERSION}+")
    found = {
        f"{schema}.{table}"
        for schema, table in connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'main'"
        ).fetchall()
    }
    problems += [f"table {name} is missing" for name in sorted(set(expected) - found)]
    problems += [f"table {name} is unexpected" for name in sorted(found - set(expected))]
    for name in sorted(found & set(expected)):
        schema, table = _split(name)
        count = connection.execute(f"SELECT count(*) FROM {quoted(schema)}.{quoted(table)}").fetchall()[0][0]
        if count != expected[name]:
            problems.append(f"table {name} has {count} rows, the private one {expected[name]}")
    problems += [f"{name} has no comment" for name in missing_comments(connection, database)]
    if connection.execute("SELECT count(*) FROM main.release").fetchall() != [(1,)]:
        problems.append("main.release does not have one row")
    return problems


def _losses(rows: Mapping[str, int], previous: Release) -> list[str]:
    problems = []
    for name, before in previous.rows.items():
        # Tables of ops lose their rows lawfully: a quarantine that was cleared, a budget not yet used.
        if name.startswith("ops.") or before == 0 or rows.get(name, 0) > 0:
            continue
        what = "is empty" if name in rows else "is gone"
        problems.append(f"table {name} {what}, and had {before} rows in release {previous.release_id}")
    return problems


def _plain_name(name: str, what: str) -> None:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise BadInput(f"{name!r} cannot be the name of a {what}.", next_step="use lower-case letters, digits and _.")


def _split(name: str) -> tuple[str, str]:
    schema, _, table = name.partition(".")
    return schema, table
