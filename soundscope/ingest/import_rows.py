"""Import, second half: a landed file of a user becomes rows of the raw tables.

The door, with its checks, is `imports.py`; how a file is read is in `import_source.py`, what its columns say in `import_columns.py`; how text becomes a
typed value is in `typed.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import duckdb

from soundscope.ingest import acousticbrainz, landing
from soundscope.ingest.import_columns import ROW, as_written, expressions
from soundscope.ingest.import_source import IS_OBJECT, LONGEST_ROW, TOO_LONG, relation, rows_of
from soundscope.ingest.raw_schema import FEATURES
from soundscope.ingest.typed import NOTHING, insert_typed, literal
from soundscope.ingest.written_objects import unwrap_names

# A file is read in pieces, each from its beginning: what lies between text and typed rows is a gigabyte for so many of them, and DuckDB
# gives none of it back before the transaction ends.
ROWS_AT_ONCE = 500_000


def load_import(con: duckdb.DuckDBPyConnection, root: Path, path: Path, add: Callable[[str, int, int], None]) -> Iterator[None]:
    """Replace one dataset's rows by those of its landed file, inside the caller's transaction.

    Yields:
        After every piece that another may follow. The caller may commit there: rows of the dataset's earlier file are left until the last
        piece, and what a load that did not get there has left is removed first.
    """
    line = next(landing.read_lines(path))
    payload = line["payload"]
    provider = f"import:{line['keys'][0]}"
    remove_rows(con, root, path)
    file = root / payload["landed_as"]
    source, rejects = relation(file, payload)
    mapping = payload["mapping"]
    exprs = expressions(mapping, payload)
    raw = as_written(mapping, exprs)
    columns = ", ".join(f'{expression} as "{name}"' for name, expression in [*exprs.items(), *raw.values()])
    written = {field: name for field, (name, _) in raw.items()}
    common = (
        f"{literal(provider)} as provider, cast({literal(line['fetched_at'].rstrip('Z'))} as timestamp) as fetched_at, "
        f"{literal(line['run_id'])} as run_id, {literal(path.relative_to(root).as_posix())} as landing_file"
    )
    numbered = f"select {ROW}, row_number() over () as row_no from {source} {ROW}"
    targets = _targets(payload["kind"], exprs)
    begin, n = 0, ROWS_AT_ONCE
    while n == ROWS_AT_ONCE:
        n = _count(
            con,
            f"create or replace temp table imported as select {columns}, {common}, row_no, {_RAW_LINE} as raw_line "
            f"from ({numbered} limit {ROWS_AT_ONCE} offset {begin})",
        )
        unwrap_names(con, "imported")
        for table, given in targets:
            stage, names = _stage(con, table, given)
            if table == "track_links":
                add("quarantine", 0, _links_to_nothing(con))
            bounds = {"popularity": (0.0, 100.0)} if table == "popularity" else None
            add(table, *insert_typed(con, table, stage, names, bounds, written))
        begin += n
        if n == ROWS_AT_ONCE:
            con.execute("drop table imported; drop table if exists stage")
            yield
    for table in _FILLED:
        con.execute(
            f"delete from raw.{table} where provider = ? and landing_file <> ?", [provider, path.relative_to(root).as_posix()]
        )
    lines = f"(select row_no, {_RAW_LINE} as raw_line from ({numbered}))"
    if payload["kind"] == "chart":
        add("quarantine", 0, _ranks_given_twice(con, provider, lines))
    if any(table == "audio_features" for table, _ in targets):
        add("quarantine", 0, _tracks_given_twice(con, provider, lines))
    if payload["format"] in ("json", "ndjson"):
        con.execute(
            f"create or replace temp table reject_errors as select line, left(json, {_LINE_CUT}) as csv_line, "
            f"if({TOO_LONG}, 'it is longer than {LONGEST_ROW:,} bytes', if(json_valid(json), 'no JSON object', 'no JSON')) as error_message "
            f"from (select row_number() over () as line, json from {rows_of(file, payload)}) "
            f"where ({TOO_LONG} or not {IS_OBJECT}) and trim(json) <> ''"
        )
    if rejects:
        add("quarantine", 0, _reject(con, common))
    con.execute("drop table imported")


def remove_rows(con: duckdb.DuckDBPyConnection, root: Path, path: Path) -> None:
    """Remove what is there of one landed file."""
    for table in _FILLED:
        con.execute(f"delete from raw.{table} where landing_file = ?", [path.relative_to(root).as_posix()])


def _count(con: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Rows that a statement wrote."""
    written = con.execute(statement).fetchone()
    return int(written[0]) if written else 0


