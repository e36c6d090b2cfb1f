"""The ledger and its budget: shared by processes, exact under concurrency, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import tables as t
from soundscope.ingest.budget import Budget, Limits
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.pipeline.shortfall import shortfall
from soundscope.sources.base import Deferred, Outcome, QuotaSpent, Unit


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    server = os.environ.get("SOUNDSCOPE_TEST_POSTGRES")
    if not server:
        pytest.skip("no PostgreSQL server; install Debian's postgresql and set SOUNDSCOPE_TEST_POSTGRES to its address")
    name = f"soundscope_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    yield server.rsplit("/", 1)[0] + f"/{name}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def _result(key: str, outcome: Outcome, **more: object) -> dict[str, object]:
    return {"provider": "p", "kind": "k", "key": key, "outcome": outcome, **more}


def test_units_come_due_by_what_came_of_them(ledger: Ledger) -> None:
    names = ["planned", "done", "stale", "absent", "waiting", "failed", "refused"]
    ledger.plan_units([Unit("p", "k", name, float(n), {"title": name}) for n, name in enumerate(names)])
    now = utcnow()
    ledger.record(
        "run",
        [
            _result("done", Outcome.OK),
            _result("stale", Outcome.OK, fresh_until=now - timedelta(seconds=1)),
            _result("absent", Outcome.ABSENT),
            _result("waiting", Outcome.QUOTA, retry_at=now + timedelta(hours=5)),
            _result("failed", Outcome.ERROR),
            _result("refused", Outcome.FORBIDDEN),
        ],
    )
    assert [unit.key for unit in ledger.due_units("p", "k")] == ["planned", "stale", "failed"]
    assert ledger.due_units("p", "k")[0].payload == {"title": "planned"}
    later = [unit.key for unit in ledger.due_units("p", "k", now + timedelta(days=2))]
    assert later == ["planned", "stale", "waiting", "failed", "refused"]
    assert "absent" in [unit.key for unit in ledger.due_units("p", "k", now + timedelta(days=8))]


def test_a_miss_is_asked_again_after_a_growing_while(ledger: Ledger) -> None:
    ledger.plan_units([Unit("p", "k", "miss")])
    waits = []
    for _ in range(4):
        now = utcnow()
        ledger.record("run", [_result("miss", Outcome.ABSENT)])
        with ledger.read() as connection:
            waits.append(round((connection.execute(sa.select(t.units.c.retry_at)).scalar_one() - now).total_seconds() / 86_400))
    assert waits == [7, 14, 28, 56]


def test_planning_again_keeps_what_is_done(ledger: Ledger) -> None:
    ledger.plan_units([Unit("p", "k", "x", 5.0)])
    ledger.record("run", [_result("x", Outcome.OK, etag='"1"')])
    ledger.plan_units([Unit("p", "k", "x", 1.0)])
    assert ledger.unit_status("p", "k") == {"x": "done"}
    assert ledger.unit_etag("p", "k", "x") == '"1"'


def test_a_dead_run_is_closed(ledger: Ledger) -> None:
    run_id = ledger.start_run("run", "sandbox")
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    with ledger.begin() as connection:
        connection.execute(sa.update(t.runs).where(t.runs.c.run_id == run_id).values(pid=process.pid))
    assert ledger.close_dead_runs() == 1
    with ledger.read() as connection:
        assert connection.execute(sa.select(t.runs.c.status)).scalar_one() == "crashed"


def test_the_rolling_window_is_kept_to_and_used(ledger: Ledger) -> None:
    now = [1_000.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    budget = Budget(ledger, "p", "a", Limits(rate=10, window_s=5.0), "run", clock=lambda: now[0], sleep=sleep)
    times = []
    for _ in range(100):
        ticket = budget.acquire("k")
        times.append(now[0])
        now[0] += 0.01
        budget.settle(ticket, 200)
    busiest = max(sum(start <= moment < start + 5.0 for moment in times) for start in times)
    assert busiest == 10, "never more than the limit in any window, and all of it used"
    assert times[-1] - times[0] <= 9 * 5.0 * 1.05


def test_a_spent_quota_says_when_it_is_worth_trying_again(ledger: Ledger) -> None:
    now = [0.0]
    budget = Budget(ledger, "p", "a", Limits(quota=3, quota_window_s=86_400.0), "run", clock=lambda: now[0], sleep=lambda s: None)
    for _ in range(3):
        budget.acquire("k")
        now[0] += 3600
    assert budget.remaining() == 0
    with pytest.raises(QuotaSpent) as spent:
        budget.acquire("k")
    assert spent.value.retry_at is not None
    assert spent.value.retry_at.timestamp() >= 0
    now[0] = 86_401.0
    budget.acquire("k")


def test_a_long_hold_is_not_slept_through(ledger: Ledger) -> None:
    now = [0.0]
    budget = Budget(ledger, "p", "a", Limits(), "run", clock=lambda: now[0], sleep=lambda s: pytest.fail("slept"))
    budget.hold(48_925, "quota")
    with pytest.raises(QuotaSpent):
        budget.acquire("k")
    other = Budget(ledger, "p", "a", Limits(), "another process", clock=lambda: now[0])
    with pytest.raises(Deferred):
        other.acquire("k")


def _spend(url: str, n: int, wins: multiprocessing.Queue[int]) -> None:
    ledger = Ledger(url)
    budget = Budget(ledger, "p", "a", Limits(quota=60), "run")
    won = 0
    for _ in range(n):
        try:
            budget.acquire("k")
            won += 1
        except QuotaSpent:
            break
    wins.put(won)
    ledger.close()


def test_processes_share_one_budget(url: str) -> None:
    Ledger(url).close()
    context = multiprocessing.get_context("spawn")
    wins: multiprocessing.Queue[int] = context.Queue()
    workers = [context.Process(target=_spend, args=(url, 40, wins)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(wins.get(timeout=5) for _ in workers) == 60


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(SoundScopeError, match=r"ledger\.sqlite"):
        Ledger(f"sqlite:///{file}")


def test_a_run_says_what_it_did_not_get(ledger: Ledger) -> None:
    run = ledger.start_run("run", "sandbox")
    ledger.record(run, [_result("a", Outcome.ERROR), _result("b", Outcome.QUOTA), _result("c", Outcome.ABSENT)], None)
    assert shortfall(ledger, run) == "not all was answered (p: 1 deferred, 1 failed), it is asked for again later"
    ledger.record(run, [_result("a", Outcome.OK), _result("b", Outcome.OK)], None)
    assert shortfall(ledger, run) == ""
