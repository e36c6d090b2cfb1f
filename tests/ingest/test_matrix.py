"""Every tier with every fault: it ends in bounded time, nothing is mistaken for absence, and the next run completes what was missing.

The world is small (four weeks, some sixty charting songs without a candidate) and the sandbox's time runs fast.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from soundscope.ingest.ledger import Ledger
from soundscope.settings import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
Ingest = Callable[..., dict[str, Counter[str]]]
Rows = Callable[[str], list[tuple[Any, ...]]]
TIERS = ("extended", "extended-new", "development-old", "development")
# What the endpoint answers instead, and which outcome the units have as long as it does. None: the fault passes or is renewed, and all is well.
FAULTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "400": ({"kind": "status", "status": 400}, "error"),
    "408": ({"kind": "status", "status": 408}, "error"),
    "418": ({"kind": "status", "status": 418}, "error"),
    "429 for a second": ({"kind": "status", "status": 429, "headers": {"Retry-After": "1"}, "times": 2}, None),
    "429 for hours": ({"kind": "status", "status": 429, "headers": {"Retry-After": "7200"}}, "rate_limited"),
    "429 without a word": ({"kind": "status", "status": 429, "times": 2}, None),
    "429 with a date": (
        {"kind": "status", "status": 429, "headers": {"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"}, "times": 2},
        None,
    ),
    "500 once": ({"kind": "status", "status": 500, "times": 1}, None),
    "500": ({"kind": "status", "status": 500}, "error"),
    "502 plain": ({"kind": "plain", "status": 502, "body": "Bad Gateway"}, "error"),
    "503": ({"kind": "status", "status": 503}, "error"),
    "504 twice": ({"kind": "status", "status": 504, "times": 2}, None),
    "slow": ({"kind": "delay", "delay_s": 0.5, "times": 2}, None),
    "too slow": ({"kind": "delay", "delay_s": 3.0}, "error"),
    "cut before": ({"kind": "cut", "after_bytes": -1}, "error"),
    "cut within": ({"kind": "cut", "after_bytes": 60}, "error"),
    "cut once": ({"kind": "cut", "after_bytes": 60, "times": 1}, None),
    "truncated": ({"kind": "truncate", "after_bytes": 40}, "error"),
    "malformed": ({"kind": "malformed"}, "error"),
}
QUICK = ("503", "429 for hours", "cut within", "truncated", "429 for a second")
# The endpoint that is asked in every tier, whose units cannot be had elsewhere: features by ReccoBeats.
FEATURES = ("reccobeats", "audio-features", "features")
PLACES = {
    "features": FEATURES,
    "search": ("deezer", "/search", "tracks"),
    "charts": ("billboard_hot_100", "/date/", "charts"),
}


def _cases(quick: bool) -> list[Any]:
    cases = []
    for tier in TIERS:
        for name in FAULTS:
            for place in PLACES:
                is_quick = place == "features" and (
                    (tier, name) in zip(TIERS, QUICK, strict=False) or (tier == "development" and name in QUICK[3:])
                )
                if is_quick == quick and (place == "features" or tier == "development"):
                    cases.append(pytest.param(tier, name, place, id=f"{tier}-{place}-{name}"))
    return cases


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits between attempts, and a short patience with silence."""
    monkeypatch.setattr("soundscope.sources.http._backoff", lambda attempt: 0.01)
    for name in ("RECCOBEATS", "DEEZER", "BILLBOARD_HOT_100"):
        monkeypatch.setenv(f"SOUNDSCOPE_PROVIDERS__{name}__TIMEOUT_S", "1")


