"""Corrections of weeks that were already published: a spelling that changes, two ranks that change places.

The charts themselves are in `charts`; rows are printed by `archives`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from typing import Any

from soundscope.errors import BadInput
from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import charts as ch
from soundscope.sandbox.world import World

CHARTS = {"billboard_hot_100": "hot_100", "billboard_200": "top_albums"}


class Restatements:
    """What was corrected, by chart and week number."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self.version = 0
        self.spelled: dict[tuple[str, int], dict[int, dict[str, str]]] = defaultdict(dict)
        self.swapped: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)

    def add(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Correct a week: `kind` "spelling" (`title` or `artist` given, or a plain change) or "rank" (with the next one).

        Raises:
            BadInput: unknown chart, a week that is not published, or a rank that is not there.
        """
        chart = raw.get("chart", "billboard_hot_100")
        if chart not in CHARTS:
            raise BadInput(f"there is no chart {chart!r}", next_step=f"use one of {', '.join(CHARTS)}")
        weeks = self._world.chart_weeks()
        day = cat.day_number(dt.date.fromisoformat(raw["date"])) if raw.get("date") else ch.week_day(weeks - 2)
        week, off = divmod(day - ch.FIRST_SATURDAY, 7)
        size = len(getattr(self._world, CHARTS[chart]).weeks[week].item) if 0 <= week < weeks and not off else 0
        rank = int(raw.get("rank", 10))
        if not 1 <= rank <= size:
            raise BadInput(
                f"{chart} has no rank {rank} in a week dated {cat.date_of(day)}", next_step="choose a published Saturday"
            )
        done = {"chart": chart, "date": cat.date_of(day).isoformat(), "rank": rank, "kind": raw.get("kind", "spelling")}
        with self._lock:
            if done["kind"] == "rank":
                other = rank + 1 if rank < size else rank - 1
                self.swapped[(chart, week)].append((rank, other))
                done["with_rank"] = other
            else:
                given = {k: str(raw[k]) for k in ("title", "artist") if raw.get(k)}
                self.spelled[(chart, week)][rank] = given
            self.version += 1
        return done
