"""Import, second half: a landed file of a user becomes rows of the raw tables.

The door, with its checks, is `imports.py`; what a column may mean is in `fields.py`; how text becomes a typed value is in `typed.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from soundscope.ingest import acousticbrainz, fields, landing
from soundscope.ingest.raw_schema import FEATURES, SHARES
from soundscope.ingest.typed import NOTHING, insert_typed, literal
from soundscope.ingest.written_dates import iso_day
from soundscope.ingest.written_objects import unwrap_names
from soundscope.sources.json_sql import first_day, precision

# Bytes of one row as text. No row of a track has so many; one of megabytes would be copied and parsed beyond the memory there is.
LONGEST_ROW = 1 << 20
# A file is read in pieces, each from its beginning: what lies between text and typed rows is a gigabyte for so many of them, and DuckDB
# gives none of it back before the transaction ends.
ROWS_AT_ONCE = 500_000
# A row of the file. No column of a file is called so.
_ROW = '"@row"'
# The id of a track: alone, or at the end of a URI or a web address. Those of albums and artists look the same and are none.
_OF_TRACK = "(?:spotify:|.*[:/](?:tracks?|audio-analysis|audio-features)[:/])"
_SPOTIFY_ID = f"^{_OF_TRACK}?([0-9A-Za-z]{{22}})(?:[/?#].*)?$"
# What a column of other ids must be to be taken for it: 128 bits begin with 0 to 7, words of 22 letters do not.
_SURELY_SPOTIFY = f"^(?:{_OF_TRACK}([0-9A-Za-z]{{22}})(?:[/?#].*)?|([0-7][0-9A-Za-z]{{21}}))$"


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
    exprs = _expressions(mapping, payload)
    raw = _as_written(mapping, exprs)
    columns = ", ".join(f'{expression} as "{name}"' for name, expression in [*exprs.items(), *raw.values()])
    written = {field: name for field, (name, _) in raw.items()}
    common = (
        f"{literal(provider)} as provider, cast({literal(line['fetched_at'].rstrip('Z'))} as timestamp) as fetched_at, "
        f"{literal(line['run_id'])} as run_id, {literal(path.relative_to(root).as_posix())} as landing_file"
    )
    numbered = f"select {_ROW}, row_number() over () as row_no from {source} {_ROW}"
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
            f"if({_TOO_LONG}, 'it is longer than {LONGEST_ROW:,} bytes', if(json_valid(json), 'no JSON object', 'no JSON')) as error_message "
            f"from (select row_number() over () as line, json from {_rows(file, payload)}) "
            f"where ({_TOO_LONG} or not {_IS_OBJECT}) and trim(json) <> ''"
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


def relation(file: Path, payload: Mapping[str, Any]) -> tuple[str, bool]:
    """The file as something to select from, and whether refused lines are collected."""
    name = literal(file.as_posix())
    if payload["format"] == "parquet":
        with duckdb.connect() as con:
            held = con.execute(f"describe from read_parquet({name})").fetchall()
        # As JSON: SQL's own text of a list leaves out what tells a comma in a name from one between names.
        nested = [_quoted(row[0]) for row in held if row[1].endswith("]") or row[1].startswith(("STRUCT", "MAP"))]
        texts = ", ".join(f"cast(to_json({column}) as varchar) as {column}" for column in nested)
        return (f"(select * replace ({texts}) from read_parquet({name}))" if nested else f"read_parquet({name})"), False
    if payload["format"] in ("json", "ndjson"):
        objects = f"(select json from {_rows(file, payload)} where not {_TOO_LONG} and {_IS_OBJECT})"
        columns = payload["columns"]
        if columns is None:
            return objects, True
        # All at once, so that a row is parsed once.
        paths = ", ".join(literal(_json_path(column)) for column in columns)
        # Names that differ in capitals alone are one column to SQL; of two values in one row that of the small letters counts.
        alike: dict[str, list[int]] = {}
        for n, column in sorted(enumerate(columns, 1), key=lambda pair: pair[1], reverse=True):
            alike.setdefault(column.lower(), []).append(n)
        picked = ", ".join(
            f"coalesce({', '.join(f'found[{n}]' for n in numbers)}) as {_quoted(columns[numbers[0] - 1])}"
            for numbers in alike.values()
        )
        return f"(select {picked} from (select json_extract_string(json, [{paths}]) as found from {objects}))", True
    options = "header = true, all_varchar = true, ignore_errors = true, null_padding = false, store_rejects = true, max_line_size = 16777216"
    return f"read_csv({name}, {options}, encoding = {literal(payload['encoding'])})", True


def lists_in(file: Path) -> list[str]:
    """Keys of a JSON file's first object that hold lists of objects and mean no field (a track has a list of artists too)."""
    keys = f"(select json, unnest(json_keys(json)) as key from (select json from {_texts(file, {'format': 'json'})} limit 1) where json_type(json) = 'OBJECT')"
    lists = f"select key from {keys} where json_type(json, '$.\"' || key || '\"') = 'ARRAY' and json_type(json, '$.\"' || key || '\"[0]') = 'OBJECT'"
    try:
        with duckdb.connect() as con:
            return [row[0] for row in con.execute(lists).fetchall() if not fields.guess([row[0]])]
    except duckdb.Error:
        return []


