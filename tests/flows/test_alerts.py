"""Alerts reach the configured webhook: a failed run, and what a run that ended well leaves to be told."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from soundscope.settings import PROJECT, Settings

SCRIPT = r"""
import sys
from soundscope.settings import load_settings
from flows.server import ensure_server
with ensure_server(load_settings()):
    from prefect import flow
    from flows.alerts import FAILED, TOLD, ensure_alerts, tell
    from soundscope.pipeline.alerts import Alert
    ensure_alerts(load_settings())

    @flow(name="doomed", flow_run_name='doomed "run"')
    def doomed():
        raise ValueError('it "could" not be')

    try:
        doomed()
    except ValueError:
        pass
    tell([Alert("stale_chart", "top \u00e9 500", 'newest chart is "old"\nand {{ 7 * 7 }}')])
    from prefect.client.orchestration import get_client
    with get_client(sync_client=True) as client:
        print([len(client.read_automations_by_name(name)) for name in (FAILED, TOLD)], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def webhook() -> Iterator[SimpleNamespace]:
    """A local address that keeps what it is sent."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/a-secret-path", got=got)
    server.shutdown()
    server.server_close()


@pytest.mark.e2e
@pytest.mark.timeout(240)
def test_failed_runs_and_alerts_reach_the_webhook(
    settings: Settings, webhook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_ALERTS__WEBHOOK", webhook.url)
    monkeypatch.setenv("SOUNDSCOPE_SERVER__PORT", "4400")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 150
        while len(webhook.got) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
    finally:
        out, err = process.communicate("", timeout=60)
    assert process.returncode == 0, err[-3000:]
    assert "[1, 1]" in out, "made twice, there is still one of each"
    told = {message["kind"]: message for message in webhook.got}
    assert set(told) == {"run", "stale_chart"}
    assert told["run"]["subject"] == 'doomed "run"'
    assert "Failed" in told["run"]["message"]
    assert told["stale_chart"] == {
        "kind": "stale_chart",
        "subject": "top \u00e9 500",
        "message": 'newest chart is "old"\nand {{ 7 * 7 }}',
    }
    log = "".join(file.read_text(errors="replace") for file in settings.paths.logs.glob("*.log"))
    assert "a-secret-path" not in log + err
