"""Names out of values that a program wrote as objects or lists: `['A', 'B']`, `[{"name": "A"}]`, `{'album_type': ..., 'name': ...}`.

Tables saved by pandas or R from an API's answer hold them where a name belongs. Everything else is left as it was written.
"""

from __future__ import annotations

import ast
import json
from typing import Any

import duckdb
import pandas as pd

_NOBODY = r"""'(\[\s*(None|null|nan|NaN|""|'''')?\s*\]|\{\s*\})'"""
_JOINED, _FIRST = ("artists",), ("artist", "title", "album")


def unwrap_names(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Replace such values in the name columns of a table by the names in them: all of them in `artists`, else the first."""
    held = {row[0] for row in con.execute(f"describe {table}").fetchall()}
    for column in (*_JOINED, *_FIRST):
        if column not in held:
            continue
        if column in ("artist", "artists"):  # a list of nobody
            con.execute(f"update {table} set {column} = null where regexp_full_match(trim({column}), {_NOBODY})")
        written = con.execute(
            f"select distinct {column} from {table} where {column} like '[%]' or {column} like '{{%}}'"
        ).fetchall()
        found = [(value, names) for (value,) in written if (names := names_in(value))]
        if not found:
            continue
        rows = [(value, "; ".join(names) if column in _JOINED else names[0]) for value, names in found]
        con.register("unwrapped_rows", pd.DataFrame(rows, columns=["written", "name"]))
        con.execute("create or replace temp table unwrapped as from unwrapped_rows")
        con.unregister("unwrapped_rows")
        con.execute(f"update {table} set {column} = unwrapped.name from unwrapped where {table}.{column} = unwrapped.written")
        con.execute("drop table unwrapped")


def names_in(value: str) -> list[str]:
    """The names in a written list of texts or objects, or in one object; none if it is not such a value.

    >>> names_in('''['Sia', "Destiny's Child"]''')
    ['Sia', "Destiny's Child"]
    >>> names_in("{'type': 'album', 'artists': [{'name': 'Ed Sheeran'}], 'name': 'Divide'}")
    ['Divide']
    >>> names_in("[Untitled]")
    []
    """
    parsed = _parsed(value)
    items = parsed if isinstance(parsed, list | tuple) else [parsed]
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if isinstance(parsed, str) or not all(isinstance(name, str) and name.strip() for name in names):
        return []
    if any("\ud800" <= letter <= "\udfff" for name in names for letter in str(name)):  # half a character, which no table can hold
        return []
    return [str(name).strip() for name in names]


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value)
    # What the reader of Python's own notation says of texts that are none, or that are nested too deeply.
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