def is_one_object(file: Path) -> bool:
    """Whether a JSON file is an object, not many."""
    with duckdb.connect() as con:
        return con.execute(f"select count(*) = 1 from (from {_texts(file, {'format': 'json'})} limit 2)").fetchone() == (True,)


def said_beside(file: Path) -> list[str]:
    """Keys of a JSON file's first object whose value may be meant for every row of a list beside it: the date of a chart, an artist, a genre.

    What names one thing (an id, a title) or is measured of it names or measures the list, as a playlist's name does.
    """
    keys = f"(select json, unnest(json_keys(json)) as key from (select json from {_texts(file, {'format': 'json'})} limit 1) where json_type(json) = 'OBJECT')"
    plain = f"select key from {keys} where json_type(json, '$.\"' || key || '\"') not in ('ARRAY', 'OBJECT')"
    with duckdb.connect() as con:
        names = [row[0] for row in con.execute(plain).fetchall()]
    return [
        name
        for name in names
        if not fields.guess([name]).keys() - {"chart", "chart_date", "artist", "artists", "genre", "mood", "era"}
    ]


def _rows(file: Path, payload: Mapping[str, Any]) -> str:
    """The rows of a JSON file as text: its objects, or those listed under a key, each with what is said of all beside the list."""
    texts = _texts(file, payload)
    if not (key := payload.get("rows_in")):
        return texts
    said = ", ".join(f"{literal(name)}, json_extract(json, {literal(_json_path(name))})" for name in payload.get("beside", ()))
    return (
        "(select cast(json_merge_patch(beside, row) as varchar) as json from (select beside, unnest(listed) as row from ("
        f"select json_object({said}) as beside, json_extract(json, {literal(_json_path(key) + '[*]')}) as listed from {texts})))"
    )


def _texts(file: Path, payload: Mapping[str, Any]) -> str:
    """The rows of a JSON file as text, column `json`."""
    if payload["format"] == "ndjson":
        return f"(select line as json from {_lines(file)})"
    objects = f"read_json_objects({literal(file.as_posix())}, format = 'auto', maximum_object_size = 268435456)"
    return f"(select cast(json as varchar) as json from {objects})"


def _lines(file: Path) -> str:
    """The lines of a text file, column `line`: as CSV of one column with a separator that valid JSON cannot hold."""
    options = "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false"
    return f"read_csv({literal(file.as_posix())}, {options}, max_line_size = 16777216)"


