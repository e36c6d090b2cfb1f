"""Reading, from staging, the tracks that a few or all chart keys may mean, and the tracks that may share a recording; never the whole catalogue.

Which keys and tracks are to be looked at is decided in `rematching.py`; how they are matched and grouped, in `soundscope.match`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match.columns import text_column
from soundscope.match.evidence import Name, parse_name
from soundscope.match.reach import (
    MAY_NAME_GUESTS,
    may_name_guests,
    plain_titles,
    plausible_credits,
    rows_with_title,
    title_pattern,
)
from soundscope.match.recordings import SAME_RECORDING_MS, first_artist_keys, plain_isrc
from soundscope.sources.internal import PROVIDER

# The columns that the rules read.
INPUTS = "track_id, spotify_id, title, artist, artists, album, isrc, release_date, duration_ms, popularity"
CREDIT = "coalesce(nullif(artists, ''), artist, '')"
_ISRC = "upper(regexp_replace(isrc, '[^A-Za-z0-9]', '', 'g'))"
# Tracks that are grouped, or titles that are looked at, at a time.
_BATCH = 300_000


def tracks_for(con: duckdb.DuckDBPyConnection, keys: pd.DataFrame) -> pd.DataFrame:
    """All tracks that some keys may mean, by whatever rule; columns as matching reads them."""
    unique = keys[["title", "artist"]].fillna("").drop_duplicates()
    names = [parse_name(title, artist) for title, artist in unique.itertuples(index=False)]
    if not names:
        return track_frame(con, f"select {INPUTS} from staging.track_identity limit 0")
    wanted = set(plain_titles(pa.array([name.title_text for name in names], pa.string())).to_pylist()) - {""}
    return read_tracks(con, keys, credits_of(con, names), _titled(con, names, wanted))


def read_tracks(con: duckdb.DuckDBPyConnection, keys: pd.DataFrame, credited: pa.Table, titled: pa.Table) -> pd.DataFrame:
    """Tracks by their credit, by their id, or by an id that a key carries."""
    con.register("credited", credited)
    con.register("charted", pa.table({"spotify_id": pa.array(keys["spotify_id"].dropna().tolist(), pa.string())}))
    con.register("titled", titled)
    found = track_frame(
        con,
        f"""
        select {INPUTS} from staging.track_identity
        where {CREDIT} in (select credit from credited) or track_id in (select track_id from titled)
            or spotify_id in (select spotify_id from charted)
        """,
    )
    for name in ("credited", "charted", "titled"):
        con.unregister(name)
    return found


def _titled(con: duckdb.DuckDBPyConnection, names: list[Name], wanted: set[str]) -> pa.Table:
    """Ids of tracks whose title reduces to one of `wanted`, or may name one of the artists."""
    pattern = title_pattern(wanted) if wanted else "^\x00$"
    found = con.execute(
        "select track_id, title from staging.track_identity where regexp_matches(title, ?, 'i') or regexp_matches(title, ?)",
        [pattern, MAY_NAME_GUESTS],
    ).df()
    titles = text_column(found, "title")
    kept = np.zeros(len(titles), dtype=bool)
    kept[rows_with_title(titles, wanted)] = True
    named = np.flatnonzero(may_name_guests(titles))
    kept[named] |= plausible_credits(titles.take(pa.array(named)), names)
    return pa.table({"track_id": text_column(found, "track_id").filter(pa.array(kept))})


def titled_alike(con: duckdb.DuckDBPyConnection, keys: pd.DataFrame) -> pa.Table:
    """Ids of all tracks whose title reduces to that of a key; some hundred thousand titles at a time."""
    wanted = set(plain_titles(text_column(keys, "title")).to_pylist()) - {""}
    found = []
    titles = con.cursor().execute("select track_id, coalesce(title, '') as title from staging.track_identity")
    for batch in titles.fetch_record_batch(_BATCH):
        found.append(batch.column("track_id").take(pa.array(rows_with_title(batch.column("title"), wanted))))
    return pa.table({"track_id": pa.concat_arrays(found) if found else pa.array([], pa.string())})


def credits_of(con: duckdb.DuckDBPyConnection, names: Iterable[Name]) -> pa.Table:
    """Credits that may name one of the artists."""
    credits = column(con, f"select distinct {CREDIT} as credit from staging.track_identity")
    return pa.table({"credit": credits.filter(pa.array(plausible_credits(credits, names)))})


def grouped_with(con: duckdb.DuckDBPyConnection, differing: pd.DataFrame) -> pd.DataFrame:
    """The tracks whose recordings may differ.

    Tracks join by a shared first artist (and title and length) or a shared ISRC. Whatever shares one of these with a track that differs is grouped
    again, with all of the recordings it was in: a link between two tracks that share nothing with any that differs is as old as their recording.
    """
    query = f"select {INPUTS} from staging.track_identity"
    if not len(differing):
        return track_frame(con, f"{query} limit 0")
    keys = set(first_artist_keys(pc.unique(text_column(differing, "artist"))).tolist())
    artists = column(con, "select distinct coalesce(artist, '') as artist from staging.track_identity")
    places = np.flatnonzero(
        plausible_credits(artists, [parse_name("", text) for text in pc.unique(text_column(differing, "artist")).to_pylist()])
    )
    some = artists.take(pa.array(places))
    con.register(
        "named", pa.table({"artist": some.filter(pa.array([key in keys for key in first_artist_keys(some)], pa.bool_()))})
    )
    codes = pc.unique(plain_isrc(text_column(differing, "isrc")))
    con.register("coded", pa.table({"isrc": codes.filter(pc.not_equal(codes, ""))}))
    con.register("different", pa.table({"track_id": text_column(differing, "track_id")}))
    con.execute(
        f"""
        create or replace temp table shared as
        select track_id from staging.track_identity
        where coalesce(artist, '') in (select artist from named)
            or {_ISRC} in (select isrc from coded)
        union select track_id from different
        """
    )
    # What is alone, or stands for others, may have no row: it is its own recording.
    mates = f"select recording_id from ({newest_recordings('select track_id from shared')}) union select track_id from shared"
    relatives = newest_recordings(f"select track_id from raw.recordings where recording_id in ({mates})")
    found = track_frame(
        con,
        f"{query} where track_id in ({mates}) or track_id in (select track_id from ({relatives}) where recording_id in ({mates}))",
    )
    for name in ("named", "coded", "different"):
        con.unregister(name)
    return found


def blocks(con: duckdb.DuckDBPyConnection) -> Iterator[pd.DataFrame]:
    """The tracks that share an ISRC, or a first artist and nearly their length, with another one, or had a row before; recordings are never cut.

    Artists that share an ISRC with another artist are all in the first block.
    """
    artists = column(con, "select distinct coalesce(artist, '') as artist from staging.track_identity")
    codes = pd.factorize(first_artist_keys(artists))[0].astype(np.int64)
    con.register("artists", pa.table({"artist": artists, "code": codes}))
    con.execute(
        f"""
        create or replace temp table related as
        with coded as (
            select track_id, code, duration_ms, nullif({_ISRC}, '') as isrc
            from staging.track_identity as tracks inner join artists on coalesce(tracks.artist, '') = artists.artist
        ),
        compared as (
            select *,
                duration_ms - lag(duration_ms) over by_length <= {SAME_RECORDING_MS} as near_before,
                lead(duration_ms) over by_length - duration_ms <= {SAME_RECORDING_MS} as near_after
            from coded window by_length as (partition by code order by duration_ms)
        ),
        shared as (
            select isrc, count(distinct code) > 1 as is_crossing from coded where isrc is not null group by isrc having count(*) > 1
        )
        select track_id, code, coalesce(is_crossing, false) as is_crossing
        from compared left join shared on compared.isrc = shared.isrc
        where near_before or near_after or shared.isrc is not null
            or track_id in (select track_id from raw.recordings where provider = '{PROVIDER}')
        """
    )
    con.unregister("artists")
    n = con.execute("select count(*) from related").fetchall()[0][0]
    parts = 1 + n // _BATCH
    con.execute(
        f"""
        create or replace temp table blocks as
        select track_id, case when bool_or(is_crossing) over (partition by code) then 0 else 1 + hash(code) % {parts} end as block
        from related
        """
    )
    con.execute("drop table related")
    for block in range(parts + 1):
        yield track_frame(
            con,
            f"select {INPUTS} from staging.track_identity where track_id in (select track_id from blocks where block = {block})",
        )


def newest_recordings(tracks: str) -> str:
    """A query for `track_id` and `recording_id` as landed last, of the tracks that a query names."""
    return f"""
        select track_id, recording_id from raw.recordings where provider = '{PROVIDER}' and track_id in ({tracks})
        qualify row_number() over (partition by track_id order by fetched_at desc, landing_file desc, row_no desc) = 1
    """


def recordings_before(con: duckdb.DuckDBPyConnection, grouped: pd.DataFrame) -> pd.DataFrame:
    """The recordings landed last of tracks that are grouped again: track_id, recording_id."""
    con.register("regrouped", pa.table({"track_id": text_column(grouped, "track_id")}))
    found = con.execute(newest_recordings("select track_id from regrouped")).df()
    con.unregister("regrouped")
    return found


def recordings_to_land(found: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """What differs from the recordings landed before; a track that always was its own recording needs no row.

    Args:
        found, before: `track_id` and `recording_id`, now and as landed last.
    """
    known = before.set_index("track_id")["recording_id"].reindex(found["track_id"]).reset_index(drop=True)
    known = known.where(known.notna(), found["track_id"].reset_index(drop=True))
    return found[found["recording_id"].to_numpy(dtype=object) != known.to_numpy(dtype=object)]


def column(con: duckdb.DuckDBPyConnection, query: str) -> pa.Array:
    """The only column of a query's answer."""
    found = con.sql(query).to_arrow_table().column(0).combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def track_frame(con: duckdb.DuckDBPyConnection, query: str) -> pd.DataFrame:
    """Tracks in the order of their ids, by Arrow: as Python strings a million would take a gigabyte on the way."""
    found = con.sql(f"select * from ({query}) order by track_id").to_arrow_table()
    return found.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
