"""Several machines for real: processes with homes of their own, one ledger on PostgreSQL, one landing place in an S3 served over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import store, tables
from soundscope.ingest.ledger import Ledger
from soundscope.pipeline.purge import purge
from soundscope.pipeline.store_checks import check_store
from soundscope.settings import PROJECT
from tests.ingest.machines import Machine

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(200)]
POSTGRES = os.environ.get("SOUNDSCOPE_TEST_POSTGRES", "")
BUDGET = 25
# What each run asks for by itself, whatever others have asked: whether there is news, and what a provider allows.
_EVERY_RUN = ("valid_dates", "/deezer/track/9000000000")

WORK = """
import os, signal, sys
from soundscope.ingest.shared import SharedLanding
from soundscope.pipeline.ingest import ingest
from soundscope.pipeline.run import open_run
from soundscope.settings import load_settings

dies_after = int(sys.argv[2])
send, sent = SharedLanding.send, []

def die_in_between(self, name):
    names = send(self, name)
    sent.append(name)
    if len(sent) == dies_after:
        print(name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return names

SharedLanding.send = die_in_between
with open_run(load_settings(), "ingest", providers=True) as run:
    ingest(run, sys.argv[1].split(","))
"""


@pytest.fixture
def ledger_url() -> Iterator[str]:
    """The address of an empty database."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL server; install Debian's postgresql and set SOUNDSCOPE_TEST_POSTGRES to its address")
    name = f"soundscope_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"drop database {name} with (force)"))
    admin.dispose()


class S3:
    """A local S3-compatible server with one bucket; it keeps its objects while it is away."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._make = ThreadedMotoServer
        self.port = 0
        self.up()

    def up(self) -> None:
        self.server = self._make("127.0.0.1", self.port, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def down(self) -> None:
        self.server.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server; credentials and address reach its clients by the environment alone."""
    served = S3()
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{served.port}", "AWS_ACCESS_KEY_ID": "anyone", "AWS_SECRET_ACCESS_KEY": "not-to-be-seen",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(store, "PATIENCE_S", (0.1,))
    import fsspec

    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("charts")
    yield served
    served.down()


class Machines:
    """Two homes; `begin` starts a run of one in a process of its own."""

    def __init__(self, tmp_path: Path, ledger_url: str) -> None:
        self.ledger_url = ledger_url
        self.both = [Machine(tmp_path / name, "s3://charts/landing", ledger_url) for name in ("one", "two")]

    def begin(self, which: int, kinds: str, dies_after: int = 0) -> subprocess.Popen[str]:
        environment = {
            **os.environ, "SOUNDSCOPE_HOME": str(self.both[which].settings.home), "SOUNDSCOPE_LEDGER_URL": self.ledger_url,
            "SOUNDSCOPE_LANDING__STORE": "s3://charts/landing",
        }  # fmt: skip
        command = [sys.executable, "-c", WORK, kinds, str(dies_after)]
        return subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def rows(self) -> list[dict[str, list[tuple[Any, ...]]]]:
        return [machine.rows() for machine in self.both]

    def noted(self) -> set[str]:
        with closing(Ledger(self.ledger_url)) as ledger, ledger.read() as connection:
            return set(connection.execute(sa.select(tables.landing_files.c.landing_file)).scalars())

    def trouble(self) -> list[str]:
        return [found.detail for found in check_store(self.both[0].settings) if found.state != "ok"]


def _asked(sandbox: Any) -> Counter[str]:
    """How often each thing was asked for and given."""
    given = (f"{call['provider']} {call['path']}" for call in sandbox.asked() if call["status"] == 200)
    return Counter(what for what in given if not any(part in what for part in _EVERY_RUN))


def test_two_machines_share_budget_and_landing(
    home: Path, own_sandbox: Callable[..., Any], s3: S3, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = own_sandbox(off=("spotify", "musicbrainz", "apple", "billboard_csv"))
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__DEEZER__DAILY_BUDGET", str(BUDGET))
    monkeypatch.delenv("SOUNDSCOPE_HOME")
    machines = Machines(tmp_path, ledger_url)
    one, two = machines.both

    # At the same time.
    workers = [machines.begin(which, "charts,tracks,features") for which in (0, 1)]
    for worker in workers:
        _, said = worker.communicate(timeout=100)
        assert worker.returncode == 0, said
    twice = {what: n for what, n in _asked(sandbox).items() if n > 1}
    assert not twice, twice
    assert 0 < sum(call["provider"] == "deezer" for call in sandbox.asked()) <= BUDGET
    rows = machines.rows()
    assert rows[0] == rows[1]
    assert len(rows[0]["chart_entries"]) >= 400
    assert machines.trouble() == []

    # Killed when the store has a file and the ledger does not know it.
    sandbox.forget()
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__DEEZER__DAILY_BUDGET", str(3 * BUDGET))
    killed = machines.begin(0, "tracks", dies_after=1)
    name = killed.communicate(timeout=100)[0].split()[-1]
    assert killed.returncode == -signal.SIGKILL
    assert name not in machines.noted()
    assert name in store.Store("s3://charts/landing").sizes()
    assert _asked(sandbox)

    # Away: an error that says so, and nothing of what was landed is asked for again once it is back.
    s3.down()
    refused = machines.begin(0, "tracks")
    _, said = refused.communicate(timeout=100)
    assert refused.returncode == 1
    assert "StoreUnreachable: The shared store s3://charts/landing cannot be used" in said
    assert "Next: check that it is there" in said
    assert "not-to-be-seen" not in said
    s3.up()
    again = machines.begin(0, "tracks")
    _, said = again.communicate(timeout=100)
    assert again.returncode == 0, said
    assert name in machines.noted()
    assert max(_asked(sandbox).values()) == 1
    rows = machines.rows()
    assert rows[0] == rows[1]
    assert machines.trouble() == []

    # An object that is gone, and one that is not what it was.
    import fsspec

    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    gone, changed = sorted(machines.noted() & {path.relative_to(one.root).as_posix() for path in one.root.rglob("*.zst")})[:2]
    fs.rm_file(f"charts/landing/{gone}")
    fs.pipe_file(f"charts/landing/{changed}", b"x" * fs.size(f"charts/landing/{changed}"))
    for lost in (gone, changed):
        (two.root / lost).unlink()
    two.rows()
    assert not (two.root / changed).exists(), "what is not whole does not come"
    rows = machines.rows()
    assert rows[0] == rows[1]
    assert (two.root / changed).read_bytes() == (one.root / changed).read_bytes()
    assert machines.trouble() == []

    # A purge leaves nothing anywhere.
    with one.run() as run:
        purged = purge(run, "deezer")
    assert purged.before["files in the shared store"] > 0
    assert not [path for path in store.Store("s3://charts/landing").sizes() if path.startswith("deezer/")]
    rows = machines.rows()
    assert rows[0] == rows[1]
    assert not list((two.root / "deezer").rglob("*.zst"))
    secret = [
        path for machine in machines.both for path in machine.settings.home.rglob("*.log") if "not-to-be-seen" in path.read_text()
    ]
    assert not secret
    with pytest.raises(SoundScopeError, match="has no usable"):
        store.Store("s3://charts/landing").get("deezer/none", tmp_path / "none", None)
