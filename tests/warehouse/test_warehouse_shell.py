"""Asking a release: one query, the description of a table, DuckDB's own shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_warehouse import fill_writer, publish_small

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings, load_settings
from soundscope.warehouse.releases import Release
from soundscope.warehouse.shell import describe, query, shell

# Whole commands and servers in processes of their own.
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Release]:
    """One home with a release that all tests of this file read."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("SOUNDSCOPE_HOME", str(home))
        patch.delenv("SOUNDSCOPE_PROFILE", raising=False)
        fill_writer(load_settings(), 1)
        return home, publish_small(load_settings())


@pytest.fixture
def published(home: Path, made: tuple[Path, Release], monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(made[0]))
    return made[1]


@pytest.fixture
def asked(published: Release) -> Settings:
    return load_settings()


def test_query_gives_columns_and_rows(asked: Settings, published: Release) -> None:
    assert query(asked, "SELECT counter, count(*) AS n FROM core.tracks GROUP BY counter") == (["counter", "n"], [(1, 100)])
    assert query(asked, "SELECT ? + 1 AS x", [41]) == (["x"], [(42,)])
    assert query(asked, "SELECT $a AS a", {"a": "b"}) == (["a"], [("b",)])
    assert query(asked, "SELECT 1 AS a; SELECT 2 AS b") == (["b"], [(2,)])
    assert query(asked, "SELECT current_setting('TimeZone') AS zone")[1] == [("UTC",)]


def test_results_can_be_written_to_a_file(asked: Settings, published: Release, tmp_path: Path) -> None:
    query(asked, f"COPY (SELECT track_id FROM core.tracks) TO '{tmp_path / 'ids.csv'}'")
    assert len((tmp_path / "ids.csv").read_text().splitlines()) == 101


@pytest.mark.parametrize(
    ("sql", "message", "next_step"),
    [
        ("SELEC 1", "syntax error", "correct the SQL"),
        ("SELECT * FROM core.trakcs", "trakcs does not exist", "did you mean core.tracks"),
        ("SELECT * FROM features", "features does not exist", "marts.track_features"),
        ("SELECT tempi FROM core.tracks", "tempi", "soundscope describe"),
        ("SELECT 'a'::INTEGER", "Could not convert", "correct the SQL"),
        ("SELECT ?", "", "correct the SQL"),
        ("DELETE FROM core.tracks", "read-only", "COPY"),
        ("CREATE TABLE x AS SELECT 1", "read-only", "COPY"),
        ("ATTACH 'other.duckdb' AS o", "ATTACH is not available", "soundscope shell"),
        ("SELECT 1; ATTACH 'other.duckdb' AS o", "ATTACH is not available", "soundscope shell"),
        ("  ", "no SQL", "give a query"),
    ],
)
def test_bad_sql_is_bad_input_with_a_way_out(asked: Settings, published: Release, sql: str, message: str, next_step: str) -> None:
    with pytest.raises(BadInput) as refused:
        query(asked, sql)
    assert message in refused.value.message
    assert next_step in refused.value.next_step


def test_query_that_needs_too_much_memory_is_a_failure(published: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_ENGINE__MEMORY_LIMIT", "20MB")
    with pytest.raises(SoundScopeError, match="ran out of memory") as failed:
        query(load_settings(), "SELECT list(md5(range::VARCHAR)) FROM range(3000000)")
    assert "memory_limit" in failed.value.next_step
    assert failed.value.exit_status == 1


def test_describe_finds_a_table_by_either_name(asked: Settings, published: Release) -> None:
    rows = describe(asked, "core.tracks")
    assert rows[0] == ("core.tracks", None, "TABLE", "One row per track; it's small.")
    assert [row[1] for row in rows[1:]] == ["track_id", "counter", "tempo"]
    assert describe(asked, "Tracks") == rows
    assert describe(asked, "dictionary")[0][2] == "VIEW"


def test_describe_lists_near_names(asked: Settings, published: Release) -> None:
    with pytest.raises(BadInput, match=r"No table is called 'core\.trakcs'") as refused:
        describe(asked, "core.trakcs")
    assert "core.tracks" in refused.value.next_step
    with pytest.raises(BadInput) as refused:
        describe(asked, "zzzzzzzz")
    assert "there are core.tracks, main.dictionary, main.release" in refused.value.next_step


@pytest.mark.parametrize("ask", [lambda s: query(s, "SELECT 1"), lambda s: describe(s, "core.tracks"), shell])
def test_nothing_published_yet(settings: Settings, ask) -> None:
    with pytest.raises(BadInput, match="Nothing is published") as refused:
        ask(settings)
    assert "soundscope run" in refused.value.next_step


def run_shell(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    code = "import sys; from soundscope.settings import load_settings; from soundscope.warehouse.shell import shell; "
    command = [sys.executable, "-c", code + "shell(load_settings(), sys.argv[1:])", *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=False)


def test_shell_reads_and_cannot_write(asked: Settings, published: Release) -> None:
    answer = run_shell("-csv", typed="SELECT max(counter) AS c FROM core.tracks; SELECT current_setting('temp_directory') AS t;")
    assert answer.returncode == 0
    lines = answer.stdout.split()
    assert lines[:2] == ["c", "1"]
    assert lines[3].startswith(str(asked.paths.temp / "shell-"))
    assert "read-only" in run_shell("-c", "DELETE FROM core.tracks").stderr


def test_shell_says_what_is_there_to_a_person(asked: Settings, published: Release) -> None:
    terminal, keyboard = os.openpty()
    code = "from soundscope.settings import load_settings; from soundscope.warehouse.shell import shell; shell(load_settings())"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=keyboard, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        shown = _type_until_it_ends(process, terminal, b".exit\n").decode()
    finally:
        process.kill()
        os.close(terminal)
        os.close(keyboard)
    assert process.returncode == 0
    for text in (published.release_id, "core.tracks", "One row per track", f".open -readonly {asked.paths.published}"):
        assert text in shown


def _type_until_it_ends(process: subprocess.Popen[bytes], terminal: int, text: bytes) -> bytes:
    """Type again and again: what is typed before the prompt is there is thrown away by the terminal."""
    for _ in range(30):
        os.write(terminal, text)
        try:
            return process.communicate(timeout=0.5)[0]
        except subprocess.TimeoutExpired:
            continue
    pytest.fail("the shell did not end")
