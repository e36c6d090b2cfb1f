"""Which tracks, features, labels and popularities are wanted of one provider, from what the raw tables hold. Charting tracks come first."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from soundscope.ingest.session import Session
from soundscope.sources.base import Unit
from soundscope.sources.registry import SOURCES


def units(session: Session, con: duckdb.DuckDBPyConnection, provider: str, unit_kind: str, kind: str) -> list[Unit]:
    """Everything wanted of one provider, the most urgent first; what is held and fresh is left out later, by the ledger.

    Args:
        session: sources and ledger.
        con: the writer, with raw tables.
        provider, unit_kind: whom, and what for.
        kind: tracks, features, genres or popularity: what the run is at.
    """
    follow = session.settings.followed
    if unit_kind == "playlist":
        return [Unit(provider, unit_kind, p.id, 0.0, {"genre": p.genre} if p.genre else {}) for p in follow.playlists]
    if unit_kind == "artist_tracks":
        return _units(provider, unit_kind, follow.artists)
    if unit_kind == "tracks":
        ids = [*follow.tracks, *_column(con, _INCOMPLETE)] if kind == "tracks" else _column(con, _POPULARITY_DUE)
        return _units(provider, unit_kind, ids)
    if unit_kind == "artists":
        return _units(provider, unit_kind, _column(con, _ARTISTS))
    if unit_kind == "track":
        return _units(provider, unit_kind, _column(con, _CHARTING_IDS, provider))
    if kind == "popularity":
        # Another provider's popularity stands in where Spotify gives none.
        return [] if session.allows("spotify", "popularity") else _units(provider, unit_kind, _column(con, _UNRANKED, provider))
    if kind == "genres":
        return _units(provider, unit_kind, _column(con, _UNLABELLED, provider))
    return _features(session, con, provider)


def charted_ids(con: duckdb.DuckDBPyConnection, between: tuple[str, str]) -> set[str]:
    """Spotify ids and ISRCs of known tracks whose title charted from the first to the second date."""
    rows = con.execute(_CHARTED_IDS, list(between)).fetchall()
    return {value for row in rows for value in row if value}


def _features(session: Session, con: duckdb.DuckDBPyConnection, provider: str) -> list[Unit]:
    """Tracks without features, from the first provider that may have them; the next is asked for what it does not have."""
    order = session.settings.feature_order
    if provider not in order:
        return []
    keys = _column(con, _FEATURELESS)
    for other in order[: order.index(provider)]:
        if other == "import" or not session.allows(other, "audio_features"):
            continue
        settled = session.ledger.unit_status(other, "audio_features")
        keys = [key for key in keys if settled.get(key) in ("absent", "forbidden")]
    if SOURCES[provider].by_isrc:
        # Recordings that no Spotify id is known of; the answer may bring one along.
        keys += _column(con, _FEATURELESS_ISRC)
    return _units(provider, "audio_features", keys)


def _units(provider: str, kind: str, keys: Iterable[str]) -> list[Unit]:
    return [Unit(provider, kind, key, float(order)) for order, key in enumerate(dict.fromkeys(keys))]


def _column(con: duckdb.DuckDBPyConnection, query: str, *values: str) -> list[str]:
    return [row[0] for row in con.execute(query, values).fetchall()]


_CHARTED_IDS = """
select distinct spotify_id, isrc from raw.tracks where lower(title) in (
    select lower(title) from raw.chart_entries where chart_date between cast(? as date) and cast(? as date)
)
"""
# Names that chart, the newest and highest first; joined by the name as a track spells it.
_CHARTING = """
charting as (
    select lower(title) as title, max(chart_date) as newest, min(rank) as best from raw.chart_entries group by lower(title)
)
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
# Tracks of a provider's own chart, whose list carries no ISRC.
_CHARTING_IDS = """
select source_id from raw.chart_entries where provider = ? and source_id is not null
group by source_id order by max(chart_date) desc, min(rank), source_id
"""
_POPULARITY_DUE = f"""
with {_CHARTING}
select t.spotify_id from raw.tracks t left join charting c on lower(t.title) = c.title
where t.provider = 'spotify' and t.spotify_id is not null
group by t.spotify_id having max(t.fetched_at) < cast(now() at time zone 'UTC' as timestamp) - interval 20 hour
order by max(c.newest) desc nulls last, max(t.fetched_at), t.spotify_id
"""
_FEATURELESS = f"""
with {_CHARTING}
select t.spotify_id from raw.tracks t left join charting c on lower(t.title) = c.title
where t.spotify_id is not null and not exists (select 1 from raw.audio_features f where f.spotify_id = t.spotify_id)
group by t.spotify_id order by max(c.newest) desc nulls last, min(c.best), min(t.fetched_at), min(t.row_no), t.spotify_id
"""
_FEATURELESS_ISRC = f"""
with {_CHARTING}
select t.isrc from raw.tracks t left join charting c on lower(t.title) = c.title
where t.isrc is not null and length(t.isrc) = 12
and not exists (select 1 from raw.audio_features f where f.isrc = t.isrc and f.energy is not null)
and not exists (select 1 from raw.tracks s where s.isrc = t.isrc and s.spotify_id is not null)
group by t.isrc order by max(c.newest) desc nulls last, min(c.best), t.isrc
"""
_ARTISTS = """
with mentions as (
    select unnest(string_split(artist_ids, ';')) as artist_id from raw.tracks where provider = 'spotify' and artist_ids is not null
)
select artist_id from mentions where artist_id <> '' group by artist_id order by count(*) desc, artist_id
"""
_UNLABELLED = f"""
with {_CHARTING}
select t.isrc from raw.tracks t left join charting c on lower(t.title) = c.title
where t.isrc is not null and length(t.isrc) = 12
and not exists (select 1 from raw.genre_labels g where g.provider = ? and g.isrc = t.isrc)
group by t.isrc order by max(c.newest) desc nulls last, min(c.best), t.isrc
"""
# Ranks move slowly: once a week is enough.
_UNRANKED = f"""
with {_CHARTING}
select t.isrc from raw.tracks t left join charting c on lower(t.title) = c.title
where t.isrc is not null and length(t.isrc) = 12
and not exists (
    select 1 from raw.popularity p
    where p.provider = ? and p.isrc = t.isrc and p.observed_at > cast(now() at time zone 'UTC' as timestamp) - interval 7 day
)
group by t.isrc order by max(c.newest) desc nulls last, min(c.best), t.isrc
"""
