"""An upgrade that reads answers in another way than before: the raw tables are loaded anew from landing, by the first run that notices.

What is built from them is built anew anyway, because the fingerprint of a release covers the same files (`steps.news_step`).
"""

from __future__ import annotations

import hashlib
from contextlib import closing

import duckdb

from soundscope.ingest.load import replay
from soundscope.ingest.raw_schema import COMMON, RAW
from soundscope.settings import PROJECT, Settings
from soundscope.warehouse.connect import open_writer

# What decides how a landed answer becomes rows.
_RULES = (
    "ingest/fields.py",
    "ingest/identity.py",
    "ingest/import_*.py",
    "ingest/load.py",
    "ingest/raw_schema.py",
    "ingest/typed.py",
    "ingest/written_*.py",
    "sources/*.py",
)


def reading_rules() -> str:
    """Hash of the code that turns landed answers into raw rows."""
    digest = hashlib.sha256()
    for pattern in _RULES:
        for file in sorted((PROJECT / "soundscope").glob(pattern)):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def renew_writer(settings: Settings, rules: str | None = None) -> str | None:
    """Load landing anew if the raw tables were read by other rules than today's; returns what was done. To be called under the writer lock.

    So they are if they have columns that nobody knows. A file without a note of its rules gets one. Killed half-way, the next run does it again.

    Args:
        settings: whose warehouse.
        rules: today's, from `reading_rules` if left out.
    """
    rules = rules or reading_rules()
    held, strange = _look(settings) if settings.paths.writer.exists() else (None, False)
    if held == rules and not strange:
        return None
    with closing(open_writer(settings)) as con:
        said = None
        if held is not None or strange:
            # Types may have changed too, so the tables are made anew and not only emptied.
            con.execute("drop schema if exists raw cascade")
            result = replay(con, settings.paths.landing)
            rows = sum(result.rows.values())
            said = (
                f"this version reads answers in another way: {rows:,} rows were loaded anew from {result.files:,} landing files"
            )
        con.execute("create or replace table main.read_by as select ? as rules", [rules])
    return said


def _look(settings: Settings) -> tuple[str | None, bool]:
    """The noted rules, and whether a raw table has columns that nobody knows."""
    columns = (
        "select table_name, column_name from duckdb_columns() where schema_name = 'raw' and database_name = current_database()"
    )
    noted = "select count(*) from duckdb_tables() where schema_name = 'main' and table_name = 'read_by'"
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        found = con.execute(columns).fetchall()
        row = con.execute("select rules from main.read_by").fetchone() if con.execute(noted).fetchone() == (1,) else None
    strange = any(name in RAW and column not in {**RAW[name].columns, **COMMON} for name, column in found)
    return (str(row[0]) if row else None), strange
