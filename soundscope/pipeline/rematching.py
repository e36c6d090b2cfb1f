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
from soundscope.match.reach import FEW_NAMES, MAY_NAME_GUESTS, artist_names, credit_column, reached_keys
from soundscope.match.resolve import open_keys
from soundscope.pipeline.match_tracks import (
    CREDIT,
    INPUTS,
    blocks,
    column,
    credits_of,
    grouped_with,
    read_tracks,
    titled_alike,
    tracks_for,
)
from soundscope.warehouse.content import digest

KEY = ["title", "artist", "run_no"]
_KEY_COLUMNS = [*KEY, "first_date", "last_date", "spotify_id"]
_CONTENT, _NAMES = f"hash({INPUTS})", "hash(title, artist, artists, isrc)"
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
        grouped: for `match.group_recordings`, one frame after the other: whole recordings, as they were and as they will be.
        changed: ids of tracks that differ; None if everything is matched.
    """

    keys: pd.DataFrame
    answered: np.ndarray
    tracks: pd.DataFrame
    grouped: Iterable[pd.DataFrame]
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
    """All keys, all tracks that they may mean, and all tracks that may share a recording with another one.

    Most tracks of a large catalogue are neither, so that memory follows the charts and the blocks of recordings.
    """
    keys = inputs.keys
    names = artist_names(text_column(keys, "title"), text_column(keys, "artist"))
    credits = column(con, f"select distinct {CREDIT} as credit from staging.track_identity")
    charted = frozenset().union(*names)
    credited = artist_names(pa.array([""] * len(credits), pa.string()), credits)
    named = credits.filter(pa.array([not charted.isdisjoint(one) for one in credited], pa.bool_()))
    tracks = read_tracks(con, keys, pa.table({"credit": named}), titled_alike(con, keys))
    return Part(keys, np.ones(len(keys), dtype=bool), tracks, blocks(con), None)


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
    tracks = tracks_for(con, keys[affected])
    credited = frozenset().union(*(parse_credit(text).names for text in pc.unique(credit_column(tracks)).to_pylist()))
    beside = keys["is_open"].to_numpy() & np.array([not credited.isdisjoint(one) for one in names], dtype=bool)
    asked = affected | beside
    ids = differing["track_id"].drop_duplicates().tolist()
    return Part(keys[asked].reset_index(drop=True), affected[asked], tracks, [grouped_with(con, differing)], ids)


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
    for name in ("first_date", "last_date", "spotify_id"):
        a, b = both[name], both[f"{name}_before"]
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
    con.register("credited", credits_of(con, entered))
    found = con.execute(
        f"select title, {CREDIT} as credit from staging.track_identity "
        f"where {CREDIT} in (select credit from credited) and regexp_matches(title, ?)",
        [MAY_NAME_GUESTS],
    ).fetchall()
    con.unregister("credited")
    names = [parse_name(title, credit) for title, credit in found if not known.isdisjoint(parse_credit(credit).names)]
    return frozenset().union(*(name.names for name in names if name.title.featured))
