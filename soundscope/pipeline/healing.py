"""Damage to the private warehouse or the ledger, found at the start of a run: the damaged file is set aside and made anew from landing.

Nothing is deleted. Damaged landing files are set aside where they are read (`loading.py`), and their content is fetched again.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import replay
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_writer

log = logging.getLogger(__name__)
# How DuckDB says that a file's bytes are not what it wrote. A full disk or too little memory is no damage.
_DAMAGE = re.compile(
    r"checksum|corrupt|could not read enough bytes|not a valid duckdb|serialization error|failed to deserialize|internal error",
    re.IGNORECASE,
)


def heal_ledger(settings: Settings) -> str | None:
    """Set a damaged SQLite ledger aside; the next one to open it makes it anew. Returns what was done.

    What is held is then learnt from landing; the history of runs and the spent budget are lost. To be called under the writer lock.
    """
    file = settings.paths.ledger
    if settings.ledger_url or not file.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=60)) as con:
            verdict = str(con.execute("pragma quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        # Locked, no permission, no space: not damage, and whoever opens it next says so.
        log.warning("the ledger could not be checked: %s", error)
        return None
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict == "ok":
        return None
    aside = _set_aside(settings, file, ("-wal", "-shm"))
    return f"the ledger was damaged ({verdict.splitlines()[0]}) and begins anew; the old file is {aside}"


def heal_writer(settings: Settings) -> str | None:
    """Set a damaged private warehouse aside and load it anew from landing; returns what was done. To be called under the writer lock."""
    file, suspect = settings.paths.writer, _suspect(settings)
    if not file.exists():
        suspect.unlink(missing_ok=True)
        return None
    why = damage_of(settings)
    if why is None:
        return None
    aside = _set_aside(settings, file, (".wal",))
    with closing(open_writer(settings)) as con:
        result = replay(con, settings.paths.landing)
    suspect.unlink(missing_ok=True)
    return f"the private warehouse was damaged ({why}) and was loaded anew from {result.files:,} landing files; the old file is {aside}"


def damage_of(settings: Settings) -> str | None:
    """What is known to be wrong with the private warehouse's bytes, or None; to be called while nobody writes. Changes nothing."""
    file, suspect = settings.paths.writer, _suspect(settings)
    if suspect.exists():
        return suspect.read_text(encoding="utf-8")
    return _trouble(file) if file.exists() else None


def note_damage(settings: Settings, error: BaseException) -> bool:
    """Remember for the next run that this one failed on damaged bytes, which show only when they are read; returns whether it did."""
    texts = "\n".join(str(one) for one in _chain(error))
    found = _DAMAGE.search(texts)
    # A landing file is read too, but is checked before.
    if found is None or not settings.paths.writer.exists():
        return False
    line = next(line for line in texts.splitlines() if _DAMAGE.search(line))
    _suspect(settings).write_text(line.strip()[:300], encoding="utf-8")
    return True


def _suspect(settings: Settings) -> Path:
    return settings.paths.private / "writer.suspect"


def _trouble(file: Path) -> str | None:
    try:
        with closing(duckdb.connect(str(file), read_only=True)) as con:
            con.execute("select count(*) from duckdb_tables()").fetchone()
    except duckdb.Error as error:
        return str(error).splitlines()[0][:300] if _DAMAGE.search(str(error)) else None
    return None


def _set_aside(settings: Settings, file: Path, companions: tuple[str, ...]) -> Path:
    settings.paths.damaged.mkdir(mode=0o700, exist_ok=True)
    aside = settings.paths.damaged / f"{utcnow():%Y%m%dT%H%M%S}-{file.name}"
    file.rename(aside)
    for ending in companions:
        companion = file.with_name(file.name + ending)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + ending))
    return aside


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
