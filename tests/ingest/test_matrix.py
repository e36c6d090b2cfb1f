"""Every tier with every fault: it ends in bounded time, nothing is mistaken for absence, and the next run completes what was missing.

What a case is and what must hold is in `matrix.py`. Here are also the faults that have a course of their own: quotas and tokens that end in
the middle, accounts that are refused, schemas that change.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soundscope.ingest.ledger import Ledger
from soundscope.ingest.load import replay
from soundscope.pipeline.run import open_run
from soundscope.settings import load_settings
from soundscope.sources.registry import ROWS
from tests.ingest import matrix

pytestmark = pytest.mark.timeout(400)
Ingest = Callable[..., dict[str, Counter[str]]]
Rows = Callable[[str], list[tuple[Any, ...]]]
PLACES = {"features": ("reccobeats", "audio-features", "features")}
# One of each sort, each in another tier.
QUICK = (("extended", "429 for hours"), ("extended-new", "cut within"), ("development-old", "429 quota"))
SHORTEST = ("development", "503")
OTHERS = [(tier, fault) for tier in matrix.TIERS for fault in matrix.FAULTS if (tier, fault) not in (*QUICK, SHORTEST)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, set[str]]]:
    """What a tier brings where nothing goes wrong; found out once."""
    known: dict[str, dict[str, set[str]]] = {}

    def of(tier: str) -> dict[str, set[str]]:
        if tier not in known:
            known[tier] = matrix.undisturbed(tier, tmp_path_factory.mktemp(tier))
        return known[tier]

    return of


@pytest.mark.parametrize(
    ("tier", "fault"),
    [
        pytest.param(*SHORTEST, marks=pytest.mark.e2e),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in QUICK),
        *(pytest.param(*case, marks=pytest.mark.soak) for case in OTHERS),
    ],
)
def test_the_whole_ingest_comes_through(
    tier: str, fault: str, undisturbed: Callable[[str], dict[str, set[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundscope.sources.http._backoff", lambda attempt: 0.01)
    matrix.run_case(tier, fault, tmp_path, undisturbed(tier))


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


# --- what is Spotify's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tier", [pytest.param("development-old", marks=pytest.mark.soak), pytest.param("development", marks=pytest.mark.slow)]
)
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


@pytest.mark.parametrize(
    "tier", [pytest.param("development-old", marks=pytest.mark.soak), pytest.param("development", marks=pytest.mark.slow)]
)
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


@pytest.mark.slow
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
        pytest.param("features", {"rename": {"danceability": "danceable"}}, "energy", "danceability", marks=pytest.mark.slow),
        pytest.param("features", {"drop": ["valence"]}, "energy", "valence", marks=pytest.mark.soak),
        pytest.param("features", {"retype": {"energy": "str"}}, "energy", "key", marks=pytest.mark.soak),
        pytest.param("features", {"rename": {"href": "link"}}, None, None, marks=pytest.mark.slow),
        pytest.param("features", {"rename": {"content": "items"}}, None, None, marks=pytest.mark.soak),
    ],
    ids=["renamed", "dropped", "retyped", "no key", "no rows"],
)
def test_a_changed_schema_is_noticed_once_and_stops_nothing(
    own_sandbox: Any, ingest: Ingest, rows: Rows, place: str, fault: dict[str, Any], kept: str | None, lost: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
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
        if "rename" in fault:
            # The lines are kept, so that a later version of the parser reads from them what this one could not.
            (spec,) = ROWS["reccobeats"]["audio_features"]
            later = replace(spec, columns={**spec.columns, "danceability": "json_extract_string(e, '$.danceable')"})
            monkeypatch.setitem(ROWS, "reccobeats", {"audio_features": (later,)})
            with open_run(load_settings(), "replay") as run, run.writer() as con:
                replay(con, run.settings.paths.landing)
            assert rows("select count(danceability) from raw.audio_features") == [(n_kept,)]
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
