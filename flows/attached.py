"""Run a command that ends with its parent: `python attached.py command...`, with the parent's pipe as standard input.

When the pipe closes (the parent ended, however it ended) the command gets SIGTERM, and SIGKILL if that does not help. Standard
library only, so that it costs little. Starting and watching children is `flows/children.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

PATIENCE_S = 20.0


def main(command: list[str]) -> int:
    """Run the command; returns its exit status, 128 + n if signal n ended it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: child.terminate())
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    child.terminate()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
