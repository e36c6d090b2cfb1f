"""The chart archives: the JSON layout of the Hot 100 archive and the CSV layout of the second one, quirks included.

Files are rendered once per published state, carry an ETag, and answer If-None-Match with 304.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import charts as ch
from soundscope.sandbox import spelling
from soundscope.sandbox.messages import PLAIN, Request, Response, text_response
from soundscope.sandbox.restate import CHARTS

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

CSV_HEADER = ("chart_week", "current_week", "title", "performer", "last_week", "peak_pos", "wks_on_chart")
ASSIGNMENT_HEADER = ("CHART WEEK", "THIS WEEK", "TITLE", "PERFORMER", "LAST WEEK", "PEAK POS.", "WKS ON CHART")


@dataclass
class Row:
    """One printed row; `last` is 0 for a song that was not there the week before, `item` the song or album number."""

    rank: int
    title: str
    artist: str
    last: int
    peak: int
    weeks: int
    item: int


def not_modified(request: Request, response: Response) -> Response:
    """Adds an ETag; an empty 304 when the client holds these bytes already."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()}"'
    response.headers["ETag"] = tag
    response.headers.setdefault("Cache-Control", "max-age=300")
    held = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
    if response.status == 200 and (tag in held or "*" in held):
        return Response(304, b"", response.content_type, response.headers)
    return response


