"""The shape of a provider's rows as it was when its source was written, so that a change of it is noticed.

A declared shape lists key paths with their types; what an answer has more, lacks or has of another type is drift. Nothing stops because
of drift: rows are read as far as they can be, and the answer stays in landing for a later parser.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Rows looked at per answer: the first ones; a change of protocol shows in all of them.
SAMPLE = 20


@dataclass(frozen=True)
class Change:
    """One key that differs from the declared shape: `appeared`, `disappeared` or `retyped`, with an example."""

    key: str
    what: str
    example: str


@dataclass(frozen=True)
class Shape:
    """Where the rows of an answer are, and what each holds.

    Args:
        rows: dotted path to the list of rows (or to one object); empty for the document itself.
        keys: words of the form `path:type`, separated by spaces. A path is dotted, with `[]` after a list; a `?` after it means that the
            key may be absent. Types are str, int, num, bool, list, obj and null, joined by `|`. An object with no listed child is opaque.
        csv: the body is CSV and `keys` are its columns.
    """

    rows: str
    keys: str
    csv: bool = False

    @cached_property
    def declared(self) -> Mapping[str, tuple[frozenset[str], bool]]:
        """Path -> allowed types, and whether it may be absent."""
        found = {}
        for word in self.keys.split():
            path, _, types = word.rpartition(":")
            found[path.rstrip("?")] = (frozenset(types.split("|")), path.endswith("?"))
        return found

    def changes(self, body: bytes) -> list[Change]:
        """What of an answer's rows is not as declared; empty for an answer without rows.

        Args:
            body: JSON, or CSV with a header.
        """
        if self.csv:
            return self._columns(body)
        found: Any = json.loads(body)
        for part in filter(None, self.rows.split(".")):
            if not isinstance(found, dict):
                return []
            if part not in found:
                return [Change(self.rows, "disappeared", ", ".join(sorted(found))[:200])]
            found = found[part]
        if not isinstance(found, list | dict):
            return [Change(self.rows or "document", "retyped", _example(found))]
        rows = found if isinstance(found, list) else [found]
        seen: dict[str, list[Any]] = {}
        parents: set[str] = set()
        n = 0
        for row in rows[:SAMPLE]:
            if isinstance(row, dict):
                n += 1
                self._walk(row, "", seen, parents)
        return list(self._compare(seen, parents)) if n else []

    def _walk(self, value: Mapping[str, Any], at: str, seen: dict[str, list[Any]], parents: set[str]) -> None:
        parents.add(at)
        for name, item in value.items():
            path = f"{at}{name}"
            seen.setdefault(path, []).append(item)
            if isinstance(item, dict) and self._opens(f"{path}."):
                self._walk(item, f"{path}.", seen, parents)
            elif isinstance(item, list) and self._opens(f"{path}[]."):
                for one in item[:3]:
                    if isinstance(one, dict):
                        self._walk(one, f"{path}[].", seen, parents)

    def _opens(self, prefix: str) -> bool:
        return any(path.startswith(prefix) for path in self.declared)

    def _compare(self, seen: Mapping[str, list[Any]], parents: set[str]) -> Iterator[Change]:
        implied = {path[: i + 1].rstrip(".").removesuffix("[]") for path in self.declared for i, c in enumerate(path) if c == "."}
        for path, values in seen.items():
            if path not in self.declared and path not in implied:
                yield Change(path, "appeared", _example(values[0]))
        for path, (types, may_lack) in self.declared.items():
            parent = path[: path.rfind(".") + 1]
            if path not in seen:
                if not may_lack and parent in parents:
                    yield Change(path, "disappeared", "")
                continue
            wrong = next((value for value in seen[path] if not _fits(value, types)), _FITS)
            if wrong is not _FITS:
                yield Change(path, "retyped", _example(wrong))

    def _columns(self, body: bytes) -> list[Change]:
        header = next(csv.reader(io.StringIO(body[:4000].decode("utf-8-sig", "replace"))), [])
        held = {column_name(column) for column in header}
        lost = [
            Change(path, "disappeared", ",".join(header)[:200])
            for path, (_, may) in self.declared.items()
            if path not in held and not may
        ]
        return lost + [Change(name, "appeared", ",".join(header)[:200]) for name in sorted(held - set(self.declared))]


_FITS = object()


def column_name(column: str) -> str:
    """A CSV column's name in lower case, with underscores for everything that is no letter or digit."""
    return "".join(c if c.isalnum() else "_" for c in column.strip().lower()).strip("_")


def _fits(value: Any, types: frozenset[str]) -> bool:
    if value is None:
        return "null" in types
    if isinstance(value, bool):
        return "bool" in types
    if isinstance(value, int):
        return bool(types & {"int", "num"})
    if isinstance(value, float):
        return "num" in types
    name = "str" if isinstance(value, str) else "list" if isinstance(value, list) else "obj"
    return name in types


def _example(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]
