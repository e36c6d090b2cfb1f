"""The command line: clear errors with status 2 or 1, nothing lost, no traceback for what a person did."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from soundscope.cli import app
from soundscope.output import show_table
from soundscope.settings import PROJECT

# Whole commands and servers in processes of their own.
pytestmark = pytest.mark.e2e


def soundscope(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
    command = [sys.executable, "-m", "soundscope.cli", *arguments]
    env = kept | {"SOUNDSCOPE_HOME": str(home)} | environment
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, cwd=PROJECT)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sql", "select 1"), "soundscope run"),
        (("shell",), "soundscope run"),
        (("profile",), "soundscope run"),
        (("ingest", "everything"), "charts"),
        (("run", "--tier", "gold"), "extended"),
        (("import", "no_such_file.csv", "--as", "tracks"), "no_such_file.csv"),
        (("import", "README.md", "--as", "tracks"), "README.md"),
        (("import", "README.md", "--as", "tracks", "--map", "title"), "column=field"),
        (("rollback",), "release"),
        (("no-such-command",), "no-such-command"),
    ],
)
def test_bad_use_is_answered_with_status_2_and_a_next_step(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = soundscope(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_malformed_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "soundscope.toml").write_text("[train\ntarget = 'genre'")
    done = soundscope(tmp_path, "releases")
    assert done.returncode == 2
    assert "soundscope.toml" in done.stderr
    assert "line 1" in done.stderr


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = soundscope(tmp_path / "file" / "home", "build")
    assert done.returncode == 2
    assert "SOUNDSCOPE_HOME" in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = soundscope(tmp_path, "sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "port" in done.stderr.lower()


def test_help_is_there_for_every_command(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["--help"]).stdout
    for command in ("run", "up", "doctor", "sandbox", "ingest", "import", "replay", "build", "match", "train", "score", "models", "publish", "releases",
                    "rollback", "runs", "shell", "sql", "describe", "profile"):  # fmt: skip
        assert f"  {command} " in listed, f"{command} is not listed"
        assert "--help" in runner.invoke(app, [command, "--help"]).stdout


def test_json_for_scripts_loses_no_column_and_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["x", "x", "y"], [("a", "b", float("nan")), ("c", "d", 1.5)], True)
    shown = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert shown == [{"x": "a", "x_1": "b", "y": None}, {"x": "c", "x_1": "d", "y": 1.5}]
