"""Schedules every minute, two readers, a fault every some seconds, and what must hold at the end; used by a test (minutes) and a benchmark."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import duckdb

from soundscope.settings import PROJECT
from tests.kills import Installation

DEPLOYMENTS = f"""
deployments:
  - name: pipeline
    entrypoint: {PROJECT}/flows/pipeline.py:pipeline
    parameters: {{rebuild: true}}
    concurrency_limit: {{limit: 1, collision_strategy: ENQUEUE, grace_period_seconds: 600}}
    schedules:
      - {{cron: "* * * * *", timezone: UTC, slug: every-minute}}
  - name: charts
    entrypoint: {PROJECT}/flows/ingest.py:ingest
    parameters: {{kinds: [charts]}}
    concurrency_limit: {{limit: 1, collision_strategy: ENQUEUE, grace_period_seconds: 600}}
    schedules:
      - {{cron: "* * * * *", timezone: UTC, slug: every-minute}}
"""
# What is hit, and how; the run is hit most, because it is where something could be lost.
FAULTS = {
    "the run, SIGKILL": 4,
    "the run, SIGTERM": 2,
    "the server, SIGKILL": 2,
    "the schedules, SIGKILL": 1,
    "the sandbox, SIGKILL": 1,
    "up, SIGKILL": 1,
    "up, SIGTERM": 1,
}
_WHOLE = (
    "select count(*) from main.release r inner join ops.releases o using (release_id) "
    "where (select count(*) from core.chart_entries) > 0 and (select count(*) from main.dictionary) > 0"
)
_RECOVERY_S = 420.0


@dataclass
class Soaked:
    """What happened: faults by kind, runs of the ledger by status, releases made, answers to readers, seconds to come back at the end."""

    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    releases: int = 0
    reads: int = 0
    slowest_read_s: float = 0.0
    recovered_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


def soak(home: Installation, *, seconds: float, every: float, seed: int) -> Soaked:
    """Run `soundscope up` for so long, hit a part of it every so often, then let it come back by itself and stop it.

    Args:
        home: with one release published.
        seconds, every: length, and time between two faults.
        seed: of what is hit.
    Returns:
        Figures; `wrong` names what did not hold, and is empty if all did.
    """
    return _Soak(home, random.Random(seed)).run(seconds, every)


class _Soak:
    def __init__(self, home: Installation, draw: random.Random) -> None:
        self.home, self.draw, self.found = home, draw, Soaked()
        self.file = home.path / "soak.yaml"
        self.file.write_text(DEPLOYMENTS)
        self.up: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()

    def run(self, seconds: float, every: float) -> Soaked:
        began = time.monotonic()
        before = self._releases()
        shell = _IdleShell(self.home.published)
        reader = threading.Thread(target=self._read, name="busy reader")
        reader.start()
        try:
            self._shake(began, seconds, every)
            self._come_back()
            self._stop()
        finally:
            self.ending.set()
            reader.join()
            if self.up is not None and self.up.poll() is None:
                self.up.kill()
                self.up.wait()
        self.found.wrong += shell.end()
        self.found.wrong += [f"still running: {line}" for line in self._left_over()]
        if ledger_wrongs(self.home):
            # The stop may have come in the middle of a run that had landed something; the next one takes it in.
            self.home.complete()
            self.found.wrong += ledger_wrongs(self.home)
        self.found.releases = self._releases() - before
        self.found.runs = dict(self._query("select status, count(*) from runs group by status"))
        self.found.seconds = time.monotonic() - began
        return self.found

    def _shake(self, began: float, seconds: float, every: float) -> None:
        next_fault = began + every
        while time.monotonic() < began + seconds:
            self._keep_up()
            if time.monotonic() >= next_fault:
                next_fault += every
                self._hit()
            time.sleep(0.5)

    def _keep_up(self) -> None:
        """Start `up` where it does not run, as the system's service manager does."""
        if self.up is not None and self.up.poll() is None:
            return
        self.found.restarts += self.up is not None
        log = (self.home.path / "up.log").open("ab")
        command = [sys.executable, "-m", "flows.up", "--no-app", "--deployments", str(self.file)]
        self.up = subprocess.Popen(
            command, env=self.home.environment, cwd=PROJECT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )

    def _hit(self) -> None:
        """One fault; if there is nothing of the drawn kind, another is drawn."""
        kinds = dict(FAULTS)
        while kinds:
            what = self.draw.choices(list(kinds), list(kinds.values()))[0]
            del kinds[what]
            part, _, name = what.rpartition(", ")
            pid = self._pid(part)
            if pid is None:
                continue
            try:
                os.kill(pid, getattr(signal, name))
            except ProcessLookupError:
                continue
            self.found.faults[what] += 1
            return

    def _pid(self, part: str) -> int | None:
        if part == "up":
            return self.up.pid if self.up is not None and self.up.poll() is None else None
        if part == "the server":
            return self.home.server_pid()
        if part == "the run":
            return self.home.writer_pid()
        word = "flows.schedules" if part == "the schedules" else "soundscope.cli"
        return next((pid for pid, words in self._processes() if word in words and "attached.py" not in " ".join(words)), None)

    def _processes(self) -> list[tuple[int, list[str]]]:
        """Processes of this home, found by their environment."""
        mark, found = f"SOUNDSCOPE_HOME={self.home.path}\0".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes() + b"\0":
                    found.append((int(folder.name), (folder / "cmdline").read_text().split("\0")))
            except OSError:
                continue
        return found

    def _left_over(self) -> list[str]:
        deadline = time.monotonic() + 30
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return [f"{pid} {' '.join(words)}" for pid, words in left]

    def _come_back(self) -> None:
        """No more faults: a scheduled run of the pipeline that starts now must complete by itself."""
        began = time.monotonic()
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        query = f"select count(*) from runs where status = 'completed' and command = 'run' and started_at >= '{since}'"
        while not self._query(query)[0][0]:
            if time.monotonic() > began + _RECOVERY_S:
                self.found.wrong.append(f"no scheduled run completed within {_RECOVERY_S:.0f} s after the last fault")
                break
            self._keep_up()
            time.sleep(0.5)
        self.found.recovered_s = time.monotonic() - began

    def _stop(self) -> None:
        assert self.up is not None
        self.up.terminate()
        if (status := self.up.wait(120)) != 0:
            self.found.wrong.append(f"up ended with status {status} when it was asked to stop")

    def _read(self) -> None:
        """A shell of its own for each question, all the time."""
        shell = Path(sys.executable).with_name("duckdb")
        while not self.ending.wait(0.5):
            began = time.monotonic()
            command = [str(shell), "-readonly", str(self.home.published), "-csv", "-noheader", "-c", _WHOLE]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            self.found.reads += 1
            self.found.slowest_read_s = max(self.found.slowest_read_s, time.monotonic() - began)
            if said.stdout.strip() != "1":
                self.found.wrong.append(f"a reader got {said.stdout.strip()!r} {said.stderr.strip()!r}")

    def _releases(self) -> int:
        return int(self._query("select count(*) from releases")[0][0])

    def _query(self, query: str) -> list[tuple[str, int]]:
        with closing(sqlite3.connect(self.home.path / "warehouse/.private/ledger.sqlite", timeout=60)) as con:
            return con.execute(query).fetchall()


