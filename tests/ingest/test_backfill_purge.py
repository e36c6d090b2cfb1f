"""Backfill goes on where it was stopped; purge and expiry leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from soundscope.errors import BadInput, Busy
from soundscope.ingest import landing
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import raw_counts, replay
from soundscope.pipeline.backfill import backfill, plan_backfill
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.purge import expire, purge
from soundscope.pipeline.run import open_run
from soundscope.pipeline.steps import load_step, probe_step
from soundscope.settings import PROJECT, load_settings
from soundscope.warehouse.spark import SparkTables

pytestmark = pytest.mark.slow
Ingest = Callable[..., dict[str, Counter[str]]]
Rows = Callable[[str], list[tuple[Any, ...]]]


def _week_calls(sandbox: Any) -> list[str]:
    return [entry["path"] for entry in sandbox.asked() if "/date/" in entry["path"]]


def test_a_backfill_shows_its_cost_keeps_to_its_dates_and_asks_once(own_sandbox: Any, rows: Rows) -> None:
    sandbox = own_sandbox(today="2023-02-28")
    with open_run(load_settings(), "backfill", providers=True) as run:
        planned = plan_backfill(run, "billboard_hot_100", "2022-12-10", "2022-12-31")
        assert [(part.units, part.held, part.calls, part.days) for part, _ in planned] == [(4, 0, 4, 1)]
        assert _week_calls(sandbox) == [], "a plan fetches nothing"
        outcomes, retry_at = backfill(run, planned, lambda line: None)
        assert (outcomes["ok"], retry_at) == (4, None)
        again = plan_backfill(run, "billboard_hot_100", "2022-12-10", "2023-01-07")
        assert [(part.units, part.held) for part, _ in again] == [(1, 4)]
    assert len(_week_calls(sandbox)) == len(set(_week_calls(sandbox))) == 4
    assert rows("select distinct chart_date::varchar from raw.chart_entries order by 1") == [
        ("2022-12-10",), ("2022-12-17",), ("2022-12-24",), ("2022-12-31",),
    ]  # fmt: skip


def test_a_backfill_counts_days_and_goes_on_when_the_budget_allows(
    own_sandbox: Any, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__SPOTIFY__DAILY_BUDGET", "12")
    own_sandbox(tier="development", off=("deezer", "reccobeats"), today="2023-02-28")
    ingest("charts")
    with open_run(load_settings(), "backfill", providers=True) as run:
        probe_step(run)
        ((part, units),) = plan_backfill(run, "spotify", "2023-02-11", None)
        left = run.session.budgets["spotify"].remaining()
        assert left is not None
        assert part.days == 1 + -(-(part.calls - left) // 12)
        outcomes, retry_at = backfill(run, [(part, units)], lambda line: None)
        assert outcomes["quota"] == len(units) - left
        assert retry_at is not None
        assert timedelta(hours=23) < retry_at - utcnow() < timedelta(hours=25)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_stopped_backfill_fetches_nothing_twice(own_sandbox: Any, monkeypatch: pytest.MonkeyPatch, how: signal.Signals) -> None:
    sandbox = own_sandbox(today="2023-02-28")
    if how is signal.SIGTERM:
        # It stands before a full window when it is stopped.
        monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__RATE", "8")
    sandbox.fault("/date/", kind="delay", delay_s=0.1)
    command = [sys.executable, "-m", "soundscope.cli", "backfill", "billboard_hot_100"]
    child = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(_week_calls(sandbox)) < (5 if how is signal.SIGKILL else 7) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child.pid, how)
    stopped_at = time.monotonic()
    child.wait()
    assert time.monotonic() - stopped_at < 15
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__RATE", "1000")
    before = _week_calls(sandbox)
    assert 5 <= len(before) < 14
    sandbox.clear()
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    calls = Counter(_week_calls(sandbox))
    assert len(calls) == 14
    # The one request that was under way when the process died was never answered.
    assert sum(n - 1 for n in calls.values()) <= 1


@pytest.mark.parametrize(
    ("source", "since", "until", "expect"),
    [("napster", None, None, "no source"), ("apple", None, None, "today"), ("deezer", "last year", None, "not a date"),
     ("deezer", "2023-02-01", "2023-01-01", "after"), ("musicbrainz", None, None, "contact")],
)  # fmt: skip
def test_a_backfill_that_makes_no_sense_is_told_so(
    own_sandbox: Any, source: str, since: str | None, until: str | None, expect: str
) -> None:
    own_sandbox()
    with open_run(load_settings(), "backfill", providers=True) as run, pytest.raises(BadInput, match=expect) as caught:
        plan_backfill(run, source, since, until)
    assert caught.value.next_step


def test_a_purge_leaves_nothing_and_proves_it(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    import pandas as pd

    sandbox = own_sandbox(tier="development-old")
    ingest()
    (isrc,), (spotify_only,) = (
        rows("select isrc from raw.tracks where provider = 'deezer' limit 1")[0],
        rows(
            "select spotify_id from raw.tracks where spotify_id not in (select spotify_id from raw.audio_features where provider = 'reccobeats') limit 1"
        )[0],
    )
    with open_run(load_settings(), "purge", providers=True) as run:
        links = pd.DataFrame(
            {
                "title": ["A", "B"],
                "artist": ["X", "Y"],
                "run_no": [1, 1],
                "track_id": [f"spotify:{spotify_only}", f"isrc:{isrc}"],
                "status": ["matched"] * 2,
            }
        )
        land_frames(run.settings, run.ledger, run.run_id, "match", [("track_links", links)])
        load_step(run)
        of_spark = SparkTables(run.settings)
        of_spark.folder("core.tracks").mkdir(parents=True)
        of_spark.remember(["core.tracks"])
        result = purge(run, "spotify")
        assert not of_spark.folder("core.tracks").exists()
        assert of_spark.current() == set()
        with run.writer() as con:
            assert con.execute("select title from raw.track_links").fetchall() == [("B",)], (
                "a link to a track that nobody knows any more"
            )
            before = raw_counts(con)
            replay(con, run.settings.paths.landing)
            assert raw_counts(con) == before, "landing holds no more than the tables do"
    assert result.before["raw.tracks"] > 100
    assert result.before["landing files"] >= 3
    assert set(result.after.values()) == {0}
    assert "soundscope run" in result.next_step
    texts = [str(line) for path in landing.files(load_settings().paths.landing) for line in landing.read_lines(path)]
    assert not any(f"spotify:{spotify_only}" in text for text in texts)
    sandbox.forget()
    assert ingest("tracks")["tracks"]["ok"] > 0, "what is wanted is asked for anew"


def test_a_purge_of_nobody_and_a_purge_during_a_run_are_refused(settings: Any) -> None:
    with open_run(settings, "purge") as run, pytest.raises(BadInput, match="napster"):
        purge(run, "napster")
    with open_run(settings, "other"):
        command = [sys.executable, "-m", "soundscope.cli", "purge", "--provider", "spotify"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == Busy.exit_status
    assert "soundscope other" in done.stderr


def test_values_expire_and_what_is_wanted_is_asked_for_again(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    own_sandbox()
    ingest("charts", "tracks", "features")
    others = rows("select count(*) from raw.audio_features where provider = 'reccobeats'")
    with open_run(load_settings(), "maintenance") as run:
        assert expire(run) == {}, "synthetic values do not expire"
        assert expire(run, only={"spotify": timedelta(days=30)}) == {}
        removed = expire(run, utcnow() + timedelta(days=31), {"spotify": timedelta(days=30)})
    assert removed["spotify"] > 2
    assert rows("select count(*) from raw.tracks where provider = 'spotify'") == [(0,)]
    assert rows("select count(*) from raw.audio_features where provider = 'reccobeats'") == others
    assert ingest("tracks")["tracks"]["ok"] > 0
