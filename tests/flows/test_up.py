"""`soundscope up`: what it refuses, and (slow) the whole of it with real schedules, runs and signals."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from flows.children import Child, free_port
from flows.locks import is_held
from flows.schedules import read_deployments
from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import PROJECT, Settings

FLOWS = """
import time
from prefect import flow

@flow
def quick() -> int:
    return 1

@flow
def endless() -> None:
    while True:
        time.sleep(0.2)
"""
DEPLOYMENTS = """
deployments:
  - name: quick
    entrypoint: some.py:quick
    description: Ends at once.
    tags: [test]
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE, grace_period_seconds: 600}
    schedules:
      - {cron: "0 4 * * *", timezone: Europe/Berlin, slug: daily}
  - {name: endless, entrypoint: "some.py:endless"}
"""


@pytest.fixture
def deployments(tmp_path: Path) -> Path:
    (tmp_path / "some.py").write_text(FLOWS)
    file = tmp_path / "deployments.yaml"
    file.write_text(DEPLOYMENTS)
    return file


def test_the_projects_deployments_can_be_read() -> None:
    entries = read_deployments(PROJECT / "prefect.yaml")
    assert {"pipeline", "charts", "features", "train"} <= {entry["name"] for entry in entries}
    assert all(item["timezone"] and item["slug"] for entry in entries for item in entry.get("schedules", []))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("some.py:quick", "other.py:quick"), "the flow quick of other.py, which does not exist"),
        (("some.py:quick", "some.py:slow"), "the flow slow of some.py, which does not exist"),
        (("entrypoint: some.py:quick", "entry: some.py:quick"), "quick needs a name and an entrypoint"),
        (("tags:", "tag:"), "unknown keys: tag"),
        (("deployments:", "deployment:"), "lists no deployments"),
        (("{limit", "limit}"), "cannot be read"),
    ],
)
def test_a_wrong_deployment_is_named(deployments: Path, change: tuple[str, str], message: str) -> None:
    deployments.write_text(DEPLOYMENTS.replace(*change))
    with pytest.raises(BadInput, match=message):
        read_deployments(deployments)


def test_a_child_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    program = "import sys; print('no such port'); sys.exit(7)"
    child = Child("the app", [sys.executable, "-c", program], os.environ, tmp_path / "app.log")
    with pytest.raises(SoundScopeError, match=r"(?s)the app ended with status 7.*no such port"):
        child.wait_until(lambda: False, 20)
    child.stop(1)


def test_a_child_that_ignores_the_request_to_end_is_ended(tmp_path: Path) -> None:
    program = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
    )
    child = Child("it", [sys.executable, "-c", program], os.environ, tmp_path / "log")
    child.wait_until(lambda: child.log.read_text().strip() != "", 20)
    child.stop(0.5)
    assert child.process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while _alive(int(child.log.read_text())):
        assert time.monotonic() < deadline, "the process outlived its end"
        time.sleep(0.05)


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = (
        "import os, sys, time; from pathlib import Path; from flows.children import Child\n"
        "program = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        f"child = Child('it', [sys.executable, '-c', program], os.environ, Path({str(log)!r}))\n"
        "child.wait_until(lambda: child.log.read_text().strip() != '', 20)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", parent], timeout=30, check=False)
    child = int(log.read_text())
    deadline = time.monotonic() + 10
    while _alive(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def test_the_next_free_port_is_taken(free_tcp_port: int) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_tcp_port))
        taken.listen()
        assert free_tcp_port < free_port(free_tcp_port, "the app") < free_tcp_port + 50
    with pytest.raises(BadInput, match="No free port for the app"):
        free_port(65_536, "the app")


@pytest.fixture
def free_tcp_port() -> int:
    return free_port(0, "a test")


def _alive(pid: int) -> bool:
    """Whether it runs; a dead process that nobody has waited for does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(said) and not said.startswith("Z")


def _processes(settings: Settings) -> list[str]:
    listing = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(settings.home) in line and not line.startswith("Z")]


