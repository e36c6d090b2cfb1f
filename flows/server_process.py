"""The Prefect server's own process: `python -m flows.server_process <socket fd> <folder>`, started by `flows/server.py` alone.

It holds `server.lock` for its whole life (so that a state file left behind by a crash is never believed), serves on a
socket that its parent bound (so that the port cannot be lost in between), and leaves when nobody uses it any more, even if
its users were killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from flows.locks import FileLock

UNUSED_CHECK_S = 2.0
ALREADY_RUNS = 3


def serve(fd: int, folder: Path) -> int:
    """Serve until told to stop or unused.

    Args:
        fd: an inherited, listening TCP socket.
        folder: where the lock, the state file and the users' lock are.

    Returns:
        the exit status; 3 if another server of this installation runs.
    """
    os.umask(0o077)
    life = FileLock(folder / "server.lock")
    if not life.exclusive():
        print("another server of this installation is running", file=sys.stderr)
        return ALREADY_RUNS
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=fd)
    host, port = sock.getsockname()[:2]
    state = folder / "server.json"
    temporary = folder / f".server.json-{os.getpid()}"
    temporary.write_text(json.dumps({"pid": os.getpid(), "address": f"http://{host}:{port}"}), encoding="utf-8")
    temporary.replace(state)
    # uvicorn raises the signal again when it has shut down; only then does this handler end the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _run(sock, folder)
    finally:
        state.unlink(missing_ok=True)
    return 0


def _run(sock: socket.socket, folder: Path) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    _let_schedules_insert_runs()
    config = uvicorn.Config(
        create_app, factory=True, log_level="warning", timeout_keep_alive=5, timeout_graceful_shutdown=5, lifespan="on"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_leave_when_unused, args=(server, folder), daemon=True).start()
    server.run(sockets=[sock])
    if not server.started:
        raise SystemExit(1)


def _let_schedules_insert_runs() -> None:
    """Let Prefect 3.8 schedule runs on SQLAlchemy 2.1.

    Its bulk insert of scheduled runs also passes `state`, a hybrid property that is stored in another table. SQLAlchemy 2.0
    left such a key out; 2.1 refuses the insert unless the property says what to do with it: nothing.
    """
    from prefect.server.database.orm_models import FlowRun
    from sqlalchemy import inspect

    state: Any = inspect(FlowRun).all_orm_descriptors["state"]
    state.bulk_dml_setter = lambda cls, mapping, value: None


def _leave_when_unused(server: Any, folder: Path) -> None:
    users = FileLock(folder / "server.users")
    while not users.exclusive():
        time.sleep(UNUSED_CHECK_S)
    # Kept to the end: whoever comes now waits until this server is gone, then starts another.
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), Path(sys.argv[2])))
