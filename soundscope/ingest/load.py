"""Load: landed files to `raw.*`, each file exactly once. It counts as loaded with the transaction that brings its last rows.

No network, no decisions between providers; `typed.py` has the casting, the sources say how rows are read. `replay` empties the raw
tables and loads everything again, which gives the same tables.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing
from soundscope.ingest.import_rows import load_import, remove_rows
from soundscope.ingest.raw_schema import RAW
from soundscope.ingest.typed import create_raw, insert_typed, literal
from soundscope.sources.base import RowSpec
from soundscope.sources.billboard_csv import csv_rows
from soundscope.sources.registry import CSV_KINDS, ROWS

log = logging.getLogger(__name__)
_CHUNK_FILES = 200
# Compressed; what is read at once must fit into DuckDB's memory many times over.
_CHUNK_BYTES = 4 << 20
_ENVELOPE = (
    "{n: 'BIGINT', provider: 'VARCHAR', kind: 'VARCHAR', keys: 'VARCHAR[]', outcomes: 'MAP(VARCHAR, VARCHAR)', status: 'INTEGER', "
    "payload: 'JSON', fetched_at: 'VARCHAR', run_id: 'VARCHAR', body: 'VARCHAR', encoding: 'VARCHAR'}"
)


@dataclass
class LoadResult:
    """What a load brought: rows per raw table, refused values, files read, files that could not be read (with the reason)."""

    files: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    damaged: dict[str, str] = field(default_factory=dict)

    def add(self, table: str, inserted: int, refused: int) -> None:
        """Count what came into one table."""
        if inserted:
            self.rows[table] = self.rows.get(table, 0) + inserted
        self.quarantined += refused

    def __iadd__(self, other: LoadResult) -> LoadResult:
        self.files += other.files
        self.quarantined += other.quarantined
        self.damaged |= other.damaged
        for table, n in other.rows.items():
            self.add(table, n, 0)
        return self


def load_new(con: duckdb.DuckDBPyConnection, root: Path, progress: Callable[[int, int], None] | None = None) -> LoadResult:
    """Load every landing file that is not loaded yet.

    Args:
        con: the writer.
        root: the landing folder.
        progress: called with files done and files to do.
    Raises:
        SoundScopeError: DuckDB could not read or write; the transaction at hand was rolled back.
    """
    create_raw(con)
    loaded = {row[0] for row in con.execute("select landing_file from raw.loaded_files").fetchall()}
    waiting = [path for path in landing.files(root) if path.relative_to(root).as_posix() not in loaded]
    result = LoadResult()
    done = 0
    for chunk in _chunks(root, waiting):
        _load_chunk(con, root, chunk, result)
        done += len(chunk)
        if progress:
            progress(done, len(waiting))
    return result


def replay(con: duckdb.DuckDBPyConnection, root: Path, progress: Callable[[int, int], None] | None = None) -> LoadResult:
    """Rebuild every raw table from landing alone."""
    create_raw(con)
    con.execute("begin")
    for table in (*RAW, "quarantine", "loaded_files"):
        con.execute(f"delete from raw.{table}")
    con.execute("commit")
    return load_new(con, root, progress)


def _chunks(root: Path, paths: list[Path]) -> Iterable[list[Path]]:
    """Files of one folder (one provider and kind) at a time, imports one by one, in the order they were landed."""
    chunk: list[Path] = []
    held = 0
    for path in paths:
        alone = _is_import(path, root)
        same = chunk and path.relative_to(root).parts[:2] == chunk[0].relative_to(root).parts[:2]
        size = path.stat().st_size
        full = len(chunk) >= _CHUNK_FILES or held + size > _CHUNK_BYTES
        if chunk and (alone or not same or full or _is_import(chunk[0], root)):
            yield chunk
            chunk, held = [], 0
        chunk.append(path)
        held += size
    if chunk:
        yield chunk


def _is_import(path: Path, root: Path) -> bool:
    return path.relative_to(root).parts[0] == "import"


def _is_replaced(con: duckdb.DuckDBPyConnection, root: Path, path: Path) -> bool:
    """Whether a newer import of the same dataset is loaded: one that another machine landed before may come after it."""
    folder = "/".join(path.relative_to(root).parts[:2]) + "/"
    newest = "select max(split_part(landing_file, '/', -1)) from raw.loaded_files where starts_with(landing_file, ?)"
    found = con.execute(newest, [folder]).fetchone()
    return bool(found and found[0] and found[0] > path.name)


def _load_chunk(con: duckdb.DuckDBPyConnection, root: Path, chunk: list[Path], result: LoadResult) -> None:
    sound = []
    longest = 0
    for path in chunk:
        try:
            longest = max(longest, landing.verify(path))
            sound.append(path)
        except SoundScopeError as error:
            log.warning("%s", error.message)
            _set_down(con, root, path, error.message, result)
    if not sound:
        return
    chunk = sound
    con.execute("begin")
    try:
        if _is_import(chunk[0], root):
            _load_import(con, root, chunk[0], result)
        else:
            _load_answers(con, root, chunk, longest, result)
        names = ", ".join(
            f"({literal(path.relative_to(root).as_posix())}, {literal(path.relative_to(root).parts[0])})" for path in chunk
        )
        con.execute(f"insert into raw.loaded_files (landing_file, provider) values {names}")
        con.execute("commit")
        result.files += len(chunk)
    except Exception as error:  # noqa: BLE001 - told of in `damaged`, or raised again
        _roll_back(con)
        _take_failure(con, root, chunk, error, result)
    except BaseException:
        _roll_back(con)
        raise


def _take_failure(con: duckdb.DuckDBPyConnection, root: Path, chunk: list[Path], error: Exception, result: LoadResult) -> None:
    """What becomes of files that could not be loaded: the others are, and it is set down; but where none could be, the run ends."""
    is_ours = not isinstance(error, duckdb.Error) or isinstance(
        error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException
    )
    # A mistake of ours would be made with every answer alike. What a user's file looks like nobody knows, and it must not keep the others out.
    if is_ours and not _is_import(chunk[0], root):
        raise error
    if len(chunk) > 1:
        for path in chunk:
            _load_chunk(con, root, [path], result)
        return
    words = (str(error) or type(error).__name__).splitlines()[0]
    fatal = duckdb.OutOfMemoryException | duckdb.FatalException | duckdb.InternalException
    if isinstance(error, fatal) or "No space left" in str(error):
        raise SoundScopeError(
            f"Loading {chunk[0].name} failed: {words}.",
            next_step="free disk space or memory and run again: what is landed is kept.",
        ) from error
    log.warning("landing file %s cannot be loaded: %s", chunk[0], words)
    _set_down(con, root, chunk[0], words, result)


def _load_import(con: duckdb.DuckDBPyConnection, root: Path, path: Path, result: LoadResult) -> None:
    if _is_replaced(con, root, path):
        return
    for _ in load_import(con, root, path, result.add):
        con.execute("commit")
        con.execute("begin")


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    # A commit that failed has ended the transaction.
    with suppress(duckdb.TransactionException):
        con.execute("rollback")


def _set_down(con: duckdb.DuckDBPyConnection, root: Path, path: Path, why: str, result: LoadResult) -> None:
    """A file that cannot be loaded. Pieces of an import may be there already; the rest of the run builds without them."""
    result.damaged[path.relative_to(root).as_posix()] = why
    if _is_import(path, root):
        remove_rows(con, root, path)


def _load_answers(con: duckdb.DuckDBPyConnection, root: Path, chunk: list[Path], longest: int, result: LoadResult) -> None:
    # DuckDB sets aside twice the longest line that it is told to expect, for each thread.
    line_limit = max(longest + 1024, 1 << 20)
    files = ", ".join(literal(path.as_posix()) for path in chunk)
    prefix = len(root.as_posix()) + 2
    con.execute(
        f"create or replace temp table texts as select * exclude (filename, fetched_at), "
        f"substr(filename, {prefix}) as landing_file, cast(rtrim(fetched_at, 'Z') as timestamp) as fetched_at "
        f"from read_json([{files}], format = 'newline_delimited', columns = {_ENVELOPE}, filename = true, maximum_object_size = {line_limit}) "
        # Refusals and broken bodies are kept in landing and counted in the ledger; they hold no rows.
        "where status = 200 and encoding = 'utf-8'"
    )
    _from_csv(con)
    con.execute(
        "create or replace temp table answers as select * replace (cast(body as json) as body) from texts where json_valid(body)"
    )
    con.execute("drop table texts")
    kinds = con.execute("select distinct provider, kind from answers order by all").fetchall()
    for provider, kind in kinds:
        for spec in ROWS.get(provider, {}).get(kind, ()):
            given = _stage(con, spec, provider, kind)
            result.add(spec.table, *insert_typed(con, spec.table, "stage", given, spec.bounds))
    con.execute("drop table if exists stage")
    con.execute("drop table answers")


def _from_csv(con: duckdb.DuckDBPyConnection) -> None:
    """Bodies that are CSV become JSON, so that rows are read from them like from any other."""
    for provider, kind in con.execute("select distinct provider, kind from texts").fetchall():
        if (provider, kind) not in CSV_KINDS:
            continue
        which = f"provider = {literal(provider)} and kind = {literal(kind)}"
        for number, file, body in con.execute(f"select n, landing_file, body from texts where {which}").fetchall():
            rows = json.dumps({"rows": csv_rows(body)}, ensure_ascii=False)
            con.execute(f"update texts set body = ? where {which} and n = ? and landing_file = ?", [rows, number, file])


def _stage(con: duckdb.DuckDBPyConnection, spec: RowSpec, provider: str, kind: str) -> list[str]:
    given = list(spec.columns)
    columns = ", ".join(f'cast({expression} as varchar) as "{name}"' for name, expression in spec.columns.items())
    con.execute(
        f"create or replace temp table stage as with lists as (select *, {spec.rows} as list from answers "
        f"where provider = {literal(provider)} and kind = {literal(kind)}), "
        "elements as (select * exclude (list), unnest(list) as e, generate_subscripts(list, 1) as i from lists) "
        f"select {columns}, provider, fetched_at, run_id, landing_file, n * 1000000 + i as row_no, cast(e as varchar) as raw_line "
        f"from elements where {spec.where}"
    )
    return given


def raw_counts(con: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    """Rows of every raw table."""
    return {name: con.execute(f"select count(*) from raw.{name}").fetchall()[0][0] for name in (*RAW, "quarantine")}
