"""A run that is told to end while it fetches, under Prefect: it stops at the next unit, and the next run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from soundscope.settings import PROJECT


def _week_calls(sandbox: Any) -> list[str]:
    return [entry["path"] for entry in sandbox.asked() if "/date/" in entry["path"]]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [signal.SIGTERM], ids=lambda how: how.name)
def test_a_stopped_flow_stops_at_the_next_unit_and_the_next_run_goes_on(
    own_sandbox: Any, home: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    sandbox = own_sandbox(today="2023-02-28", off=("billboard_csv", "spotify", "deezer", "reccobeats"))
    monkeypatch.setenv("SOUNDSCOPE_SERVER__PORT", "4720")
    sandbox.fault("/date/", kind="delay", delay_s=0.5)
    log = (home / "run.log").open("wb")
    child = subprocess.Popen([sys.executable, "-m", "flows.run"], cwd=PROJECT, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(_week_calls(sandbox)) < 3 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    os.kill(child.pid, how)
    at_once = len(_week_calls(sandbox))
    assert child.wait(60) == 1, (home / "run.log").read_text()[-2000:]
    assert "stopped" in (home / "run.log").read_text()
    time.sleep(1)
    assert 3 <= len(_week_calls(sandbox)) <= at_once + 2, "what was under way ended, nothing more was begun"
    sandbox.clear()
    command = [sys.executable, "-m", "soundscope.cli", "ingest", "charts"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    calls = Counter(_week_calls(sandbox))
    assert len(calls) == 14
    assert sum(calls.values()) - len(calls) <= 1, "at most what was under way is asked for again"
