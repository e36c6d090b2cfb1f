"""Who is asked what a chart key means, where no known track answers to it: Spotify, Deezer, MusicBrainz, each key at one of them.

Spotify comes first where it may be asked at will, and last where it allows a thousand calls a day. A key that one provider found is not
asked of the next; one that it does not know is, and so is one that it cannot take in this run. Misses are asked again after a growing
while (the ledger keeps the time). Which found track a key means is decided later, by matching.
"""

from __future__ import annotations

import math

import duckdb

from soundscope.ingest.session import Session
from soundscope.sources.base import Unit
from soundscope.sources.billboard_csv import ALBUM_CHARTS
from soundscope.sources.registry import SOURCES

# Where calls are few, searching must leave some for what else Spotify is asked.
_SEARCH_SHARE = 0.6


def order(session: Session) -> list[str]:
    """The providers that may be searched, in the order they are asked: as registered, those that allow few calls a day last."""
    names = [name for name, entry in SOURCES.items() if "identity" in entry.source.gives and session.allows(name, "catalogue")]
    return sorted(names, key=lambda name: -(session.budgets[name].limits.quota or math.inf))


def due(
    session: Session, con: duckdb.DuckDBPyConnection, between: tuple[str, str] | None = None, only: str | None = None
) -> list[tuple[str, str, list[Unit]]]:
    """What to search for now: (provider, "search", units) for each provider that gets a share.

    Args:
        session: sources and ledger.
        con: the writer, with raw tables.
        between: only keys that charted from the first to the second date, for a backfill.
        only: ask this provider alone, for a backfill; what another found is left out all the same.
    """
    wanted = keys(con, between)
    names = order(session)
    status = {name: session.ledger.unit_status(name, "search") for name in names}
    found = {key for held in status.values() for key, said in held.items() if said == "done"}
    if between is None:
        # What another provider's answer made known is wanted no more.
        for name in names:
            session.ledger.withdraw(name, "search", {key[0] for key in wanted})
    left = [key for key in wanted if key[0] not in found]
    shares = []
    for name in [only] if only else names:
        units = [Unit(name, "search", key, float(n), {"title": title, "artist": artist}) for key, title, artist, n in left]
        share = session.due(name, "search", units)[: None if only else _room(session, name)]
        # Whoever is not asked here was not found here, waits for a better time, or does not fit: the next provider may take it.
        taken = {unit.key for unit in share}
        left = [key for key in left if key[0] not in taken]
        shares.append((name, "search", share))
    return shares


def _room(session: Session, name: str) -> int | None:
    left, room = session.budgets[name].remaining(), session.room(name)
    if left is not None:
        left = int(left * _SEARCH_SHARE)
    known = [n for n in (left, room) if n is not None]
    return min(known) if known else None


def keys(con: duckdb.DuckDBPyConnection, between: tuple[str, str] | None) -> list[tuple[str, str, str, int]]:
    """Keys to search for as (key, title, artist, place), the newest and highest charting first."""
    low, high = between or ("0001-01-01", "9999-12-31")
    rows = con.execute(_UNKNOWN_KEYS, [low, high]).fetchall()
    return [(f"{title}\t{artist}"[:600], title, artist, n) for n, title, artist in rows]


def _folded(words: str) -> str:
    return f"regexp_replace(lower(strip_accents({words})), '[^\\p{{L}}\\p{{N}}]+', '', 'g')"


# Chart keys that no track with an id to go on with is called like, letter for letter, and that matching has not linked to one (or a person
# to none); what charts now comes first. The credit may name guests after the first act. Names in other scripts keep their letters, so
# nothing is folded into an empty name.
_GUESTS = "'(?i) (featuring|feat\\.?|ft\\.?|with|duet with|&|x|and) .*$'"
_UNKNOWN_KEYS = f"""
with keys as (
    select title, artist, max(chart_date) as newest, min(rank) as best
    from raw.chart_entries where spotify_id is null and chart not in ({", ".join(f"'{chart}'" for chart in ALBUM_CHARTS)}) and chart_date between cast(? as date) and cast(? as date) group by title, artist
), known as (
    select distinct {_folded("title")} as title, {_folded("artist")} as artist from raw.tracks
    where (spotify_id is not null or isrc is not null) and title is not null and artist is not null
), linked as (
    select title, artist from (
        select * from raw.track_links
        qualify row_number() over (partition by title, artist, run_no order by fetched_at desc, landing_file desc, row_no desc) = 1
    )
    group by title, artist
    having bool_and(
        status in ('matched', 'overridden') and not coalesce(is_other_version, false)
        and (track_id is null or track_id like 'spotify:%' or track_id like 'isrc:%')
    )
)
select row_number() over (order by newest desc, best, title, artist) - 1, title, artist
from keys
where not exists (
    select 1 from known where known.title = {_folded("keys.title")} and known.title <> ''
    and known.artist in ({_folded("keys.artist")}, {_folded(f"regexp_replace(keys.artist, {_GUESTS}, '')")})
) and not exists (select 1 from linked where linked.title = keys.title and linked.artist = keys.artist)
order by 1
"""