def _json_path(column: str) -> str:
    return '$."' + column.replace('"', '\\"') + '"'


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _expressions(mapping: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, str]:
    """Field -> text expression over the file's columns."""

    def column(field: str) -> str:
        return f"cast({_ROW}.{_quoted(mapping[field])} as varchar)"

    def words(field: str) -> str:
        # R and pandas write a missing text as NA.
        return column(field) if payload["kind"] == "chart" else f"nullif({column(field)}, 'NA')"

    exprs = {field: column(field) for field in mapping if field in FEATURES or field in _PLAIN}
    exprs |= _numbers(exprs, mapping, payload)
    # Spotify's charts write -1 for a song that was not there the week before, others 0 or a word.
    exprs |= {
        field: f"case when upper(trim({exprs[field]})) not in ('-1', '0', '--', 'N', 'NEW', 'RE', 'RE-ENTRY') then {exprs[field]} end"
        for field in ("reported_last_week",)
        if field in exprs
    }
    exprs |= {field: words(field) for field in mapping if field in ("title", "album")}
    exprs |= _categories(mapping, column)
    exprs |= _ids(mapping, column)
    if "artist" in mapping or "artists" in mapping:
        every = words("artists") if "artists" in mapping else words("artist")
        first = words("artist") if "artist" in mapping else f"trim(split_part({every}, ';', 1))"
        exprs["artist"] = first
        exprs["artists"] = f"regexp_replace({every}, ' *; *', '; ', 'g')"
    if "release_date" in mapping:
        # A year that was a decimal number, and a day with a time.
        bare = f"regexp_replace({column('release_date')}, '\\.0$', '')"
        day = iso_day(
            f"regexp_replace({bare}, '^ *([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[T ][0-9]{{2}}:.*$', '\\1')", payload.get("dates")
        )
        exprs["release_date"] = first_day(day)
        exprs["release_precision"] = precision(day)
    if "genre" in mapping:
        exprs["genre"] = words("genre")
    if "popularity" in mapping:
        exprs["observed_at"] = (
            literal(payload["date"]) if payload["date"] and payload["kind"] != "chart" else "cast(null as varchar)"
        )
    if payload["kind"] == "chart":
        exprs["chart"] = column("chart") if "chart" in mapping and not payload["chart"] else literal(payload["chart"] or "")
        exprs["chart_date"] = (
            iso_day(column("chart_date"), payload.get("dates"))
            if "chart_date" in mapping and not payload["date"]
            else literal(payload["date"] or "")
        )
    if payload["kind"] == "matches":
        own = [_known(column("track_id"))] if "track_id" in mapping else []
        own = [f"case when regexp_full_match({e}, '[0-9A-Za-z]{{22}}') then 'spotify:' || {e} else {e} end" for e in own]
        # What is written but is no id stays as it is, to be refused: NULL would say that no track is meant.
        found = _extracted(column("spotify_id"), _SPOTIFY_ID, 1) if "spotify_id" in mapping else ""
        by_id = [f"'spotify:' || {found}", _known(column("spotify_id"))] if "spotify_id" in mapping else []
        exprs["track_id"] = f"coalesce({', '.join([*own, *by_id])})"
        exprs["run_no"] = f"coalesce({column('run_no')}, '1')" if "run_no" in mapping else "'1'"
        exprs["decided_by"] = (
            f"coalesce(nullif(trim({column('decided_by')}), ''), 'import')" if "decided_by" in mapping else "'import'"
        )
        exprs["reason"] = column("reason") if "reason" in mapping else "cast(null as varchar)"
    return exprs


def _ids(mapping: Mapping[str, str], column: Callable[[str], str]) -> dict[str, str]:
    """Ids of a track. What stands in a column of Spotify's ids and is none stays as it is, to be refused."""
    found = {}
    if "source_id" in mapping:
        found["source_id"] = _known(column("source_id"))
    if "spotify_id" in mapping:
        found["spotify_id"] = f"coalesce({_extracted(column('spotify_id'), _SPOTIFY_ID, 1)}, {_known(column('spotify_id'))})"
    elif "source_id" in mapping:
        found["spotify_id"] = f"coalesce({', '.join(_extracted(column('source_id'), _SURELY_SPOTIFY, n) for n in (1, 2))})"
    if "isrc" in mapping:
        found["isrc"] = f"upper(regexp_replace({_known(column('isrc'))}, '[- ]', '', 'g'))"
    return found


def _categories(mapping: Mapping[str, str], column: Callable[[str], str]) -> dict[str, str]:
    """Mood and era in the case they have everywhere."""
    found = {}
    if "mood" in mapping:
        mood = _known(column("mood"))
        found["mood"] = f"upper(left({mood}, 1)) || lower(substr({mood}, 2))"
    if "era" in mapping:
        found["era"] = f"lower({_known(column('era'))})"
    return found


