"""The Prefect server of this installation: start it, find it, share it, stop it.

One server for each home folder, on loopback, behind a password. Every process that needs it holds `server.users` together
with the others; the last to leave stops it, and the server itself leaves when nobody holds that lock (its users were
killed). What the server is told is `flows/environment.py`; what it guards is `flows/guards.py`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from flows.environment import (
    LOOPBACK,
    apply_environment,
    child_environment,
    credentials,
    credentials_file,
    prefect_environment,
)
from flows.guards import set_up
from flows.locks import FileLock, is_held
from soundscope.errors import BadInput, Busy, SoundScopeError
from soundscope.settings import PROJECT, Settings

__all__ = [
    "Server",
    "apply_environment",
    "credentials",
    "credentials_file",
    "ensure_server",
    "prefect_environment",
    "revive",
    "running",
    "start",
]

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 20.0
_PORTS_TRIED = 50
_LOOK_EVERY_S = 1.0
_SECRETS = ("SPOTIPY_", "SOUNDSCOPE_PROVIDERS__")


def say(message: str) -> None:
    """A line of progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def running(settings: Settings) -> str | None:
    """The address of this installation's server (`http://127.0.0.1:4200`), or None if there is none.

    Believed only if the process that wrote the state file is alive (it holds `server.lock`) and takes this installation's
    password; whatever else may answer on that port is not asked.
    """
    state = _state(settings)
    if not state.address or not is_held(settings.paths.private / "server.lock"):
        return None
    return state.address if _accepts(settings, state.address) else None


class Server:
    """A hold on the server; leave with `stop` or as a context manager.

    Attributes:
        address: `http://127.0.0.1:<port>`, the dashboard.
        pid: of the server's process.
        started_here: whether this process started it.
        alone_since: aware UTC, when this process came, if no other used it then: runs that claim to be going on since before have
            no process. None if there were others.
    """

    def __init__(self, settings: Settings, users: FileLock, *, alone_since: datetime | None) -> None:
        self._settings = settings
        self._users: FileLock | None = users
        self.alone_since = alone_since
        self.started_here = False
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.pid = 0

    @property
    def api_url(self) -> str:
        """What Prefect calls PREFECT_API_URL."""
        return f"{self.address}/api"

    def stop(self) -> bool:
        """Leave. Whoever leaves last stops the server; its recorder gets the time to write what it holds.

        Returns:
            whether the server is stopped; False means that another process still uses it.
        """
        if self._users is None:
            return False
        try:
            if not self._users.exclusive():
                return False
            _terminate(self._settings, self.process)
            return True
        finally:
            self._users.close()
            self._users = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(settings: Settings, progress: Callable[[str], None] = say, meanwhile: Callable[[], None] | None = None) -> Server:
    """Use this installation's server, starting it if none runs. Two processes at once end up with the same one.

    Args:
        settings: of the installation; `server.port` is where to begin looking for a free port.
        progress: takes lines of progress.
        meanwhile: done while a server that had to be started is not ready yet.

    Raises:
        SoundScopeError: the server died or did not answer in time; the message ends with its last log lines.
        BadInput: no port is free.
        Busy: another process has been starting or stopping the server for too long.
    """
    settings.paths.create()
    private = settings.paths.private
    users, turn = FileLock(private / "server.users"), FileLock(private / "server.start.lock")
    try:
        _take(settings, turn.exclusive(START_DEADLINE_S), "starting")
        # Within one's turn: two that come at once are not both alone.
        alone_since = datetime.now(UTC) if users.exclusive() else None
        _take(settings, users.shared(START_DEADLINE_S), "stopping")
        server = Server(settings, users, alone_since=alone_since)
        if is_held(private / "server.lock"):
            server.address = _wait_for_answer(settings, None, progress)
        else:
            server.process = _spawn(settings)
            server.started_here = True
            if meanwhile:
                meanwhile()
            server.address = _wait_for_answer(settings, server.process, progress)
        server.pid = _state(settings).pid
        credentials(settings, server.address)
    except BaseException:
        users.close()
        raise
    finally:
        turn.close()
    return server


def _take(settings: Settings, taken: bool, what: str) -> None:
    if not taken:
        raise Busy(
            f"Another process has been {what} the Prefect server for {START_DEADLINE_S:.0f} s.",
            next_step=f"look at {_log(settings)}, end that process, then try again.",
        )


@contextmanager
def ensure_server(
    settings: Settings, progress: Callable[[str], None] = say, meanwhile: Callable[[], None] | None = None
) -> Iterator[str]:
    """The address of a server that is ready for runs: environment applied, limits made, runs without a process marked crashed.

    Starts one if none runs, and again should it die; whoever leaves last stops it. Import flows inside the block, not before.

    Raises:
        SoundScopeError: as `start`.
    """
    with start(settings, progress, meanwhile) as server:
        apply_environment(settings, server.address)
        set_up(settings, server.alone_since)
        with _kept_alive(settings, server):
            yield server.address


class _State(NamedTuple):
    """What the server's process says about itself; no address if it says nothing."""

    pid: int = 0
    address: str = ""


