"""A running app and a real browser, for tests and the benchmark."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from soundscope.app.serve import LOOPBACK, command, free_port
from soundscope.settings import PROJECT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The app's own process for a home folder, on a free port; its address."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SOUNDSCOPE_", "SPOTIPY_"))}
    port = free_port(8700)
    log = (home / "app.log").open("wb")
    process = subprocess.Popen(command(port), cwd=PROJECT, env=kept | {"SOUNDSCOPE_HOME": str(home)}, stdout=log, stderr=log)
    address = f"http://{LOOPBACK}:{port}"
    try:
        _wait(process, f"{address}/_stcore/health", home / "app.log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def footer(page: Any) -> None:
    """Wait until a page is drawn to its end."""
    page.get_by_text("Last run").or_(page.get_by_text("No run is recorded")).first.wait_for(timeout=60_000)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The app ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            with urlopen(url, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("The app did not answer within a minute.")
