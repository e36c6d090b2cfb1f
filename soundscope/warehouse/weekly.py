"""From which chart week on the weekly models have to be brought forward, found by comparing what they read before and after.

All weekly models stand on two tables: `trend_entries`, which is built whole, and `chart_dates`. Weeks before the first one that differs in either
stay as they are. Building is `build.py`; what may stay altogether is `unchanged.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import duckdb

from soundscope.warehouse.following import Graph
from soundscope.warehouse.unchanged import Unchanged

ENTRIES, DATES = "prepare.trend_entries", "core.chart_dates"
Weeks = dict[tuple[str, str, date], tuple[int, int, int]]


class Forward:
    """The part of a build that can wait until it is known which weeks changed.

    Attributes:
        later: ids of models and tests of that part, in the order of the graph; empty where all is to be built at once.
    """

    def __init__(self, graph: Graph, unchanged: Unchanged, con: duckdb.DuckDBPyConnection) -> None:
        self._before: Weeks = {}
        self.later: list[str] = []
        left = set(unchanged.left())
        weekly = [model for model in graph.models if graph.is_weekly(model) and graph.name(model) != ENTRIES]
        if not left & set(weekly) or not _can_wait(graph, unchanged, weekly):
            return
        waiting: set[str] = set()
        for model in graph.models:
            if model in weekly or waiting & set(unchanged.reads(model)):
                waiting.add(model)
        tests = [test for test in graph.model_of if waiting & set(unchanged.reads(test))]
        self.later = [one for one in (*graph.models, *tests) if one in left and (one in waiting or one in tests)]
        self._before = weeks(con)

    def start_week(self, con: duckdb.DuckDBPyConnection) -> date | None:
        """The first week that changed, the newest if none did; None if weeks were removed, so that every week is to be built."""
        after = weeks(con)
        if not after or set(self._before) - set(after):
            return None
        changed = [key[2] for key, found in after.items() if self._before.get(key) != found]
        return min(changed) if changed else max(key[2] for key in after)


def _can_wait(graph: Graph, unchanged: Unchanged, weekly: Iterable[str]) -> bool:
    """Whether every weekly model is what the tables it reads now once gave, and reads nothing that is not weekly but the two tables."""
    names = {graph.name(model): model for model in graph.models}
    if ENTRIES not in names or DATES not in names:
        return False
    known = {*weekly, names[ENTRIES], names[DATES]}
    return all(model in unchanged.consistent and set(unchanged.reads(model)) <= known for model in weekly)


def weeks(con: duckdb.DuckDBPyConnection) -> Weeks:
    """Rows and hashes of their content per table, chart and week; empty where the tables do not exist."""
    found: Weeks = {}
    for name in (ENTRIES, DATES):
        schema, _, table = name.partition(".")
        there = con.execute("select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]).fetchall()
        if there:
            rows = con.execute(
                f"select chart, chart_date, count(*), sum(hash(t)), bit_xor(hash(t)) from {name} as t group by chart, chart_date"
            ).fetchall()
            found |= {(name, chart, day): (n, total, mixed) for chart, day, n, total, mixed in rows}
    return found