def _state(settings: Settings) -> _State:
    try:
        state = json.loads((settings.paths.private / "server.json").read_text(encoding="utf-8"))
        return _State(int(state["pid"]), str(state["address"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return _State()


def _accepts(settings: Settings, address: str) -> bool:
    token = base64.b64encode(credentials(settings).auth_string.encode()).decode()
    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=2)
    try:
        connection.request("GET", "/api/admin/version", headers={"Authorization": f"Basic {token}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_socket(first: int, tries: int = _PORTS_TRIED) -> socket.socket:
    """A listening socket on loopback, at `first` or the next free port (any port if `first` is 0)."""
    last = first + tries if first else 1
    for port in range(first, min(last, 65_536)):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
            sock.listen(512)
        except OSError:
            sock.close()
            continue
        return sock
    raise BadInput(
        f"No free port between {first} and {last - 1} for the Prefect server.",
        next_step="choose another with SOUNDSCOPE_SERVER__PORT, or 0 for any free one.",
    )


def revive(settings: Settings, server: Server) -> bool:
    """Start the server again at its old address if its process is gone; returns whether this call did.

    Runs under way ask again for two minutes, so they go on. Of several processes that see it, one starts it.

    Raises:
        SoundScopeError: it did not start.
        BadInput: its port was taken meanwhile.
    """
    private = settings.paths.private
    if is_held(private / "server.lock"):
        return False
    turn = FileLock(private / "server.start.lock")
    try:
        if not turn.exclusive(START_DEADLINE_S) or is_held(private / "server.lock"):
            return False
        process = _spawn(settings, int(server.address.rsplit(":", 1)[1]))
        _wait_for_answer(settings, process, lambda _: None)
        server.process, server.pid, server.started_here = process, _state(settings).pid, True
        return True
    finally:
        turn.close()


@contextmanager
def _kept_alive(settings: Settings, server: Server) -> Iterator[None]:
    leaving = threading.Event()

    def watch() -> None:
        while not leaving.wait(_LOOK_EVERY_S):
            try:
                if revive(settings, server):
                    say("The Prefect server was gone and has been started again.")
            except SoundScopeError as error:
                say(f"The Prefect server is gone and cannot be started again: {error}")
                return

    watcher = threading.Thread(target=watch, name="server watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        leaving.set()
        watcher.join()


def _spawn(settings: Settings, port: int | None = None) -> subprocess.Popen[bytes]:
    sock = _free_socket(settings.server.port) if port is None else _free_socket(port, tries=1)
    address = f"http://{LOOPBACK}:{sock.getsockname()[1]}"
    environment = {name: value for name, value in child_environment(settings, address).items() if not name.startswith(_SECRETS)}
    if settings.server.database_url:
        # For the server's process alone: who uses the server has no business in its database.
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = settings.server.database_url.get_secret_value()
    log = os.open(_log(settings), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server_process", str(sock.fileno()), str(settings.paths.private)],
            cwd=PROJECT,
            env={**environment, "PREFECT__SERVER_FINAL": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(sock.fileno(),),
            start_new_session=True,
        )
    finally:
        os.close(log)
        sock.close()


def _wait_for_answer(settings: Settings, process: subprocess.Popen[bytes] | None, progress: Callable[[str], None]) -> str:
    begin = told = time.monotonic()
    if process is not None:
        progress("Starting the Prefect server (the first start also makes its database)...")
    while time.monotonic() < begin + START_DEADLINE_S:
        if process is not None and process.poll() is not None:
            raise _failed(settings, f"ended with status {process.returncode} while it started")
        address = running(settings)
        now = time.monotonic()
        if address is not None:
            if process is not None:
                progress(f"Prefect server ready at {address} after {now - begin:.1f} s.")
            return address
        if now - told >= 5:
            told = now
            progress(f"  still waiting for the Prefect server ({now - begin:.0f} s)")
        time.sleep(0.1)
    if process is not None:
        process.kill()
        process.wait()
    raise _failed(settings, f"did not answer within {START_DEADLINE_S:.0f} s")


def _failed(settings: Settings, what: str) -> SoundScopeError:
    log = _log(settings)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log.exists() else []
    return SoundScopeError(
        "\n".join([f"The Prefect server {what}. Its last log lines:", *(f"  {line}" for line in lines or ["(none)"])]),
        next_step=f"read {log}; if its database is damaged, move {settings.paths.prefect} away and start again.",
    )


def _terminate(settings: Settings, process: subprocess.Popen[bytes] | None) -> None:
    """End the process that holds `server.lock`; nothing else is ever signalled."""
    life = FileLock(settings.paths.private / "server.lock")
    state = _state(settings)
    for signal_number, deadline in ((signal.SIGTERM, STOP_DEADLINE_S), (signal.SIGKILL, 5.0)):
        if life.exclusive():
            break
        if state.pid:
            os.kill(state.pid, signal_number)
        if life.exclusive(deadline):
            break
    (settings.paths.private / "server.json").unlink(missing_ok=True)
    life.close()
    if process is not None:
        process.wait(timeout=5)


def _log(settings: Settings) -> Path:
    return settings.paths.logs / "prefect-server.log"