_REFUSED = 'insert into raw.quarantine (table_name, "field", raw_value, reason, row_key, raw_line, provider, fetched_at, run_id, landing_file, row_no) '
_LINE_CUT = 2000
_RAW_LINE = f"left(cast(to_json({ROW}) as varchar), {_LINE_CUT})"
_MARKS, _ESCAPED = "'\"", r"\'"
# An item of a written list, in quotation marks or bare.
_LISTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,;\s'"][^,;]*"""
_ID = ("source_id", "spotify_id", "isrc", "title", "artist", "artists")
_TABLES: dict[str, tuple[str, ...]] = {
    "tracks": (*_ID, "album", "release_date", "release_precision", "duration_ms", "explicit", "mood", "era"),
    "audio_features": (*_ID, *FEATURES),
    "popularity": (*_ID, "popularity", "observed_at"),
    "chart_entries": (
        "chart", "chart_date", "rank", "title", "artist", "reported_last_week", "reported_peak", "reported_weeks", "source_id", "spotify_id",
    ),
    "descriptors": (*_ID, "descriptor", "value", "scale"),
    "track_links": ("title", "artist", "run_no", "track_id", "decided_by", "reason"),
}  # fmt: skip
_FILLED = (*_TABLES, "genre_labels", "quarantine")