def _as_written(mapping: Mapping[str, str], exprs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Field -> name and expression of a column with its text as the file has it, where the field's own is made from that: for quarantine.

    Names are left out: at most NA becomes NULL in them.
    """
    plain = {field: f"cast({_ROW}.{_quoted(column)} as varchar)" for field, column in mapping.items() if field not in _NAMES_OF}
    return {field: (f"@{field}", text) for field, text in plain.items() if field in exprs and exprs[field] != text}


def _extracted(text: str, pattern: str, group: int) -> str:
    return f"nullif(regexp_extract(trim({text}), {literal(pattern)}, {group}), '')"


def _known(text: str) -> str:
    """An id; NULL for the words that programs write for none: thousands of rows would have it in common."""
    return f"case when trim({text}) not in ({', '.join(map(literal, NOTHING))}) then trim({text}) end"


def _numbers(exprs: Mapping[str, str], mapping: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that are written with a comma, in hundredths or as names, as the raw tables have them."""
    with_comma = (*FEATURES, "popularity") if payload.get("decimal") == "," else ()
    found = {field: _with_point(exprs[field], payload["format"] == "csv") for field in with_comma if field in exprs}
    found |= {field: _share(found.get(field, exprs[field]), mapping[field]) for field in SHARES if field in exprs}
    return found | {field: _named(exprs[field], _NAMES[field]) for field in payload.get("named", ()) if field in exprs}


def named_fields(con: duckdb.DuckDBPyConnection, source: str, mapping: Mapping[str, str]) -> list[str]:
    """Fields that hold numbers and are written as names here (`F#`, `Minor`), as the first written value has it.

    A name among numbers is not read: whoever writes both made a mistake in one of them.
    """
    found = []
    for field in _NAMES.keys() & mapping.keys():
        text = f"cast({_ROW}.{_quoted(mapping[field])} as varchar)"
        first = con.execute(f"select {text} from {source} {_ROW} where {_known(text)} is not null limit 1").fetchone()
        if first and con.execute(f"select {_named(literal(first[0]), _NAMES[field])}").fetchone() != first:
            found.append(field)
    return sorted(found)


def _share(text: str, column: str) -> str:
    """A share: in hundredths where the name of the column or the value itself says so with a %."""
    number = f"try_cast(rtrim({text}, ' %') as double)"
    said = "true" if "%" in column else f"{text} like '%\\%' escape '\\'"
    return f"case when {said} and {number} is not null then cast({number} / 100 as varchar) else {text} end"


def _with_point(text: str, is_text: bool) -> str:
    """A number with a decimal comma, and points between its thousands if any, as SQL reads it; other text as it is.

    Where numbers are no text (JSON, Parquet) a point without a comma is theirs.
    """
    pattern = "[-+]?([0-9]+|[0-9]{1,3}([.][0-9]{3})+)?,[0-9]+([eE][-+]?[0-9]+)? *%?" + (
        "|[-+]?[0-9]{1,3}([.][0-9]{3})+" if is_text else ""
    )
    # 0.250 is no thousands.
    read = f"regexp_full_match(trim({text}), '{pattern}') and not regexp_matches(trim({text}), '^[-+]?0[.]')"
    return f"case when {read} then replace(replace({text}, '.', ''), ',', '.') else {text} end"


def _named(text: str, names: Mapping[str, int]) -> str:
    """The number of a value that is written as a name; of `C#/Db` the first."""
    pairs = ", ".join(f"{literal(name)}: {number}" for name, number in names.items())
    name = f"translate(upper(trim(split_part({text}, '/', 1))), '\u266f\u266d', '#B')"
    return f"coalesce(cast((map {{{pairs}}})[{name}] as varchar), {text})"


# In capitals: DB is D flat, BB is B flat.
_NAMES: dict[str, dict[str, int]] = {
    "key": {"C": 0, "B#": 0, "C#": 1, "DB": 1, "D": 2, "D#": 3, "EB": 3, "E": 4, "FB": 4, "F": 5, "E#": 5, "F#": 6, "GB": 6, "G": 7,
            "G#": 8, "AB": 8, "A": 9, "A#": 10, "BB": 10, "B": 11, "CB": 11},
    "mode": {"MAJOR": 1, "MINOR": 0},
}  # fmt: skip
_REFUSED = 'insert into raw.quarantine (table_name, "field", raw_value, reason, row_key, raw_line, provider, fetched_at, run_id, landing_file, row_no) '
_TOO_LONG = f"strlen(json) > {LONGEST_ROW}"
_IS_OBJECT = "(case when json_valid(json) then json_type(json) = 'OBJECT' else false end)"
_LINE_CUT = 2000
_RAW_LINE = f"left(cast(to_json({_ROW}) as varchar), {_LINE_CUT})"
_PLAIN = ("descriptors", "popularity", "explicit", "rank", "reported_last_week", "reported_peak", "reported_weeks")
_NAMES_OF = ("title", "artist", "artists", "album", "genre")
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
        "generate_subscripts(labels, 1) as n from (select *, case when genre like '[%' and regexp_matches(genre, '[''\"]') "
        "then regexp_extract_all(genre, '''([^'']+)''|\"([^\"]+)\"') when genre like '[%]' then regexp_split_to_array(genre[2:-2], '[,;]') else regexp_split_to_array(genre, '[,;]') end as labels from stage))"
    )
    con.execute("update stage set label = trim(label, '''\"') ")
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

    By hashes of ids and features, as a file may have millions of rows that are all of different tracks.
    """
    values = ", ".join(f'"{name}"' for name in FEATURES)
    rows = (
        f"select *, hash(coalesce(spotify_id, isrc, source_id)) as track, hash({values}) as vector "
        f"from raw.audio_features where provider = {literal(provider)} and coalesce(spotify_id, isrc, source_id) is not null"
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
