"""Rationing: what the limit allows is used, and never exceeded, whoever asks."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from soundscope.ingest.budget import Budget, Limits
from soundscope.ingest.ledger import Ledger
from soundscope.sandbox import SandboxServer
from soundscope.sources.base import Deferred, QuotaSpent
from soundscope.sources.http import Client


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


def _budget(ledger: Ledger, clock: Clock, **limits: Any) -> Budget:
    return Budget(ledger, "p", "a", Limits(**limits), "run", clock, clock.sleep)


def test_a_window_counts_from_the_answers(ledger: Ledger) -> None:
    clock = Clock()
    budget = _budget(ledger, clock, rate=3, window_s=10)
    arrived = []
    for _ in range(12):
        ticket = budget.acquire("x")
        clock.now += 0.5  # on the way
        arrived.append(clock.now)
        clock.now += 0.25  # and back
        budget.settle(ticket, 200)
    assert all(later - earlier > 10 for earlier, later in zip(arrived, arrived[3:], strict=False)), (
        "never four in ten seconds at the server"
    )
    assert arrived[-1] - arrived[0] < 3 * (10 + 1.5), "and little is wasted"


def test_a_call_that_died_does_not_block_for_ever(ledger: Ledger) -> None:
    clock = Clock()
    budget = _budget(ledger, clock, rate=1, window_s=1)
    budget.acquire("x")
    began = clock.now
    budget.acquire("x")
    assert 1 < clock.now - began < 62


def test_a_spent_quota_says_when_it_goes_on(ledger: Ledger) -> None:
    clock = Clock()
    budget = _budget(ledger, clock, quota=2, quota_window_s=86_400)
    for _ in range(2):
        budget.settle(budget.acquire("x"), 200)
        clock.now += 100
    assert budget.remaining() == 0
    with pytest.raises(QuotaSpent, match="budget of 2 calls") as caught:
        budget.acquire("x")
    assert caught.value.retry_at is not None
    clock.now += 86_400 - 200
    budget.acquire("x")


def test_a_hold_is_kept_by_everyone_and_a_shorter_one_does_not_end_it(ledger: Ledger) -> None:
    clock = Clock()
    first, second = _budget(ledger, clock), _budget(ledger, clock)
    first.hold(50_000, "quota")
    second.hold(5, "rate limit")
    with pytest.raises(QuotaSpent):
        second.acquire("x")
    clock.now += 50_001
    second.hold(120, "rate limit")
    with pytest.raises(Deferred):
        first.acquire("x")
    clock.now += 100
    first.acquire("x")  # the last twenty seconds are waited for


def ask_until(ledger_url: str, url: str, rate: int, window_s: float, end: float) -> None:
    """Ask as fast as the budget allows, from four threads, until `end`."""
    opened = Ledger(ledger_url)
    budget = Budget(opened, "billboard_hot_100", "a", Limits(rate, window_s), "run")
    client = Client("billboard_hot_100", budget)

    def work() -> None:
        while time.time() < end:
            client.get("week", url)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.close()


def use_of_limit(folder: Path, processes: int, seconds: float, rate: int, window_s: float) -> tuple[float, int]:
    """Share of the limit that is used, and the most requests in any window, as the server saw them."""
    with SandboxServer(tracks=400, seed=5, today="2022-12-20") as server:
        url, address = f"{server.provider_urls()['billboard_hot_100']}/valid_dates.json", f"sqlite:///{folder / 'ledger.sqlite'}"
        Ledger(address).close()
        end = time.time() + seconds
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=ask_until, args=(address, url, rate, window_s, end)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seen = requests.get(f"{server.url}/_sandbox/requests?log=1&window_s={window_s}", timeout=5).json()
    times = [_seconds(entry["time"]) for entry in seen["log"]]
    # Calls come in bursts; from the end of the first to the end of the last, the limit allows one burst per window.
    bursts = len(times) // rate
    used = (bursts - 1) * window_s / (times[bursts * rate - 1] - times[rate - 1]) if bursts > 1 else float("nan")
    return used, seen["providers"]["billboard_hot_100"]["max_in_window"][f"{window_s:g}"]


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 4])
def test_the_limit_is_never_exceeded(tmp_path: Path, processes: int) -> None:
    # How much of it is used depends on the machine: benchmarks/ingest.py measures that.
    _, most = use_of_limit(tmp_path, processes, seconds=21, rate=100, window_s=5.0)
    assert 0 < most <= 100
