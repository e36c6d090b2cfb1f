"""Comments: carrying them from one database to another, and the view `main.dictionary`. Their texts are written elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

_TABLES = """
    SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = $database
    UNION ALL
    SELECT schema_name, view_name, comment FROM duckdb_views() WHERE database_name = $database AND NOT internal
"""
_COLUMNS = """
    SELECT schema_name, table_name, column_name, comment, data_type, column_index
    FROM duckdb_columns() WHERE database_name = $database AND NOT internal
"""
_ABOUT = "Every published table and column with its comment; a table's own comment stands in the row without a column."
_ABOUT_COLUMNS = {
    "table": "Schema and name of the table, as core.tracks.",
    "column": "Name of the column; NULL in the row that describes the table itself.",
    "type": "DuckDB type of the column; TABLE or VIEW in the row that describes the table itself.",
    "comment": "What a row of the table is, or what the column means, with its unit.",
}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def comment_on(
    connection: duckdb.DuckDBPyConnection, table: str, comment: str | None, columns: Mapping[str, str], kind: str = "TABLE"
) -> None:
    """Set the comments of one table or view, given by its full quoted name; an empty comment is left out."""
    if comment:
        connection.execute(f"COMMENT ON {kind} {table} IS {_literal(comment)}")
    for column, text in columns.items():
        if text:
            connection.execute(f"COMMENT ON COLUMN {table}.{quoted(column)} IS {_literal(text)}")


def copy_comments(connection: duckdb.DuckDBPyConnection, source: str, target: str, tables: Iterable[tuple[str, str]]) -> None:
    """Repeat the comments of these (schema, table) pairs of database `source` on the tables of the same name in `target`."""
    bound = {"database": source}
    about = {(s, t): comment for s, t, comment in connection.execute(_TABLES, bound).fetchall()}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, comment, *_ in connection.execute(_COLUMNS, bound).fetchall():
        columns.setdefault((schema, table), {})[column] = comment
    for schema, table in tables:
        name = f"{quoted(target)}.{quoted(schema)}.{quoted(table)}"
        comment_on(connection, name, about.get((schema, table)), columns.get((schema, table), {}))


def comments_of(
    connection: duckdb.DuckDBPyConnection, database: str
) -> dict[tuple[str, str], list[tuple[str | None, str | None]]]:
    """Per (schema, table) or view of a database its own comment, under None, and those of its columns, in one order."""
    bound = {"database": database}
    found: dict[tuple[str, str], list[tuple[str | None, str | None]]] = {}
    for schema, table, comment in connection.execute(_TABLES, bound).fetchall():
        found[schema, table] = [(None, comment)]
    for schema, table, column, comment, _, _ in sorted(connection.execute(_COLUMNS, bound).fetchall(), key=lambda row: row[:3]):
        found.setdefault((schema, table), []).append((column, comment))
    return found


def create_dictionary(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Make `main.dictionary` (table, column, type, comment) in an attached database, from the comments it holds by now.

    The rows are stored in `main.dictionary_entries`: a view over DuckDB's catalogue functions would have to know the name
    under which a reader attaches the file.
    """
    home = f"{quoted(database)}.main"
    connection.execute(
        f"""
        CREATE TABLE {home}.dictionary_entries AS
        WITH tables AS ({_TABLES}),
        columns AS ({_COLUMNS}),
        entries AS (
            SELECT schema_name, table_name, 0 AS place, NULL AS column_name, 'TABLE' AS type, comment FROM tables
            UNION ALL
            SELECT schema_name, table_name, column_index, column_name, data_type, comment FROM columns
        )
        SELECT schema_name || '.' || table_name AS "table", column_name AS "column", type, comment
        FROM entries WHERE table_name <> 'dictionary_entries' ORDER BY schema_name, table_name, place
        """,
        {"database": database},
    )
    shown: list[tuple[str, str | None, str, str]] = [("main.dictionary", None, "VIEW", _ABOUT)]
    shown += [("main.dictionary", column, "VARCHAR", text) for column, text in _ABOUT_COLUMNS.items()]
    for row in shown:
        connection.execute(f"INSERT INTO {home}.dictionary_entries VALUES (?, ?, ?, ?)", row)
    connection.execute(f"CREATE VIEW {home}.dictionary AS SELECT * FROM main.dictionary_entries")
    comment_on(connection, f"{home}.dictionary_entries", "The rows of main.dictionary.", _ABOUT_COLUMNS)
    comment_on(connection, f"{home}.dictionary", _ABOUT, _ABOUT_COLUMNS, kind="VIEW")


def missing_comments(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """The tables, as `schema.table`, and columns, as `schema.table.column`, of a database that carry no comment."""
    bound = {"database": database}
    tables = [f"{s}.{t}" for s, t, comment in connection.execute(_TABLES, bound).fetchall() if not comment]
    columns = [
        f"{schema}.{table}.{column}"
        for schema, table, column, comment, *_ in connection.execute(_COLUMNS, bound).fetchall()
        if not comment
    ]
    return sorted(tables + columns)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
