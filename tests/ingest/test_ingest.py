"""The whole ingest against the sandbox over HTTP: what arrives, what is not asked twice, what an outage leaves behind."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from soundscope.errors import Busy
from soundscope.ingest import landing
from soundscope.ingest.ledger import Ledger
from soundscope.pipeline.run import open_run
from soundscope.settings import load_settings

pytestmark = pytest.mark.e2e
Ingest = Callable[..., dict[str, Counter[str]]]
Rows = Callable[[str], list[tuple[Any, ...]]]


def test_extended_tier_brings_everything_and_a_second_run_asks_only_for_news(
    own_sandbox: Any, ingest: Ingest, rows: Rows
) -> None:
    sandbox = own_sandbox()
    first = ingest()
    assert first["charts"]["ok"] > 4
    entries, weeks = rows(
        "select count(*), count(distinct chart_date) from raw.chart_entries where provider = 'billboard_hot_100'"
    )[0]
    assert entries == weeks * 100
    assert rows("select count(*) from raw.tracks where title is null or artist is null")[0][0] == 0
    assert rows("select count(*) from raw.popularity where popularity not between 0 and 100")[0][0] == 0
    # Each track's features come from one provider: the second is asked only for what the first does not have.
    assert (
        rows("select count(*) from (select spotify_id from raw.audio_features group by 1 having count(distinct provider) > 1)")[
            0
        ][0]
        == 0
    )
    assert {row[0] for row in rows("select distinct provider from raw.audio_features")} == {"spotify", "reccobeats"}
    assert rows("select count(*) from raw.genre_labels where source like 'spotify:playlist:%'")[0][0] > 0
    sandbox.forget()
    second = ingest()
    assert {kind: sum(n.values()) for kind, n in second.items()} == dict.fromkeys(first, 0)
    assert [(entry["path"], entry["status"]) for entry in sandbox.asked()] == [("/hot100/valid_dates.json", 304)]


def test_a_new_week_costs_one_small_request(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    sandbox = own_sandbox()
    ingest("charts")
    before = rows("select max(chart_date) from raw.chart_entries")[0][0]
    sandbox.post("clock", today="2022-12-27")
    sandbox.forget()
    ingest("charts")
    assert rows("select max(chart_date) from raw.chart_entries")[0][0] > before
    assert [entry["path"].rsplit("/", 2)[-2] for entry in sandbox.asked()] == ["hot100", "date"]


def test_weeks_in_no_known_form_are_asked_for_again(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    sandbox = own_sandbox(today="2022-12-20", off=("billboard_csv",))
    sandbox.fault("/hot100/date", provider="billboard_hot_100", kind="schema", rename={"song": "track"})
    assert set(ingest("charts")["charts"]) == {"error"}
    sandbox.clear()
    ingest("charts")
    assert rows("select count(distinct chart_date), count(*) / 100 from raw.chart_entries") == [(4, 4.0)]


def test_development_tier_goes_on_without_what_is_refused(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    sandbox = own_sandbox(tier="development")
    ingest()
    messages = ingest.messages  # type: ignore[attr-defined]
    assert any("audio_features" in message and "2024-11-27" in message for message in messages)
    assert rows("select distinct provider from raw.audio_features") == [("reccobeats",)]
    assert rows("select count(*) from raw.popularity where provider = 'spotify'")[0][0] == 0, (
        "an absent popularity must not become a value"
    )
    refused = [entry for entry in sandbox.asked() if entry["status"] == 403 and "audio-features" in entry["path"]]
    assert len(refused) == 1, "one refusal disables the capability for the run"
    assert not [entry for entry in sandbox.asked() if entry["status"] == 429]


def test_a_spent_quota_defers_and_the_rest_goes_on(
    own_sandbox: Any, ingest: Ingest, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__SPOTIFY__DAILY_BUDGET", "100000")
    sandbox = own_sandbox(tier="development", off=("deezer",))
    sandbox.post("limits", spotify={"rate": 100_000, "window_s": 30, "quota": 20, "quota_window_s": 86_400})
    outcomes = ingest()
    assert outcomes["tracks"]["quota"] > 0
    assert outcomes["tracks"]["absent"] < outcomes["tracks"]["quota"], "a spent quota must never look like absence"
    assert outcomes["features"]["ok"] > 0, "other providers go on"
    spotify_calls = [entry for entry in sandbox.asked() if entry["provider"] == "spotify" and entry["status"] == 429]
    assert len(spotify_calls) <= 4, "calls into a ban lengthen it"
    retry = Ledger.open(load_settings())
    assert retry.due_units("spotify", "search") == [], "deferred units wait for their time"
    retry.close()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "status", "status": 503}, marks=pytest.mark.slow),
        pytest.param({"kind": "cut", "after_bytes": 100}, marks=pytest.mark.slow),
        pytest.param({"kind": "truncate", "after_bytes": 50}, marks=pytest.mark.slow),
        {"kind": "malformed"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_an_outage_is_no_absence_and_the_next_run_completes(own_sandbox: Any, ingest: Ingest, rows: Rows, fault: dict[str, Any],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("soundscope.sources.http._backoff", lambda attempt: 0.01)
    sandbox = own_sandbox()
    ingest("charts", "tracks")
    sandbox.fault("audio-features", provider="spotify", **fault)
    sandbox.fault("audio-features", provider="reccobeats", **fault)
    broken = ingest("features")
    assert set(broken["features"]) == {"error"}
    assert rows("select count(*) from raw.audio_features")[0][0] == 0
    sandbox.clear()
    healed = ingest("features")
    assert healed["features"]["ok"] > 0
    assert "error" not in healed["features"]


def test_an_expired_token_is_renewed_once_in_the_middle(own_sandbox: Any, ingest: Ingest, rows: Rows) -> None:
    sandbox = own_sandbox()
    ingest("charts")
    sandbox.post("expire_tokens")
    sandbox.fault(
        "/v1/search",
        times=1,
        provider="spotify",
        kind="status",
        status=401,
        body={"error": {"status": 401, "message": "The access token expired"}},
    )
    outcomes = ingest("tracks")
    assert "error" not in outcomes["tracks"]
    assert "forbidden" not in outcomes["tracks"]


def test_refused_credentials_are_said_once_and_charts_go_on(
    own_sandbox: Any, ingest: Ingest, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTIPY_CLIENT_ID", "bad-client")
    monkeypatch.setenv("SPOTIPY_CLIENT_SECRET", "hush-hush-hush")
    sandbox = own_sandbox()
    outcomes = ingest()
    messages = ingest.messages  # type: ignore[attr-defined]
    assert outcomes["charts"]["ok"] > 0
    assert sum("credentials are refused" in message for message in messages) == 1
    assert not [entry for entry in sandbox.asked() if "/v1/" in entry["path"] and entry["provider"] == "spotify"]


def test_no_secret_reaches_landing_ledger_logs_or_messages(
    own_sandbox: Any, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SPOTIPY_CLIENT_ID", "client-id-of-the-test")
    monkeypatch.setenv("SPOTIPY_CLIENT_SECRET", "secret-of-the-test")
    for name in ("", "soundscope", "spotipy", "spotipy.client", "spotipy.oauth2", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
        # As it is after Prefect has set up its own logging.
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    monkeypatch.setattr(logging.getLogger("soundscope"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    sandbox = own_sandbox()
    ingest("charts", "tracks")
    # Refused credentials are where a message might quote them.
    monkeypatch.setenv("SPOTIPY_CLIENT_ID", "bad-id-of-the-test")
    ingest("features", "popularity")
    settings = load_settings()
    texts = [json.dumps(line) for path in landing.files(settings.paths.landing) for line in landing.read_lines(path)]
    texts += [caplog.text, *ingest.messages]  # type: ignore[attr-defined]
    everything = "\n".join(texts).encode() + (settings.paths.logs / "soundscope.log").read_bytes()
    everything += b"".join(path.read_bytes() for path in settings.paths.private.rglob("*") if path.is_file())
    assert '"GET /' in caplog.text, "what goes over the wire is logged at this level"
    for word in (b"secret-of-the-test", b"id-of-the-test", b"Bearer ", b"Basic "):
        assert word not in everything
    assert any(entry["status"] == 400 and "token" in entry["path"] for entry in sandbox.asked()), "they were refused"


def test_landing_without_its_ledger_entry_is_taken_up_and_nothing_is_asked_again(own_sandbox: Any, ingest: Ingest) -> None:
    sandbox = own_sandbox()
    ingest()
    settings = load_settings()
    for file in settings.paths.private.glob("ledger.sqlite*"):
        file.unlink()
    sandbox.forget()
    outcomes = ingest()
    data = [
        e["path"] for e in sandbox.asked() if not e["path"].endswith(("token", "valid_dates.json")) and "ids=" not in e["path"]
    ]
    assert outcomes["charts"] == Counter()
    assert not [path for path in data if "/date/" in path or "all.json" in path or "search" in path]


def test_a_deleted_landing_file_is_fetched_again(own_sandbox: Any, ingest: Ingest) -> None:
    own_sandbox()
    ingest("charts")
    settings = load_settings()
    victim = next(
        path for path in landing.files(settings.paths.landing) if "week" in path.as_posix() or "/all/" in path.as_posix()
    )
    victim.unlink()
    assert ingest("charts")["charts"]["ok"] > 0


def test_a_second_writer_is_told_who_is_writing(settings: Any) -> None:
    import subprocess
    import sys

    with open_run(settings, "first"):
        code = (
            "from soundscope.settings import load_settings\nfrom soundscope.pipeline.run import open_run\n"
            "from soundscope.errors import Busy\n"
            "try:\n  open_run(load_settings(), 'second').__enter__()\nexcept Busy as error:\n  print(error)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "soundscope first" in said.stdout
    assert Busy.exit_status == 1
