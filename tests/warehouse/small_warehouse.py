"""A small private warehouse, how to fill and publish it, and what the child processes of these tests do."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pandas as pd

from soundscope.settings import Settings, load_settings
from soundscope.warehouse.connect import open_release, open_writer
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.publish import OpsTable, new_release_id, publish
from soundscope.warehouse.releases import Release

STEPS = ("open", "os.rename", "os.link", "os.remove", "os.chmod")
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


def consistent_counter(file: Path) -> int:
    """The counter that a release carries; fails if it is not whole."""
    with duckdb.connect(str(file), read_only=True, config={"threads": 1}) as reader:
        counters = set()
        for name in TABLES:
            counters |= set(reader.execute(f"SELECT counter, count(*) FROM {name} GROUP BY ALL").fetchall())
        assert len(counters) == 1, f"a mixture of releases: {counters}"
        assert reader.execute("SELECT count(*) FROM main.release").fetchall() == [(1,)]
        return int(counters.pop()[0])


def settings_of(home: Path) -> Settings:
    """Settings of a home folder, for a child process."""
    os.environ["SOUNDSCOPE_HOME"] = str(home)
    return load_settings()


def read_until(home: Path, stop: Path, pipe: Connection) -> None:
    """Child: open and read the published file in a loop until `stop` exists; sends the counters seen."""
    published, seen = settings_of(home).paths.published, []
    pipe.send("ready")
    while not stop.exists():
        seen.append(consistent_counter(published))
    pipe.send(seen)


def publish_for_ever(home: Path, counter: int, pipe: Connection) -> None:
    """Child: fill and publish in a loop until killed; says when it begins."""
    settings = settings_of(home)
    pipe.send("ready")
    while True:
        counter += 1
        fill_writer(settings, counter)
        publish_small(settings)


def publish_and_die_at(home: Path, step: int) -> None:
    """Child: publish, killed just before the given file operation in the warehouse (1 is the first one)."""
    settings = settings_of(home)
    inside, operations = str(settings.paths.warehouse), 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal operations
        reads = event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS and not reads and str(arguments[0]).startswith(inside):
            operations += 1
            if operations == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    publish_small(settings)


def write_and_die(file: Path) -> None:
    """Child: open a file for writing, as nobody should, write, and be killed before the log is merged."""
    connection = duckdb.connect(str(file), config={"checkpoint_threshold": "1GB"})
    connection.execute("CREATE TABLE main.careless AS SELECT range AS i FROM range(1000)")
    os.kill(os.getpid(), signal.SIGKILL)


def sort_more_than_fits(home: Path, factor: int, pipe: Connection) -> None:
    """Child: sort far more than the memory allows on the current release; sends the rows sorted."""
    os.environ["SOUNDSCOPE_ENGINE__MEMORY_LIMIT"] = "60MB"
    os.environ["SOUNDSCOPE_ENGINE__THREADS"] = "1"
    with open_release(settings_of(home)) as reader:
        ordered = f"row_number() OVER (ORDER BY md5((range * {factor})::VARCHAR)) AS place FROM range(1500000)"
        pipe.send("ready")
        pipe.send(reader.execute(f"SELECT count(*), max(place) FROM (SELECT {ordered})").fetchall())


def hold_lock(home: Path, pipe: Connection) -> None:
    """Child: take the writer lock and sleep on it."""
    with writer_lock(settings_of(home), command="soundscope run"):
        pipe.send("ready")
        time.sleep(60)


def write_privately_and_die(home: Path) -> None:
    """Child: write to the private file under the lock, and be killed before the log is merged."""
    settings = settings_of(home)
    with writer_lock(settings, command="soundscope run"):
        writer = open_writer(settings)
        writer.execute("SET checkpoint_threshold = '1GB'")
        writer.execute("CREATE TABLE main.half_way AS SELECT range AS i FROM range(1000)")
        os.kill(os.getpid(), signal.SIGKILL)
