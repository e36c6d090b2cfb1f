"""Which chart weeks and daily lists are to be fetched: news, holes, and recent weeks that may have been restated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import duckdb

from soundscope.ingest import crosscheck
from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.session import Session
from soundscope.sources import billboard_csv
from soundscope.sources.base import Outcome, ProviderTrouble, Unit
from soundscope.sources.billboard_hot_100 import BULK_FROM, BillboardHot100

Due = tuple[str, str, list[Unit]]
# Published weeks are corrected afterwards; so many of the newest are asked about again, conditionally, once a day.
RECHECKED_WEEKS = 6
_RECHECK = timedelta(hours=20)
# Weeks that an archive without an index is asked about beyond its newest.
_AHEAD = 3
_HOT_100 = "billboard_hot_100"


def due(session: Session, con: duckdb.DuckDBPyConnection) -> list[Due]:
    """What to ask every followed chart's source for now; (provider, kind, units).

    When nothing is left to ask for, the archives that hold the same chart are compared, once in a run.
    """
    followed = session.settings.followed.charts
    found: list[Due] = []
    if _HOT_100 in followed:
        found += _hot_100(session)
    for kind, (chart, _) in billboard_csv.CHARTS.items():
        if chart in followed and "billboard_csv" in session.sources and (kind != "hot_100" or _is_comparable(session)):
            found += _csv_weeks(session, kind)
    found += _today(session, followed)
    found = [part for part in found if part[2]]
    is_new = any(provider in (_HOT_100, "billboard_csv") and key for provider, _, key in session.asked)
    if not found and is_new and not session.asked_for("soundscope", "crosscheck"):
        crosscheck.report(session, con)
    return found


def _is_comparable(session: Session) -> bool:
    """A mirror of the first archive is not held against the live second one, but against a mirror of that."""
    one, other = session.settings.provider(_HOT_100), session.settings.provider("billboard_csv")
    return other.url is not None or one.url is None or one.enabled is False


def weeks(session: Session, provider: str, kind: str, days: Iterable[str]) -> list[Unit]:
    """Units of chart dates, the newest first."""
    ordered = sorted(set(days), reverse=True)
    return [Unit(provider, kind, day, float(n)) for n, day in enumerate(ordered)]


# --- the Hot 100 in JSON ----------------------------------------------------------------------------------------------


def _hot_100(session: Session) -> list[Due]:
    """Missing weeks, newest first; one conditional request tells whether there is news."""
    source = session.sources.get(_HOT_100)
    if not isinstance(source, BillboardHot100):
        return []
    refresh_dates(session)
    units = session.due(source.name, "week", None)
    if whole := bulk(session, source.name, "all", units):
        return whole
    return [(source.name, "week", [*units, *_recheck(session, source.name, "week", units)])]


def refresh_dates(session: Session) -> None:
    """Ask the Hot 100 archive, once in a run, which weeks it has, and plan those that are new."""
    source = session.sources.get(_HOT_100)
    if not isinstance(source, BillboardHot100) or session.asked_for(source.name, "valid_dates"):
        return
    dates = _valid_dates(session, source)
    if dates is not None:
        session.ledger.plan_units(weeks(session, source.name, "week", dates))


def bulk(session: Session, provider: str, kind: str, units: list[Unit]) -> list[Due]:
    """The whole archive in one file, where that is cheaper for both sides; nothing if it was had or is not there."""
    held = session.ledger.unit_status(provider, kind).get("all")
    if len(units) < BULK_FROM or held in ("done", "absent") or (provider, kind, "all") in session.asked:
        return []
    session.asked.add((provider, kind, "all"))
    return [(provider, kind, units)]


def _recheck(session: Session, provider: str, kind: str, due: list[Unit]) -> list[Unit]:
    """The newest weeks held that were not asked about for a day."""
    rows = session.ledger.unit_rows(provider, kind)
    asked = {unit.key for unit in due}
    before = utcnow() - _RECHECK
    return [
        Unit(provider, kind, key, 0.0, {}, rows[key].etag)
        for key in sorted(rows, reverse=True)[:RECHECKED_WEEKS]
        if rows[key].status == "done"
        and rows[key].updated_at < before
        and key not in asked
        and (provider, kind, key) not in session.asked
    ]


def _valid_dates(session: Session, source: BillboardHot100) -> list[str] | None:
    etag = session.ledger.unit_etag(source.name, "valid_dates", "valid_dates")
    try:
        answer, dates = source.valid_dates(etag)
    except ProviderTrouble as trouble:
        failed = {"provider": source.name, "kind": "valid_dates", "key": "valid_dates", "outcome": trouble.outcome}
        session.ledger.record(
            session.run_id, [failed | {"message": trouble.message, "http_status": trouble.status, "retry_at": trouble.retry_at}]
        )
        session.refuse(source.name, "news", trouble.message)
        return None
    result = {
        "provider": source.name, "kind": "valid_dates", "key": "valid_dates", "outcome": Outcome.OK,
        "http_status": answer.reply.status, "etag": answer.reply.headers.get("etag") or etag,
    }  # fmt: skip
    if dates is None:
        session.ledger.record(session.run_id, [result])
        return None
    with LandingWriter(session.settings.paths.landing, source.name, "valid_dates", session.run_id, "valid_dates") as writer:
        writer.add("valid_dates", ["valid_dates"], answer.reply, answer.outcomes)
    session.ledger.record(session.run_id, [result], writer.landed.row if writer.landed else None)
    return dates


# --- the CSV archive --------------------------------------------------------------------------------------------------


def _csv_weeks(session: Session, kind: str) -> list[Due]:
    """The combined file first; later the weeks that the other archive has and this one is not known to have, or a week on from the newest."""
    provider = "billboard_csv"
    rows = session.ledger.unit_rows(provider, kind)
    if not any(row.status == "done" for row in rows.values()):
        whole = session.due(provider, f"{kind}_all", [Unit(provider, f"{kind}_all", "all")])
        return [(provider, f"{kind}_all", whole)]
    held = sorted(key for key, row in rows.items() if row.status == "done")
    days = set(_following(held[-1]))
    if kind == "hot_100":
        days |= {key for key in session.ledger.unit_rows(_HOT_100, "week") if key > held[0]}
    due = session.due(provider, kind, weeks(session, provider, kind, days - set(held)))
    # A week that is not out yet is looked for every day; the ledger would wait for a week.
    before = utcnow() - _RECHECK
    again = [
        Unit(provider, kind, day)
        for day in sorted(days, reverse=True)[:RECHECKED_WEEKS]
        if day in rows
        and rows[day].status == "absent"
        and rows[day].updated_at < before
        and (provider, kind, day) not in session.asked
    ]
    asked = {unit.key for unit in due}
    due += [unit for unit in again if unit.key not in asked]
    return [(provider, kind, [*due, *_recheck(session, provider, kind, due)])]


def _following(newest: str) -> list[str]:
    """Chart dates a week apart after the newest; a chart is dated up to a week ahead of its publication."""
    day, end = date.fromisoformat(newest) + timedelta(days=7), utcnow().date() + timedelta(days=7)
    found: list[str] = []
    while day <= end and len(found) < _AHEAD:
        found.append(day.isoformat())
        day += timedelta(days=7)
    return found


# --- lists of the day -------------------------------------------------------------------------------------------------


def _today(session: Session, followed: list[str]) -> list[Due]:
    """Apple's and Deezer's lists, once a day: what is not fetched today is gone tomorrow."""
    today = utcnow().date().isoformat()
    countries = [chart.removeprefix("apple_") for chart in followed if chart.startswith("apple_")]
    found: list[Due] = []
    if countries and "apple" in session.sources:
        units = [Unit("apple", "songs", f"{country}/{today}", float(n)) for n, country in enumerate(countries)]
        found.append(("apple", "songs", session.due("apple", "songs", units)))
    if "deezer" in followed and "deezer" in session.sources:
        found.append(("deezer", "chart", session.due("deezer", "chart", [Unit("deezer", "chart", today)])))
    return found
