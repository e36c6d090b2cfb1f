"""The server does not answer for a long while: what runs goes on, and is done once."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from soundscope.settings import PROJECT
from tests.kills import Installation, server_gone

# Clients ask again after 2, 6, 14 and 30 s. `benchmarks/kills.py` takes a minute, and the pipeline.
GAP_S = float(os.environ.get("SOUNDSCOPE_TEST_SERVER_GAP", "25"))
PROGRAM = """
import json, sys, time
from flows.run import _hand_over
from flows.server import ensure_server
from soundscope.settings import load_settings
settings = load_settings()
with ensure_server(settings) as address:
    from flows.active import active_run, say
    from flows.dashboard import report
    from flows.tasks import submit
    from prefect import flow

    @flow(log_prints=True)
    def steady():
        with active_run("steady"):
            deadline, n = time.monotonic() + float(sys.argv[1]), 0
            while time.monotonic() < deadline:
                submit("step", f"step {n}", lambda: time.sleep(0.3)).result()
                say(f"step {n}")
                report(f"step {n}", "steps")
                n += 1
                (settings.home / "steps").write_text(str(n))
            return n

    n = steady()
    _hand_over()
    print(json.dumps([address, n]))
"""


@pytest.mark.slow
@pytest.mark.timeout(60 + 4 * GAP_S + 120)
def test_a_run_goes_on_when_the_server_was_gone(tmp_path: Path) -> None:
    homes = {how: Installation(tmp_path / how, port) for how, port in (("killed", 4500), ("stopped", 4550))}
    running = {}
    for how, home in homes.items():
        home.path.mkdir()
        command = [sys.executable, "-c", PROGRAM, str(GAP_S + 5)]
        running[how] = subprocess.Popen(
            command, cwd=PROJECT, env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    gaps = [threading.Thread(target=_gap, args=(home, how)) for how, home in homes.items()]
    for gap in gaps:
        gap.start()
    for how, process in running.items():
        out, err = process.communicate(timeout=4 * GAP_S + 120)
        assert process.returncode == 0, f"{how}: {err[-3000:]}"
        n = json.loads(out.splitlines()[-1])[1]
        assert n >= 2, f"{how}: it did not go on"
        _check(homes[how], n, f"{how}: {err[-3000:]}")
    for gap in gaps:
        gap.join()


def _gap(home: Installation, how: str) -> None:
    deadline = time.monotonic() + 120
    while not (home.path / "steps").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    server_gone(home, GAP_S, how)


def _check(home: Installation, n: int, said: str) -> None:
    """It ran once, nobody took it for dead, and what it told before and after the gap is there."""
    private = home.path / "warehouse" / ".private"
    with closing(sqlite3.connect(private / "prefect" / "prefect.db")) as con:
        states = [row[0] for row in con.execute("select type from flow_run_state order by timestamp")]
        artifacts = con.execute("select data from artifact where key = 'steps'").fetchall()
        done = con.execute("select count(*) from task_run where state_type = 'COMPLETED'").fetchone()
    assert states == ["PENDING", "RUNNING", "COMPLETED"], said
    assert len(artifacts) == n, said
    assert done == (n,), said
    with closing(sqlite3.connect(private / "ledger.sqlite")) as con:
        assert con.execute("select command, status from runs").fetchall() == [("steady", "completed")]
