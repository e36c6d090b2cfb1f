"""Kills at random moments of a run, and what must hold afterwards; used by a test (some kills) and a benchmark (hundreds)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import duckdb

from flows.locks import FileLock
from soundscope.settings import PROJECT

# What time or chance may differ in between two undisturbed runs; everything else must be equal.
TABLES = {
    "core.tracks": "* exclude (n_sources)",
    "core.chart_entries": "* exclude (fetched_at)",
    "core.chart_dates": "* exclude (fetched_at)",
    "core.track_matches": "* exclude (decided_at)",
    "core.audio_features": "* exclude (fetched_at)",
    "core.track_genres": "*",
    "marts.track_features": "*",
    "marts.feature_summary": "feature, n, missing, median, min, max",
    "marts.chart_turnover": "chart, chart_date, n_entries, n_new, n_returning",
    "marts.genre_share": "chart, chart_date, genre, n_entries",
}
VICTIMS = ("the run", "the run", "the run", "the server", "the run, politely")


class Installation:
    """A home of its own with a small sandbox world, run by the command line."""

    def __init__(self, path: Path, port: int, tracks: int = 400) -> None:
        self.path = path
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
        self.environment = kept | {
            "SOUNDSCOPE_HOME": str(path),
            "SOUNDSCOPE_SANDBOX__TRACKS": str(tracks),
            "SOUNDSCOPE_SERVER__PORT": str(port),
            # Of its own, because a sandbox at the usual port would be used by several homes, and one of them may kill it.
            "SOUNDSCOPE_SANDBOX__PORT": str(port + 30),
        }

    @property
    def published(self) -> Path:
        return self.path / "warehouse" / "soundscope.duckdb"

    def start(self) -> subprocess.Popen[bytes]:
        """A run under way that builds and publishes even if nothing is new."""
        log = (self.path / "run.log").open("ab")
        command = [sys.executable, "-m", "flows.run", "--rebuild"]
        return subprocess.Popen(
            command, env=self.environment, cwd=PROJECT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def complete(self, timeout: float = 600) -> float:
        """Run undisturbed to the end; returns seconds.

        Raises:
            AssertionError: it failed; the end of its log is the message.
        """
        began = time.monotonic()
        status = self.start().wait(timeout)
        assert status == 0, (self.path / "run.log").read_text()[-3000:]
        return time.monotonic() - began

    def replay(self) -> None:
        """Load landing into a new private warehouse.

        Raises:
            AssertionError: it failed.
        """
        command = [sys.executable, "-m", "soundscope.cli", "replay"]
        done = subprocess.run(command, env=self.environment, cwd=PROJECT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    def server_pid(self) -> int | None:
        """Process id of this home's Prefect server, if one runs."""
        file = self.path / "warehouse" / ".private" / "server.json"
        try:
            pid = int(json.loads(file.read_text())["pid"])
            os.kill(pid, 0)
        except (OSError, ValueError, KeyError):
            return None
        return pid

    def writer_pid(self) -> int | None:
        """Process id that the writer lock names; it may be dead."""
        try:
            return int(json.loads((self.path / "warehouse" / ".private" / "writer.lock").read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return None

    def digests(self) -> dict[str, str]:
        """One digest of the content of each table, whatever the order of its rows."""
        with closing(duckdb.connect(str(self.published.resolve()), read_only=True)) as con:
            found = {}
            for table, columns in TABLES.items():
                rows = sorted(repr(row) for row in con.execute(f"select {columns} from {table}").fetchall())
                found[table] = f"{len(rows)} rows {hashlib.sha256(chr(10).join(rows).encode()).hexdigest()[:12]}"
            return found


def server_gone(home: Installation, seconds: float, how: str) -> None:
    """No answer from a home's server for so long.

    Args:
        home: whose server runs.
        seconds: how long.
        how: "killed", and nobody gets to start another, or "stopped", so that calls are taken and not answered.
    """
    pid = home.server_pid()
    assert pid is not None
    if how == "stopped":
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return
    # Whoever starts a server holds this lock meanwhile.
    turn = FileLock(home.path / "warehouse" / ".private" / "server.start.lock")
    try:
        assert turn.exclusive(30)
        os.kill(pid, signal.SIGKILL)
        time.sleep(seconds)
    finally:
        turn.close()


def kill_once(home: Installation, draw: random.Random, longest: float) -> str:
    """Start a run, kill a part of it after a random time, and look at what readers see; returns what was done.

    Raises:
        AssertionError: the published file is not one complete release.
    """
    victim, after = draw.choice(VICTIMS), draw.uniform(1.0, longest)
    process = home.start()
    try:
        process.wait(after)
        what = f"nothing was left to kill after {after:.1f} s"
    except subprocess.TimeoutExpired:
        server = home.server_pid() if victim == "the server" else None
        if server is not None:
            os.kill(server, signal.SIGKILL)
        else:
            process.send_signal(signal.SIGTERM if victim.endswith("politely") else signal.SIGKILL)
        what = f"{victim} after {after:.1f} s"
    process.wait(300)
    if home.published.exists():
        with closing(duckdb.connect(str(home.published.resolve()), read_only=True)) as con:
            seen = con.execute(
                "select count(*) from main.release r inner join ops.releases o using (release_id) "
                "where exists (from core.chart_entries) and exists (from main.dictionary)"
            ).fetchone()
            assert seen == (1,), f"after {what} the published file is no complete release"
    return what
