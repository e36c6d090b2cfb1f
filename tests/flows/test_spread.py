"""Coarse parallel work on Dask: two processes find the same links, the same models and the same figures as one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows import server
from flows.environment import child_environment
from soundscope.errors import BadInput
from soundscope.settings import PROJECT, Settings, load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


def test_two_processes_of_dask_give_what_one_gives(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_SERVER__PORT", "0")
    monkeypatch.setenv("SOUNDSCOPE_PREFECT__TASK_RUNNER", "dask")
    out = tmp_path / "found.json"
    with server.start(load_settings()) as running:
        environment = {**child_environment(settings, running.address)}
        environment.pop("SOUNDSCOPE_HOME")
        command = [sys.executable, "-m", "tests.flows.spread_work", str(out), str(tmp_path / "one"), str(tmp_path / "two")]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text())
    one, two = found["in_turn"], found["dask"]
    assert one.pop("pids") == [found["main"]] * 2
    pids = two.pop("pids")
    assert found["main"] not in pids
    assert len(one["links"]) == 200
    assert {link["method"] for link in one["links"]} >= {"exact", "fuzzy_title"}
    assert len(one["said"]) == 2
    assert {row["split"] for row in one["metrics"]} >= {"recording", "artist", "forward", "random_leaky"}
    assert two == one


def test_another_runner_is_refused(home: Path) -> None:
    with pytest.raises(BadInput, match=r"prefect\.task_runner"):
        load_settings(prefect={"task_runner": "cluster"})
