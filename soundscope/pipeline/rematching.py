"""Matching only what news reach: which keys are to be matched again, and which tracks grouped again, so that the result is that of doing all.

What was matched last is remembered in the private file as hashes (schema `matched`); texts of tracks as they were are in `core.tracks`. Where either
is missing, or too much differs, everything is matched. The rules are in `soundscope.match`, how far one change reaches is in `match.reach`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from soundscope.match import RULES_VERSION
from soundscope.match.columns import text_column
from soundscope.match.credits import parse_credit
from soundscope.match.evidence import Name, parse_name
from soundscope.match.reach import (
    FEW_NAMES,
    MAY_NAME_GUESTS,
    artist_names,
    credit_column,
    may_name_guests,
    plain_titles,
    plausible_credits,
    reached_keys,
    rows_with_title,
    title_pattern,
)
from soundscope.match.recordings import first_artist_keys, plain_isrc
from soundscope.match.resolve import open_keys
from soundscope.sources.internal import PROVIDER
from soundscope.warehouse.content import digest

KEY = ["title", "artist", "run_no"]
_KEY_COLUMNS = [*KEY, "first_date", "last_date", "spotify_id"]
_INPUTS = "track_id, spotify_id, title, artist, artists, album, isrc, release_date, duration_ms, popularity"
_CONTENT, _NAMES = f"hash({_INPUTS})", "hash(title, artist, artists, isrc)"
_CREDIT = "coalesce(nullif(artists, ''), artist, '')"
TRACKS = f"select {_INPUTS} from staging.track_identity order by track_id"
# More tracks than this, or more keys than can be looked for by pattern, and going through everything is no slower.
_MANY_TRACKS = 20_000


@dataclass(frozen=True)
class Inputs:
    """What matching reads, apart from the tracks: `keys` with `is_open` (left to names), decisions or None, and a hash of everything."""

    keys: pd.DataFrame
    decisions: pd.DataFrame | None
    tag: str
    tracks: tuple[int, int | None, int | None]


@dataclass(frozen=True)
class Part:
    """What is to be matched again.

    Attributes:
        keys, tracks: for `match.match_keys`; answers to keys that are not in `answered` (k,) are not to be used: those keys are there
            because what is charted decides which tracks are looked at.
        grouped: for `match.group_recordings`: whole recordings, as they were and as they will be.
        changed: ids of tracks that differ; None if everything is matched.
    """

    keys: pd.DataFrame
    answered: np.ndarray
    tracks: pd.DataFrame
    grouped: pd.DataFrame
    changed: list[str] | None


def read_inputs(con: duckdb.DuckDBPyConnection, decisions: pd.DataFrame) -> Inputs:
    """What staging holds now."""
    decided = decisions if len(decisions) else None
    keys = con.execute(f"select {', '.join(_KEY_COLUMNS)} from staging.chart_keys order by title, artist, run_no").df()
    named = con.execute(
        "select track_id, spotify_id from staging.track_identity where spotify_id in (select spotify_id from staging.chart_keys)"
    ).df()
    keys["is_open"] = np.isin(np.arange(len(keys)), open_keys(keys, named, decided))
    tracks = con.execute(
        f"select count(*), sum(h), bit_xor(h) from (select {_CONTENT} as h from staging.track_identity)"
    ).fetchall()[0]
    hashes = [
        pd.util.hash_pandas_object(frame.astype("string").fillna("\0"), index=False).to_numpy() for frame in (keys, decisions)
    ]
    return Inputs(keys, decided, digest([_rules(), tracks, *(part.tobytes() for part in hashes)]), tracks)


def everything(con: duckdb.DuckDBPyConnection, inputs: Inputs) -> Part:
    """All keys and all tracks."""
    tracks = con.execute(TRACKS).df()
    return Part(inputs.keys, np.ones(len(inputs.keys), dtype=bool), tracks, tracks, None)


def recordings_before(con: duckdb.DuckDBPyConnection, part: Part) -> pd.DataFrame:
    """The recordings landed last of the tracks that are grouped again: track_id, recording_id."""
    if part.changed is None:
        return con.execute(newest_recordings("select track_id from raw.recordings")).df()
    con.register("regrouped", pa.table({"track_id": text_column(part.grouped, "track_id")}))
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


def remember(con: duckdb.DuckDBPyConnection, inputs: Inputs, changed: list[str] | None) -> None:
    """Note what was matched, once its results are loaded.

    Args:
        changed: tracks that differ from what was noted before; None to note them all.
    """
    con.execute("begin")
    con.execute("create schema if not exists matched")
    now = f"select track_id, {_NAMES} as names, {_CONTENT} as content from staging.track_identity"
    if changed is None:
        con.execute(f"create or replace table matched.tracks as {now}")
    elif changed:
        con.register("noted", pa.table({"track_id": pa.array(changed, pa.string())}))
        con.execute("delete from matched.tracks where track_id in (select track_id from noted)")
        con.execute(f"insert into matched.tracks {now} where track_id in (select track_id from noted)")
        con.unregister("noted")
    con.register("charted", pa.Table.from_pandas(inputs.keys, preserve_index=False))
    con.execute("create or replace table matched.keys as select * from charted")
    con.unregister("charted")
    con.execute("create or replace table matched.note (tag varchar, rules varchar, n bigint, total hugeint, mixed ubigint)")
    con.execute("insert into matched.note values (?, ?, ?, ?, ?)", [inputs.tag, _rules(), *inputs.tracks])
    con.execute("commit")


def part_of(con: duckdb.DuckDBPyConnection, inputs: Inputs, tag: str | None) -> Part | None:
    """What is to be matched again since the matching noted by `tag`; None if that is not known, or is too much."""
    before = _tracks_before(con, tag)
    if before is None:
        return None
    differing = _differing(con) if before != inputs.tracks else _differing(con, limit=0)
    if differing is None:
        return None
    keys = inputs.keys
    names = artist_names(text_column(keys, "title"), text_column(keys, "artist"))
    affected, entered = _affected(con.execute("select * from matched.keys").df(), keys, differing)
    if len(differing):
        affected = affected | reached_keys(text_column(keys, "title"), names, differing)
    guests = _guests(con, entered)
    affected = affected | np.array([not guests.isdisjoint(one) for one in names], dtype=bool)
    # Runs of one name share its tracks out among themselves.
    affected = pd.Series(affected).groupby([keys["title"].fillna(""), keys["artist"].fillna("")]).transform("max").to_numpy()
    if affected.sum() > FEW_NAMES:
        return None
    tracks = _tracks_for(con, keys[affected])
    credited = frozenset().union(*(parse_credit(text).names for text in pc.unique(credit_column(tracks)).to_pylist()))
    beside = keys["is_open"].to_numpy() & np.array([not credited.isdisjoint(one) for one in names], dtype=bool)
    asked = affected | beside
    ids = differing["track_id"].drop_duplicates().tolist()
    return Part(keys[asked].reset_index(drop=True), affected[asked], tracks, _grouped(con, differing), ids)


def _rules() -> str:
    return f"{RULES_VERSION}|{duckdb.__version__}"


def _tracks_before(con: duckdb.DuckDBPyConnection, tag: str | None) -> tuple[int, int | None, int | None] | None:
    """Count and hashes of the tracks matched last; None if what was matched then is not known."""
    held = con.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
    if not {("matched.note",), ("matched.tracks",), ("matched.keys",), ("core.tracks",)} <= set(held):
        return None
    found = con.execute("select n, total, mixed from matched.note where tag = ? and rules = ?", [tag, _rules()]).fetchall()
    return found[0] if found else None


def _differing(con: duckdb.DuckDBPyConnection, limit: int = _MANY_TRACKS) -> pd.DataFrame | None:
    """Names of the tracks that came, went or changed, as they were and as they are; None if there are too many or old names are not held."""
    columns = "track_id, title, artist, artists, isrc"
    if not limit:
        return con.execute(f"select {columns} from staging.track_identity limit 0").df()
    con.execute(
        f"""
        create or replace temp table differing as
        select coalesce(now.track_id, was.track_id) as track_id, was.names as names_before, now.names
        from (select track_id, {_NAMES} as names, {_CONTENT} as content from staging.track_identity) as now
        full join matched.tracks as was on now.track_id = was.track_id
        where now.content is distinct from was.content
        """
    )
    if con.execute("select count(*) from differing").fetchall()[0][0] > limit:
        return None
    renamed = "differing where names_before is not null and names is distinct from names_before"
    before = con.execute(
        f"select {columns} from core.tracks as held where exists (select 1 from {renamed} and differing.track_id = held.track_id "
        f"and names_before = {_NAMES})"
    ).df()
    if len(before) != con.execute(f"select count(*) from {renamed}").fetchall()[0][0]:
        return None
    now = con.execute(f"select {columns} from staging.track_identity where track_id in (select track_id from differing)").df()
    return pd.concat([now, before], ignore_index=True)


def _affected(before: pd.DataFrame, keys: pd.DataFrame, differing: pd.DataFrame) -> tuple[np.ndarray, list[Name]]:
    """Keys (k,) that are new or changed, and the names that are new among those left to names, or are there no more."""
    both = keys.merge(before, on=KEY, how="outer", suffixes=("", "_before"), indicator=True)
    came, went = both["_merge"].eq("left_only"), both["_merge"].eq("right_only")
    other = came | went
    turned = other | (both["is_open"] != both["is_open_before"])
    for column in ("first_date", "last_date", "spotify_id"):
        a, b = both[column], both[f"{column}_before"]
        other |= ~((a.isna() & b.isna()) | (a.astype("object") == b.astype("object")))
    ids = "spotify:" + both["spotify_id"].astype("string")
    other |= turned | ids.isin(differing["track_id"]).fillna(False).to_numpy(dtype=bool)
    named = both.loc[turned, ["title", "artist"]].fillna("").drop_duplicates()
    affected = keys[KEY].merge(both.loc[other & ~went, KEY], on=KEY, how="left", indicator=True)["_merge"].eq("both").to_numpy()
    return affected, [parse_name(title, artist) for title, artist in named.itertuples(index=False)]


def _guests(con: duckdb.DuckDBPyConnection, entered: list[Name]) -> frozenset[str]:
    """Guests named in titles of artists that came to the charts or left: only of charted artists are such titles read."""
    if not entered:
        return frozenset()
    known = frozenset().union(*(name.names for name in entered))
    con.register("credited", _credits_of(con, entered))
    found = con.execute(
        f"select title, {_CREDIT} as credit from staging.track_identity "
        f"where {_CREDIT} in (select credit from credited) and regexp_matches(title, ?)",
        [MAY_NAME_GUESTS],
    ).fetchall()
    con.unregister("credited")
    names = [parse_name(title, credit) for title, credit in found if not known.isdisjoint(parse_credit(credit).names)]
    return frozenset().union(*(name.names for name in names if name.title.featured))


def _credits_of(con: duckdb.DuckDBPyConnection, names: Iterable[Name]) -> pa.Table:
    """Credits that may name one of the artists."""
    credits = _column(con, f"select distinct {_CREDIT} as credit from staging.track_identity")
    return pa.table({"credit": credits.filter(pa.array(plausible_credits(credits, names)))})


def _column(con: duckdb.DuckDBPyConnection, query: str) -> pa.Array:
    column = con.sql(query).to_arrow_table().column(0).combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _tracks_for(con: duckdb.DuckDBPyConnection, keys: pd.DataFrame) -> pd.DataFrame:
    """All tracks that some keys may mean, by whatever rule; columns as matching reads them."""
    unique = keys[["title", "artist"]].fillna("").drop_duplicates()
    names = [parse_name(title, artist) for title, artist in unique.itertuples(index=False)]
    if not names:
        return con.execute(f"select {_INPUTS} from staging.track_identity limit 0").df()
    wanted = set(plain_titles(pa.array([name.title_text for name in names], pa.string())).to_pylist()) - {""}
    con.register("credited", _credits_of(con, names))
    con.register("charted", pa.table({"spotify_id": pa.array(keys["spotify_id"].dropna().tolist(), pa.string())}))
    con.register("titled", _titled(con, names, wanted))
    found = con.execute(
        f"""
        select {_INPUTS} from staging.track_identity
        where {_CREDIT} in (select credit from credited) or track_id in (select track_id from titled)
            or spotify_id in (select spotify_id from charted)
        order by track_id
        """
    ).df()
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


def _grouped(con: duckdb.DuckDBPyConnection, differing: pd.DataFrame) -> pd.DataFrame:
    """The tracks whose recordings may differ.

    Tracks join by a shared first artist (and title and length) or a shared ISRC. Whatever shares one of these with a track that differs is grouped
    again, with all of the recordings it was in: a link between two tracks that share nothing with any that differs is as old as their recording.
    """
    query = f"select {_INPUTS} from staging.track_identity"
    if not len(differing):
        return con.execute(f"{query} limit 0").df()
    keys = set(first_artist_keys(pc.unique(text_column(differing, "artist"))).tolist())
    artists = _column(con, "select distinct coalesce(artist, '') as artist from staging.track_identity")
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
        """
        create or replace temp table shared as
        select track_id from staging.track_identity
        where coalesce(artist, '') in (select artist from named)
            or upper(regexp_replace(isrc, '[^A-Za-z0-9]', '', 'g')) in (select isrc from coded)
        union select track_id from different
        """
    )
    # What is alone, or stands for others, may have no row: it is its own recording.
    mates = f"select recording_id from ({newest_recordings('select track_id from shared')}) union select track_id from shared"
    relatives = newest_recordings(f"select track_id from raw.recordings where recording_id in ({mates})")
    found = con.execute(
        f"""
        {query} where track_id in ({mates}) or track_id in (select track_id from ({relatives}) where recording_id in ({mates}))
        order by track_id
        """
    ).df()
    for name in ("named", "coded", "different"):
        con.unregister(name)
    return found


def newest_recordings(tracks: str) -> str:
    """A query for `track_id` and `recording_id` as landed last, of the tracks that a query names."""
    return f"""
        select track_id, recording_id from raw.recordings where provider = '{PROVIDER}' and track_id in ({tracks})
        qualify row_number() over (partition by track_id order by fetched_at desc, landing_file desc, row_no desc) = 1
    """