class Api:
    """The Prefect API as a signed-in person sees it."""

    def __init__(self, state: dict[str, Any]) -> None:
        kept = json.loads(Path(state["credentials_file"]).read_text())
        self.session = requests.Session()
        self.session.auth = (kept["user"], kept["password"])
        # 503 means that SQLite was locked and nothing was done; Prefect's own client asks again too.
        again = Retry(total=6, backoff_factor=0.5, status_forcelist=[503], allowed_methods=None)
        self.session.mount("http://", HTTPAdapter(max_retries=again))
        self.url = f"{state['dashboard']}/api"
        asked = {"client": "test"}
        token = self.session.get(f"{self.url}/csrf-token", params=asked, timeout=10).json()["token"]
        self.session.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"})

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        return self.session.get(f"{self.url}/{path}", timeout=10).json()

    def start_run(self, name: str) -> str:
        deployment = self.get(f"deployments/name/{name}/{name}")
        return str(self.post(f"deployments/{deployment['id']}/create_flow_run", {})["id"])

    def scheduled_runs(self) -> list[dict[str, Any]]:
        filters = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "sort": "EXPECTED_START_TIME_ASC"}
        deadline = time.monotonic() + 30
        while len(found := self.post("flow_runs/filter", filters)) < 2:
            assert time.monotonic() < deadline, "the schedule made no runs"
            time.sleep(0.5)
        return list(found)

    def wait_for_state(self, run: str, wanted: str) -> None:
        deadline = time.monotonic() + 60
        while (found := self.get(f"flow_runs/{run}")["state_type"]) != wanted:
            assert time.monotonic() < deadline, f"the run is {found}, not {wanted}"
            time.sleep(0.3)


@contextmanager
def _up(deployments: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any], list[str]]]:
    """`up` as a process, what it printed, and the command."""
    command = [sys.executable, "-m", "flows.up", "--json", "--no-app", "--deployments", str(deployments)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDSCOPE_PROFILE", "live")
        patch.setenv("SOUNDSCOPE_SERVER__PORT", "0")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline()), command
        finally:
            process.kill()
            process.communicate()


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


@pytest.mark.slow
def test_up_serves_schedules_stops_without_a_trace_and_makes_up_for_one_missed_run(settings: Settings, deployments: Path) -> None:
    with _up(deployments) as (first, state, command):
        assert state["pid"] == first.pid
        assert (state["app"], state["sandbox"]) == (None, None)

        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 0
        assert json.loads(second.stdout) == state
        assert "already up" in second.stderr

        api = Api(state)
        api.wait_for_state(api.start_run("quick"), "COMPLETED")
        scheduled = api.scheduled_runs()
        assert {run["expected_start_time"][11:16] for run in scheduled} <= {"02:00", "03:00"}  # 4 o'clock in Berlin

        endless = api.start_run("endless")
        api.wait_for_state(endless, "RUNNING")
        _stop(first)
    assert _processes(settings) == []
    private = settings.paths.private
    assert not is_held(private / "server.lock")
    assert [file.name for file in private.iterdir() if file.suffix == ".json"] == []
    assert _stored_state(settings, endless) == "CANCELLED"

    missed = [run["id"] for run in scheduled[:2]]
    _set_back(settings, {run: f"2026-01-0{day} 03:00:00.000000" for day, run in enumerate(missed, start=1)})
    with _up(deployments) as (again, state, _):
        Api(state).wait_for_state(missed[1], "COMPLETED")
        _stop(again)
    assert _stored_state(settings, missed[0]) == "CANCELLED"


def _set_back(settings: Settings, times: dict[str, str]) -> None:
    """Make scheduled runs due in the past, as if SoundScope had been off at their time.

    The time stands on the run, by which a runner finds it, and in its state, until which the server makes the run wait.
    """
    with sqlite3.connect(settings.paths.prefect / "prefect.db") as database:
        for run, due in times.items():
            change = "update flow_run set expected_start_time = ?, next_scheduled_start_time = ? where id = ?"
            assert database.execute(change, [due, due, run]).rowcount == 1
            change = (
                "update flow_run_state set state_details = json_set(state_details, '$.scheduled_time', ?) where flow_run_id = ?"
            )
            assert database.execute(change, [due.replace(" ", "T") + "Z", run]).rowcount == 1


def _stored_state(settings: Settings, run: str) -> str:
    with sqlite3.connect(settings.paths.prefect / "prefect.db") as database:
        row = database.execute("select state_type from flow_run where id = ?", [run]).fetchone()
    return str(row[0])
