"""`doctor` finds trouble that was really planted, `doctor --fix` repairs what is safe, and afterwards nothing is left to find."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from small_warehouse import consistent_counter, fill_writer, publish_small, write_and_die, write_privately_and_die
from typer.testing import CliRunner

from soundscope.cli import app
from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.pipeline.finding import Finding
from soundscope.pipeline.repairs import repair
from soundscope.pipeline.setup_checks import look_over
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Reply, Unit
from soundscope.warehouse.releases import Release, current_release_id, list_releases

# Whole commands and servers in processes of their own.
pytestmark = pytest.mark.e2e


def found(settings: Settings, state: str) -> dict[tuple[str, str], Finding]:
    """Findings of a state, by subject and what."""
    return {(one.subject, one.what): one for one in look_over(settings) if one.state == state}


@pytest.fixture
def landed(settings: Settings) -> Path:
    """One landed file of a provider, as the ledger knows it."""
    with closing(Ledger.open(settings)) as ledger:
        run_id = ledger.start_run("ingest charts", "sandbox")
        ledger.plan_units([Unit("deezer", "chart", "today")])
        with LandingWriter(settings.paths.landing, "deezer", "chart", run_id, "chart") as writer:
            writer.add(
                "chart", ["today"], Reply("GET", "http://127.0.0.1/chart", 200, {}, b"{}", utcnow()), {"today": Outcome.OK}
            )
        assert writer.landed
        results = [{"provider": "deezer", "kind": "chart", "key": "today", "outcome": Outcome.OK}]
        ledger.record(run_id, results, writer.landed.row)
        ledger.end_run(run_id, "completed")
    return writer.path


def test_a_sound_installation_has_no_trouble(settings: Settings, published: Release, landed: Path) -> None:
    assert found(settings, "trouble") == {}
    assert found(settings, "leftover") == {}
    assert repair(settings) == []
    assert found(settings, "ok")["ledger", "database"].detail.startswith(f"{settings.paths.ledger}, schema 0")


def test_looking_changes_nothing(settings: Settings, published: Release, landed: Path) -> None:
    landed.unlink()

    def state() -> dict[str, tuple[int, int]]:
        files = [
            path for path in settings.paths.warehouse.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        ]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    before = state()
    look_over(settings)
    assert state() == before


def test_lock_of_a_dead_owner_and_its_write_ahead_file(
    settings: Settings, published: Release, child: Callable[..., object]
) -> None:
    killed = child(write_privately_and_die, settings.home)
    killed.join(30)  # type: ignore[attr-defined]
    left = found(settings, "leftover")
    lock = left["warehouse", "writer lock"].detail
    assert f"process {killed.pid} (soundscope run)" in lock  # type: ignore[attr-defined]
    assert "ended without a word" in lock
    assert "writer.duckdb.wal" in left["warehouse", "private file"].detail
    assert {(one.subject, one.what) for one in repair(settings)} == {("warehouse", "writer lock"), ("warehouse", "private file")}
    assert found(settings, "leftover") == {}
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        assert con.execute("select count(*) from main.half_way").fetchone() == (1000,), "what was committed is kept"


def test_landed_file_that_is_gone(settings: Settings, landed: Path) -> None:
    name = landed.relative_to(settings.paths.landing).as_posix()
    landed.unlink()
    finding = found(settings, "trouble")["landing", name]
    assert "missing" in finding.detail
    assert "fetched again" in finding.instead
    assert [one.what for one in repair(settings)] == ["missing files"]
    assert found(settings, "trouble") == {}
    with closing(Ledger.open(settings)) as ledger:
        assert [unit.key for unit in ledger.due_units("deezer", "chart")] == ["today"], "it is wanted again"


def test_landed_file_with_other_bytes(settings: Settings, landed: Path) -> None:
    name = landed.relative_to(settings.paths.landing).as_posix()
    landed.write_bytes(landed.read_bytes()[:-3] + b"abc")
    assert "not those that were landed" in found(settings, "trouble")["landing", name].detail
    assert [one.what for one in repair(settings)] == [name, "missing files"]
    assert found(settings, "trouble") == {}
    assert len(list(settings.paths.damaged.iterdir())) == 1, "what was damaged is kept"


def test_release_made_by_a_newer_duckdb(settings: Settings, published: Release) -> None:
    fill_writer(settings, 2)
    newer = publish_small(settings)
    _say_storage_version(newer.path, 99)
    why = found(settings, "trouble")["release", "published file"]
    assert "version number 99" in why.detail
    assert "soundscope doctor --fix" in why.instead
    fixed = {one.what: one.detail for one in repair(settings)}
    assert published.release_id in fixed["published file"]
    assert current_release_id(settings) == published.release_id
    assert consistent_counter(settings.paths.published) == 1
    assert found(settings, "trouble") == {}


def _say_storage_version(file: Path, version: int) -> None:
    """Change the version in a DuckDB file's first block, and its checksum, which covers the 4088 bytes after it."""
    content = bytearray(file.read_bytes())
    content[12:20] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", bytes(content[8:4096])):
        checksum ^= word * 0xBF58476D1CE4E5B9 & 2**64 - 1
    content[:8] = struct.pack("<Q", checksum)
    file.chmod(0o644)
    file.write_bytes(bytes(content))


