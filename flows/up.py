"""`soundscope up` (`python -m flows.up`): the server, its schedules, the app and, in the sandbox, the providers, together.

This process only starts, watches and stops them; it imports neither Prefect nor the flows. The server is `flows/server.py`, the
schedules are `flows/schedules.py`, a child process is `flows/children.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flows.children import Child, answers, free_port
from flows.environment import LOOPBACK, child_environment, credentials_file
from flows.locks import FileLock
from flows.server import START_DEADLINE_S, Server, revive, say, start
from soundscope.app.serve import command as app_command
from soundscope.errors import Busy, SoundScopeError
from soundscope.settings import PROJECT, Settings, load_settings

READY_DEADLINE_S = 120.0
# A server that ends more often than this has a trouble of its own.
_REVIVED_AT_MOST, _REVIVED_WITHIN_S = 3, 600.0
_UNNEEDED_SECRETS = ("PREFECT_", "SPOTIPY_", "SOUNDSCOPE_SERVER__DATABASE")


class Interrupted(Exception):
    """A person or the system asked to stop."""


def up(settings: Settings, deployments: Path, *, with_app: bool, show: Callable[[dict[str, Any]], None]) -> int:
    """Start everything, watch it until asked to stop, stop it; returns the exit status.

    Args:
        settings: of the installation.
        deployments: the `prefect.yaml` whose deployments are served.
        with_app: whether the Streamlit app is started.
        show: takes the addresses once everything is ready, or of what already runs.

    Raises:
        SoundScopeError: something did not start, the schedules died, or the server died again and again; everything is stopped.
    """
    settings.paths.create()
    state_file = settings.paths.private / "up.json"
    lock = FileLock(settings.paths.private / "up.lock")
    if not lock.exclusive() and (other := _already_up(state_file, lock)) is not None:
        show(other)
        return 0
    # Of one that was killed; whoever comes now must not believe it.
    state_file.unlink(missing_ok=True)
    try:
        with _asked_to_stop(), ExitStack() as started:
            server = start(settings)
            started.callback(_stop_server, server)
            children, state = _start_children(settings, server, deployments, with_app, started)
            state_file.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
            started.callback(state_file.unlink, missing_ok=True)
            show(state)
            _watch(settings, server, children)
    except Interrupted:
        say("Stopped.")
    finally:
        lock.close()
    return 0


def _start_children(
    settings: Settings, server: Server, deployments: Path, with_app: bool, started: ExitStack
) -> tuple[list[Child], dict[str, Any]]:
    """The sandbox, the schedules and the app, in this order; `started` stops them in the other."""
    paths = settings.paths
    environment = {**child_environment(settings, server.address), "SOUNDSCOPE_HOME": str(settings.home)}
    children = []

    def launch(name: str, command: Sequence[str], log: str, patience: float, *, secrets: bool = False) -> Child:
        say(f"Starting {name}...")
        kept = {key: value for key, value in environment.items() if secrets or not key.startswith(_UNNEEDED_SECRETS)}
        child = Child(name, command, kept, paths.logs / log)
        started.callback(_stop_child, child, patience)
        children.append(child)
        return child

    sandbox_address = app_address = None
    if settings.profile == "sandbox":
        port = free_port(settings.sandbox.port, "the sandbox")
        launch("the sandbox", _sandbox(settings, port), "sandbox.log", 10).wait_until(lambda: answers(port), READY_DEADLINE_S)
        sandbox_address = f"http://{LOOPBACK}:{port}"
        environment["SOUNDSCOPE_SANDBOX__PORT"] = str(port)
    ready = paths.private / "schedules.json"
    ready.unlink(missing_ok=True)
    started.callback(ready.unlink, missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "flows.schedules",
        str(deployments),
        str(ready),
        *([server.alone_since.isoformat()] if server.alone_since else []),
    ]
    launch("the schedules", command, "schedules.log", 40, secrets=True).wait_until(ready.exists, READY_DEADLINE_S)
    if with_app and find_spec("streamlit"):
        app_port = free_port(settings.server.app_port, "the app")
        launch("the app", app_command(app_port), "app.log", 10).wait_until(lambda: answers(app_port), READY_DEADLINE_S)
        app_address = f"http://{LOOPBACK}:{app_port}"
    state = {
        "dashboard": server.address,
        "app": app_address,
        "sandbox": sandbox_address,
        "credentials_file": str(credentials_file(settings)),
        "pid": os.getpid(),
        "deployments": json.loads(ready.read_text(encoding="utf-8")),
    }
    return children, state


def _sandbox(settings: Settings, port: int) -> list[str]:
    said = settings.sandbox
    options = {"port": port, "tier": said.tier, "seed": said.seed, "tracks": said.tracks, "time-scale": said.time_scale}
    return [sys.executable, "-m", "soundscope.cli", "sandbox", *(f"--{name}={value}" for name, value in options.items())]


def _watch(settings: Settings, server: Server, children: list[Child]) -> None:
    """Until a signal comes. The server is started again; the app and the sandbox may die alone; without schedules nothing useful is left."""
    watched = list(children)
    revived: list[float] = []
    while True:
        time.sleep(0.5)
        if revive(settings, server):
            revived.append(time.monotonic())
            log = settings.paths.logs / "prefect-server.log"
            if len([at for at in revived if at > time.monotonic() - _REVIVED_WITHIN_S]) > _REVIVED_AT_MOST:
                raise SoundScopeError("The Prefect server ends again and again.", next_step=f"read {log}, then start again.")
            say("The Prefect server ended unexpectedly and was started again; runs under way go on.")
        for child in list(watched):
            if (what := child.ended()) is None:
                continue
            watched.remove(child)
            if child.name == "the schedules":
                raise SoundScopeError(what, next_step=f"read {child.log}, then start again.")
            say(f"Error: {what}\n  Next: the rest goes on; read {child.log}, then restart `soundscope up` to have it again.")


def _stop_child(child: Child, patience: float) -> None:
    say(f"Stopping {child.name}...")
    child.stop(patience)


def _stop_server(server: Server) -> None:
    say("Stopping the Prefect server...")
    if not server.stop():
        say("Another process still uses the Prefect server; it stops when that process ends.")


@contextmanager
def _asked_to_stop() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into `Interrupted`; later ones only say that stopping takes a moment."""
    asked = False

    def handle(*_: object) -> None:
        nonlocal asked
        if asked:
            say("Already stopping...")
            return
        asked = True
        raise Interrupted

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(name, handle) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