class _IdleShell:
    """A shell that opens the published file, asks once, and asks the same again at the end: its answer may not change."""

    def __init__(self, published: Path) -> None:
        shell = Path(sys.executable).with_name("duckdb")
        command = [str(shell), "-readonly", str(published), "-csv", "-noheader"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.before = self._ask()

    def _ask(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("select release_id || ' ' || (select count(*) from core.chart_entries) from main.release;\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> list[str]:
        """What is wrong with its last answer, if anything."""
        after = self._ask()
        self.process.communicate(".quit\n", timeout=30)
        return [] if after == self.before else [f"the idle shell got {self.before!r}, then {after!r}"]


def ledger_wrongs(home: Installation) -> list[str]:
    """What may never be, whatever was killed: two writers at once, a file that was acknowledged and is gone, one that was loaded twice."""
    private, landing = home.path / "warehouse/.private", home.path / "warehouse/landing"
    with closing(sqlite3.connect(private / "ledger.sqlite", timeout=60)) as con:
        spans = con.execute(
            "select run_id, started_at, ended_at from runs where status = 'completed' and command <> 'doctor' order by started_at"
        ).fetchall()
        named = [row[0] for row in con.execute("select landing_file from landing_files")]
    wrong = [f"runs {a[0]} and {b[0]} wrote at once" for a, b in pairwise(spans) if b[1] < a[2]]
    wrong += [f"{name} was acknowledged and is gone" for name in named if not (landing / name).exists()]
    wrong += [f"{file.name} was left half-written" for file in landing.rglob("*.part")]
    # A copy: the file itself belongs to the writer.
    copy = home.path / "looked-at.duckdb"
    for ending in ("", ".wal"):
        if (file := private / f"writer.duckdb{ending}").exists():
            shutil.copyfile(file, copy.with_name(copy.name + ending))
    with closing(duckdb.connect(str(copy))) as con:
        twice = con.execute("select landing_file from raw.loaded_files group by all having count(*) > 1").fetchall()
        loaded = {row[0] for row in con.execute("select landing_file from raw.loaded_files").fetchall()}
    copy.unlink()
    wrong += [f"{row[0]} was loaded twice" for row in twice]
    return wrong + [f"{name} was acknowledged and never loaded" for name in sorted(set(named) - loaded)]
