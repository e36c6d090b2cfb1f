"""A release that begins as a copy of the one before holds what one written anew holds, whatever the one before is worth."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from small_warehouse import fill_writer, publish_small

from soundscope.settings import Settings
from soundscope.warehouse import candidate
from soundscope.warehouse import publish as publishing
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.publish import new_release_id, publish
from soundscope.warehouse.releases import Release

pytestmark = pytest.mark.e2e


@pytest.fixture
def upon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases of any size are built upon."""
    monkeypatch.setattr(publishing, "_COPIED_FROM", 0)
    monkeypatch.setattr(publishing, "_LEAST_USED", 0.0)


def write(settings: Settings, *statements: str) -> None:
    with writer_lock(settings):
        writer = open_writer(settings)
        for statement in statements:
            writer.execute(statement)
        writer.close()


def holds(file: Path) -> dict[str, object]:
    """Everything of a release but its own name and time."""
    with duckdb.connect(str(file), read_only=True) as con:
        tables = con.execute("select schema_name, table_name, comment from duckdb_tables() order by 1, 2").fetchall()
        found: dict[str, object] = {"tables": tables}
        for schema, table, _ in tables:
            if (schema, table) != ("main", "release"):
                found[f"{schema}.{table}"] = con.execute(f"from {schema}.{table} order by all").fetchall()
        found["columns"] = con.execute(
            "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() where not internal order by all"
        ).fetchall()
        return found


def test_a_copy_brought_up_to_date_equals_a_release_written_anew(
    settings: Settings, published: Release, upon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        settings,
        "create table core.gone as select 1 as n",
        "comment on table core.gone is 'Soon gone.'",
        "comment on column core.gone.n is 'One.'",
        "create table core.stays as select range as n from range(5000)",
        "comment on table core.stays is 'Stays.'",
        "comment on column core.stays.n is 'Number.'",
        "create table core.audio as select 'name:' || range as track_id, range as n from range(5000)",
        "comment on table core.audio is 'Few tracks change.'",
        "comment on column core.audio.track_id is 'Track.'",
        "comment on column core.audio.n is 'Number.'",
    )
    publish_small(settings)
    write(
        settings,
        "drop table core.gone",
        "update core.tracks set counter = 2",
        "update core.audio set n = -1 where n in (7, 8)",
        "delete from core.audio where n = 9",
        "insert into core.audio values ('name:new', 1), (null, 2)",
        "comment on column marts.track_features.tempo is 'Beats in a minute.'",
        "create schema ml",
        "create table ml.added as select 'x' as name",
        "comment on table ml.added is 'Added.'",
        "comment on column ml.added.name is 'Name.'",
    )
    copied: list[list[str]] = []

    def watched(writer: duckdb.DuckDBPyConnection, source: str) -> tuple[dict[str, int], list[str]]:
        rows, names = copy_tables(writer, source)
        copied.append(names)
        return rows, names

    copy_tables = candidate._copy_tables
    monkeypatch.setattr(candidate, "_copy_tables", watched)
    quick = publish(settings, new_release_id(datetime.now(UTC)), ops={}, info={}, force=True)
    assert copied == [["core.tracks", "marts.track_features", "ml.added"]]
    monkeypatch.setattr(publishing, "_COPIED_FROM", 1 << 40)
    anew = publish(settings, new_release_id(datetime.now(UTC)), ops={}, info={}, force=True)
    assert len(copied[1]) == 5
    assert holds(quick.path) == holds(anew.path)
    assert quick.rows == anew.rows
    assert published.path.exists()


def test_what_somebody_wrote_into_the_release_before_does_not_come_along(
    settings: Settings, published: Release, upon: None
) -> None:
    published.path.chmod(0o600)
    with duckdb.connect(str(published.path)) as con:
        con.execute("update core.tracks set tempo = 0")
    second = publish_small(settings)
    with duckdb.connect(str(second.path), read_only=True) as con:
        assert con.execute("select count(*) from core.tracks where tempo > 0").fetchall() == [(99,)]


def test_a_damaged_release_before_is_not_built_upon(
    settings: Settings, upon: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill_writer(settings, 1, rows=200_000)
    first = publish_small(settings)
    size = first.path.stat().st_size
    first.path.chmod(0o600)
    with first.path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 3))
    # The head of the file is whole, so only reading its tables tells.
    monkeypatch.setattr(publishing, "_is_base", lambda _release: True)
    with caplog.at_level(logging.WARNING, logger="soundscope"):
        second = publish_small(settings)
    assert "could not be built upon" in caplog.text
    with duckdb.connect(str(second.path), read_only=True) as con:
        assert con.execute("select count(*), max(counter) from core.tracks").fetchall() == [(200_000, 1)]
