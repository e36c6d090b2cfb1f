"""Reading a release: the DuckDB shell, one query, the description of a table. Printing belongs to the command line.

The shell and `query` are read-only on the data. Files stay allowed (`COPY ... TO`, `read_csv`): analysts come for them, and the
process has no more rights than its user. `query` downloads no extension and refuses `ATTACH`: a read-only session of DuckDB still
attaches other files for writing, which on the private file would stop a run.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import duckdb

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.connect import is_disk_full, open_release, spill_folder
from soundscope.warehouse.releases import no_release_yet

_BANNER = """SELECT release_id, created_at AS created_at_utc, CASE WHEN is_synthetic THEN 'synthetic' ELSE 'live' END AS data
FROM main.release; SELECT "table", comment FROM main.dictionary WHERE "column" IS NULL ORDER BY 1;"""
_FORBIDDEN = {"ATTACH", "DETACH", "LOAD"}


def query(
    settings: Settings, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run SQL on the current release and return the column names and rows of its last statement.

    Raises:
        BadInput: nothing is published, or the SQL is wrong; the message is DuckDB's.
        SoundScopeError: it needs more memory or disk than there is.
    """
    with closing(open_release(settings)) as connection:
        try:
            _refuse_forbidden(connection, sql)
            result = connection.execute(sql, params) if params else connection.execute(sql)
            columns = [column[0] for column in result.description or ()]
            return columns, result.fetchall() if columns else []
        except duckdb.Error as error:
            raise _query_error(connection, error) from error


def describe(settings: Settings, table: str) -> list[tuple[str, str | None, str, str]]:
    """The rows (table, column, type, comment) of one table; the first one, without a column, describes the table itself.

    The schema may be left out where the name is unique.

    Raises:
        BadInput: nothing is published, or there is no such table; the message lists near names.
    """
    with closing(open_release(settings)) as connection:
        tables = _tables(connection)
        wanted = table.strip().lower()
        matches = [name for name in tables if wanted in (name, name.partition(".")[2])]
        if len(matches) != 1:
            near = matches or _near(wanted, tables)
            raise BadInput(
                f"{'Several tables are' if matches else 'No table is'} called {table!r}.",
                next_step=f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(tables)}.",
            )
        return connection.execute(
            'SELECT "table", "column", type, comment FROM main.dictionary_entries WHERE "table" = ? ORDER BY rowid', matches
        ).fetchall()


def shell(settings: Settings, arguments: Sequence[str] = ()) -> NoReturn:
    """Become DuckDB's own shell on the published release, read-only.

    Args:
        settings: whose warehouse.
        arguments: passed on to `duckdb`, as `["-c", "SELECT 1"]`.

    Raises:
        BadInput: nothing is published yet.
        SoundScopeError: the shell is not installed.
    """
    published = settings.paths.published
    if not published.exists():
        raise no_release_yet(settings)
    program = find_shell()
    # Two shells that spill into the default folder beside the file would overwrite each other's blocks.
    spill = str(spill_folder(settings, "shell")).replace("'", "''")
    command = [program, "-readonly", str(published), "-cmd", f"SET temp_directory = '{spill}'"]
    if not arguments and sys.stdin.isatty():
        command += ["-cmd", _BANNER, "-cmd", f".print After a new release, refresh with: .open -readonly {published}"]
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is written outside the installation; a person's own choice stands.
    os.environ.setdefault("DUCKDB_HISTORY", str(settings.paths.private / "duckdb_history"))
    os.execv(program, [*command, *arguments])  # noqa: S606


def find_shell() -> str:
    """The `duckdb` program: the one installed beside this Python, else the one on PATH.

    Raises:
        SoundScopeError: there is neither.
    """
    beside = Path(sys.executable).with_name("duckdb")
    program = str(beside) if beside.exists() else shutil.which("duckdb")
    if program is None:
        raise SoundScopeError(
            "The DuckDB shell is not installed.", next_step="`pip install duckdb-cli==1.5.6` into this environment."
        )
    return program


def _refuse_forbidden(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if not statements:
        raise BadInput("There is no SQL to run.", next_step='give a query, as `soundscope sql "FROM core.tracks LIMIT 5"`.')
    for statement in statements:
        if statement.type.name in _FORBIDDEN:
            raise BadInput(
                f"{statement.type.name} is not available here: this command reads the current release only.",
                next_step="open other files in the shell: `soundscope shell`.",
            )


def _query_error(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> SoundScopeError:
    text = str(error).strip()
    if isinstance(error, duckdb.OutOfMemoryException) or is_disk_full(error):
        return SoundScopeError(
            f"The query ran out of memory or disk: {text.splitlines()[0]}",
            next_step="select fewer rows or columns, or raise memory_limit under [engine] in soundscope.toml.",
        )
    if "read-only mode" in text:
        return BadInput(text, next_step="a release cannot be changed; write results to a file with COPY (...) TO 'file.csv'.")
    missing = re.search(r"Table with name (\S+) does not exist", text)
    if missing:
        near = _near(missing.group(1).lower(), _tables(connection))
        known = f"did you mean {', '.join(near)}? " if near else ""
        # DuckDB's own guess looks at one name only, and may contradict ours.
        text = re.sub(r"\nDid you mean .*", "", text) if near else text
        return BadInput(text, next_step=f'{known}`SELECT DISTINCT "table" FROM main.dictionary` lists all tables.')
    return BadInput(text, next_step="correct the SQL; `soundscope describe TABLE` shows a table's columns.")


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute('SELECT DISTINCT "table" FROM main.dictionary ORDER BY 1').fetchall()
    return [str(row[0]) for row in rows]


def _near(wanted: str, tables: Sequence[str]) -> list[str]:
    by_name = {name.partition(".")[2]: name for name in tables}
    near = difflib.get_close_matches(wanted, [*tables, *by_name], n=3, cutoff=0.5)
    return list(dict.fromkeys(by_name.get(name, name) for name in near))
