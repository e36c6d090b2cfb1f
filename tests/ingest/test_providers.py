"""The providers one by one, against the sandbox over HTTP: what they bring, what they are not asked, what they differ in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger
from soundscope.pipeline.run import open_run
from soundscope.settings import load_settings

pytestmark = pytest.mark.e2e
Ingest = Callable[..., dict[str, Counter[str]]]
Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def charts(*names: str) -> None:
        monkeypatch.setenv("SOUNDSCOPE_SANDBOX__FOLLOW__CHARTS", "[" + ", ".join(f'"{name}"' for name in names) + "]")

    return charts


def _checks(name: str) -> list[tuple[str, int, str]]:
    ledger = Ledger.open(load_settings())
    c = t.check_results.c
    with ledger.read() as connection:
        found = [tuple(row) for row in connection.execute(sa.select(c.status, c.failures, c.message).where(c.check == name))]
    ledger.close()
    return found


def test_lists_of_the_day_accumulate_and_bring_genres(own_sandbox: Any, ingest: Ingest, rows: Rows, follow: Any) -> None:
    sandbox = own_sandbox(today="2022-12-20")
    follow("apple_us", "apple_de", "apple_zz", "deezer")
    outcomes = ingest("charts")
    assert outcomes["charts"] == {"ok": 3, "absent": 1}
    assert rows("select chart, count(*), min(rank), max(rank), count(distinct chart_date) from raw.chart_entries group by 1 order by 1") == [
        ("apple_de", 100, 1, 100, 1), ("apple_us", 100, 1, 100, 1), ("deezer", 100, 1, 100, 1),
    ]  # fmt: skip
    assert rows("select distinct chart_date::varchar from raw.chart_entries where provider = 'apple'") == [("2022-12-20",)], (
        "the feed's own date"
    )
    labels = {row[0] for row in rows("select distinct label from raw.genre_labels where source = 'apple'")}
    assert labels
    assert "Music" not in labels
    sandbox.forget()
    assert ingest("charts")["charts"] == {}
    assert sandbox.asked() == [], "today's list is held"


@pytest.mark.slow
def test_what_is_known_by_an_id_is_looked_up_and_not_searched_for(
    own_sandbox: Any, ingest: Ingest, rows: Rows, follow: Any
) -> None:
    sandbox = own_sandbox(tier="development", today="2022-12-20")
    follow("deezer")
    ingest("charts", "tracks")
    assert rows("select count(distinct isrc) > 90 from raw.tracks where provider = 'deezer'") == [(True,)]
    assert not [e["path"] for e in sandbox.asked() if "search" in e["path"] or "query=" in e["path"]]


@pytest.mark.slow
def test_a_refusal_by_any_provider_is_heard_once(own_sandbox: Any, ingest: Ingest, follow: Any) -> None:
    sandbox = own_sandbox(tier="development", today="2022-12-20", off=("spotify", "reccobeats"))
    ingest("charts")
    sandbox.fault("search", provider="deezer", kind="status", status=403)
    outcomes = ingest("tracks")
    assert set(outcomes["tracks"]) == {"forbidden"}
    assert len([e for e in sandbox.asked() if e["provider"] == "deezer"]) <= 2, "one for each batch that was under way"
    assert sum("deezer refuses to answer" in message for message in ingest.messages) == 1  # type: ignore[attr-defined]


def test_the_second_archive_fills_in_and_its_differences_are_reported(
    own_sandbox: Any, ingest: Ingest, rows: Rows, follow: Any
) -> None:
    sandbox = own_sandbox(today="2022-12-20")
    follow("billboard_hot_100", "billboard_200")
    sandbox.fault(".", provider="billboard_hot_100", kind="status", status=503)
    ingest("charts")
    assert rows("select chart, provider, count(distinct chart_date) from raw.chart_entries group by all order by 1") == [
        ("billboard_200", "billboard_csv", 4), ("billboard_hot_100", "billboard_csv", 4),
    ]  # fmt: skip
    assert rows("select count(*) from raw.quarantine") == [(0,)]
    assert (
        rows(
            "select count(*) from raw.chart_entries where reported_last_week is null and reported_weeks > 1 and chart_date > '2022-12-03'"
        )[0][0]
        < 40
    )
    sandbox.clear()
    sandbox.post("restate", chart="billboard_hot_100", date="2022-12-10", rank=3, kind="spelling", title="Another Title")
    ingest("charts")
    told = {
        message.split(" in the ")[1].split(" of ")[0]: (status, n, message) for status, n, message in _checks("archives_agree")
    }
    assert told["rank"][:2] == ("pass", 0)
    assert told["title"][:2] == ("warn", 1)
    assert "2022-12-10 no. 3" in told["title"][2]
    assert "Another Title" in told["title"][2]


def test_a_restated_week_becomes_a_new_version(own_sandbox: Any, ingest: Ingest, rows: Rows, follow: Any) -> None:
    sandbox = own_sandbox(today="2022-12-20", off=("billboard_csv",))
    follow("billboard_hot_100")
    ingest("charts")
    sandbox.post("restate", chart="billboard_hot_100", date="2022-12-17", rank=3, kind="spelling", title="Another Title")
    sandbox.forget()
    ingest("charts")
    assert not [e for e in sandbox.asked() if "/date/" in e["path"]], "not within a day"
    ledger = Ledger.open(load_settings())
    with ledger.begin() as connection:
        connection.execute(
            t.units.update().where(t.units.c.kind == "week").values(updated_at=sa.func.datetime(t.units.c.updated_at, "-1 day"))
        )
    ledger.close()
    ingest("charts")
    assert Counter(e["status"] for e in sandbox.asked() if "/date/" in e["path"]) == {304: 3, 200: 1}
    assert [
        row[0]
        for row in rows("select title from raw.chart_entries where chart_date = '2022-12-17' and rank = 3 order by fetched_at")
    ][1:] == ["Another Title"], "the version before is kept"


def test_on_a_development_tier_identity_comes_from_elsewhere(
    own_sandbox: Any, ingest: Ingest, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__MUSICBRAINZ__CONTACT", "tests@example.org")
    sandbox = own_sandbox(tier="development", today="2022-12-20", off=("billboard_csv",))
    ingest()
    asked = Counter(e["provider"] for e in sandbox.asked() if "search" in e["path"] or "query=" in e["path"])
    assert asked["deezer"] > asked["musicbrainz"] > 0
    assert asked["musicbrainz"] >= asked["spotify"] > 0
    searched = [rows_ for rows_ in (_status("deezer"), _status("musicbrainz"), _status("spotify"))]
    found = [{key for key, said in status.items() if said == "done"} for status in searched]
    assert not found[0] & set(searched[1]), "what Deezer found is not asked of MusicBrainz"
    assert not (found[0] | found[1]) & set(searched[2]), "nor of Spotify"
    assert rows(
        "select count(*) from raw.tracks where provider = 'deezer' and (isrc is null or duration_ms is null or title is null)"
    ) == [(0,)]
    assert rows("select min(popularity) >= 0 and max(popularity) <= 100 from raw.popularity where provider = 'deezer'") == [
        (True,)
    ]
    assert rows("select count(*) from raw.tracks where provider = 'musicbrainz' and (isrc is null or artist is null)") == [(0,)]
    assert rows("select count(*) from raw.genre_labels where provider = 'musicbrainz'")[0][0] > 0
    bridged = "select count(distinct f.isrc) from raw.audio_features f join raw.tracks t using (isrc) where t.provider = 'deezer' and f.spotify_id is not null"
    assert rows(bridged)[0][0] > 0, "features by ISRC bring the Spotify id along"


def test_on_an_extended_tier_spotify_is_asked_first(own_sandbox: Any, ingest: Ingest) -> None:
    own_sandbox(today="2022-12-20", off=("billboard_csv",))
    ingest("charts", "tracks")
    spotify, deezer = _status("spotify"), _status("deezer")
    assert set(deezer) == {key for key, said in spotify.items() if said == "absent"}


def _status(provider: str) -> dict[str, str]:
    ledger = Ledger.open(load_settings())
    found = ledger.unit_status(provider, "search")
    ledger.close()
    return found


def test_deezers_rate_is_kept_and_its_refusal_inside_200_is_understood(
    own_sandbox: Any, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__DEEZER__RATE", "100000")
    sandbox = own_sandbox(tier="development", today="2022-12-20", off=("billboard_csv", "spotify"), time_scale=50)
    sandbox.fault(
        "/search",
        times=2,
        provider="deezer",
        kind="status",
        status=200,
        body={"error": {"type": "Exception", "message": "Quota limit exceeded", "code": 4}},
    )
    monkeypatch.setattr("soundscope.sources.deezer._WINDOW_S", 0.1)
    outcomes = ingest("charts", "tracks")
    assert outcomes["tracks"]["ok"] > 50
    assert not set(outcomes["tracks"]) & {"error", "rate_limited"}


def test_musicbrainz_is_not_called_without_a_contact(own_sandbox: Any, ingest: Ingest) -> None:
    sandbox = own_sandbox(tier="development", today="2022-12-20", off=("billboard_csv",))
    ingest()
    assert not [e for e in sandbox.asked() if e["provider"] == "musicbrainz"]
    assert any("musicbrainz is not asked" in message for message in ingest.messages)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tier", "tells", "refused"),
    [
        ("extended", "everything is allowed", set()),
        ("extended-new", "cannot be told", {"audio_features"}),
        ("development-old", "cannot be told", {"audio_features"}),
        ("development", "since 2026-02-11", {"audio_features", "batch", "popularity"}),
    ],
)
def test_doctor_tells_the_tiers_apart_in_few_calls(own_sandbox: Any, tier: str, tells: str, refused: set[str]) -> None:
    from soundscope.pipeline.doctor import examine

    sandbox = own_sandbox(tier=tier, today="2022-12-20")
    with open_run(load_settings(), "doctor", providers=True, lock=False) as run:
        found = examine(run)
    assert tells in next(f.detail for f in found if (f.subject, f.what) == ("spotify", "tier"))
    assert {f.what for f in found if f.subject == "spotify" and f.state == "refused"} == refused
    assert all(f.instead for f in found if f.state in ("refused", "off")), "it says what is done instead"
    assert len([e for e in sandbox.asked() if "token" not in e["path"]]) == 2
    sandbox.forget()
    with open_run(load_settings(), "doctor", providers=True, lock=False) as run:
        assert [f.detail for f in examine(run) if f.subject == "spotify"] == [f.detail for f in found if f.subject == "spotify"]
    assert sandbox.asked() == [], "remembered for a day"


def test_doctor_finds_trouble_in_the_set_up(own_sandbox: Any, ingest: Ingest) -> None:
    from soundscope.ingest import landing
    from soundscope.pipeline.doctor import examine

    own_sandbox(today="2022-12-20")
    ingest("charts")
    settings = load_settings()
    damaged = landing.files(settings.paths.landing)[0]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    settings.paths.published.write_bytes(b"this is no database")
    with open_run(settings, "doctor", providers=True) as run:
        found = {(f.subject, f.what): f for f in examine(run)}
    trouble = {key for key, f in found.items() if f.state == "trouble"}
    assert trouble == {("landing", damaged.relative_to(settings.paths.landing).as_posix()), ("release", "published file")}
    assert "soundscope doctor" in found[("warehouse", "writer lock")].detail, "it names who is writing"
    assert found[("ledger", "database")].state == "ok"
