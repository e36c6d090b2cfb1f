"""What may hold a release back although its tables are whole: a fall of the match rate in the newest weeks of a chart.

The tests of the SQL models decide whether values are right, `warehouse.candidate` whether everything arrived; here it is whether the
newest weeks are worth publishing. A person may let them through; that is noted beside the release.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

import duckdb
import sqlalchemy as sa

from soundscope.errors import CheckFailed
from soundscope.ingest import tables as t
from soundscope.pipeline.loading import check_row
from soundscope.pipeline.run import Run

log = logging.getLogger(__name__)

MOST_POINTS_LOST = 10.0
NEWEST = 2
WINDOW = timedelta(weeks=8)
# Fewer earlier charts than this have no median worth the name; then the last eight are taken, however old.
FEWEST = 3
_TABLE = "core.chart_entries"
_RATES = """
select chart, chart_date, count(*) as n, count(track_id) as n_matched
from core.chart_entries group by chart, chart_date order by chart, chart_date
"""


@dataclass(frozen=True)
class MatchRate:
    """The match rate of one of the newest dates of a chart beside what is usual.

    Attributes:
        chart, chart_date: which.
        n, n_matched: entries, and those linked to a track.
        usual: median match rate (0..1) of the chart's dates in the eight weeks before.
    """

    chart: str
    chart_date: date
    n: int
    n_matched: int
    usual: float

    @property
    def rate(self) -> float:
        """Share of entries linked to a track, 0..1."""
        return self.n_matched / self.n

    @property
    def n_unmatched(self) -> int:
        """Entries without a track."""
        return self.n - self.n_matched

    @property
    def has_fallen(self) -> bool:
        """More than ten points below the median. Rounded, because 0.9 - 0.8 is a little more than 0.1 in binary."""
        return round(100 * (self.usual - self.rate), 6) > MOST_POINTS_LOST

    @property
    def check(self) -> str:
        """Name of the check."""
        return f"match_rate:{self.chart}:{self.chart_date}"

    @property
    def words(self) -> str:
        """Both figures in words."""
        return (
            f"{self.chart} of {self.chart_date}: match rate {self.rate:.1%} ({self.n_matched} of {self.n} entries), "
            f"{100 * (self.usual - self.rate):.1f} points below the median {self.usual:.1%} of the eight weeks before"
            if self.rate < self.usual
            else f"{self.chart} of {self.chart_date}: match rate {self.rate:.1%}, median of the eight weeks before {self.usual:.1%}"
        )


def newest_match_rates(con: duckdb.DuckDBPyConnection) -> list[MatchRate]:
    """The two newest dates of each chart, each beside the median of the eight weeks before it.

    Dates with fewer than three earlier ones are left out: nothing is usual yet.
    """
    by_chart: dict[str, list[tuple[date, int, int]]] = defaultdict(list)
    for chart, day, n, matched in con.execute(_RATES).fetchall():
        by_chart[chart].append((day, n, matched))
    found = []
    for chart, days in by_chart.items():
        for place in range(max(0, len(days) - NEWEST), len(days)):
            day, n, matched = days[place]
            recent = [row for row in days[:place] if row[0] >= day - WINDOW]
            earlier = recent if len(recent) >= FEWEST else days[max(0, place - 8) : place]
            if len(earlier) >= FEWEST:
                found.append(MatchRate(chart, day, n, matched, median(row[2] / row[1] for row in earlier)))
    return found


def hold_back(run: Run, *, force: bool) -> None:
    """Stop a release in which matching fell; the result is noted in `ops.check_results`, also where it is let through.

    A date that a person let through once does not stop later releases, unless more of its entries have lost their link since.

    Args:
        run: the run that publishes; it holds the writer lock.
        force: let it through.

    Raises:
        CheckFailed: naming chart, date, match rate and median.
    """
    rows, held = [], []
    with run.writer() as con:
        has_entries = con.execute(
            "select count(*) from duckdb_tables() where schema_name = 'core' and table_name = 'chart_entries'"
        ).fetchone()
        for rate in newest_match_rates(con) if has_entries and has_entries[0] else []:
            status = "pass"
            if rate.has_fallen:
                status = "overridden" if force or rate.n_unmatched <= _let_through(run, rate) else "fail"
            if status == "fail":
                held.append(f"  - {rate.words}; without a track: {_unmatched(con, rate)}")
            elif status == "overridden":
                log.warning("let through: %s", rate.words)
            rows.append(check_row(run, rate.check, _TABLE, status, rate.n_unmatched, rate.words))
    run.ledger.insert(t.check_results, rows)
    if held:
        shown = "\n".join(held)
        raise CheckFailed(
            f"The candidate release was held back, because matching fell in the newest weeks:\n{shown}",
            next_step="fetch or import the missing tracks, or decide with `soundscope match set`, then run again; "
            "`soundscope publish --force` publishes it as it is, which is noted.",
        )


def _unmatched(con: duckdb.DuckDBPyConnection, rate: MatchRate) -> str:
    rows = con.execute(
        f"select title || ' by ' || artist from {_TABLE} where chart = ? and chart_date = ? and track_id is null order by rank limit 5",
        [rate.chart, rate.chart_date],
    ).fetchall()
    return ", ".join(row[0] for row in rows) + (", ..." if rate.n_unmatched > len(rows) else "")


def _let_through(run: Run, rate: MatchRate) -> int:
    """Unmatched entries of this date that a person has accepted; -1 if it was never asked for."""
    c = t.check_results.c
    query = sa.select(sa.func.max(c.failures)).where(c.check == rate.check, c.status == "overridden")
    with run.ledger.read() as connection:
        accepted = connection.execute(query).scalar()
    return -1 if accepted is None else int(accepted)