def _run(own_sandbox: Any, ingest: Ingest, rows: Rows, tier: str, name: str, place: str) -> None:
    fault, outcome = FAULTS[name]
    provider, path, kind = PLACES[place]
    # Another provider would take over the searches; here it is Deezer alone that is to come back.
    off = ("billboard_csv", "spotify") if place == "search" else ("billboard_csv",)
    sandbox = own_sandbox(tier=tier, today="2022-12-20", off=off)
    before = () if kind == "charts" else ("charts",) if kind == "tracks" else ("charts", "tracks")
    if before:
        ingest(*before)
    spec = dict(fault)
    sandbox.forget()
    sandbox.fault(path, times=spec.pop("times", None), provider=provider, **spec)
    began = time.monotonic()
    broken = ingest(kind)
    assert time.monotonic() - began < 60, "an outage must not hold up the run"
    statuses = _statuses(provider)
    if outcome is None:
        assert set(broken[kind]) <= {"ok", "absent", "forbidden"}, broken
    else:
        wanted = {"error": "failed", "rate_limited": "deferred"}[outcome]
        assert statuses[wanted] > 0
        assert not statuses["done"], "nothing came from this provider"
        assert not statuses["absent"], "an outage is no absence"
    answered = _answered(sandbox, provider, path) if outcome is None else Counter()
    sandbox.clear()
    _release_holds()
    # The server notes a request when it has answered, though nobody waits for it any more.
    time.sleep(fault.get("delay_s", 0))
    sandbox.forget()
    healed = ingest(kind)
    assert not set(healed[kind]) & {"error", "rate_limited", "quota"}, healed
    after = _statuses(provider)
    assert after["done"] > 0
    assert not after["failed"] + after["deferred"]
    again = _answered(sandbox, provider, path)
    assert not [call for call in again if call in answered], "what was answered is not asked again"
    assert max(again.values(), default=1) == 1, "no call is repeated"
    sandbox.forget()
    assert sum(sum(n.values()) for n in (ingest(kind)[kind],)) == 0
    assert not [e for e in sandbox.asked() if e["provider"] == provider and not e["path"].endswith("valid_dates.json")]


def _answered(sandbox: Any, provider: str, path: str) -> Counter[str]:
    return Counter(e["path"] for e in sandbox.asked() if e["provider"] == provider and path in e["path"] and e["status"] == 200)


def _statuses(provider: str) -> Counter[str]:
    kinds = {"reccobeats": "audio_features", "deezer": "search", "billboard_hot_100": "week"}
    ledger = Ledger.open(load_settings())
    found = Counter(ledger.unit_status(provider, kinds[provider]).values())
    ledger.close()
    return found


def _waiting() -> int:
    """Units that wait for another time, of whatever kind."""
    import sqlalchemy as sa

    from soundscope.ingest import tables as t

    ledger = Ledger.open(load_settings())
    with ledger.read() as connection:
        n = connection.execute(sa.select(sa.func.count()).where(t.units.c.status == "deferred")).scalar_one()
    ledger.close()
    return int(n)


def _release_holds() -> None:
    """The hours that the provider asked to wait have passed."""
    from soundscope.ingest import tables as t

    ledger = Ledger.open(load_settings())
    with ledger.begin() as connection:
        connection.execute(t.holds.delete())
        connection.execute(t.units.update().where(t.units.c.status == "deferred").values(retry_at=None))
    ledger.close()


@pytest.mark.parametrize(("tier", "name", "place"), _cases(quick=True))
def test_faults(own_sandbox: Any, ingest: Ingest, rows: Rows, calm: None, tier: str, name: str, place: str) -> None:
    _run(own_sandbox, ingest, rows, tier, name, place)


@pytest.mark.soak
@pytest.mark.parametrize(("tier", "name", "place"), _cases(quick=False))
def test_the_whole_matrix(own_sandbox: Any, ingest: Ingest, rows: Rows, calm: None, tier: str, name: str, place: str) -> None:
    _run(own_sandbox, ingest, rows, tier, name, place)


# --- what is Spotify's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", [pytest.param("development-old", marks=pytest.mark.soak), "development"])
@pytest.mark.parametrize(
    ("control", "body", "says"), [("premium", {"active": False}, "Premium"), ("allow_list", {"listed": False}, "allow list")]
)
def test_an_account_that_is_refused_is_told_why_and_the_others_go_on(
    own_sandbox: Any, ingest: Ingest, tier: str, control: str, body: dict[str, bool], says: str
) -> None:
    sandbox = own_sandbox(tier=tier, today="2022-12-20")
    sandbox.post(control, **body)
    outcomes = ingest()
    messages = ingest.messages  # type: ignore[attr-defined]
    assert sum(says in message for message in messages) == 1, "said once"
    assert outcomes["charts"]["ok"] > 0
    assert outcomes["features"]["ok"] > 0, "Deezer's ISRCs lead to features without Spotify"
    assert "forbidden" not in outcomes["tracks"]
    calls = [e for e in sandbox.asked() if e["provider"] == "spotify" and "token" not in e["path"]]
    assert len(calls) == 1, "one refusal is enough"


