"""What the columns of a user's file say of each field, as SQL expressions over its rows: ids, names, dates, numbers in the ways people write them.

What a column may mean is in `fields.py`; what becomes of the text is in `typed.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb

from soundscope.ingest.import_source import quoted
from soundscope.ingest.raw_schema import FEATURES, SHARES
from soundscope.ingest.typed import NOTHING, literal
from soundscope.ingest.written_dates import iso_day
from soundscope.sources.json_sql import first_day, precision

# A row of the file. No column of a file is called so.
ROW = '"@row"'
# The id of a track: alone, or at the end of a URI or a web address. Those of albums and artists look the same and are none.
_OF_TRACK = "(?:spotify:|.*[:/](?:tracks?|audio-analysis|audio-features)[:/])"
_SPOTIFY_ID = f"^{_OF_TRACK}?([0-9A-Za-z]{{22}})(?:[/?#].*)?$"
# What a column of other ids must be to be taken for it: 128 bits begin with 0 to 7, words of 22 letters do not.
_SURELY_SPOTIFY = f"^(?:{_OF_TRACK}([0-9A-Za-z]{{22}})(?:[/?#].*)?|([0-7][0-9A-Za-z]{{21}}))$"
_PLAIN = ("descriptors", "popularity", "explicit", "rank", "reported_last_week", "reported_peak", "reported_weeks")
_NAMES_OF = ("title", "artist", "artists", "album", "genre")


def expressions(mapping: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, str]:
    """Field -> text expression over the file's columns."""

    def column(field: str) -> str:
        return f"cast({ROW}.{quoted(mapping[field])} as varchar)"

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


def as_written(mapping: Mapping[str, str], exprs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Field -> name and expression of a column with its text as the file has it, where the field's own is made from that: for quarantine.

    Names are left out: at most NA becomes NULL in them.
    """
    plain = {field: f"cast({ROW}.{quoted(column)} as varchar)" for field, column in mapping.items() if field not in _NAMES_OF}
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
        text = f"cast({ROW}.{quoted(mapping[field])} as varchar)"
        first = con.execute(f"select {text} from {source} {ROW} where {_known(text)} is not null limit 1").fetchone()
        if first and con.execute(f"select {_named(literal(first[0]), _NAMES[field])}").fetchone() != first:
            found.append(field)
    return sorted(found)


def _share(text: str, column: str) -> str:
    """A share: in hundredths where the name of the column or the value itself says so with a %."""
    number = f"try_cast(case when not contains({text}, '_') then rtrim({text}, ' %') end as double)"
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