def test_release_of_another_schema(settings: Settings, published: Release) -> None:
    manifest = published.path.with_suffix(".json")
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(values | {"schema_version": 99, "soundscope_version": "9.9"}))
    finding = found(settings, "trouble")["release", "schema version"]
    assert "has schema 99 (SoundScope 9.9)" in finding.detail
    assert "cannot read it; the shell can" in finding.detail
    assert "soundscope run" in finding.instead


def test_somebody_wrote_into_the_published_file(settings: Settings, published: Release, child: Callable[..., object]) -> None:
    settings.paths.published.chmod(0o644)
    child(write_and_die, settings.paths.published).join(30)  # type: ignore[attr-defined]
    assert ("release", "soundscope.duckdb.wal") in found(settings, "trouble")
    assert [one.what for one in repair(settings)] == ["soundscope.duckdb.wal"]
    assert found(settings, "trouble") == {}
    assert consistent_counter(settings.paths.published) == 1


def test_damaged_private_file_and_ledger(settings: Settings, published: Release, landed: Path) -> None:
    for file in (settings.paths.writer, settings.paths.ledger):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 3])
    for companion in settings.paths.private.glob("ledger.sqlite-*"):
        companion.unlink()
    trouble = found(settings, "trouble")
    assert set(trouble) == {("warehouse", "private file"), ("ledger", "database")}
    assert all("anew from landing" in one.instead for one in trouble.values())
    assert [one.what for one in repair(settings)][:2] == ["ledger", "private file"]
    assert found(settings, "trouble") == {}
    assert len(list(settings.paths.damaged.iterdir())) == 2
    with closing(Ledger.open(settings)) as ledger:
        assert ledger.unit_status("deezer", "chart") == {"today": "done"}, "learnt from landing"


def test_ledger_of_a_newer_version_is_named_and_left_alone(settings: Settings, landed: Path) -> None:
    with closing(sqlite3.connect(settings.paths.ledger)) as con:
        con.execute("update alembic_version set version_num = '9999'")
        con.commit()
    before = settings.paths.ledger.read_bytes()
    finding = found(settings, "trouble")["ledger", "database"]
    assert "schema 9999" in finding.detail
    assert "newer" in finding.detail
    assert repair(settings) == []
    assert settings.paths.ledger.read_bytes() == before


def test_what_dead_processes_left(settings: Settings, published: Release) -> None:
    private = settings.paths.private
    (private / "up.json").write_text('{"pid": 1}')
    (private / "server.json").write_text('{"pid": 1, "address": "http://127.0.0.1:1"}')
    (settings.paths.releases / f"{published.release_id}.duckdb.tmp").write_bytes(b"half")
    spill = settings.paths.temp / f"writer-{2**22 + 1}"
    spill.mkdir()
    left = found(settings, "leftover")
    assert set(left) == {
        ("server", "up.json"),
        ("server", "server.json"),
        ("warehouse", "spilled data"),
        ("release", "unfinished files"),
    }
    repair(settings)
    assert found(settings, "leftover") == found(settings, "trouble") == {}
    assert not spill.exists()


def test_broken_manifest(settings: Settings, published: Release) -> None:
    fill_writer(settings, 2)
    current = publish_small(settings)
    (settings.paths.releases / f"{published.release_id}.json").write_text("{")
    assert published.release_id in found(settings, "trouble")["release", "manifest"].detail
    repair(settings)
    assert found(settings, "trouble") == {}
    assert [release.release_id for release in list_releases(settings)] == [current.release_id]


def test_the_command_says_it_and_ends_by_it(settings: Settings, landed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROFILE", "live")
    for name in ("SPOTIFY", "RECCOBEATS", "DEEZER", "MUSICBRAINZ", "APPLE", "BILLBOARD_HOT_100", "BILLBOARD_CSV"):
        monkeypatch.setenv(f"SOUNDSCOPE_PROVIDERS__{name}__ENABLED", "false")
    landed.unlink()
    runner = CliRunner()
    for _ in range(2):
        sick = runner.invoke(app, ["doctor", "--json"])
        assert sick.exit_code == 1, "asking alone repairs nothing"
        assert "missing" in {one["state"]: one["detail"] for one in json.loads(sick.stdout)}["trouble"]
    mended = runner.invoke(app, ["doctor", "--fix", "--json"])
    assert mended.exit_code == 0, mended.stdout
    states = [one["state"] for one in json.loads(mended.stdout)]
    assert "fixed" in states
    assert "trouble" not in states
