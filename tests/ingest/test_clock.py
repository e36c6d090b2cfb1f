"""Clocks that disagree: ours with the provider's, and ours with itself an hour ago."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from soundscope.ingest.budget import Budget, Limits
from soundscope.ingest.ledger import Ledger
from soundscope.sources.base import Deferred
from soundscope.sources.http import retry_after

Ingest = Callable[..., dict[str, Counter[str]]]


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("30", None, 30),
        ("Mon, 01 Jan 2035 00:00:20 GMT", "Mon, 01 Jan 2035 00:00:00 GMT", 20),
        ("Tue, 01 Jan 1980 00:02:00 GMT", "Tue, 01 Jan 1980 00:00:00 GMT", 120),
        ("Tue, 01 Jan 1980 00:02:00 GMT", None, 0),
        ("Tue, 01 Jan 1980 00:02:00 -0000", "no date", 0),
        ("-5", None, 0),
        ("inf", None, 7 * 86_400),
        ("1e300", None, 7 * 86_400),
        ("soon", "Mon, 01 Jan 2035 00:00:00 GMT", None),
        ("", None, None),
    ],
)
def test_a_wait_until_a_date_is_meant_by_the_providers_clock(value: str, date: str | None, seconds: float | None) -> None:
    assert retry_after(value, date) == seconds


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_neither_shuts_the_window_nor_opens_it_for_long(tmp_path: Path, hours: int) -> None:
    now = 1_000_000.0
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    budget = Budget(ledger, "p", "a", Limits(rate=2, window_s=5), "run", lambda: now, sleep)
    for _ in range(2):
        budget.settle(budget.acquire("x"), 200)
    now += hours * 3600
    for _ in range(6):
        budget.settle(budget.acquire("x"), 200)
    # Back: one window more than without, because it is not known when the first calls were. On: their window has passed.
    assert sum(waited) == pytest.approx(15 if hours < 0 else 10, abs=0.1)
    ledger.close()


def test_a_wait_longer_than_a_minute_is_left_to_the_next_run_by_either_clock(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    budget = Budget(ledger, "p", "a", Limits(), "run")
    budget.hold(retry_after("Tue, 01 Jan 1980 02:00:00 GMT", "Tue, 01 Jan 1980 00:00:00 GMT") or 0, "rate limit")
    with pytest.raises(Deferred) as caught:
        budget.acquire("x")
    assert caught.value.retry_at is not None
    ledger.close()


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
def test_an_ingest_goes_on_whatever_the_clock_was_set_to(
    own_sandbox: Any, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    sandbox = own_sandbox(tier="development", today="2022-12-20")
    first = ingest("charts", "tracks")
    assert first["tracks"]["ok"] > 0
    shifted = partial(Budget, clock=lambda: time.time() + hours * 3600)
    monkeypatch.setattr("soundscope.ingest.session.Budget", shifted)
    sandbox.forget()
    began = time.monotonic()
    outcomes = ingest()
    assert time.monotonic() - began < 60
    assert outcomes["features"]["ok"] > 0
    told = set().union(*outcomes.values())
    assert told <= {"ok", "absent", "forbidden"}, outcomes
    assert not [e for e in sandbox.asked() if "/date/" in e["path"] and e["status"] == 200], "what is held is not asked for again"
