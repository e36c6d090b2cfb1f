"""What the candidate in the private warehouse is: the parts of the last build that did not come to their end, and what it was built from.

A build replaces table after table. One that failed at a model or a check, or was killed, leaves new tables beside old ones there, and that is
no release, whoever asks for one; the note of it lies beside the file and outlives the process. What was built may be older than what is loaded,
so a release is said to hold what was there when its build began.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from soundscope.errors import CheckFailed, SoundScopeError
from soundscope.settings import Paths

_FILE = "candidate.json"
# A whole build is this part, and then everything but it: without the second, the first stands beside older tables.
_FIRST = "staging"
_REST = "-staging"
# What is computed from a built part, by steps that end with building its tables.
RESULTS = ("ml", "tag:alignment")


@dataclass(frozen=True)
class Candidate:
    """Parts that were begun and not ended, as selections of models; a hash of the inputs of the last build, None if nobody noted it."""

    unfinished: frozenset[str] = frozenset()
    built_from: str | None = None


@contextmanager
def building(paths: Paths, select: Sequence[str], exclude: Sequence[str], inputs: Callable[[], str]) -> Iterator[None]:
    """Note that a part is being built, and take the note back once it was built without a failure.

    Args:
        paths: whose warehouse.
        select, exclude: the part.
        inputs: gives a hash of what is loaded; noted where the part reads that.
    """
    part = " ".join([*select, *(f"-{name}" for name in exclude)]) or "all"
    was = candidate(paths)
    if part in (_FIRST, "all"):
        was = replace(was, built_from=inputs())
    _note(paths, replace(was, unfinished=was.unfinished | {part}))
    yield
    left = frozenset(other for other in was.unfinished - {part} if not _holds(part, other))
    if part == _FIRST:
        left |= {_REST}
    elif _FIRST in exclude:
        # These are of the build before until they are computed anew.
        left |= set(RESULTS) & set(exclude)
    _note(paths, replace(was, unfinished=left))


def _holds(part: str, other: str) -> bool:
    """Whether building one part builds all of another."""
    words, others = set(part.split()), set(other.split())
    if part in ("all", _REST):
        return part == "all" or other != _FIRST
    return others == {"all"} or _REST in others if _REST in words else others <= words


def _said(part: str) -> str:
    return "what stands on staging" if _REST in part.split() else part


def candidate(paths: Paths) -> Candidate:
    """What was noted of the last build."""
    try:
        noted = json.loads((paths.private / _FILE).read_text())
        return Candidate(frozenset(map(str, noted["unfinished"])), noted["built_from"])
    except FileNotFoundError:
        return Candidate()
    except (ValueError, KeyError, TypeError):
        return Candidate(frozenset({_FIRST}))


def _note(paths: Paths, noted: Candidate) -> None:
    file = paths.private / _FILE
    fresh = file.with_suffix(".part")
    fresh.write_text(json.dumps({"unfinished": sorted(noted.unfinished), "built_from": noted.built_from}))
    fresh.replace(file)


def is_built(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether there is anything but raw tables: a private warehouse that was lost and loaded anew has nothing else."""
    return bool(con.execute("select 1 from duckdb_tables() where schema_name = 'core' and table_name = 'tracks'").fetchall())


def require_built(con: duckdb.DuckDBPyConnection) -> None:
    """Whether there are tables to read.

    Raises:
        SoundScopeError: nothing was built yet.
    """
    if not is_built(con):
        raise SoundScopeError(
            "No table is built yet.", next_step="run `soundscope build` first, or `soundscope run` for all of it."
        )


def require_whole(con: duckdb.DuckDBPyConnection, paths: Paths, *, results: bool = True) -> None:
    """Whether the private warehouse holds a candidate that can be published, or with `results=False` trained on and scored.

    Raises:
        CheckFailed: the last build failed or was killed.
        SoundScopeError: nothing was built yet.
    """
    if parts := candidate(paths).unfinished - (set() if results else set(RESULTS)):
        raise CheckFailed(
            f"The last build did not come to its end ({', '.join(sorted(map(_said, parts)))}), so its tables do not belong together.",
            next_step="run `soundscope build` again, or `soundscope run`; the published release is untouched.",
        )
    require_built(con)
