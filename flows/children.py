"""The processes that `up` starts besides the server: each with a log of its own, ending with `up` even if `up` is killed.

Which ones there are is decided in `flows/up.py`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.environment import LOOPBACK
from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import PROJECT

_ATTACHED = Path(__file__).with_name("attached.py")


class Child:
    """One started process.

    Args:
        name: as a person is told.
        command: program and arguments.
        environment: the whole environment of the process.
        log: file that takes its output, begun anew.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # A session of its own: Ctrl-C reaches `up` alone, which stops its children in order.
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(_ATTACHED), *command],
                cwd=PROJECT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        finally:
            os.close(out)

    def ended(self) -> str | None:
        """None while it runs, else what happened and its last log lines."""
        status = self.process.poll()
        if status is None:
            return None
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return "\n".join(
            [f"{self.name} ended with status {status}. Its last log lines:", *(f"  {line}" for line in lines or ["(none)"])]
        )

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until it is ready.

        Raises:
            SoundScopeError: it ended, or was not ready within `deadline` seconds.
        """
        begin = time.monotonic()
        while not ready():
            if (what := self.ended()) is not None:
                raise SoundScopeError(what, next_step=f"correct what it says; the whole log is {self.log}.")
            if time.monotonic() > begin + deadline:
                raise SoundScopeError(f"{self.name} was not ready within {deadline:.0f} s.", next_step=f"read {self.log}.")
            time.sleep(0.1)

    def stop(self, patience: float) -> None:
        """End it: a request first, after `patience` seconds the whole session at once."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def free_port(first: int, what: str) -> int:
    """`first`, or the next free port on loopback (any if `first` is 0).

    Raises:
        BadInput: none of the next fifty is free.
    """
    for port in range(first, min(first + 50 if first else 1, 65_536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise BadInput(
        f"No free port for {what} from {first} on.", next_step="choose another in soundscope.toml, or 0 for any free one."
    )


def answers(port: int) -> bool:
    """Whether something listens on that port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(1)
        return sock.connect_ex((LOOPBACK, port)) == 0
