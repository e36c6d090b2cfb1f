"""A raw schema with a few rows, made from the declared columns; no model is built here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from soundscope.ingest.raw_schema import COMMON, PROVIDERS_TABLE, RAW
from soundscope.ingest.typed import create_raw

__all__ = ["FETCHED", "add", "clear", "columns", "connect", "create_raw"]
FETCHED = datetime(2024, 3, 1, 6, 0, 0)


def columns(table: str) -> dict[str, str]:
    """Column names and DuckDB types of a raw table."""
    if table == "providers":
        return {name: column.type for name, column in PROVIDERS_TABLE.columns.items()}
    return {name: column.type for name, column in {**COMMON, **RAW[table].columns}.items()}


def connect(file: Path) -> duckdb.DuckDBPyConnection:
    """A connection with the storage version of the warehouse."""
    return duckdb.connect(str(file), config={"storage_compatibility_version": "v1.5.0", "threads": 2})


def add(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]], **common: Any) -> None:
    """Insert rows given as mappings; absent columns are NULL, the common ones have defaults."""
    names = columns(table)
    known = connection.execute(f"select count(*) from raw.{table}").fetchone()
    assert known is not None
    for number, row in enumerate(rows, start=known[0]):
        defaults = {"run_id": "run-1", "fetched_at": FETCHED, "landing_file": "a.ndjson.zst", "row_no": number}
        values = {**(defaults if "run_id" in names else {}), **common, **row}
        unknown = set(values) - set(names)
        assert not unknown, f"raw.{table} has no column {unknown}"
        marks = ", ".join("?" for _ in values)
        fields = ", ".join(f'"{name}"' for name in values)
        connection.execute(f"insert into raw.{table} ({fields}) values ({marks})", list(values.values()))


def clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty every raw table."""
    for table in (*RAW, "providers"):
        connection.execute(f"delete from raw.{table}")
