"""What should be asked for: units planned from the configuration and from what the raw tables already hold, grouped into batches.

A request is never planned for something held and still fresh: the ledger knows. Nothing is sent here, except the one question a chart
archive is asked for news.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.session import Session
from soundscope.sources.base import Outcome, ProviderTrouble, Unit
from soundscope.sources.billboard import BULK_FROM, BillboardHot100

# What `soundscope ingest KIND` asks for, in the order a run takes them.
KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "charts": (("billboard_hot_100", "week"),),
    "tracks": (("spotify", "playlist"), ("spotify", "artist_tracks"), ("spotify", "search"), ("spotify", "tracks")),
    "features": (("spotify", "audio_features"), ("reccobeats", "audio_features")),
    "genres": (("spotify", "artists"),),
    "popularity": (("spotify", "tracks"),),
}
# Units in one batch: a batch is a task in the dashboard and a file in landing, some seconds of work.
_BATCH = {"week": 50, "search": 250, "playlist": 4, "artist_tracks": 10, "tracks": 1000, "audio_features": 2000, "artists": 500}
# Where calls are few, searching must leave some for what else Spotify is asked.
_SEARCH_SHARE = 0.6


@dataclass(frozen=True)
class Batch:
    """Units that are fetched by one task into one landing file."""

    provider: str
    kind: str
    units: tuple[Unit, ...]
    number: int

    @property
    def name(self) -> str:
        """What it is, for a person: provider, kind, and which of several."""
        return f"{self.provider}-{self.kind}-{self.number}"


def plan(session: Session, con: duckdb.DuckDBPyConnection, kind: str) -> list[Batch]:
    """The batches to fetch now for one of `KINDS`.

    What a fetch brings may make more wanted (an artist's tracks, features that the first provider lacks), so it is called again until it
    returns nothing; what was asked for in this run is not planned again.

    Args:
        session: sources and ledger.
        con: the writer, with raw tables.
        kind: charts, tracks, features, genres or popularity.
    """
    batches: list[Batch] = []
    for provider, unit_kind in KINDS[kind]:
        if provider not in session.sources:
            continue
        if kind == "charts":
            batches += _charts(session)
            continue
        if not session.allows(provider, _capability(unit_kind, kind)):
            continue
        wanted = _wanted(session, con, provider, unit_kind, kind)
        session.ledger.plan_units(wanted)
        names = {unit.key for unit in wanted}
        due = [unit for unit in session.ledger.due_units(provider, unit_kind) if unit.key in names]
        due = [unit for unit in due if (provider, unit_kind, unit.key) not in session.asked]
        batches += _batches(provider, unit_kind, _affordable(session, provider, unit_kind, due))
    return batches


def _capability(unit_kind: str, kind: str) -> str:
    if kind == "popularity":
        return "popularity"
    return "audio_features" if unit_kind == "audio_features" else "catalogue"


def _affordable(session: Session, provider: str, unit_kind: str, due: list[Unit]) -> list[Unit]:
    left = session.budgets[provider].remaining()
    if unit_kind != "search" or left is None:
        return due
    return due[: int(left * _SEARCH_SHARE)]


def _batches(provider: str, kind: str, units: Sequence[Unit]) -> list[Batch]:
    size = _BATCH.get(kind, 500)
    parts = [tuple(units[start : start + size]) for start in range(0, len(units), size)]
    return [Batch(provider, kind, part, number) for number, part in enumerate(parts, 1)]


# --- charts -----------------------------------------------------------------------------------------------------------


def _charts(session: Session) -> list[Batch]:
    """Missing weeks of every followed chart, newest first; one conditional request tells whether there is news."""
    source = session.sources.get("billboard_hot_100")
    if not isinstance(source, BillboardHot100) or source.name not in session.settings.followed.charts:
        return []
    dates = _valid_dates(session, source) if not session.asked_for(source.name, "valid_dates") else None
    if dates is not None:
        newest = len(dates)
        session.ledger.plan_units([Unit(source.name, "week", day, float(newest - n)) for n, day in enumerate(dates)])
    due = [unit for unit in session.ledger.due_units(source.name, "week") if (source.name, "week", unit.key) not in session.asked]
    if (
        len(due) >= BULK_FROM
        and session.ledger.unit_etag(source.name, "all", "all") is None
        and not _bulk_absent(session, source.name)
    ):
        return [Batch(source.name, "all", tuple(due), 1)]
    return _batches(source.name, "week", due)


def _bulk_absent(session: Session, name: str) -> bool:
    return session.ledger.unit_status(name, "all").get("all") == "absent"


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


# --- tracks, features, genres, popularity -----------------------------------------------------------------------------


def _wanted(session: Session, con: duckdb.DuckDBPyConnection, provider: str, unit_kind: str, kind: str) -> list[Unit]:
    follow = session.settings.followed
    if unit_kind == "playlist":
        return [Unit(provider, unit_kind, p.id, 0.0, {"genre": p.genre} if p.genre else {}) for p in follow.playlists]
    if unit_kind == "artist_tracks":
        return _units(provider, unit_kind, follow.artists)
    if unit_kind == "search":
        return _searches(con, provider)
    if unit_kind == "tracks" and kind == "tracks":
        incomplete = _column(con, _INCOMPLETE)
        return _units(provider, unit_kind, [*follow.tracks, *incomplete])
    if unit_kind == "tracks":
        return _units(provider, unit_kind, _column(con, _POPULARITY_DUE))
    if unit_kind == "artists":
        return _units(provider, unit_kind, _column(con, _ARTISTS))
    return _features(session, con, provider)


def _features(session: Session, con: duckdb.DuckDBPyConnection, provider: str) -> list[Unit]:
    """Tracks without features, from the first provider that may have them; the next is asked for what it does not have."""
    asked_first = session.settings.feature_order.index(provider) if provider in session.settings.feature_order else None
    if asked_first is None:
        return []
    keys = _column(con, _FEATURELESS)
    for other in session.settings.feature_order[:asked_first]:
        if other == "import" or not session.allows(other, "audio_features"):
            continue
        settled = session.ledger.unit_status(other, "audio_features")
        keys = [key for key in keys if settled.get(key) in ("absent", "forbidden")]
    return _units(provider, "audio_features", keys)


def _searches(con: duckdb.DuckDBPyConnection, provider: str) -> list[Unit]:
    rows = con.execute(_SEARCHES).fetchall()
    return [
        Unit(provider, "search", f"{title}\t{artist}"[:600], float(order), {"title": title, "artist": artist})
        for order, title, artist in rows
    ]


def _units(provider: str, kind: str, keys: Iterable[str]) -> list[Unit]:
    return [Unit(provider, kind, key, float(order)) for order, key in enumerate(dict.fromkeys(keys))]


def _column(con: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [row[0] for row in con.execute(query).fetchall()]


# Chart keys that no known track answers to word for word; what charts now comes first.
_SEARCHES = """
with keys as (
    select title, artist, max(chart_date) as newest, min(rank) as best
    from raw.chart_entries where spotify_id is null group by title, artist
), known as (
    select distinct lower(title) as title, lower(artist) as artist from raw.tracks
    where provider like 'import:%' and title is not null and artist is not null
)
select row_number() over (order by newest desc, best, title, artist) - 1, title, artist
from keys anti join known on lower(keys.title) = known.title and lower(keys.artist) = known.artist
order by 1
"""
# Ids we know only from a chart, a feature file or an album page: their metadata is still to be asked for.
_INCOMPLETE = """
with ids as (
    select distinct spotify_id from raw.chart_entries where spotify_id is not null
    union select distinct spotify_id from raw.tracks where provider = 'spotify' and isrc is null and spotify_id is not null
)
select spotify_id from ids
anti join (select distinct spotify_id from raw.tracks where provider = 'spotify' and isrc is not null) using (spotify_id) order by 1
"""
_POPULARITY_DUE = """
select spotify_id from raw.tracks where provider = 'spotify' and spotify_id is not null
group by spotify_id having max(fetched_at) < cast(now() at time zone 'UTC' as timestamp) - interval 20 hour
order by max(fetched_at), spotify_id
"""
_FEATURELESS = """
select spotify_id from raw.tracks t where spotify_id is not null
and not exists (select 1 from raw.audio_features f where f.spotify_id = t.spotify_id)
group by spotify_id order by min(fetched_at), min(row_no), spotify_id
"""
_ARTISTS = """
with mentions as (
    select unnest(string_split(artist_ids, ';')) as artist_id from raw.tracks where provider = 'spotify' and artist_ids is not null
)
select artist_id from mentions where artist_id <> '' group by artist_id order by count(*) desc, artist_id
"""
