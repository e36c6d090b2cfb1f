"""Weekly charts: songs (or albums) enter, climb, peak, fall, come back; holiday songs return; some Christmas weeks freeze.

The simulation only ever looks back, and every draw is keyed by (item, week), so a longer run begins with the shorter one.
How a chart prints a row is decided in `spelling`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from soundscope.sandbox.catalogue import date_of, day_number
from soundscope.sandbox.draws import Floats, Ints, normal, uniform

FIRST_SATURDAY = day_number(dt.date(2022, 11, 26))
BURN_IN_WEEKS = 60
ENTRIES_PER_WEEK = 11
"""The most new songs of one release week that compete (the Hot 100 of 2015-2018 had 8.8 debuts and 2.4 re-entries a week)."""


def week_day(week: int) -> int:
    """Day number of the Saturday that dates a chart week (week 0 is the first published one)."""
    return FIRST_SATURDAY + 7 * week


def weeks_until(day: int) -> int:
    """How many chart weeks are published by a day."""
    return max(0, (day - FIRST_SATURDAY) // 7 + 1)


@dataclass
class Week:
    """One published week, arrays in rank order; `last` is 0 for a song that was not there the week before."""

    item: Ints
    last: Ints
    peak: Ints
    weeks: Ints


@dataclass
class Pool:
    """What may chart: item number, first week it may enter, strength, and whether it is a holiday song."""

    item: Ints
    entry: Ints
    strength: Floats
    holiday: Ints


def song_entry_weeks(seed: int, song: Ints, day: Ints) -> Ints:
    """First chart week a song may enter: the tracking week ends before the chart date; one in five is a slow starter."""
    lag = np.where(uniform(seed, "chart.slow", song) < 0.2, -np.log(uniform(seed, "chart.slow_weeks", song)) * 8, 0).astype(
        np.int64
    )
    return np.asarray(-((FIRST_SATURDAY - day - 8) // 7) + lag)


def strongest_per_week(entry: Ints, strength: Floats, limit: int) -> Ints:
    """Row numbers of the `limit` strongest entries of each week."""
    order = np.lexsort((-strength, entry))
    sorted_entry = entry[order]
    first = np.searchsorted(sorted_entry, sorted_entry, side="left")
    return np.sort(order[np.arange(len(order)) - first < limit])


def _holiday_lift(day: int) -> float:
    date = date_of(day)
    christmas = dt.date(date.year if date.month > 6 else date.year - 1, 12, 27)
    distance = abs((date - christmas).days)
    return max(0.0, 9.0 * (1 - distance / 32))


def is_frozen(day: int) -> bool:
    """Whether the chart of that day repeats the week before (a Christmas freeze, every second year)."""
    date = date_of(day)
    return date.month == 12 and date.day >= 25 and date.year % 2 == 0


class Chart:
    """One chart of `size` ranks; `add` what may chart, then `run_to` a week."""

    def __init__(self, seed: int, name: str, size: int, fade: float) -> None:
        self.seed, self.name, self.size, self.fade = seed, name, size, fade
        empty = np.zeros(0, dtype=np.int64)
        self.pool = Pool(empty, empty, np.zeros(0), empty)
        self.weeks: list[Week] = []
        self.heat: list[Floats] = []  # per week: each pool row's recent chart points, 0..1
        self._state = np.zeros((4, 0))  # last rank, peak, weeks on chart, heat
        self._life = np.zeros((4, 0))  # quick burst or slow climb, weeks to the top, age of a revival, whether there is one
        self._drawn: dict[tuple[int, int], Floats] = {}
        self._next = -BURN_IN_WEEKS

    def add(self, more: Pool) -> None:
        """Append to the pool; rows keep their places."""
        self.pool = Pool(
            np.concatenate([self.pool.item, more.item]),
            np.concatenate([self.pool.entry, more.entry]),
            np.concatenate([self.pool.strength, more.strength]),
            np.concatenate([self.pool.holiday, more.holiday]),
        )
        self._state = np.concatenate([self._state, np.zeros((4, len(more.item)))], axis=1)
        key = f"{self.name}.life"
        life = np.stack(
            [
                (uniform(self.seed, f"{key}.burst", more.item) < 0.4).astype(np.float64),
                3 + 14 * uniform(self.seed, f"{key}.top", more.item),
                30 + 110 * uniform(self.seed, f"{key}.revival_age", more.item),
                (uniform(self.seed, f"{key}.revival", more.item) < 0.10).astype(np.float64),
            ]
        )
        self._life = np.concatenate([self._life, life], axis=1)
        self._drawn.clear()

    def run_to(self, count: int) -> None:
        """Simulate until `count` weeks are published."""
        while self._next < count:
            self._step(self._next)
            self._next += 1

    def _noise(self, week: int) -> Floats:
        key = (week, len(self.pool.item))
        if key not in self._drawn:
            self._drawn[key] = normal(self.seed, f"{self.name}.life.noise", self.pool.item, week + 1000)
        return self._drawn[key]

    def _scores(self, week: int) -> Floats:
        pool = self.pool
        burst, top, back, revived = self._life
        age = week - pool.entry.astype(np.float64)
        fading = np.maximum(age - top, 0)
        slow = 0.55 - 1.3 * (np.minimum(age - top, 0) / top) ** 2 - self.fade * fading**0.95
        fast = 1.0 - 3.2 * self.fade * np.maximum(age, 0) ** 0.85
        bump = np.where(revived > 0, 2.4 * np.exp(-(((age - back) / 3.0) ** 2)), 0.0)
        noise = 0.14 * (self._noise(week) + self._noise(week - 1) + self._noise(week - 2))
        self._drawn.pop((week - 2, len(pool.item)), None)
        curve = np.maximum(np.where(burst > 0, fast, slow), -6.0) + bump
        curve = np.where(pool.holiday == 1, _holiday_lift(week_day(week)) - 6.0, curve)
        return np.where(age >= 0, pool.strength + curve + noise, -np.inf)

    def _step(self, week: int) -> None:
        last, peak, weeks, heat = self._state
        if self.weeks and is_frozen(week_day(week)) and week > 0:
            chosen = np.argsort(np.where(last > 0, last, np.inf), kind="stable")[: len(self.weeks[-1].item)]
        else:
            score = self._scores(week)
            # A song past its twentieth week leaves once it falls below the middle, as on the Hot 100.
            tired = (weeks >= 20) & ((last > self.size // 2) | (last == 0)) & (self.pool.holiday == 0)
            # One that has left is played less; without this the noise alone would bring it back too often.
            left = (weeks > 0) & (last == 0) & (self.pool.holiday == 0)
            score = score - 0.8 * tired - 0.25 * left
            eligible = int(np.isfinite(score).sum())
            chosen = np.argsort(-score, kind="stable")[: min(self.size, eligible)]
        if week == 0:  # the archive begins here: nothing before it is known to it
            last[:], peak[:], weeks[:] = 0, 0, 0
        rank = np.arange(1, len(chosen) + 1, dtype=np.float64)
        before = last[chosen].astype(np.int64)
        weeks[chosen] += 1
        peak[chosen] = np.where(peak[chosen] == 0, rank, np.minimum(peak[chosen], rank))
        last[:] = 0
        last[chosen] = rank
        points = np.zeros(len(heat))
        points[chosen] = (self.size + 1 - rank) / self.size
        heat[:] = 0.85 * heat + 0.15 * points
        if week >= 0:
            self.heat.append(heat.astype(np.float64).copy())
            self.weeks.append(Week(self.pool.item[chosen], before, peak[chosen].astype(np.int64), weeks[chosen].astype(np.int64)))
