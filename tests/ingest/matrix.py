"""The fault matrix: the whole ingest in one tier with one fault at every provider, then without it. For tests and a benchmark.

The world is small (some sixty charting songs, no playlists) and the sandbox's time runs fast. A case has four runs: the first weeks of a
chart without a fault; everything, one week later, while every provider has the fault; everything, once it is lifted and the waits it
ordered have passed; and once more, to see that nothing is left to ask for.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.pipeline.ingest import ingest
from soundscope.pipeline.run import open_run
from soundscope.sandbox import SandboxServer
from soundscope.settings import load_settings

TIERS = ("extended", "extended-new", "development-old", "development")
# Provider -> where its data is asked for. Spotify's tokens are left alone: what happens without one has tests of its own.
PROVIDERS = {"billboard_hot_100": ".", "spotify": "/v1/", "deezer": ".", "musicbrainz": ".", "reccobeats": "."}
LONGEST_S = 120.0
_SKEWED = formatdate(time.time() + 3600, usegmt=True)
_SOON = formatdate(time.time() + 3601, usegmt=True)


def _status(status: int, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "status": status, **more}


def _plain(status: int, body: str) -> dict[str, Any]:
    return {"kind": "plain", "status": status, "body": body}


def _wait(value: str, **more: Any) -> dict[str, Any]:
    return _status(429, headers={"Retry-After": value, **more.pop("headers", {})}, **more)


# What is answered instead, and the outcome of the units meanwhile. None: it passes within the run, and all is well.
FAULTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "400": (_status(400), "error"),
    "401": (_status(401), "forbidden"),
    "403 without a message": (_status(403, body={"error": {"status": 403}}), "forbidden"),
    "403 no Premium": (_plain(403, "Active premium subscription required for the owner of the app."), "forbidden"),
    "403 not listed": (_plain(403, "User not registered in the Developer Dashboard"), "forbidden"),
    "404 of something else": (_plain(404, "<html>no such page</html>"), "error"),
    "408": (_status(408), "error"),
    "418": (_status(418), "error"),
    "429 for a second": (_wait("1", times=2), None),
    "429 for hours": (_wait("7200"), "rate_limited"),
    "429 without a word": (_status(429, headers={"Retry-After": None}, times=2), None),
    "429 until a date that is past": (_wait("Wed, 01 Jan 2020 00:00:00 GMT", times=2), None),
    "429 by a clock an hour ahead": (_wait(_SOON, headers={"Date": _SKEWED}, times=2), None),
    "429 quota": ({"kind": "quota", "headers": {"Retry-After": "48925"}}, "quota"),
    "429 quota without a time": ({"kind": "quota", "headers": {"Retry-After": None}}, "quota"),
    "500 once": (_status(500, times=1), None),
    "500": (_status(500), "error"),
    "502 plain": (_plain(502, "Bad Gateway"), "error"),
    "503": (_status(503), "error"),
    "504 twice": (_status(504, times=2), None),
    "slow": ({"kind": "delay", "delay_s": 0.3, "times": 2}, None),
    "too slow": ({"kind": "delay", "delay_s": 1.2}, "error"),
    "cut before": ({"kind": "cut", "after_bytes": -1}, "error"),
    "cut within": ({"kind": "cut", "after_bytes": 60}, "error"),
    "cut once": ({"kind": "cut", "after_bytes": 60, "times": 1}, None),
    "truncated": ({"kind": "truncate", "after_bytes": 40}, "error"),
    "malformed": ({"kind": "malformed"}, "error"),
}
_STATES = {"error": "failed", "forbidden": "forbidden", "rate_limited": "deferred", "quota": "deferred"}


@dataclass
class Case:
    """What came of one case: seconds and units per outcome of the run with the fault, and calls of this and the next run."""

    tier: str
    fault: str
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    calls_after: int = 0


class Home:
    """An installation in a folder of its own, against a sandbox of its own."""

    def __init__(self, tier: str, folder: Path) -> None:
        self.server = SandboxServer(tracks=400, seed=5, today="2022-12-17", tier=tier, time_scale=50)
        self.tier, self.folder = tier, folder

    @contextmanager
    def opened(self) -> Iterator[Home]:
        """The sandbox runs and the environment points at it; both end with the block."""
        before = dict(os.environ)
        with self.server:
            for name in [name for name in os.environ if name.startswith(("SOUNDSCOPE_", "SPOTIPY_")) and "REALDATA" not in name]:
                del os.environ[name]
            os.environ |= {
                "SOUNDSCOPE_HOME": str(self.folder), "SOUNDSCOPE_SANDBOX__TIER": self.tier, "SOUNDSCOPE_SANDBOX__TIME_SCALE": "50",
                "SOUNDSCOPE_SANDBOX__FOLLOW__PLAYLISTS": "[]", "SOUNDSCOPE_PROVIDERS__MUSICBRAINZ__CONTACT": "tests@example.org",
                "SOUNDSCOPE_PROVIDERS__BILLBOARD_CSV__ENABLED": "false",
            }  # fmt: skip
            for name, url in self.server.provider_urls().items():
                what = "TOKEN_URL" if name.endswith("_token") else "URL"
                os.environ[f"SOUNDSCOPE_PROVIDERS__{name.upper().removesuffix('_TOKEN')}__{what}"] = url
            for name in PROVIDERS:
                os.environ[f"SOUNDSCOPE_PROVIDERS__{name.upper()}__TIMEOUT_S"] = "0.6"
            try:
                yield self
            finally:
                os.environ.clear()
                os.environ.update(before)

    def control(self, method: str, what: str, **body: Any) -> Any:
        """Speak to the sandbox's controls."""
        answer = requests.request(method, f"{self.server.url}/_sandbox/{what}", json=body or None, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def run(self, *kinds: str) -> Counter[str]:
        """Ingest once; units per outcome."""
        with open_run(load_settings(), "ingest", providers=True) as run:
            done = ingest(run, *([kinds] if kinds else []), say=lambda line: None)
        return sum(done.values(), Counter())

    def asked(self) -> Counter[tuple[str, str, int]]:
        """Requests since the log was emptied, by provider, path and status; tokens and the list of weeks left out."""
        log = self.control("GET", "requests?log=1")["log"]
        left_out = ("token", "valid_dates.json")
        return Counter((e["provider"], e["path"], e["status"]) for e in log if not e["path"].endswith(left_out))

    def states(self) -> dict[tuple[str, str, str], str]:
        """State of every unit of the providers, by provider, kind and key."""
        u = t.units.c
        with self._ledger() as ledger, ledger.read() as connection:
            query = sa.select(u.provider, u.kind, u.key, u.status).where(u.provider.in_(PROVIDERS), u.kind != "valid_dates")
            return {(row.provider, row.kind, row.key): row.status for row in connection.execute(query)}

    def let_time_pass(self) -> None:
        """What was told to wait, or is asked again after a day, is due."""
        with self._ledger() as ledger, ledger.begin() as connection:
            connection.execute(t.holds.delete())
            waiting = t.units.c.status.in_(["deferred", "forbidden"])
            connection.execute(t.units.update().where(waiting).values(retry_at=utcnow()))

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        ledger = Ledger.open(load_settings())
        try:
            yield ledger
        finally:
            ledger.close()


def completed(home: Home) -> dict[str, set[str]]:
    """What is had in the end, whoever gave it: weeks, names that were found, ids with features, recordings with labels."""
    with open_run(load_settings(), "ask") as run, run.writer() as con:

        def keys(sql: str) -> set[str]:
            return {str(row[0]) for row in con.execute(sql).fetchall()}

        return {
            "weeks": keys("select distinct chart_date || '/' || rank from raw.chart_entries"),
            "names": {key for (_, kind, key), state in home.states().items() if kind == "search" and state == "done"},
            "features": keys("select distinct coalesce(spotify_id, isrc) from raw.audio_features"),
            "labels": keys("select distinct isrc from raw.genre_labels where provider = 'musicbrainz'"),
        }


def undisturbed(tier: str, folder: Path) -> dict[str, set[str]]:
    """What the runs of a case bring where nothing goes wrong."""
    with Home(tier, folder).opened() as home:
        home.run("charts")
        home.control("POST", "clock", today="2022-12-24")
        home.run()
        return completed(home)


def run_case(tier: str, fault: str, folder: Path, expected: dict[str, set[str]]) -> Case:
    """One case of the matrix.

    Args:
        tier, fault: which one, of `TIERS` and `FAULTS`.
        folder: an empty folder.
        expected: what `undisturbed` gave for this tier.
    Raises:
        AssertionError: the run took too long, an outcome is wrong, something is missing in the end, or a call was made twice.
    """
    spec, outcome = FAULTS[fault]
    case = Case(tier, fault)
    with Home(tier, folder).opened() as home:
        home.run("charts")
        home.control("POST", "clock", today="2022-12-24")
        before = home.states()
        kind = {name: value for name, value in spec.items() if name != "times"}
        for provider, path in PROVIDERS.items():
            match = {"provider": provider, "path": path}
            home.control("POST", "faults", match=match, fault=kind, times=spec.get("times"))
        home.control("DELETE", "requests")
        began = time.monotonic()
        case.outcomes = home.run()
        case.seconds = time.monotonic() - began
        assert case.seconds < LONGEST_S, f"{case.seconds:.0f} s: an outage must not hold up the run"
        # The server notes a request when it has answered, though nobody may wait for it any more.
        time.sleep(spec.get("delay_s", 0))
        first = home.asked()
        case.calls = sum(first.values())
        _judge(home, before, outcome)
        home.control("DELETE", "faults")
        home.let_time_pass()
        home.control("DELETE", "requests")
        told = home.run()
        assert set(told) <= {"ok", "absent", "forbidden"}, told
        second = home.asked()
        case.calls_after = sum(second.values())
        repeated = [
            (who, path) for who, path, status in second if status == 200 and (who, path, 200) in first and outcome is None
        ]
        assert not repeated, f"asked again, though it was answered: {repeated[:3]}"
        twice = [call for call, n in second.items() if n > 1]
        assert not twice, f"made twice: {twice[:3]}"
        found = completed(home)
        for what, wanted in expected.items():
            assert found[what] >= wanted, f"{what} missing in the end: {sorted(wanted - found[what])[:5]}"
        home.control("DELETE", "requests")
        assert not home.run(), "nothing is left to ask for"
        assert not home.asked()
    return case


def _judge(home: Home, before: dict[tuple[str, str, str], str], outcome: str | None) -> None:
    """Whether the states of the units are what the fault makes them."""
    now = {unit: state for unit, state in home.states().items() if before.get(unit) != state and state != "planned"}
    states = set(now.values())
    if outcome is None:
        assert states <= {"done", "absent"}, {unit: state for unit, state in now.items() if state not in ("done", "absent")}
        return
    wrong = {unit: state for unit, state in now.items() if state != _STATES[outcome]}
    # The words QUOTA_EXCEEDED mean the same to every provider; a status that refuses one request is no refusal of the account.
    assert not wrong, f"an outage must not look like anything else: {dict(list(wrong.items())[:3])}"
    assert states == {_STATES[outcome]}
