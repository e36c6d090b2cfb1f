"""Reading the links of the current release: how many chart keys are matched, which are not, and why. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from soundscope.match.decisions import DECISION_COLUMNS
from soundscope.match.explain import CANDIDATE_COLUMNS, Explanation, candidates_of, explain
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_release

_MOST_CANDIDATES = 5
_HAS_LINK = "status in ('matched', 'overridden') and track_id is not null"
# One row per key; the id that a chart carries is what the matcher found it by.
_KEYS = """
select m.title, m.artist, m.run_no, m.status, m.track_id, m.method, m.score, m.reason, m.decided_by, m.decided_at, m.is_other_version, t.spotify_id,
    min(e.chart_date) as first_date, max(e.chart_date) as last_date, count(e.chart_date) as n_weeks, min(e.rank) as best_rank
from core.track_matches m
left join core.chart_entries e on e.title = m.title and e.artist = m.artist and e.run_no = m.run_no
left join core.tracks t on m.method = 'spotify_id' and t.track_id = m.track_id
group by all
"""
_TRACKS = """
select t.track_id, t.spotify_id, t.isrc, t.title, t.artist, t.artists, t.album, t.release_date, t.duration_ms, f.popularity
from core.tracks t left join marts.track_features f using (track_id) order by t.track_id
"""
_STATUS = f"""
with keys as ({_KEYS}),
grouped as (
    select 'all' as breakdown, 'all' as value, * from keys
    union all select 'decade', cast(floor(year(first_date) / 10) * 10 as integer) || 's', * from keys where first_date is not null
    union all select 'method', coalesce(method, 'none'), * from keys
),
per_group as (
    select breakdown, value, count(*) as chart_keys, count(*) filter ({_HAS_LINK}) as matched, count(*) filter (status = 'review') as review,
        count(*) filter (status = 'unmatched') as unmatched,
        count(*) filter (status = 'overridden' and track_id is null) as absent,
        count(*) filter (is_other_version and {_HAS_LINK}) as other_version, cast(sum(n_weeks) as bigint) as weeks,
        cast(coalesce(sum(n_weeks) filter (not ({_HAS_LINK})), 0) as bigint) as weeks_lost
    from grouped group by breakdown, value
),
per_chart as (
    select 'chart' as breakdown, e.chart as value, count(distinct (m.title, m.artist, m.run_no)) as chart_keys,
        count(distinct (m.title, m.artist, m.run_no)) filter (m.status in ('matched', 'overridden') and m.track_id is not null) as matched,
        count(distinct (m.title, m.artist, m.run_no)) filter (m.status = 'review') as review,
        count(distinct (m.title, m.artist, m.run_no)) filter (m.status = 'unmatched') as unmatched,
        count(distinct (m.title, m.artist, m.run_no)) filter (m.status = 'overridden' and m.track_id is null) as absent,
        count(distinct (m.title, m.artist, m.run_no)) filter (m.is_other_version and m.status = 'matched' and m.track_id is not null) as other_version,
        count(*) as weeks, count(*) filter (e.track_id is null) as weeks_lost
    from core.chart_entries e join core.track_matches m on e.title = m.title and e.artist = m.artist and e.run_no = m.run_no
    group by e.chart
)
select *, round(matched / nullif(chart_keys, 0), 3) as match_rate, round(1 - weeks_lost / nullif(weeks, 0), 3) as week_rate
from (select * from per_group union all select * from per_chart)
order by case breakdown when 'all' then 1 when 'decade' then 2 when 'chart' then 3 else 4 end, value
"""
_LOST = f"""
with keys as ({_KEYS})
select title, artist, run_no, status, n_weeks as weeks_lost, first_date, last_date, best_rank, method, score, reason
from keys where not ({_HAS_LINK}) and not (status = 'overridden')
order by n_weeks desc, best_rank, title, artist, run_no limit ?
"""


@dataclass(frozen=True)
class MatchStatus:
    """How matching stands.

    Attributes:
        rates: one row per `breakdown` (all, decade, chart, method) and `value`: chart_keys, matched, review, unmatched, absent (a person
            said so), other_version (matched to another version than the chart means), weeks (chart entries), weeks_lost (entries without a track), match_rate of keys and week_rate of entries, 0..1.
        lost: keys without a track, most chart weeks first.
    """

    rates: list[dict[str, Any]]
    lost: list[dict[str, Any]]


def match_status(settings: Settings, limit: int = 10) -> MatchStatus:
    """How many chart keys are matched in the current release, and the keys whose absence costs most.

    Raises:
        BadInput: nothing is published yet.
    """
    with closing(open_release(settings)) as con:
        return MatchStatus(_rows(con, _STATUS), _rows(con, _LOST, limit))


def review(settings: Settings, limit: int = 20) -> list[dict[str, Any]]:
    """Keys that want a person's eye: without a track and not decided, most chart weeks lost first, each with its best candidates.

    Raises:
        BadInput: nothing is published yet.
    """
    with closing(open_release(settings)) as con:
        lost = _rows(con, _LOST, limit)
        if not lost:
            return []
        tracks = con.execute(_TRACKS).df()
    found = candidates_of(pd.DataFrame(lost), tracks)
    by_name = {name: part[CANDIDATE_COLUMNS] for name, part in found.groupby(["title", "artist"], sort=False)}
    none = found[CANDIDATE_COLUMNS].head(0)
    return [{**row, "candidates": candidate_rows(by_name.get((row["title"], row["artist"]), none))} for row in lost]


def explain_key(settings: Settings, title: str, artist: str) -> tuple[Explanation, list[dict[str, Any]]]:
    """Why a chart key has the link it has in the current release, and how its link changed.

    Raises:
        BadInput: nothing is published yet, or no chart has this name; the message names the nearest.
    """
    with closing(open_release(settings)) as con:
        keys = con.execute(f"{_KEYS} order by m.title, m.artist, m.run_no").df()
        tracks = con.execute(_TRACKS).df()
        found = explain(title, artist, keys, tracks, _decisions(keys))
        link = found.links.iloc[0]
        history = _rows(con, _HISTORY, link["title"], link["artist"])
    return found, history


_HISTORY = """
select run_no, valid_from, valid_to, status, track_id, method, score, decided_by, reason
from core.track_match_history where title = ? and artist = ? order by run_no, valid_from
"""


def _decisions(keys: pd.DataFrame) -> pd.DataFrame | None:
    decided = keys.loc[keys["status"] == "overridden", DECISION_COLUMNS]
    return decided if len(decided) else None


def candidate_rows(candidates: pd.DataFrame) -> list[dict[str, Any]]:
    """The best few candidates as plain values: id, name, score, length, date and the evidence in words."""
    columns = [c for c in CANDIDATE_COLUMNS if not c.startswith("is_") and (c.endswith("_evidence") or c in _SHOWN)]
    best = candidates.head(_MOST_CANDIDATES)[columns]
    return [{str(name): _plain(value) for name, value in row.items()} for row in best.to_dict("records")]


_SHOWN = ("track_id", "track_title", "track_artists", "release_date", "duration_ms", "score")


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as plain values, None where unknown."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or value != value:
        return None
    if isinstance(value, pd.Timestamp):
        return value.date() if value == value.normalize() else value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *params: Any) -> list[dict[str, Any]]:
    result = con.execute(sql, list(params))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def as_sentence(row: Mapping[str, Any]) -> str:
    """One row of a key's history in words."""
    until = f"until {row['valid_to']:%Y-%m-%d %H:%M}" if row["valid_to"] else "until now"
    target = f" -> {row['track_id']}" if row["track_id"] else ""
    why = f", {row['reason']}" if row["reason"] else ""
    return (
        f"from {row['valid_from']:%Y-%m-%d %H:%M} {until}: {row['status']}{target} by {row['decided_by']} ({row['method']}{why})"
    )
