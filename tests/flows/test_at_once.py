"""Two flows started at once by two processes: they share a server, one writes after the other, and both end well."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing

import pytest

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger
from soundscope.pipeline.ops import ledger_table
from soundscope.settings import PROJECT, Settings

PROGRAM = """
import json, time
from pathlib import Path
from flows.run import _hand_over
from flows.server import ensure_server
from soundscope.settings import load_settings
settings = load_settings()
with ensure_server(settings) as address:
    from flows.active import active_run
    from flows.maintenance import maintenance
    from prefect import flow
    # Nobody begins before both are there, and each writes for a while.
    here = settings.home / f"here-{time.time_ns()}"
    here.touch()
    deadline = time.monotonic() + 60
    while len(list(settings.home.glob("here-*"))) < 2:
        assert time.monotonic() < deadline, "the other process never came"
        time.sleep(0.05)

    @flow
    def slowly():
        with active_run("slowly"):
            time.sleep(1.5)
            return maintenance()

    outcome = slowly()
    _hand_over()
    print(json.dumps([address, outcome]))
"""


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_two_flows_started_at_once_write_one_after_the_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_SERVER__PORT", "0")
    both = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=150) for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n\n".join(err[-3000:] for _, err in said)
    answers = [json.loads(out.splitlines()[-1]) for out, _ in said]
    assert answers[0] == answers[1], "one server, and both did all of it"
    with closing(Ledger.open(settings)) as ledger:
        runs = ledger_table(ledger, t.runs).frame.sort_values("started_at")
    assert list(runs["status"]) == ["completed", "completed"]
    assert runs["started_at"].iloc[1] >= runs["ended_at"].iloc[0]
