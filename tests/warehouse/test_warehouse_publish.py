"""What a release contains, and what keeps a candidate from becoming one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from small_warehouse import TABLES, consistent_counter, fill_writer, ops_tables, publish_small

from soundscope.errors import BadInput, CheckFailed
from soundscope.settings import Settings, load_settings
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.publish import OpsTable, new_release_id, publish
from soundscope.warehouse.releases import Release, list_releases, release_file
from soundscope.warehouse.shell import find_shell


def read(file: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def write(settings: Settings, *statements: str) -> None:
    with writer_lock(settings):
        connection = open_writer(settings)
        for statement in statements:
            connection.execute(statement)
        connection.close()


def test_release_id_tells_the_time_and_is_unique() -> None:
    noon = datetime(2026, 11, 22, 12, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    ids = {new_release_id(noon) for _ in range(50)}
    assert len(ids) > 40
    assert all(name.startswith("20261122T100001Z-") for name in ids)
    assert new_release_id(datetime(2026, 11, 22, 12, 0, 1)).startswith("20261122T120001Z-")


def test_tables_rows_and_comments_arrive(settings: Settings, published: Release) -> None:
    assert published.rows == {TABLES[0]: 100, TABLES[1]: 100, "ops.runs": 2}
    file = settings.paths.published
    assert read(file, "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main' ORDER BY 1") == [
        ("core",), ("marts",), ("ml",), ("ops",),
    ]  # fmt: skip
    assert read(file, "SELECT comment FROM duckdb_tables() WHERE table_name = 'tracks'") == [("One row per track; it's small.",)]
    without = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert read(file, without) == []
    assert read(file, "SELECT track_id FROM core.tracks") == read(file, "SELECT track_id FROM core.tracks ORDER BY 1")


def test_release_and_manifest_say_the_same(settings: Settings, published: Release) -> None:
    row = read(
        settings.paths.published, "SELECT release_id, schema_version, profile, is_synthetic, run_id, n_charts FROM main.release"
    )
    assert row == [(published.release_id, 1, "sandbox", True, "r2", 3)]
    assert read(settings.paths.published, "SELECT created_at FROM main.release") == [(published.created_at,)]
    manifest = json.loads(published.path.with_suffix(".json").read_text())
    assert manifest["rows"] == published.rows
    assert manifest["size"] == published.path.stat().st_size
    assert manifest["created_at"].endswith("Z")
    assert list_releases(settings) == [published]


def test_release_by_hand_has_typed_empty_columns(settings: Settings) -> None:
    fill_writer(settings, 1)
    zoned = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    publish(settings, new_release_id(datetime.now(UTC)), ops={}, info={"newest_chart_at": zoned, "note": None, "share": 0.5})
    types = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'release' AND column_index >= 7 ORDER BY column_index"
    assert read(settings.paths.published, types) == [
        ("run_id", "VARCHAR"), ("newest_chart_at", "TIMESTAMP"), ("note", "VARCHAR"), ("share", "DOUBLE"),
    ]  # fmt: skip
    assert read(settings.paths.published, "SELECT run_id, newest_chart_at FROM main.release") == [
        (None, datetime(2026, 1, 1, 11))
    ]


def test_ledger_tables_keep_their_types_and_instants_are_naive_utc(settings: Settings, published: Release) -> None:
    columns = "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'ops' ORDER BY column_index"
    assert read(settings.paths.published, columns) == [
        ("run_id", "VARCHAR"), ("started_at", "TIMESTAMP"), ("message", "VARCHAR"), ("n_rows", "BIGINT"),
    ]  # fmt: skip
    assert read(settings.paths.published, "SELECT started_at, message FROM ops.runs ORDER BY run_id") == [
        (datetime(2026, 1, 1, 9), None), (datetime(2026, 1, 2, 9), None),
    ]  # fmt: skip


def test_dictionary_is_whole_under_any_name(settings: Settings, published: Release) -> None:
    sql = 'SELECT "table", "column", type, comment FROM {}main.dictionary'
    own = read(settings.paths.published, sql.format(""))
    assert ("core.tracks", None, "TABLE", "One row per track; it's small.") in own
    assert ("core.tracks", "tempo", "DOUBLE", "Beats per minute.") in own
    assert all(comment for *_, comment in own)
    columns = read(
        settings.paths.published,
        "SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND table_name <> 'dictionary_entries'",
    )
    assert sum(column is not None for _, column, *_ in own) == columns[0][0]
    with duckdb.connect() as other:
        other.execute("CREATE TABLE dictionary_entries AS SELECT 'trap' AS trap")
        other.execute(f"ATTACH '{published.path}' AS elsewhere (READ_ONLY)")
        assert other.execute(sql.format("elsewhere.")).fetchall() == own
        other.execute("USE elsewhere")
        assert other.execute(sql.format("")).fetchall() == own


def test_published_file_is_read_only_and_of_the_agreed_storage_version(settings: Settings, published: Release) -> None:
    for file in (settings.paths.published, published.path):
        assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert read(settings.paths.published, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE path IS NOT NULL") == [
        ("v1.5.0+",)
    ]
    assert os.path.samefile(settings.paths.published, published.path)


def test_duckdb_shell_reads_it(settings: Settings, published: Release) -> None:
    command = [find_shell(), "-readonly", str(settings.paths.published), "-csv", "-c", "SELECT count(*) AS n FROM core.tracks"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert answer.stdout.split() == ["n", "100"]


def test_view_of_the_writer_becomes_a_table(settings: Settings) -> None:
    fill_writer(settings, 1)
    write(
        settings,
        "CREATE VIEW marts.fast AS SELECT track_id FROM core.tracks WHERE tempo > 10",
        "COMMENT ON VIEW marts.fast IS 'Fast ones.'",
        "COMMENT ON COLUMN marts.fast.track_id IS 'Our id.'",
    )
    release = publish_small(settings)
    assert release.rows["marts.fast"] == 29
    assert read(release.path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'fast'") == [("Fast ones.",)]


def test_open_writer_of_the_same_process_does_not_disturb(settings: Settings) -> None:
    fill_writer(settings, 1)
    with writer_lock(settings):
        held = open_writer(settings)
        publish_small(settings)
        assert held.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall() == [("writer",)]
        held.execute("UPDATE core.tracks SET counter = 2; UPDATE marts.track_features SET counter = 2")
        publish_small(settings)
        held.close()
    assert consistent_counter(settings.paths.published) == 2


def test_missing_comment_stops_it(settings: Settings, published: Release) -> None:
    write(settings, "CREATE SCHEMA ml", "CREATE TABLE ml.bare AS SELECT 1 AS x")
    with pytest.raises(CheckFailed, match=r"ml\.bare has no comment\n.*ml\.bare\.x has no comment"):
        publish_small(settings)
    assert [release.release_id for release in list_releases(settings)] == [published.release_id]
    assert list(settings.paths.releases.glob("*.tmp")) == []


def test_table_that_lost_all_rows_stops_it_unless_forced(settings: Settings, published: Release) -> None:
    write(settings, "DELETE FROM core.tracks", "DROP TABLE marts.track_features")
    with pytest.raises(CheckFailed) as stopped:
        publish_small(settings)
    assert f"core.tracks is empty, and had 100 rows in release {published.release_id}" in str(stopped.value)
    assert "marts.track_features is gone" in str(stopped.value)
    assert consistent_counter(settings.paths.published) == 1
    forced = publish_small(settings, force=True)
    assert forced.forced
    assert [release.forced for release in list_releases(settings)] == [True, False]


def test_other_profile_is_not_compared(settings: Settings, published: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROFILE", "live")
    write(settings, "DELETE FROM core.tracks")
    release = publish_small(load_settings())
    assert (release.profile, release.is_synthetic) == ("live", False)


def test_empty_ledger_table_is_lawful(settings: Settings, published: Release) -> None:
    runs = ops_tables()["runs"]
    empty = OpsTable(runs.frame.iloc[:0], runs.comment, runs.column_comments, runs.column_types)
    release = publish(settings, new_release_id(datetime.now(UTC)), ops={"runs": empty}, info={})
    assert release.rows["ops.runs"] == 0


def test_nothing_built_is_nothing_published(settings: Settings) -> None:
    with pytest.raises(CheckFailed, match="no table to publish") as stopped:
        publish_small(settings)
    assert "soundscope build" in stopped.value.next_step
    assert not settings.paths.published.exists()


def test_bad_names_and_ids_are_refused(settings: Settings, published: Release) -> None:
    fresh = new_release_id(datetime.now(UTC))
    with pytest.raises(BadInput, match="not a release id"):
        publish(settings, "../evil", ops={}, info={})
    with pytest.raises(BadInput, match="exists already"):
        publish(settings, published.release_id, ops={}, info={})
    with pytest.raises(BadInput, match="may not set profile"):
        publish(settings, fresh, ops={}, info={"profile": "live"})
    with pytest.raises(BadInput, match=r"column of main\.release"):
        publish(settings, fresh, ops={}, info={"a b": 1})
    with pytest.raises(BadInput, match="cannot hold note"):
        publish(settings, fresh, ops={}, info={"note": ["list"]})
    with pytest.raises(BadInput, match="table of ops"):
        publish(settings, fresh, ops={"x; drop": OpsTable(pd.DataFrame({"a": [1]}), "c", {"a": "b"})}, info={})
    assert not release_file(settings, fresh).exists()
    assert consistent_counter(settings.paths.published) == 1
    fill_writer(settings, 2)
    publish_small(settings)
    assert consistent_counter(settings.paths.published) == 2


def test_leftovers_of_a_killed_publish_are_removed_and_spill_folders_are_not(settings: Settings, published: Release) -> None:
    folder = settings.paths.releases
    stale = [
        folder / "20200101T000000Z-aaaa.duckdb.tmp",
        folder / "20200101T000000Z-aaaa.duckdb.tmp.wal",
        folder / "20200101T000000Z-aaaa.json.tmp",
        folder / "20200101T000000Z-bbbb.duckdb",
    ]
    for file in stale:
        file.write_bytes(b"half")
    spill = folder / "20200101T000000Z-cccc.duckdb.tmp"
    spill.mkdir()
    publish_small(settings)
    assert [file.name for file in stale if file.exists()] == []
    assert spill.is_dir()
    assert published.path.exists()
