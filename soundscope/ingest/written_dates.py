"""Days as people write them, in SQL: year first in any form; day or month first only where that is said or the file can be read no other way.

How precise a date is, and what becomes of one that is none, is said elsewhere (`sources/json_sql.py`, `typed.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from soundscope.errors import BadInput

ORDERS = ("ymd", "mdy", "dmy")
_YEAR_FIRST = "[0-9]{4}([/.-][0-9]{1,2}[/.-][0-9]{1,2}|[0-9]{4})"
_YEAR_LAST = "([0-9]{1,2})[/.-]([0-9]{1,2})[/.-][0-9]{4}"
_ISO = "[0-9]{4}-[0-9]{2}-[0-9]{2}"


def iso_day(text: str, order: str | None) -> str:
    """A text as YYYY-MM-DD where it is a day in a form that is understood; else as it is, without a time of midnight.

    Args:
        text: SQL expression.
        order: what a date with the year last begins with: mdy, dmy, or None where nobody said.
    """
    bare = _bare(text)
    formats = {
        "mdy": (_YEAR_LAST, ["%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y"]),
        "dmy": (_YEAR_LAST, ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"]),
    }
    cases = [(_YEAR_FIRST, ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"])] + ([formats[order]] if order in formats else [])
    whens = " ".join(
        f"when regexp_full_match({bare}, '{pattern}') then coalesce(strftime(try_strptime({bare}, {forms}), '%Y-%m-%d'), {bare})"
        for pattern, forms in cases
    )
    return f"case {whens} else {bare} end"


def order_in(source: str, columns: Sequence[str], said: str | None, file: str, needed: str | None) -> str | None:
    """Whether dates with the year last begin with the month or the day: as said, or as the file can only be read.

    Args:
        source: the file, as something to select from.
        columns: its columns of dates.
        said: what the user said, one of `ORDERS`.
        file: its name, for messages.
        needed: the column without which no row is of use, if there is one.
    Returns:
        mdy, dmy, or None where no such date is there or none can be told.
    Raises:
        BadInput: not one value of the needed column is a date that can be read.
    """
    order = said if said != "ymd" else None
    with duckdb.connect() as con:
        if said is None and columns:
            parts = " union all ".join(f"select {_bare(_text(column))} as d from {source}" for column in columns)
            first, second = con.execute(
                f"select max(cast(regexp_extract(d, '{_YEAR_LAST}', 1) as integer)), max(cast(regexp_extract(d, '{_YEAR_LAST}', 2) as integer)) "
                f"from ({parts}) where regexp_full_match(d, '{_YEAR_LAST}')"
            ).fetchall()[0]
            if first is not None and (first > 12) != (second > 12):
                order = "dmy" if first > 12 else "mdy"
        if needed is None:
            return order
        read = f"regexp_full_match({iso_day(_text(needed), order)}, '{_ISO}([ T].*)?')"
        good, example = con.execute(
            f"select count(*) filter (where {read}), any_value({_text(needed)}) filter (where not {read}) from {source}"
        ).fetchall()[0]
    if not good and example is not None:
        raise BadInput(
            f"{file}: not one date in column {needed!r} can be read; one is {example!r}.",
            next_step="say --dates mdy or --dates dmy if they begin with the month or the day, or write them as YYYY-MM-DD.",
        )
    return order


def _text(column: str) -> str:
    return 'cast("' + column.replace('"', '""') + '" as varchar)'


def _bare(text: str) -> str:
    return f"regexp_replace(trim({text}), '[ T]0?0:00(:00)?([.]0+)?Z?$', '')"
