"""An upgrade that reads answers in another way loads landing anew by itself; the log says which run a line is from."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.imports import ImportRequest, import_file
from soundscope.ingest.typed import create_raw
from soundscope.pipeline import run as runs
from soundscope.pipeline import steps
from soundscope.pipeline.run import open_run
from soundscope.settings import Settings


def _tracks(settings: Settings) -> list[tuple[Any, ...]]:
    with open_run(settings, "look") as run, run.writer() as con:
        return con.execute("select title, artist, duration_ms, typeof(duration_ms) from raw.tracks order by title").fetchall()


def test_raw_tables_read_by_other_rules_are_loaded_anew_from_landing(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("title,artist,duration_ms\nOne,A,200000\nTwo,B,210000\n")
    with open_run(settings, "import") as run:
        import_file(
            run.settings, run.ledger, run.run_id, ImportRequest(file, "tracks", "mine", {}, "mine", True, None, None, "utf-8")
        )
        steps.load_step(run)
    before = _tracks(settings)
    assert [row[0] for row in before] == ["One", "Two"]
    with open_run(settings, "older version") as run, run.writer() as con:
        con.execute("update raw.tracks set title = 'as an older version read it'")
        con.execute("alter table raw.tracks alter duration_ms type varchar")
        con.execute("update main.read_by set rules = 'of an older version'")
    assert _tracks(settings) == before
    assert _tracks(settings) == before
    with open_run(settings, "look") as run, run.ledger.read() as connection:
        said = connection.execute(
            sa.select(t.check_results.c.message).where(t.check_results.c.message.contains("in another way"))
        ).all()
    assert len(said) == 1, "once, and not by every run"
    assert "2 rows were loaded anew from 1 landing files" in said[0][0]


def test_columns_that_nobody_knows_are_of_an_older_version(settings: Settings) -> None:
    with open_run(settings, "older version") as run, run.writer() as con:
        create_raw(con)
        con.execute("alter table raw.tracks add column of_old varchar")
    for _ in range(2):
        with open_run(settings, "look") as run, run.writer() as con:
            create_raw(con)
            columns = [row[0] for row in con.execute("describe raw.tracks").fetchall()]
        assert "title" in columns
        assert "of_old" not in columns


def test_log_lines_carry_time_and_run_and_the_log_rotates_in_private(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOG_BYTES", 4000)
    with open_run(settings, "first") as run:
        first = run.run_id
        logging.getLogger("soundscope.anything").info("said in between")
    text = (settings.paths.logs / "soundscope.log").read_text()
    line = next(line for line in text.splitlines() if "said in between" in line)
    assert re.match(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z INFO soundscope\.anything \[{first} \d+\] said", line)
    for number in range(60):
        logging.getLogger("soundscope.anything").info("line %d, outside of any run", number)
    files = sorted(settings.paths.logs.glob("soundscope.log*"))
    assert 2 <= len(files) <= 6
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(file.stat().st_size <= 4000 for file in files)
    assert "[- " in files[0].read_text()