@pytest.mark.parametrize("tier", [pytest.param("development-old", marks=pytest.mark.soak), "development"])
def test_a_quota_that_ends_in_the_middle_loses_nothing(
    own_sandbox: Any, ingest: Ingest, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__SPOTIFY__DAILY_BUDGET", "100000")
    sandbox = own_sandbox(tier=tier, today="2022-12-20", off=("deezer", "billboard_csv"))
    sandbox.post("limits", spotify={"rate": None, "window_s": 30, "quota": 15, "quota_window_s": 86_400})
    first = ingest()
    assert first["tracks"]["quota"] > 0
    asked = [e for e in sandbox.asked() if e["provider"] == "spotify"]
    assert sum(e["status"] == 429 for e in asked) <= 4, "calls into a ban lengthen it"
    answered = {e["path"] for e in asked if e["status"] == 200 and "ids=" not in e["path"]}
    sandbox.post("limits", spotify={"rate": None, "window_s": 30, "quota": None, "quota_window_s": 86_400})
    _release_holds()
    sandbox.forget()
    second = ingest()
    assert "quota" not in second["tracks"]
    assert second["tracks"]["ok"] > 0
    assert not _waiting(), "everything that had to wait was asked for"
    assert not [e["path"] for e in sandbox.asked() if e["path"] in answered and "token" not in e["path"]], (
        "nothing is asked twice"
    )


def test_tokens_that_expire_in_the_middle_are_renewed(own_sandbox: Any, ingest: Ingest) -> None:
    sandbox = own_sandbox(today="2022-12-20", off=("billboard_csv",))
    ingest("charts")
    sandbox.fault("/v1/search", provider="spotify", kind="delay", delay_s=0.02)
    expiry = threading.Timer(0.6, lambda: sandbox.post("expire_tokens"))
    expiry.start()
    outcomes = ingest("tracks")
    expiry.join()
    assert set(outcomes["tracks"]) <= {"ok", "absent"}
    asked = [e for e in sandbox.asked() if e["provider"] == "spotify"]
    assert sum(e["status"] == 401 for e in asked) > 0, "the tokens did expire"
    assert sum("token" in e["path"] for e in asked) < 10


@pytest.mark.parametrize(
    ("place", "fault", "kept", "lost"),
    [
        ("features", {"rename": {"danceability": "danceable"}}, "energy", "danceability"),
        pytest.param("features", {"drop": ["valence"]}, "energy", "valence", marks=pytest.mark.soak),
        pytest.param("features", {"retype": {"energy": "str"}}, "energy", "key", marks=pytest.mark.soak),
        ("features", {"rename": {"href": "link"}}, None, None),
        pytest.param("features", {"rename": {"content": "items"}}, None, None, marks=pytest.mark.soak),
    ],
    ids=["renamed", "dropped", "retyped", "no key", "no rows"],
)
def test_a_changed_schema_is_noticed_once_and_stops_nothing(
    own_sandbox: Any, ingest: Ingest, rows: Rows, place: str, fault: dict[str, Any], kept: str | None, lost: str | None
) -> None:
    sandbox = own_sandbox(tier="development", today="2022-12-20", off=("billboard_csv",))
    provider, path, kind = PLACES[place]
    ingest("charts", "tracks")
    sandbox.fault(path, provider=provider, kind="schema", **fault)
    outcomes = ingest(kind)
    drift = _drift()
    assert drift
    assert len(drift) == len(set(drift)), "each change is reported once"
    if kept is None:
        assert outcomes[kind]["error"] > 0
        assert not outcomes[kind]["absent"], "rows that cannot be told apart are an error, not an absence"
    else:
        ((n_kept, n_lost),) = rows(f"select count({kept}), count({lost}) from raw.audio_features")
        assert n_kept > 0
        assert lost == "key" or n_lost == 0
    sandbox.clear()
    if kept is None:
        assert ingest(kind)[kind]["ok"] > 0


@pytest.mark.soak
def test_no_drift_is_seen_where_nothing_changed(own_sandbox: Any, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_SANDBOX__FOLLOW__CHARTS", '["billboard_hot_100", "billboard_200", "apple_us", "deezer"]')
    monkeypatch.setenv("SOUNDSCOPE_SANDBOX__FOLLOW__ARTISTS", '["5gx5hHjh2XONwlTE8cBD8E"]')
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__MUSICBRAINZ__CONTACT", "tests@example.org")
    for tier in ("extended", "development"):
        own_sandbox(tier=tier, today="2022-12-20")
        ingest()
        assert _drift() == []


def _drift() -> list[str]:
    import sqlalchemy as sa

    from soundscope.ingest import tables as t

    ledger = Ledger.open(load_settings())
    c = t.check_results.c
    with ledger.read() as connection:
        found = [
            f"{row.table_name}: {row.message}"
            for row in connection.execute(sa.select(c.table_name, c.message).where(c.check == "schema_drift"))
        ]
    ledger.close()
    return found
