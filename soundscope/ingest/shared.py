"""Landing shared by several machines: the ledger says which files there are, the store has them all, each machine keeps a copy of its own.

A file is in the store before the ledger knows it. What was removed on purpose is noted, so that no machine brings it up again; what a purge
rewrote is read anew. Without `[landing] store` none of this does anything. How bytes come and go is in `store.py`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.store import Store, StoreLacks
from soundscope.settings import Settings

log = logging.getLogger(__name__)
_AT_ONCE = 8
# Stored models lie in a folder beside the landed files.
MODELS = ".models"


class SharedLanding:
    """The store, and the landing folder of this machine.

    Args:
        root: the landing folder.
        url: address of the store.
    """

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.store = Store(url)
        self.url = url

    def send(self, name: str) -> list[str]:
        """Copy a landed file to the store, after the file that an import landed beside it, if there is one; returns what was copied.

        Raises:
            StoreUnreachable: the store did not take it.
        """
        names = [one for one, _ in landing.beside(self.root, name)] + [name]
        for one in names:
            self.store.put(self.root / one, one)
        return names

    def bring(self, name: str, sha256: str | None) -> None:
        """Bring a landed file, and what an import landed beside it, from the store.

        Raises:
            StoreLacks: it is not there, or its bytes are others.
            StoreUnreachable: the store did not answer.
        """
        if not self._is_here(name, sha256):
            self.store.get(name, self.root / name, sha256)
        for one, hashed in landing.beside(self.root, name):
            if not self._is_here(one, hashed):
                self.store.get(one, self.root / one, hashed)

    def has_whole(self, name: str, sha256: str) -> bool:
        """Whether this machine has a landed file as it was landed, so that it may be copied to the store."""
        return (self.root / name).exists() and hash_of(self.root / name) == sha256

    def _is_here(self, name: str, sha256: str | None) -> bool:
        file = self.root / name
        return file.exists() and (sha256 is None or hash_of(file) == sha256)


def shared_landing(settings: Settings) -> SharedLanding | None:
    """The shared landing place of this installation, or None if it has none."""
    url = settings.landing.store
    return SharedLanding(settings.paths.landing, url) if url else None


@dataclass
class Known:
    """What the ledger knows of landed files: name -> row, names that were removed on purpose, and those the store still has to let go."""

    files: dict[str, Any] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    leaving: dict[str, str] = field(default_factory=dict)


def known(connection: sa.Connection) -> Known:
    """Read what the ledger knows of landed files."""
    f, r = t.landing_files.c, t.removed_files.c
    files = {
        row.landing_file: row for row in connection.execute(sa.select(f.landing_file, f.sha256, f.bytes, f.store, f.rewritten_at))
    }
    removed = list(connection.execute(sa.select(r.landing_file, r.store)))
    return Known(files, {row.landing_file for row in removed}, {row.landing_file: row.store for row in removed if row.store})


def lacking(root: Path, files: Iterable[str]) -> list[str]:
    """Landed files, or files beside them, that this machine does not have."""
    return [
        name
        for name in files
        if not (root / name).exists() or any(not (root / one).exists() for one, _ in landing.beside(root, name))
    ]


def bring_lacking(shared: SharedLanding, noted: Known, names: Sequence[str] | None = None) -> dict[str, str]:
    """Bring what the ledger knows and this machine lacks.

    Args:
        shared: store and folder.
        noted: what the ledger knows.
        names: which to bring; all that are lacking, if None.
    Returns:
        Files that could not be had, with the reason: the store has them not, or not as they were landed.
    Raises:
        StoreUnreachable: the store did not answer; what came before it stays.
    """
    wanted = lacking(shared.root, noted.files) if names is None else list(names)
    failed: dict[str, str] = {}

    def bring(name: str) -> None:
        try:
            shared.bring(name, noted.files[name].sha256)
        except StoreLacks as error:
            failed[name] = error.message

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(bring, wanted))
    if wanted:
        log.info("brought %d landed files from %s", len(wanted) - len(failed), shared.url)
    for message in failed.values():
        log.warning("%s", message)
    return failed


def drop_removed(root: Path, noted: Known) -> int:
    """Remove what another machine removed on purpose from this one's landing folder; returns how many files."""
    gone = [name for name in noted.removed - set(noted.files) if (root / name).exists()]
    for name in gone:
        (root / name).unlink(missing_ok=True)
    return len(gone)


def stale(root: Path, noted: Known) -> list[str]:
    """Files that were rewritten by a purge elsewhere and are here as they were before."""
    rewritten = [name for name, row in noted.files.items() if row.rewritten_at is not None and (root / name).exists()]
    return [name for name in rewritten if hash_of(root / name) != noted.files[name].sha256]


def follow(shared: SharedLanding, noted: Known, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Before a load: rows of files that were removed or rewritten elsewhere leave the raw tables, and what is lacking or old is brought.

    Returns:
        Files that could not be had, with the reason.
    Raises:
        StoreUnreachable: the store did not answer; what was done stays, and the next load does the rest.
    """
    drop_removed(shared.root, noted)
    loaded = {row[0] for row in con.execute("select landing_file from raw.loaded_files").fetchall()}
    # Their rows go first: killed before the new bytes are here, the next load still sees that the old ones are here.
    old = stale(shared.root, noted)
    removed = noted.removed - set(noted.files)
    # Of an import that was not loaded to its end pieces may be there.
    pieces = {name for name in removed if name.startswith("import/")}
    unload(con, sorted(loaded & (removed | set(old)) | pieces))
    return bring_lacking(shared, noted, [*old, *lacking(shared.root, noted.files)])


def unload(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Take the rows of landed files out of the raw tables, with the note that they are loaded."""
    from soundscope.ingest.raw_schema import RAW

    if not names:
        return
    con.execute("begin")
    for table in (*RAW, "quarantine", "loaded_files"):
        con.execute(f"delete from raw.{table} where landing_file in (select unnest(?))", [list(names)])
    con.execute("commit")


def hash_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        SoundScopeError: it cannot be read.
    """
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise SoundScopeError(f"{file} cannot be read: {error.strerror}.", next_step="check its permissions.") from error
