"""Tables as files for other programs: of the published release, or the raw layer as partitioned Parquet for another engine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from soundscope.errors import BadInput, DiskFull, SoundScopeError
from soundscope.ingest.typed import create_raw
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_release, open_writer, require_space
from soundscope.warehouse.lock import writer_lock

FORMATS = ("parquet", "csv")
# What spreadsheets run as a formula.
_FORMULA = "^[=+\\-@\\t\\r]"
_TABLES = """
select table_schema || '.' || table_name from information_schema.tables
where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog', 'main') order by 1
"""


@dataclass(frozen=True)
class Exported:
    """One table that was written: its name, the file or folder, and its rows."""

    table: str
    path: Path
    rows: int


def export_release(settings: Settings, to: Path, tables: Sequence[str] = (), fmt: str = "parquet") -> list[Exported]:
    """Write tables of the current release, each to `<to>/<schema>.<table>.<format>`.

    In CSV, texts that a spreadsheet would run as a formula begin with an apostrophe; Parquet keeps them as they are.

    Args:
        to: a folder that does not exist, or is empty.
        tables: names as `marts.track_features`; all, if none.
        fmt: parquet or csv.

    Raises:
        BadInput: nothing is published, no such table or format, or the folder is not empty.
        DiskFull: there is too little space; nothing stays.
    """
    if fmt not in FORMATS:
        raise BadInput(f"There is no format {fmt!r}.", next_step=f"say one of {', '.join(FORMATS)}.")
    with closing(open_release(settings)) as con:
        known = [row[0] for row in con.execute(_TABLES).fetchall()]
        if unknown := [name for name in tables if name not in known]:
            raise BadInput(f"The release has no table {', '.join(unknown)}.", next_step="`soundscope describe` lists them.")
        with _Folder(to) as folder:
            return [_write(con, name, folder / f"{name}.{fmt}", to / f"{name}.{fmt}", fmt) for name in tables or known]


def export_raw(settings: Settings, to: Path) -> list[Exported]:
    """Write the raw layer as `<to>/raw/<table>/provider=<provider>/*.parquet`, from the private warehouse under its lock.

    Raises:
        BadInput: the folder is not empty.
        Busy: a run is writing.
        DiskFull: there is too little space; nothing stays.
    """
    with writer_lock(settings, wait_s=5.0, command="soundscope export --raw"), closing(open_writer(settings)) as con:
        create_raw(con)
        require_space(to.absolute().parent, settings.paths.writer.stat().st_size, "the export")
        with _Folder(to) as folder:
            names = [name for (name,) in con.execute(_TABLES).fetchall() if name.startswith("raw.")]
            (folder / "raw").mkdir()
            done = []
            for name in names:
                part = name.replace(".", "/")
                columns = {row[0] for row in con.execute(f"describe {name}").fetchall()}
                rows = _count(con, name)
                by = ", partition_by (provider), write_partition_columns true" if "provider" in columns and rows else ""
                # One folder each, also of a table without rows, which a partition would leave out.
                target = folder / (part if by else f"{part}/data.parquet")
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(con, f"copy {name} to '{_quoted(target)}' (format parquet, compression zstd{by})")
                done.append(Exported(name, to / target.relative_to(folder), rows))
            return done


class _Folder:
    """A new folder that appears whole or not at all."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.aside = to.with_name(f".{to.name}.part")

    def __enter__(self) -> Path:
        if self.to.exists() and (not self.to.is_dir() or any(self.to.iterdir())):
            raise BadInput(f"{self.to} is there already and not an empty folder.", next_step="name a new folder.")
        try:
            shutil.rmtree(self.aside, ignore_errors=True)
            self.aside.mkdir(parents=True)
        except OSError as error:
            raise BadInput(f"{self.to} cannot be made: {error.strerror}.", next_step="name a folder you may write.") from error
        return self.aside

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.aside, ignore_errors=True)
            return
        if self.to.exists():
            self.to.rmdir()
        self.aside.rename(self.to)


def _write(con: duckdb.DuckDBPyConnection, table: str, file: Path, shown: Path, fmt: str) -> Exported:
    source = f"select * from {table}"
    if fmt == "csv":
        texts = [row[0] for row in con.execute(f"describe {table}").fetchall() if row[1] == "VARCHAR"]
        safe = ", ".join(
            f'case when regexp_matches("{c}", \'{_FORMULA}\') then \'\'\'\' || "{c}" else "{c}" end as "{c}"' for c in texts
        )
        source = f"select * replace ({safe}) from {table}" if texts else source
    options = "format csv, header true" if fmt == "csv" else "format parquet, compression zstd"
    _copy(con, f"copy ({source}) to '{_quoted(file)}' ({options})")
    return Exported(table, shown, _count(con, table))


def _copy(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    try:
        con.execute(statement)
    except duckdb.IOException as error:
        if "No space left" in str(error):
            raise DiskFull(
                "The disk is full; nothing was exported.", next_step="free some space, or name another folder."
            ) from error
        raise SoundScopeError(f"The export failed: {str(error).splitlines()[0]}", next_step="name another folder.") from error


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
