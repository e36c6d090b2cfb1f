"""A small private warehouse, and how to fill and publish it. Several files of this folder start child processes that do the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from soundscope.settings import Settings
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.publish import OpsTable, new_release_id, publish
from soundscope.warehouse.releases import Release

TABLES = ("core.tracks", "marts.track_features")


def fill_writer(settings: Settings, counter: int, rows: int = 100) -> None:
    """Two tables that carry the same counter in every row, comments on everything, and a raw table that is not published."""
    with writer_lock(settings):
        writer = open_writer(settings)
        for name in TABLES:
            schema = name.partition(".")[0]
            writer.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            writer.execute(
                f"CREATE OR REPLACE TABLE {name} AS "
                f"SELECT 'name:' || md5(i::VARCHAR) AS track_id, {counter} AS counter, i / 7.0 AS tempo FROM range({rows}) t(i)"
            )
            writer.execute(f"COMMENT ON TABLE {name} IS 'One row per track; it''s small.'")
            writer.execute(f"COMMENT ON COLUMN {name}.track_id IS 'Our id; see \"track_id\".'")
            writer.execute(f"COMMENT ON COLUMN {name}.counter IS 'Which publish.'")
            writer.execute(f"COMMENT ON COLUMN {name}.tempo IS 'Beats per minute.'")
        writer.execute("CREATE SCHEMA IF NOT EXISTS raw")
        writer.execute("CREATE TABLE IF NOT EXISTS raw.tracks AS SELECT 1 AS payload")
        writer.close()


def ops_tables() -> dict[str, OpsTable]:
    """One ledger table with an instant that has a zone, and a column without any value."""
    frame = pd.DataFrame(
        {
            "run_id": ["r1", "r2"],
            "started_at": pd.to_datetime(["2026-01-01T10:00:00+01:00", "2026-01-02T10:00:00+01:00"], utc=True),
            "message": pd.Series([None, None], dtype=object),
            "n_rows": pd.Series([None, None], dtype=object),
        }
    )
    columns = {
        "run_id": "The run.",
        "started_at": "When it began (UTC).",
        "message": "What it said.",
        "n_rows": "Rows it wrote.",
    }
    return {"runs": OpsTable(frame, "One row per run.", columns, {"n_rows": "BIGINT"})}


def publish_small(settings: Settings, *, force: bool = False) -> Release:
    """Publish whatever the private warehouse holds, under a new id."""
    return publish(
        settings, new_release_id(datetime.now(UTC)), ops=ops_tables(), info={"run_id": "r2", "n_charts": 3}, force=force
    )


@pytest.fixture
def published(settings: Settings) -> Release:
    """A first release, counter 1."""
    fill_writer(settings, 1)
    return publish_small(settings)
