"""What of an import went to quarantine, put together by reason, with what can be done about it. The entries themselves are in `ops.quarantine`."""

from __future__ import annotations

import re
from typing import Any

import duckdb

from soundscope.ingest.raw_schema import SHARES

_YEAR_LAST = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}.*")
# Where most of a column is refused for this, the file is written in another way than the reader expects.
_UNREADABLE = "; say its encoding, for instance --encoding latin-1"
_HUNDREDTHS = "; a column in hundredths has to be divided by 100, or to have a % in its name"


def refusals(con: duckdb.DuckDBPyConnection, dataset: str, most: int = 6) -> list[dict[str, Any]]:
    """Why values and rows of an imported dataset were refused, the most frequent reason first.

    Returns:
        Rows of n, table, field (None for a whole row), reason, example, advice (empty where there is none).
    """
    found = con.execute(
        'select count(*), table_name, "field", reason, min(left(coalesce(raw_value, raw_line), 40)) from raw.quarantine '
        "where provider = ? group by 2, 3, 4 order by 1 desc, 2, 3, 4 limit ?",
        [f"import:{dataset}", most],
    ).fetchall()
    return [
        {"n": n, "table": table, "field": field, "reason": reason, "example": example, "advice": _advice(reason, field, example)}
        for n, table, field, reason, example in found
    ]


def _advice(reason: str, field: str | None, example: str) -> str:
    if field and reason == "not a number" and example.replace(",", "", 1).lstrip("-").isdigit():
        return "; say --decimal ',' if all its numbers are written so"
    if "YYYY-MM-DD" in reason and _YEAR_LAST.fullmatch(example):
        return "; say --dates mdy or --dates dmy"
    if field in SHARES and reason == "outside 0..1":
        return _HUNDREDTHS
    return _UNREADABLE if "unicode" in reason else ""