def _already_up(state_file: Path, lock: FileLock) -> dict[str, Any] | None:
    """What the other `up` of this folder says of itself; waits while it starts or stops. None if it ended: then its lock is held here.

    Raises:
        Busy: it is not ready after minutes.
    """
    deadline = time.monotonic() + READY_DEADLINE_S + START_DEADLINE_S
    told = False
    while time.monotonic() < deadline:
        try:
            state: dict[str, Any] = json.loads(state_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            if lock.exclusive():
                return None
            if not told:
                say("Another `soundscope up` of this folder is starting or stopping; waiting for it...")
                told = True
            time.sleep(0.2)
            continue
        say(f"SoundScope is already up here (process {state['pid']}).")
        return state
    raise Busy("Another `soundscope up` of this folder is starting or stopping.", next_step="wait a moment and try again.")


def _print_addresses(state: dict[str, Any], profile: str) -> None:
    note = ", where every value is synthetic" if profile == "sandbox" else ""
    lines = [
        f"SoundScope is up, profile {profile}{note}.",
        f"  dashboard  {state['dashboard']}  (sign in with the text under `sign_in` in {state['credentials_file']})",
        f"  app        {state['app'] or 'not started'}",
        *([f"  sandbox    {state['sandbox']}"] if state["sandbox"] else []),
        *(f"  schedule   {name}: {', '.join(crons) or 'on demand'}" for name, crons in state["deployments"].items()),
        f"Stop everything with Ctrl-C here, or `kill {state['pid']}`.",
    ]
    print("\n".join(lines), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="soundscope up", description="Start server, dashboard, schedules and app together.")
    parser.add_argument("--json", action="store_true", help="print the addresses as one JSON object")
    parser.add_argument("--no-app", action="store_true", help="leave the Streamlit app out")
    parser.add_argument("--deployments", type=Path, default=PROJECT / "prefect.yaml", help="another file than prefect.yaml")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()

        def show(state: dict[str, Any]) -> None:
            if options.json:
                print(json.dumps(state), flush=True)
            else:
                _print_addresses(state, settings.profile)

        return up(settings, options.deployments.resolve(), with_app=not options.no_app, show=show)
    except SoundScopeError as error:
        say(f"Error: {error}")
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
