"""A second chart archive, in CSV: the Hot 100 as fallback for and cross-check with the first one, and the Billboard 200.

Layout: https://github.com/utdata/rwd-billboard-data (one combined file per chart, one file per week). The repository is MIT licensed; the
charts belong to their publisher, so nothing is trained on it. The combined file is not in the order of dates; a missing last week is
`-`, `0` or `NA`, by age.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from soundscope.sources.base import Answer, Capability, Entry, Outcome, RowSpec, Unit
from soundscope.sources.http import Client
from soundscope.sources.json_sql import elements, text
from soundscope.sources.shape import Shape, column_name

LIVE_URL = "https://raw.githubusercontent.com/utdata/rwd-billboard-data/main"
# Kind of a week -> chart, and the archive's word for it in its addresses. The kind of the combined file ends in `_all`.
CHARTS: Mapping[str, tuple[str, str]] = {
    "hot_100": ("billboard_hot_100", "hot-100"),
    "top_200": ("billboard_200", "billboard-200"),
}
# Charts whose entries are albums: no track is searched for them.
ALBUM_CHARTS = ("billboard_200",)
_COLUMNS = Shape(
    "", "chart_week:str current_week:int title:str performer:str last_week:str peak_pos:int wks_on_chart:int", csv=True
)


def _entries(chart: str) -> tuple[RowSpec, ...]:
    return (
        RowSpec(
            "chart_entries",
            elements("$.rows[*]"),
            {
                "chart": f"'{chart}'",
                "chart_date": text("$.chart_week"),
                "rank": text("$.current_week"),
                "title": text("$.title"),
                "artist": text("$.performer"),
                "reported_last_week": f"nullif({text('$.last_week')}, '0')",
                "reported_peak": text("$.peak_pos"),
                "reported_weeks": text("$.wks_on_chart"),
            },
        ),
    )


class BillboardCsv:
    """The archive as a source of weeks, keyed by chart date: `hot_100` and `top_200`, and each with `_all` for all of it at once."""

    name: ClassVar[str] = "billboard_csv"
    licence: ClassVar[str] = "MIT (repository); chart data belongs to its publisher"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {"charts": ("hot_100", "top_200")}
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {kind + end: None for kind in CHARTS for end in ("", "_all")}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        kind + end: _entries(chart) for kind, (chart, _) in CHARTS.items() for end in ("", "_all")
    }
    shapes: ClassVar[Mapping[str, Shape]] = {kind + end: _COLUMNS for kind in CHARTS for end in ("", "_all")}
    # Bodies of these kinds are CSV; the load reads them as `{"rows": [...]}`.
    csv_kinds: ClassVar[frozenset[str]] = frozenset(kind + end for kind in CHARTS for end in ("", "_all"))

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")

    def batch_size(self, kind: str) -> int:
        """One file per request."""
        return 1

    def probe(self) -> list[Capability]:
        """Nothing to ask: the archive is open to all."""
        return [Capability("charts", True, "open archive: the Hot 100 a second time, and the Billboard 200")]

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Weeks one by one, or (`_all`) the combined file, whose one answer settles every week it holds."""
        if kind.endswith("_all"):
            yield self._combined(kind, units)
            return
        name = CHARTS[kind][1]
        for unit in units:
            headers = {"If-None-Match": unit.etag} if unit.etag else {}
            address = f"{self.url}/data-scraped/{name}/{unit.key[:4]}/{unit.key}.csv"
            reply = self.client.get(kind, address, headers=headers, json_body=False)
            outcome = {200: Outcome.OK, 304: Outcome.OK, 404: Outcome.ABSENT}.get(reply.status, Outcome.ERROR)
            message = None if reply.status in (200, 304) else f"status {reply.status}"
            if reply.status == 200 and unit.key not in set(dates_in(reply.body)):
                outcome, message = Outcome.ERROR, "the file does not hold the entries of the week it is named for"
            yield Answer(kind, [unit.key], reply, {unit.key: outcome}, message)

    def _combined(self, kind: str, units: Sequence[Unit]) -> Answer:
        name = CHARTS[kind.removesuffix("_all")][1]
        reply = self.client.get(kind, f"{self.url}/data-out/{name}-current.csv", json_body=False)
        if reply.status != 200:
            outcome = Outcome.ABSENT if reply.status == 404 else Outcome.ERROR
            return Answer(kind, ["all"], reply, {"all": outcome}, f"status {reply.status}")
        held = sorted(set(dates_in(reply.body)))
        if not held:
            return Answer(kind, ["all"], reply, {"all": Outcome.ERROR}, "the file holds no weeks")
        return Answer(kind, ["all"], reply, {"all": Outcome.OK} | dict.fromkeys(held, Outcome.OK))


def csv_rows(body: str) -> list[dict[str, str]]:
    """The rows of a CSV text, by column name; a line with too few or too many fields comes as its own words, without a key.

    Args:
        body: CSV with a header, with or without a byte order mark.
    """
    reader = csv.reader(io.StringIO(body.lstrip("\ufeff")))
    header = [column_name(name) for name in next(reader, [])]
    rows = []
    for fields in reader:
        if len(fields) == len(header):
            rows.append(dict(zip(header, fields, strict=True)))
        elif fields:
            rows.append({"unreadable": ",".join(fields)})
    return rows


def dates_in(body: bytes) -> Iterator[str]:
    """The chart dates of a CSV body, one per row that says what was at which rank."""
    for row in csv_rows(body.decode("utf-8", "replace")):
        week = row.get("chart_week")
        if week and row.get("title") and row.get("performer") and row.get("current_week"):
            yield week


SOURCE = Entry(BillboardCsv, LIVE_URL, rate=60)
