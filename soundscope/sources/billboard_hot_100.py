"""The Hot 100 archive: one JSON file per week, and all of them in one.

Layout: https://github.com/mhollingshead/billboard-hot-100 (valid_dates.json, date/YYYY-MM-DD.json, recent.json, all.json). The archive
carries no licence and the chart belongs to its publisher, so nothing is trained on it; chart positions are facts used for analysis.
A first filling takes the one large file; after that a week costs one small request, and a run without news one conditional request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar

from soundscope.sources.base import Answer, Capability, Entry, Outcome, RowSpec, Unit, Unreachable
from soundscope.sources.entries import names_songs
from soundscope.sources.http import Client
from soundscope.sources.json_sql import elements, text
from soundscope.sources.shape import Shape

LIVE_URL = "https://raw.githubusercontent.com/mhollingshead/billboard-hot-100/main"
CHART = "billboard_hot_100"
# From this many missing weeks on, the one large file is cheaper for both sides than one request per week.
BULK_FROM = 60

_ENTRY = {
    "chart": f"'{CHART}'",
    "rank": text("$.this_week"),
    "title": text("$.song"),
    "artist": text("$.artist"),
    "reported_last_week": text("$.last_week"),
    "reported_peak": text("$.peak_position"),
    "reported_weeks": text("$.weeks_on_chart"),
}

_SHAPE = "song:str artist:str this_week:int last_week:int|null peak_position:int weeks_on_chart:int"


class BillboardHot100:
    """The archive as a source of `week` units, keyed by chart date."""

    name: ClassVar[str] = CHART
    licence: ClassVar[str] = "none stated; chart data belongs to its publisher"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {"charts": ("week",)}
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {"valid_dates": timedelta(0), "week": None, "all": None}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        "week": (RowSpec("chart_entries", elements("$.data[*]"), {**_ENTRY, "chart_date": text("$.date", "body")}),),
        "all": (
            RowSpec(
                "chart_entries",
                # Every entry takes its week's date along, so that one flat list remains.
                "flatten(list_transform(json_extract(body, '$[*]'), lambda w: list_transform(json_extract(w, '$.data[*]'), "
                "lambda d: json_merge_patch(d, json_object('date', json_extract_string(w, '$.date'))))))",
                {**_ENTRY, "chart_date": text("$.date")},
            ),
        ),
        "valid_dates": (),
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "week": Shape("data", _SHAPE),
        "all": Shape("", "date:str data:list"),
    }

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")

    def batch_size(self, kind: str) -> int:
        """One file per request."""
        return 1

    def probe(self) -> list[Capability]:
        """Nothing to ask: the archive is open to all."""
        return [Capability("charts", True, "open archive")]

    def valid_dates(self, etag: str | None) -> tuple[Answer, list[str] | None]:
        """Dates of every published week.

        Args:
            etag: entity tag of the list seen last.
        Returns:
            The answer to land, and the dates in order; None instead of dates if the list has not changed.
        """
        headers = {"If-None-Match": etag} if etag else {}
        reply = self.client.get("valid_dates", f"{self.url}/valid_dates.json", headers=headers)
        if reply.status == 304:
            return Answer("valid_dates", ["valid_dates"], reply, {"valid_dates": Outcome.OK}), None
        if reply.status != 200:
            raise Unreachable(f"{self.url}/valid_dates.json answered {reply.status}", status=reply.status)
        listed = json.loads(reply.body)
        dates = sorted(day for day in listed if _is_date(day)) if isinstance(listed, list) else []
        if not dates:
            raise Unreachable(f"{self.url}/valid_dates.json holds no dates", status=200)
        return Answer("valid_dates", ["valid_dates"], reply, {"valid_dates": Outcome.OK}), dates

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Weeks one by one (`week`), or the whole archive at once (`all`, whose one answer settles every week in it)."""
        if kind == "all":
            yield self._bulk(units)
            return
        for unit in units:
            headers = {"If-None-Match": unit.etag} if unit.etag else {}
            reply = self.client.get("week", f"{self.url}/date/{unit.key}.json", headers=headers)
            outcome = {200: Outcome.OK, 304: Outcome.OK, 404: Outcome.ABSENT}.get(reply.status, Outcome.ERROR)
            message = None if reply.status in (200, 304) else f"status {reply.status}"
            if reply.status == 200 and not _is_week(reply.body, unit.key):
                outcome, message = Outcome.ERROR, "the file does not hold the entries of the week it is named for"
            yield Answer("week", [unit.key], reply, {unit.key: outcome}, message)

    def _bulk(self, units: Sequence[Unit]) -> Answer:
        reply = self.client.get("all", f"{self.url}/all.json")
        wanted = {unit.key for unit in units}
        if reply.status != 200:
            outcome = Outcome.ABSENT if reply.status == 404 else Outcome.ERROR
            return Answer("all", ["all"], reply, {"all": outcome}, f"status {reply.status}")
        listed = json.loads(reply.body)
        held = {week.get("date") for week in listed if _has_entries(week)} if isinstance(listed, list) else set()
        if not held:
            return Answer("all", ["all"], reply, {"all": Outcome.ERROR}, "the file holds no weeks")
        return Answer("all", ["all"], reply, {"all": Outcome.OK} | dict.fromkeys(sorted(wanted & held), Outcome.OK))


def _is_week(body: bytes, day: str) -> bool:
    document = json.loads(body)
    return isinstance(document, dict) and document.get("date") == day and _has_entries(document)


def _has_entries(week: object) -> bool:
    return isinstance(week, dict) and names_songs(week.get("data"), "song", "artist", "this_week")


def _is_date(value: object) -> bool:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True


SOURCE = Entry(BillboardHot100, LIVE_URL, rate=60)