class Archives:
    """Both archives of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state, self._world = state, state.world
        self._lock = threading.Lock()
        self._files: dict[tuple[object, ...], bytes] = {}
        self._spelled: dict[tuple[str, int], tuple[str, str]] = {}

    # --- rows ---------------------------------------------------------------------------------------------------

    def _names(self, chart: str, item: int) -> tuple[str, str]:
        key = (chart, item)
        if key not in self._spelled:
            w = self._world
            if chart == "billboard_hot_100":
                self._spelled[key] = spelling.chart_title(w, item), spelling.chart_artist(w, item)
            else:
                act = w.names.artist(int(w.albums.artist[item]))
                self._spelled[key] = spelling.plain(w.names.album(item)), spelling.plain(act)
        return self._spelled[key]

    def rows(self, chart: str, week: int) -> list[Row]:
        """The rows of a published week in rank order, restatements applied."""
        data = getattr(self._world, CHARTS[chart]).weeks[week]
        out = []
        for i, item in enumerate(data.item):
            title, artist = self._names(chart, int(item))
            out.append(Row(i + 1, title, artist, int(data.last[i]), int(data.peak[i]), int(data.weeks[i]), int(item)))
        return self._restate(chart, week, out)

    def _restate(self, chart: str, week: int, rows: list[Row]) -> list[Row]:
        corrections = self._state.restatements
        for rank, names in corrections.spelled.get((chart, week), {}).items():
            row = rows[rank - 1]
            if names:
                rows[rank - 1] = replace(row, title=names.get("title", row.title), artist=names.get("artist", row.artist))
            elif " Featuring " in row.artist:
                rows[rank - 1] = replace(row, artist=row.artist.replace(" Featuring ", " & "))
            else:
                rows[rank - 1] = replace(row, title=row.title.upper() if row.title != row.title.upper() else row.title.title())
        for a, b in corrections.swapped.get((chart, week), []):
            first, second = rows[a - 1], rows[b - 1]
            rows[a - 1] = replace(second, rank=a, peak=min(second.peak, a))
            rows[b - 1] = replace(first, rank=b)
        return rows

    def _refuse(self, provider: str) -> Response | None:
        refusal = self._state.gates[provider].admit()
        return text_response("429: Too Many Requests", 429, Retry_After=refusal.retry_after) if refusal else None

    def _week_of(self, text: str) -> int | None:
        try:
            day = cat.day_number(cat.dt.date.fromisoformat(text))
        except ValueError:
            return None
        week, off = divmod(day - ch.FIRST_SATURDAY, 7)
        return week if off == 0 and 0 <= week < self._world.chart_weeks() else None

    def _cached(self, key: tuple[object, ...], render: Callable[[], str]) -> bytes:
        key = (*key, self._state.restatements.version)
        with self._lock:
            body = self._files.get(key)
            if body is None:
                if len(self._files) > 2000:
                    self._files.clear()
                body = self._files[key] = render().encode()
        return body

    # --- the JSON archive ---------------------------------------------------------------------------------------

    def _chart_json(self, week: int) -> str:
        data = [
            {
                "song": r.title,
                "artist": r.artist,
                "this_week": r.rank,
                "last_week": r.last or None,
                "peak_position": r.peak,
                "weeks_on_chart": r.weeks,
            }
            for r in self.rows("billboard_hot_100", week)
        ]
        chart = {"date": cat.date_of(ch.week_day(week)).isoformat(), "data": data}
        return json.dumps(chart, ensure_ascii=False, separators=(",", ":"))

    def hot_100(self, request: Request) -> Response:
        """`all.json`, `valid_dates.json`, `recent.json`, `date/YYYY-MM-DD.json`."""
        refused = self._refuse("billboard_hot_100")
        if refused:
            return refused
        count = self._world.chart_weeks()
        if request.path == "/all.json":
            body = self._cached(("all", count), lambda: "[" + ",".join(map(self._chart_json, range(count))) + "]")
        elif request.path == "/valid_dates.json":
            dates = [cat.date_of(ch.week_day(w)).isoformat() for w in range(count)]
            body = json.dumps(dates, separators=(",", ":")).encode()
        elif request.path == "/recent.json":
            body = self._cached(("week", count - 1), lambda: self._chart_json(count - 1))
        else:
            match = re.fullmatch(r"/date/(\d{4}-\d{2}-\d{2})\.json", request.path)
            week = self._week_of(match[1]) if match else None
            if week is None:
                return text_response("404: Not Found", 404)
            body = self._cached(("week", week), lambda: self._chart_json(week))
        return not_modified(request, Response(200, body, PLAIN))

    # --- the CSV archive ----------------------------------------------------------------------------------------

    def _csv_rows(self, chart: str, week: int, missing: str) -> list[tuple[object, ...]]:
        date = cat.date_of(ch.week_day(week)).isoformat()
        out: list[tuple[object, ...]] = []
        for r in self.rows(chart, week):
            title, artist = r.title, r.artist
            if chart == "billboard_hot_100":
                title, artist = spelling.second_archive(self._world, title, artist, r.item)
            out.append((date, r.rank, title, artist, r.last or missing, r.peak, r.weeks))
        return out

    def _combined(self, chart: str, count: int) -> str:
        # The newest two years come first with "0" for a missing last week, then the older archive with "NA".
        split = max(0, count - 104)
        rows = [r for w in range(split, count) for r in self._csv_rows(chart, w, "0")]
        rows += [r for w in range(split) for r in self._csv_rows(chart, w, "NA")]
        return _csv(CSV_HEADER, rows)

    def _assignment(self, count: int) -> str:
        rows = []
        for week in range(count):
            for date, *rest in self._csv_rows("billboard_hot_100", week, ""):
                year, month, day = str(date).split("-")
                rows.append((f"{int(month)}/{int(day)}/{year}", *rest))
        return _csv(ASSIGNMENT_HEADER, rows)

    def csv(self, request: Request) -> Response:
        """The combined files under `data-out/` and the weekly ones under `data-scraped/`."""
        refused = self._refuse("billboard_csv")
        if refused:
            return refused
        count, path = self._world.chart_weeks(), request.path
        names = {"hot-100": "billboard_hot_100", "billboard-200": "billboard_200"}
        combined = re.fullmatch(r"/data-out/(hot-100|billboard-200)-current\.csv", path)
        weekly = re.fullmatch(r"/data-scraped/(hot-100|billboard-200)/(\d{4})/(\d{4}-\d{2}-\d{2})\.csv", path)
        if combined:
            chart = names[combined[1]]
            body = self._cached(("csv", chart, count), lambda: self._combined(chart, count))
        elif path == "/data-out/hot100_assignment.csv":
            body = self._cached(("assignment", count), lambda: self._assignment(count))
        elif weekly and weekly[3].startswith(weekly[2]) and (week := self._week_of(weekly[3])) is not None:
            chart, number = names[weekly[1]], week
            body = self._cached(("csv", chart, "week", week), lambda: _csv(CSV_HEADER, self._csv_rows(chart, number, "-")))
        else:
            return text_response("404: Not Found", 404)
        return not_modified(request, Response(200, body, PLAIN))


def _csv(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
