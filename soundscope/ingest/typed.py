"""From text to typed rows: the SQL that casts, checks documented ranges, and quarantines what does not fit.

Generated from `raw_schema.py`, used by every provider and every import alike. A value that cannot be typed or lies outside its range
becomes NULL and a quarantine entry, as does a text that nobody would read to its end; only a row without its key is quarantined whole. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import duckdb

from soundscope.ingest.raw_schema import COMMON, PROVIDERS_TABLE, QUARANTINE_TABLE, RAW, UNDETECTED, Column, RawTable

# Ways of writing that there is no value.
NOTHING = (
    "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NaT", "null", "NULL", "Null", "None", "none", "-", "--", "\\N",
)  # fmt: skip
_LINE_CUT = 2000
_VALUE_CUT = 200
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?"
# No sound was recorded before 1860, and years like 0000 and 2099 are written in files where none is known. A provider's weeks are its own
# affair: it may live in another time than this machine's clock.
EARLIEST = "1860-01-01"
_IS_TOO_LATE = (
    "s.provider like 'import:%' and {day} > greatest(cast(cast(s.fetched_at as timestamp) as date), date '2026-11-01') + 366"
)


def create_raw(con: duckdb.DuckDBPyConnection) -> None:
    """Make the schema `raw` with every table and comment, where missing. New columns of a later version are added.

    Costs one query where all is there: every statement that changes the catalogue is a write to disk.
    """
    wanted = {
        name: (table.comment, {**table.columns, **COMMON}) for name, table in {**RAW, "quarantine": QUARANTINE_TABLE}.items()
    }
    wanted["providers"] = (PROVIDERS_TABLE.comment, dict(PROVIDERS_TABLE.columns))
    wanted["loaded_files"] = ("Landing files that have been loaded; one row per file.", _LOADED_FILES)
    held: dict[str, dict[str, str | None]] = {}
    query = "select table_name, column_name, comment from duckdb_columns() where schema_name = 'raw' and database_name = current_database()"
    for table, column, comment in con.execute(query).fetchall():
        held.setdefault(table, {})[column] = comment
    missing = [
        name for name, (_, columns) in wanted.items() if held.get(name) != {c: spec.comment for c, spec in columns.items()}
    ]
    if not missing:
        return
    con.execute("begin")
    try:
        con.execute("create schema if not exists raw")
        for name in missing:
            _create(con, name, *wanted[name], held.get(name, {}))
        con.execute("commit")
    except duckdb.Error:
        con.execute("rollback")
        raise


_LOADED_FILES = {
    "landing_file": Column("VARCHAR", "The file, relative to warehouse/landing."),
    "provider": Column("VARCHAR", "Folder it is in."),
}


def _create(
    con: duckdb.DuckDBPyConnection, name: str, comment: str, columns: Mapping[str, Column], held: Mapping[str, str | None]
) -> None:
    body = ", ".join(f'"{column}" {spec.type}' for column, spec in columns.items())
    con.execute(f"create table if not exists raw.{name} ({body})")
    con.execute(f"comment on table raw.{name} is {literal(comment)}")
    for column, spec in columns.items():
        if held and column not in held:
            con.execute(f'alter table raw.{name} add column "{column}" {spec.type}')
        if held.get(column) != spec.comment:
            con.execute(f'comment on column raw.{name}."{column}" is {literal(spec.comment)}')


def insert_typed(
    con: duckdb.DuckDBPyConnection,
    table: str,
    stage: str,
    given: Collection[str],
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    written: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """Move text rows into a raw table, and what does not fit into quarantine.

    Args:
        con: the writer, inside a transaction.
        table: name of the raw table.
        stage: a table of text columns (those in `given`) with the common columns and `raw_line`.
        given: which columns of the raw table the stage has; the others become NULL.
        bounds: ranges that replace those of the schema.
        written: field -> column of the stage with its text as the file has it, where the field's own text was made from that.
    Returns:
        Rows inserted, quarantine entries written.
    """
    spec = RAW[table]
    columns = {name: _bounded(column, (bounds or {}).get(name)) for name, column in spec.columns.items()}
    typed = {
        name: value(f's."{name}"', column) if name in given else f"cast(null as {column.type})"
        for name, column in columns.items()
    }
    # Values are cast once, in a table of their own; what is NULL there but not in the text was refused.
    select = ", ".join(f'{expression} as "{name}"' for name, expression in typed.items())
    stage = _cut(con, stage, columns, given)
    con.execute(
        f"create or replace temp table typed as select {select}, s.provider, s.fetched_at, s.run_id, s.landing_file, s.row_no from {stage} s"
    )
    missing = _missing_key(spec, columns)
    names = ", ".join(f'"{name}"' for name in [*columns, *COMMON])
    inserted = con.execute(f"insert into raw.{table} ({names}) select {names} from typed t where not ({missing})").fetchone()
    refused = _quarantine(con, table, stage, columns, given, missing, written or {})
    con.execute("drop table typed")
    return int(inserted[0]) if inserted else 0, refused


def _quarantine(
    con: duckdb.DuckDBPyConnection,
    table: str,
    stage: str,
    columns: Mapping[str, Column],
    given: Collection[str],
    missing: str,
    written: Mapping[str, str],
) -> int:
    before = con.execute("select count(*) from raw.quarantine").fetchone()
    key = _row_key(given)
    common = "s.provider, s.fetched_at, s.run_id, s.landing_file, s.row_no"
    head = 'insert into raw.quarantine (table_name, "field", raw_value, reason, row_key, raw_line, provider, fetched_at, run_id, landing_file, row_no)'
    line = f"left(s.raw_line, {_LINE_CUT})"
    parts = []
    for name in _refused(con, stage, columns, given):
        column = columns[name]
        text = clean(f's."{name}"', column)
        silent = (
            f" and {text} <> '{UNDETECTED[name]}' and try_cast({text} as double) is distinct from {UNDETECTED[name]}"
            if name in UNDETECTED
            else ""
        )
        parts.append(
            f'select {literal(table)}, {literal(name)}, left(s."{written.get(name, name)}", {_VALUE_CUT}), {_reason(name, column, text)}, {key}, {line}, {common} '
            f'from {stage} s join typed t using (landing_file, row_no) where {text} is not null and t."{name}" is null{silent}'
        )
    if con.execute(f"select 1 from typed t where {missing} limit 1").fetchall():
        parts.append(
            f"select {literal(table)}, null, null, {literal('the row has no key: ' + _key_words(RAW[table]))}, {key}, {line}, {common} "
            f"from {stage} s join typed t using (landing_file, row_no) where {missing}"
        )
    if not parts:
        return 0
    con.execute(head + " " + " union all ".join(parts))
    after = con.execute("select count(*) from raw.quarantine").fetchone()
    return int(after[0]) - int(before[0]) if before and after else 0


def _refused(con: duckdb.DuckDBPyConnection, stage: str, columns: Mapping[str, Column], given: Collection[str]) -> list[str]:
    """Fields with a text that did not become a value, as the numbers of both tell: most have none, and to find the rows takes a join."""
    if not given:
        return []
    texts = ", ".join(f"count({clean(f's.{_quoted(name)}', columns[name])})" for name in given)
    values = ", ".join(f"count({_quoted(name)})" for name in given)
    written = con.execute(f"select {texts} from {stage} s").fetchall()[0]
    typed = con.execute(f"select {values} from typed").fetchall()[0]
    return [name for name, n, of in zip(given, typed, written, strict=True) if n != of]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _cut(con: duckdb.DuckDBPyConnection, stage: str, columns: Mapping[str, Column], given: Collection[str]) -> str:
    """The stage; where a text is too long, a copy of it with each only as long as shows that: memory must not depend on one value."""
    limits = {name: longest for name in given if (longest := columns[name].longest)}
    too_long = " or ".join(f'strlen("{name}") > {longest}' for name, longest in limits.items()) or "false"
    if not con.execute(f"select 1 from {stage} where {too_long} limit 1").fetchall():
        return stage
    cut = ", ".join(f'left(trim("{name}"), {longest + 1}) as "{name}"' for name, longest in limits.items())
    con.execute(
        f"create or replace temp table cut as select * replace ({cut}, left(raw_line, {_LINE_CUT}) as raw_line) from {stage}"
    )
    return "cut"


def clean(expression: str, column: Column) -> str:
    """Text with the ways of writing "nothing" turned into NULL."""
    empties = "''" if column.type in ("VARCHAR",) else ", ".join(map(literal, NOTHING))
    return f"(case when trim({expression}) in ({empties}) then null else trim({expression}) end)"


def value(expression: str, column: Column) -> str:
    """The typed value of a text, NULL where it cannot be typed, is out of range, or is no listed choice."""
    text = clean(expression, column)
    if column.type == "VARCHAR":
        if column.choices:
            return f"case when lower({text}) in ({', '.join(map(literal, column.choices))}) then lower({text}) end"
        if column.pattern:
            return f"case when regexp_full_match({text}, {literal(column.pattern)}) then {text} end"
        return f"case when length({text}) <= {column.longest} then {text} end" if column.longest else text
    if column.type in ("INTEGER", "BIGINT"):
        # '5.0' is a whole number, '5.7' is not: never rounded.
        number = _number(text)
        cast = f"case when {number} = floor({number}) then try_cast({number} as {column.type}) end"
    elif column.type == "DOUBLE":
        number = _number(text)
        cast = f"case when isfinite({number}) then {number} end"
    elif column.type == "DATE":
        # Only the ISO form: 03/04/2020 has two meanings.
        day = f"try_cast(left({text}, 10) as date)"
        return f"case when regexp_full_match({text}, '{_DAY}') and {day} >= date '{EARLIEST}' and not ({_IS_TOO_LATE.format(day=day)}) then {day} end"
    elif column.type == "TIMESTAMP":
        return f"try_cast(rtrim({text}, 'Z') as timestamp)"
    else:
        return f"try_cast({text} as {column.type})"
    within = [f"{number} >= {column.low}"] if column.low is not None else []
    within += [f"{number} <= {column.high}"] if column.high is not None else []
    return f"case when {' and '.join(within)} then {cast} end" if within else cast


def _number(text: str) -> str:
    """A number; DuckDB alone takes 1_20 for one."""
    return f"try_cast(case when not contains({text}, '_') then {text} end as double)"


def literal(words: str) -> str:
    """A SQL string."""
    return "'" + words.replace("'", "''") + "'"


def _bounded(column: Column, bounds: tuple[float | None, float | None] | None) -> Column:
    if bounds is None:
        return column
    return replace(column, low=bounds[0], high=bounds[1])


def _missing_key(spec: RawTable, columns: Mapping[str, Column]) -> str:
    conditions = [f't."{name}" is null' for name, column in columns.items() if column.required]
    if spec.identity:
        held = [" and ".join(f't."{name}" is not null' for name in group) for group in spec.identity]
        conditions.append("not (" + " or ".join(f"({group})" for group in held) + ")")
    return " or ".join(conditions) or "false"


def _key_words(spec: RawTable) -> str:
    required = [name for name, column in spec.columns.items() if column.required]
    words = [", ".join(required)] if required else []
    words += [" or ".join(" + ".join(group) for group in spec.identity)] if spec.identity else []
    return "it needs " + " and ".join(words)


def _row_key(given: Collection[str]) -> str:
    names = [
        n
        for n in ("chart", "chart_date", "rank", "spotify_id", "source_id", "isrc", "title", "artist", "track_id", "model_id")
        if n in given
    ]
    return "left(concat_ws(' | ', " + ", ".join(f's."{name}"' for name in names) + "), 300)" if names else "null"


def _reason(name: str, column: Column, text: str) -> str:
    if column.pattern:
        return literal("not written as " + column.pattern)
    if column.type == "DATE":
        outside = literal(f"before {EARLIEST}, or more than a year after it was imported")
        return f"case when regexp_full_match({text}, '{_DAY}') and try_cast(left({text}, 10) as date) is not null then {outside} else 'not a date as YYYY-MM-DD' end"
    if column.type == "VARCHAR" and not column.choices:
        return literal(f"longer than {column.longest:,} characters" if column.longest else "not a text")
    kind = {"INTEGER": "a whole number", "BIGINT": "a whole number", "DOUBLE": "a number", "DATE": "a date as YYYY-MM-DD",
            "TIMESTAMP": "a time", "BOOLEAN": "true or false"}.get(column.type, "one of " + ", ".join(column.choices))  # fmt: skip
    wrong_type = f"not {kind}"
    if column.low is None and column.high is None:
        return literal(wrong_type)
    low = "" if column.low is None else f"{column.low:.15g}"
    high = "" if column.high is None else f"{column.high:.15g}"
    number = _number(text)
    untyped = f"{number} is null" + (f" or {number} <> floor({number})" if column.type in ("INTEGER", "BIGINT") else "")
    return f"case when {untyped} then {literal(wrong_type)} else {literal(f'outside {low}..{high}')} end"
