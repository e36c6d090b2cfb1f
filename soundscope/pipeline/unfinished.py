"""Which parts of the last build did not come to their end: a candidate with such a part is no release, whoever asks for one.

A build replaces table after table in the private warehouse. One that failed at a model or a check, or was killed, leaves new tables beside
old ones there; the note of it lies beside the file and outlives the process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from soundscope.errors import CheckFailed, SoundScopeError
from soundscope.settings import Paths

_FILE = "unfinished.json"
# The first part of every whole build; what was left undone before is done again after it.
_FIRST = "staging"


@contextmanager
def building(paths: Paths, select: Sequence[str], exclude: Sequence[str]) -> Iterator[None]:
    """Note that a part is being built, and take the note back once it was built without a failure."""
    part = " ".join([*select, *(f"-{name}" for name in exclude)]) or "all"
    others = set() if part in (_FIRST, "all") else unfinished(paths) - {part}
    _note(paths, others | {part})
    yield
    _note(paths, others)


def unfinished(paths: Paths) -> set[str]:
    """The parts that were begun and not ended, as selections of models."""
    try:
        return set(json.loads((paths.private / _FILE).read_text()))
    except FileNotFoundError:
        return set()
    except ValueError:
        return {_FIRST}


def _note(paths: Paths, parts: set[str]) -> None:
    file = paths.private / _FILE
    if not parts:
        file.unlink(missing_ok=True)
        return
    fresh = file.with_suffix(".part")
    fresh.write_text(json.dumps(sorted(parts)))
    fresh.replace(file)


def require_whole(con: duckdb.DuckDBPyConnection, paths: Paths) -> None:
    """Whether the private warehouse holds a candidate that can be trained on, scored and published.

    Raises:
        CheckFailed: the last build failed or was killed.
        SoundScopeError: nothing was built yet.
    """
    if parts := unfinished(paths):
        raise CheckFailed(
            f"The last build did not come to its end ({', '.join(sorted(parts))}), so its tables do not belong together.",
            next_step="run `soundscope build` again, or `soundscope run`; the published release is untouched.",
        )
    found = con.execute("select 1 from duckdb_tables() where schema_name = 'core' and table_name = 'tracks'").fetchall()
    if not found:
        raise SoundScopeError(
            "No table is built yet.", next_step="run `soundscope build` first, or `soundscope run` for all of it."
        )
