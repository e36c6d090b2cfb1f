"""More than one machine, as far as one can show it: server and ledger on PostgreSQL, every deployment in a work pool, two workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flows import server
from flows.environment import child_environment
from soundscope.settings import PROJECT, Settings, load_settings

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(400)]
# Read before the fixtures take every such variable away.
POSTGRES = os.environ.get("SOUNDSCOPE_TEST_POSTGRES", "")
PREFECT = str(Path(sys.executable).with_name("prefect"))


@pytest.fixture
def databases() -> Iterator[tuple[str, str]]:
    """Addresses of two empty databases: of the ledger, and of the Prefect server."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL server; install Debian's postgresql and set SOUNDSCOPE_TEST_POSTGRES to its address")
    names = [f"soundscope_{kind}_{uuid.uuid4().hex[:8]}" for kind in ("ledger", "prefect")]
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"create database {name}"))
    ledger, prefect = (POSTGRES.rsplit("/", 1)[0] + f"/{name}" for name in names)
    yield ledger, prefect.replace("+psycopg", "+asyncpg")
    with admin.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture
def shared(home: Path, databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose ledger and server are on PostgreSQL, with a small world."""
    monkeypatch.setenv("SOUNDSCOPE_LEDGER_URL", databases[0])
    monkeypatch.setenv("SOUNDSCOPE_SERVER__DATABASE_URL", databases[1])
    monkeypatch.setenv("SOUNDSCOPE_SERVER__PORT", "0")
    monkeypatch.setenv("SOUNDSCOPE_SANDBOX__TRACKS", "400")
    settings = load_settings()
    settings.paths.create()
    return settings


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url.replace("+asyncpg", "+psycopg"))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]
    finally:
        engine.dispose()


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Prefect's worker does not always end when asked to; how it ends is not what is tested here."""
    worker.terminate()
    try:
        worker.wait(20)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def test_two_workers_of_a_pool_share_server_and_ledger(shared: Settings, databases: tuple[str, str], tmp_path: Path) -> None:
    ledger, prefect = databases
    with server.start(shared) as running, ExitStack() as started:
        environment = child_environment(shared, running.address)

        def tell(*words: str) -> str:
            done = subprocess.run([PREFECT, *words], env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        tell("work-pool", "create", "local", "--type", "process")
        tell("--no-prompt", "deploy", "--all")
        for name in ("first", "second"):
            log = started.enter_context((tmp_path / f"{name}.log").open("wb"))
            command = [PREFECT, "worker", "start", "--pool", "local", "--name", name, "--limit", "1"]
            worker = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            started.callback(_end, worker)
        for deployment in ("ingest/charts", "maintenance/maintenance"):
            tell("deployment", "run", deployment)
        ended = "select count(*) from flow_run where state_type = 'COMPLETED'"
        deadline = time.monotonic() + 200
        while _rows(prefect, ended) != [(2,)]:
            logs = "".join((tmp_path / f"{name}.log").read_text()[-2000:] for name in ("first", "second"))
            assert time.monotonic() < deadline, logs
            assert _rows(prefect, "select count(*) from flow_run where state_type in ('FAILED', 'CRASHED')") == [(0,)], logs
            time.sleep(1)
        # A worker that is asked to end while a run's process ends may do neither.
        while not all("completed successfully" in (tmp_path / f"{name}.log").read_text() for name in ("first", "second")):
            assert time.monotonic() < deadline, "each worker took one run"
            time.sleep(0.5)
    runs = _rows(ledger, "select command, status, started_at, ended_at from runs order by started_at")
    assert sorted(run[:2] for run in runs) == [("ingest charts", "completed"), ("maintenance", "completed")]
    assert runs[0][3] <= runs[1][2], "one wrote at a time"
    assert _rows(ledger, "select count(*) from landing_files")[0][0] > 0
    assert len(_rows(prefect, "select name from worker")) == 2
    assert not (shared.paths.prefect / "prefect.db").exists()
    assert not shared.paths.ledger.exists()