def _targets(kind: str, exprs: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The raw tables a file of this kind fills, with the fields it has for each."""
    if kind == "matches":
        tables = ["track_links"]
    else:
        tables = ["chart_entries"] if kind == "chart" else []
        # A chart file may carry ids and features; then its rows are tracks as well.
        if kind != "chart" or "spotify_id" in exprs or "isrc" in exprs or any(name in exprs for name in FEATURES):
            tables.append("tracks")
        if any(name in exprs for name in FEATURES if name != "duration_ms"):
            tables.append("audio_features")
        if "popularity" in exprs:
            tables.append("popularity")
        if "descriptors" in exprs:
            tables.append("descriptors")
    made = ("descriptor", "value", "scale") if "descriptors" in exprs else ()
    found = [(table, [name for name in _TABLES[table] if name in exprs or name in made]) for table in tables]
    return found + ([("genre_labels", ["genre"])] if "genre" in exprs and kind != "matches" else [])


def _stage(con: duckdb.DuckDBPyConnection, table: str, given: list[str]) -> tuple[str, list[str]]:
    """The part of the imported rows that is meant for one raw table; each value is reported in quarantine once, under its own table."""
    if table in ("tracks", "audio_features", "chart_entries"):
        return "imported", given
    said = {"genre_labels": " where genre is not null", "descriptors": " where descriptors is not null"}
    con.execute(f"create or replace temp table stage as select * from imported{said.get(table, '')}")
    if table == "popularity":
        con.execute("update stage set observed_at = coalesce(observed_at, cast(fetched_at as varchar))")
        con.execute(f"delete from stage where popularity is null or trim(popularity) in ({', '.join(map(literal, NOTHING))})")
        return "stage", given
    if table == "descriptors":
        scales = "map {" + ", ".join(f"{literal(name)}: {literal(scale)}" for name, scale in acousticbrainz.SCALES.items()) + "}"
        con.execute(
            "create or replace temp table stage as select * exclude (descriptors) replace (row_no * 1000 + n as row_no), "
            f"json_extract_string(descriptors, '$.' || descriptor) as value, {scales}[descriptor] as scale from ("
            "select *, unnest(names) as descriptor, generate_subscripts(names, 1) as n from (select *, json_keys(descriptors) as names from stage))"
        )
        return "stage", given
    if table == "track_links":
        con.execute("alter table stage add column status varchar default 'overridden'")
        con.execute("alter table stage add column method varchar default 'decision'")
        con.execute("alter table stage add column score varchar default '1'")
        con.execute("alter table stage add column decided_at varchar")
        con.execute("update stage set decided_at = cast(fetched_at as varchar)")
        return "stage", [*given, "status", "method", "score", "decided_at"]
    names = {row[0] for row in con.execute("describe stage").fetchall()}
    ids = [name for name in _ID if name in names]
    # A list as Python or JSON writes it, or names between commas or semicolons.
    con.execute(
        "create or replace temp table stage as select * replace (row_no * 1000 + n as row_no) from ("
        "select * exclude (genre), 'track' as subject, provider as source, trim(unnest(labels)) as label, "
        "generate_subscripts(labels, 1) as n from (select *, case when genre like '[%' then "
        f"regexp_extract_all(trim(genre, '[]'), {literal(_LISTED)}) else regexp_split_to_array(genre, '[,;]') end as labels from stage))"
    )
    unquoted = f"trim(trim(label), {literal(_MARKS)})"
    con.execute(f"update stage set label = replace({unquoted}, {literal(_ESCAPED)}, {literal(_MARKS[0])})")
    con.execute(f"delete from stage where label is null or label in ({', '.join(map(literal, NOTHING))})")
    return "stage", [*ids, "subject", "source", "label"]


def _links_to_nothing(con: duckdb.DuckDBPyConnection) -> int:
    """Decisions whose track is no id go to quarantine whole: without it they would say that no track is meant."""
    refused = _count(
        con,
        f"{_REFUSED}select 'track_links', 'track_id', left(track_id, 200), 'no id of a track; the row is left out', "
        "left(concat_ws(' | ', title, artist), 300), raw_line, provider, fetched_at, run_id, landing_file, row_no from stage where not regexp_full_match(track_id, '[^:]+:.+')",
    )
    con.execute("delete from stage where not regexp_full_match(track_id, '[^:]+:.+')")
    return refused


def _ranks_given_twice(con: duckdb.DuckDBPyConnection, provider: str, lines: str) -> int:
    """A rank of a week that the file gives to several songs: the last row counts in the tables, the others are told of."""
    return _count(
        con,
        f"{_REFUSED}select 'chart_entries', 'rank', cast(c.rank as varchar), 'the file gives this rank of the week twice; the last row counts', "
        "left(concat_ws(' | ', c.chart, c.chart_date, c.rank, c.title, c.artist), 300), i.raw_line, c.provider, c.fetched_at, c.run_id, "
        "c.landing_file, c.row_no from (select *, last_value(title || chr(9) || artist) over (partition by chart, chart_date, rank order by row_no "
        f"rows between unbounded preceding and unbounded following) as counts from raw.chart_entries where provider = {literal(provider)}) c "
        f"join {lines} i using (row_no) where c.counts <> c.title || chr(9) || c.artist",
    )


def _tracks_given_twice(con: duckdb.DuckDBPyConnection, provider: str, lines: str) -> int:
    """A track whose features the file gives twice, differently: the last row counts in the tables, the others are told of.

    By hashes of ids and features, as a file may have millions of rows that are all of different tracks. Who has no id is known by title, artist
    and duration.
    """
    values = ", ".join(f'"{name}"' for name in FEATURES)
    rows = (
        "select *, hash(coalesce(spotify_id, isrc, source_id, concat_ws(chr(9), lower(title), lower(artist), duration_ms))) as track, "
        f"hash({values}) as vector from raw.audio_features where provider = {literal(provider)}"
    )
    con.execute(
        f"create or replace temp table told_twice as select track from ({rows}) group by track having count(*) > 1 and min(vector) <> max(vector)"
    )
    if con.execute("select 1 from told_twice limit 1").fetchall():
        refused = _count(
            con,
            f"{_REFUSED}select 'audio_features', null, null, 'the file gives other features of this track further down; the last row counts', "
            "left(concat_ws(' | ', f.spotify_id, f.source_id, f.isrc, f.title, f.artist), 300), i.raw_line, f.provider, f.fetched_at, f.run_id, "
            "f.landing_file, f.row_no from (select *, last_value(vector) over (partition by track order by row_no "
            f"rows between unbounded preceding and unbounded following) as counts from ({rows}) where track in (from told_twice)) f "
            f"join {lines} i using (row_no) where f.counts <> f.vector",
        )
    else:
        refused = 0
    con.execute("drop table told_twice")
    return refused


def _reject(con: duckdb.DuckDBPyConnection, common: str) -> int:
    """Lines that are no rows at all (too many or too few fields, open quotes) go to quarantine whole."""
    refused = _count(
        con,
        f"{_REFUSED}select 'import', null, null, 'the line cannot be read: ' || error_message, 'line ' || line, left(csv_line, {_LINE_CUT}), c.*, -cast(line as bigint) "
        f"from (select distinct on (line) line, error_message, csv_line from reject_errors order by line), (select {common}) c",
    )
    con.execute("drop table if exists reject_errors")
    con.execute("drop table if exists reject_scans")
    return refused
