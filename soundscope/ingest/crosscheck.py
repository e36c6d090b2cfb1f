"""Where two archives hold the same chart: rank by rank, what they say differently. Reported as warnings, with counts and examples."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from soundscope.ingest.session import Session

_EXAMPLES = 3


@dataclass(frozen=True)
class Difference:
    """How two archives differ in one respect.

    Attributes:
        chart, one, other: which chart, and the providers compared.
        what: rank, title, artist, peak or weeks.
        n: entries that differ, of `n_compared` in the weeks both hold.
        examples: the newest ones, in words.
    """

    chart: str
    one: str
    other: str
    what: str
    n: int
    n_compared: int
    examples: list[str]


def compare(con: duckdb.DuckDBPyConnection) -> list[Difference]:
    """Compare every two providers of the same chart, each by its newest version of a week.

    `rank` counts positions that only one of them holds; the others compare what both say. Where archives agree, n is 0.
    """
    rows = con.execute(_COMPARED).fetchall()
    return [
        Difference(chart, one, other, what, n, n_compared, list(examples or [])[:_EXAMPLES])
        for chart, one, other, what, n, n_compared, examples in rows
    ]


def report(session: Session, con: duckdb.DuckDBPyConnection) -> None:
    """Put the comparison into the ledger: one result per chart and respect, `warn` where there are differences."""
    for found in compare(con):
        words = f"{found.chart}: {found.one} and {found.other} differ in the {found.what} of {found.n:,} of {found.n_compared:,} entries"
        words += f", for instance {'; '.join(found.examples)}" if found.examples else ""
        session.note(
            "archives_agree",
            "raw.chart_entries",
            "warn" if found.n else "pass",
            found.n,
            words,
            f"{found.chart} {found.other} {found.what}",
        )


_COMPARED = """
with held as (
    select * from raw.chart_entries where provider not like 'import:%'
    qualify landing_file = first_value(landing_file) over (
        partition by chart, chart_date, provider order by fetched_at desc, landing_file desc
    ) and row_number() over (partition by chart, chart_date, provider, rank, landing_file order by fetched_at desc, row_no desc) = 1
), pairs as (
    select a.chart, a.chart_date, a.provider as one, b.provider as other
    from (select distinct chart, chart_date, provider from held) a
    join (select distinct chart, chart_date, provider from held) b using (chart, chart_date)
    where a.provider > b.provider or (a.provider = 'billboard_hot_100' and b.provider = 'billboard_csv')
    qualify row_number() over (partition by a.chart, a.chart_date, least(a.provider, b.provider), greatest(a.provider, b.provider)) = 1
), ranks as (
    select p.*, h.rank from pairs p join held h on h.chart = p.chart and h.chart_date = p.chart_date and h.provider in (p.one, p.other)
    group by all
), joined as (
    select r.*, a.title as title_a, b.title as title_b, a.artist as artist_a, b.artist as artist_b,
        a.reported_peak as peak_a, b.reported_peak as peak_b, a.reported_weeks as weeks_a, b.reported_weeks as weeks_b,
        a.rank as rank_a, b.rank as rank_b
    from ranks r
    left join held a on a.chart = r.chart and a.chart_date = r.chart_date and a.rank = r.rank and a.provider = r.one
    left join held b on b.chart = r.chart and b.chart_date = r.chart_date and b.rank = r.rank and b.provider = r.other
), said as (
    select chart, chart_date, rank, one, other, unnest([
        {what: 'rank', differs: rank_a is null or rank_b is null, a: coalesce(title_a, 'nothing'), b: coalesce(title_b, 'nothing')},
        {what: 'title', differs: title_a <> title_b, a: title_a, b: title_b},
        {what: 'artist', differs: artist_a <> artist_b, a: artist_a, b: artist_b},
        {what: 'peak', differs: peak_a <> peak_b, a: cast(peak_a as varchar), b: cast(peak_b as varchar)},
        {what: 'weeks', differs: weeks_a <> weeks_b, a: cast(weeks_a as varchar), b: cast(weeks_b as varchar)}
    ], recursive := true)
    from joined
)
select chart, one, other, what, count(*) filter (coalesce(differs, false)), count(*),
    list(chart_date || ' no. ' || rank || ': "' || coalesce(a, '') || '" and "' || coalesce(b, '') || '"' order by chart_date desc, rank)
        filter (coalesce(differs, false))[:3]
from said group by chart, one, other, what order by chart, one, other, what
"""
