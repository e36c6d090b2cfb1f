"""How commands show rows: a plain table for people, JSON for scripts. Control characters of the data never reach the terminal."""

from __future__ import annotations

import json
import math
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from soundscope.settings import Settings

_ROWS_SHOWN = 200


def show_query(settings: Settings, sql: str, as_json: bool) -> None:
    """Run SQL on the current release and show the result."""
    from soundscope.warehouse.shell import query

    columns, rows = query(settings, sql)
    show_table(columns, rows, as_json)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Show rows as a table, or as a JSON list of objects."""
    if as_json:
        names = _distinct(columns)
        show_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    shown = [[_cell(value) for value in row] for row in rows[:_ROWS_SHOWN]]
    widths = [max([_width(name), *(_width(row[i]) for row in shown)]) for i, name in enumerate(columns)]
    wide = shutil.get_terminal_size((160, 40)).columns if sys.stdout.isatty() else 10_000
    numeric = [
        all(isinstance(row[i], int | float | Decimal) or row[i] is None for row in rows[:_ROWS_SHOWN])
        for i in range(len(columns))
    ]
    for line in (list(columns), ["-" * width for width in widths], *shown):
        cells = [_pad(cell, width, right) for cell, width, right in zip(line, widths, numeric, strict=True)]
        print("  ".join(cells).rstrip()[:wide])
    more = len(rows) - len(shown)
    print(f"({len(rows):,} rows)" if more <= 0 else f"({len(rows):,} rows, {more:,} not shown; add a limit, or --json for all)")


def show_json(value: Any) -> None:
    """Print one JSON document; JSON has no NaN and no infinity, so these become null."""
    try:
        print(json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False))
    except ValueError:
        print(json.dumps(_finite(value), ensure_ascii=False, default=_plain))


def show_rich(what: Any) -> None:
    """Print what rich can draw; wide enough for its tables where the output is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False).print(what)


def clean(text: str) -> str:
    """Text that is safe to print: control characters (terminal escapes among them) become a visible mark."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf") and c != "\u200d" else c for c in text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return clean(str(value))


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names of columns without repetition, the later ones numbered, so that an object holds them all."""
    names: list[str] = []
    for column in columns:
        name, n = column, 1
        while name in names:
            name, n = f"{column}_{n}", n + 1
        names.append(name)
    return names


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def _pad(text: str, width: int, right: bool) -> str:
    gap = " " * (width - _width(text))
    return gap + text if right else text + gap
