"""Runs of the real ingest against a sandbox of the test's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from soundscope.pipeline.ingest import KINDS
from soundscope.pipeline.ingest import ingest as do_ingest
from soundscope.pipeline.run import open_run
from soundscope.sandbox import SandboxServer
from soundscope.settings import load_settings


class Sandbox:
    """A sandbox with its control address, and what it has been asked."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.control = f"{server.url}/_sandbox"

    def fault(self, path: str, times: int | None = None, provider: str | None = None, **fault: Any) -> None:
        match = {"path": path} | ({"provider": provider} if provider else {})
        requests.post(
            f"{self.control}/faults", json={"match": match, "fault": fault, "times": times}, timeout=5
        ).raise_for_status()

    def clear(self) -> None:
        requests.delete(f"{self.control}/faults", timeout=5).raise_for_status()

    def forget(self) -> None:
        requests.delete(f"{self.control}/requests", timeout=5).raise_for_status()

    def asked(self) -> list[dict[str, Any]]:
        return requests.get(f"{self.control}/requests?log=1", timeout=5).json()["log"]

    def post(self, what: str, **body: Any) -> None:
        requests.post(f"{self.control}/{what}", json=body, timeout=5).raise_for_status()


@pytest.fixture
def own_sandbox(monkeypatch: pytest.MonkeyPatch, home: Any) -> Iterator[Callable[..., Sandbox]]:
    """Start a sandbox of this test's own: `own_sandbox(tier=..., tracks=...)`; the configuration points at it."""
    started: list[SandboxServer] = []

    def start(off: tuple[str, ...] = (), **options: Any) -> Sandbox:
        # Limits and tokens run faster, so that Deezer's fifty calls in five seconds do not set the pace.
        options = {"tracks": 400, "seed": 5, "today": "2022-12-20", "time_scale": 50} | options
        server = SandboxServer(**options).start()
        started.append(server)
        monkeypatch.setenv("SOUNDSCOPE_SANDBOX__TIER", options.get("tier", "extended"))
        for name, url in server.provider_urls().items():
            provider = name.upper().removesuffix("_TOKEN")
            field = "TOKEN_URL" if name.endswith("_token") else "URL"
            monkeypatch.setenv(f"SOUNDSCOPE_PROVIDERS__{provider}__{field}", url)
        monkeypatch.setenv("SOUNDSCOPE_SANDBOX__TIME_SCALE", str(options["time_scale"]))
        for name in off:
            monkeypatch.setenv(f"SOUNDSCOPE_PROVIDERS__{name.upper()}__ENABLED", "false")
        return Sandbox(server)

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def ingest() -> Callable[..., dict[str, Counter[str]]]:
    """Run the whole ingest once in this home; returns units per outcome."""

    def once(*kinds: str) -> dict[str, Counter[str]]:
        with open_run(load_settings(), "ingest", providers=True) as run:
            once.messages = messages  # type: ignore[attr-defined]
            return do_ingest(run, kinds or KINDS, messages.append)

    messages: list[str] = []
    return once


@pytest.fixture
def rows() -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the private warehouse."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with open_run(load_settings(), "ask") as run, run.writer() as con, closing(con.cursor()) as cursor:
            return cursor.execute(sql).fetchall()

    return ask
