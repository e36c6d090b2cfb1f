"""A file of a user as something to select rows from, whatever its format: CSV, Parquet, JSON and NDJSON, rows in a list or listed under a key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from soundscope.ingest import fields
from soundscope.ingest.typed import literal

# Bytes of one row as text. No row of a track has so many; one of megabytes would be copied and parsed beyond the memory there is.
LONGEST_ROW = 1 << 20
TOO_LONG = f"strlen(json) > {LONGEST_ROW}"
# In JSON, a row is an object.
IS_OBJECT = "(case when json_valid(json) then json_type(json) = 'OBJECT' else false end)"


def relation(file: Path, payload: Mapping[str, Any]) -> tuple[str, bool]:
    """The file as something to select from, and whether refused lines are collected."""
    name = literal(file.as_posix())
    if payload["format"] == "parquet":
        # Old writers do not say that their texts are texts.
        read = f"read_parquet({name}, binary_as_string = true)"
        with duckdb.connect() as con:
            held = con.execute(f"describe from {read}").fetchall()
        # As JSON: SQL's own text of a list leaves out what tells a comma in a name from one between names.
        nested = [quoted(row[0]) for row in held if row[1].endswith("]") or row[1].startswith(("STRUCT", "MAP"))]
        texts = ", ".join(f"cast(to_json({column}) as varchar) as {column}" for column in nested)
        return (f"(select * replace ({texts}) from {read})" if nested else read), False
    if payload["format"] in ("json", "ndjson"):
        objects = f"(select json from {rows_of(file, payload)} where not {TOO_LONG} and {IS_OBJECT})"
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
            f"coalesce({', '.join(f'found[{n}]' for n in numbers)}) as {quoted(columns[numbers[0] - 1])}"
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


def rows_of(file: Path, payload: Mapping[str, Any]) -> str:
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


def quoted(name: str) -> str:
    """A name of a column in SQL."""
    return '"' + name.replace('"', '""') + '"'
