"""dbt in this process, for one warehouse: its environment, its commands, and leaving nothing open. What is built is `build.py`."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import PROJECT, Settings
from soundscope.warehouse.bring_back import Definition
from soundscope.warehouse.following import Graph

SQL = PROJECT / "sql"
# dbt keeps its adapter and its flags in module globals, so one invocation at a time in a process.
_ONE_AT_A_TIME = threading.RLock()
_SUFFIXES = {".sql", ".yml", ".csv"}
# Reading it took half of the time of a build in which nothing had changed. Used under the lock above.
_last_manifest: tuple[tuple[str, ...], Any] | None = None


class Dbt:
    """Commands of dbt; made by `dbt_session`."""

    def __init__(self, settings: Settings, variables: Mapping[str, Any]) -> None:
        self.settings = settings
        folder = settings.paths.dbt
        # Nobody reads manifest.json and its like; writing them after each command took as long as the command. Of its log dbt formats every line,
        # whether the log takes it or not, an eighth of its work; results are followed by events.
        self._unwritten = ["--no-write-json", "--log-level-file", "none"]
        self._common = [
            "--quiet", "--log-level", "none", "--no-use-colors", "--no-print",
            "--no-send-anonymous-usage-stats", "--no-version-check", "--log-path", str(folder / "logs"),
        ]  # fmt: skip
        self._project = ["--project-dir", str(SQL), "--profiles-dir", str(SQL), "--target-path", str(folder / "target")]
        self._project += ["--vars", json.dumps(dict(variables))] if variables else []
        self._manifest: Any = None

    def graph(self, select: Sequence[str], exclude: Sequence[str], *, unit_tests: bool) -> Graph:
        """The models, seeds and tests of a selection, and what depends on what."""
        self._manifest = self._parsed()
        kinds = ["model", "seed", "test", *(["unit_test"] if unit_tests else [])]
        asked = [word for kind in kinds for word in ("--resource-type", kind)]
        asked += ["--indirect-selection", "buildable", "--output", "json", "--output-keys", "unique_id"]
        listed = self.invoke(["ls", *selection(select, exclude), *asked]).result or []
        ids = [json.loads(line)["unique_id"] for line in listed]
        graph = Graph(self._manifest, ids)
        if not graph.models:
            words = " ".join(selection(select, exclude))
            raise BadInput(
                f"No model fits {words or 'the project'}.",
                next_step="say staging, core, marts, ml, or the name of a model; sql/README.md lists them.",
            )
        return graph

    def _parsed(self) -> Any:
        """dbt's manifest; that of the last session of this process where the project, the warehouse and the variables are the same."""
        global _last_manifest
        key = (project_hash(), *self._project)
        if _last_manifest is None or _last_manifest[0] != key:
            _last_manifest = (key, self.invoke(["parse"]).result)
        return _last_manifest[1]

    def definitions(self, graph: Graph) -> list[Definition]:
        """What DuckDB would make of each model and seed of a graph, each after everything it reads; nothing is built."""
        wanted = [model.split(".")[-1] for model in graph.models if model.startswith("model.")]
        done = self.invoke(["compile", "--select", *wanted, "--indirect-selection", "empty"]).result.results if wanted else []
        sql = {result.node.unique_id: result.node.compiled_code for result in done}
        return [graph.definition(model, sql.get(model)) for model in graph.models]

    @property
    def manifest(self) -> Any:
        """What dbt read of the project; there after `graph`."""
        return self._manifest

    def invoke(
        self, arguments: Sequence[str], callback: Callable[[Any], None] | None = None, *, write_files: bool = False
    ) -> Any:
        """Run one dbt command; failed models and tests are in its result, anything worse is raised. `write_files`: manifest.json and its like, and a log."""
        handlers = logging.root.handlers.copy()
        from dbt.cli.main import dbtRunner

        # Importing dbt gives the root logger a handler, which would print every record of this process a second time.
        logging.root.handlers[:] = handlers
        runner = dbtRunner(manifest=self._manifest, callbacks=[callback] if callback else None)
        written = ["--log-level-file", "info"] if write_files else self._unwritten
        outcome = runner.invoke([*self._common, *written, *arguments, *self._project])
        if outcome.exception is not None:
            text = str(outcome.exception).strip() or type(outcome.exception).__name__
            wrong_words = type(outcome.exception).__name__ in ("DbtUsageException", "DbtSelectorsError")
            kind = BadInput if wrong_words else SoundScopeError
            raise kind(f"dbt {arguments[0]} failed: {text}", next_step=_advice(text)) from outcome.exception
        return outcome

    def count_rows(self, schema: str, table: str) -> int | None:
        """Rows of a table that was just built; None on another engine than DuckDB."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        environment = DuckDBConnectionManager._ENV
        connection = getattr(environment, "conn", None)
        if connection is None:
            return None
        with connection.cursor() as cursor:
            return int(cursor.execute(f'select count(*) from "{schema}"."{table}"').fetchall()[0][0])

    def interrupt(self) -> None:
        """Break off the statements that run now."""
        from dbt.adapters.factory import FACTORY

        for adapter in list(FACTORY.adapters.values()):
            # One that dbt closed after it was listed as open has nothing to break off.
            with suppress(duckdb.ConnectionException):
                adapter.cancel_open_connections()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close every connection, so that this process can open the file with its own options next."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.adapters.factory import reset_adapters

        environment = DuckDBConnectionManager._ENV
        reset_adapters()
        if environment is not None:
            environment.close()
        DuckDBConnectionManager.close_all_connections()


@contextmanager
def dbt_session(settings: Settings, variables: Mapping[str, Any] | None = None) -> Iterator[Dbt]:
    """dbt with the environment its profile reads; closed and put back afterwards."""
    settings.paths.create()
    environment = {
        "SOUNDSCOPE_WRITER": str(settings.paths.writer),
        "SOUNDSCOPE_THREADS": str(settings.engine.threads),
        "SOUNDSCOPE_MEMORY_LIMIT": settings.engine.memory_limit,
        "SOUNDSCOPE_TEMP": str(settings.paths.temp / "dbt"),
        "DO_NOT_TRACK": "1",
    }
    with _ONE_AT_A_TIME:
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        dbt = Dbt(settings, variables or {})
        try:
            yield dbt
        finally:
            dbt.close()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def selection(select: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The words of dbt's command line for a selection."""
    words = ["--select", *select] if select else []
    return words + (["--exclude", *exclude] if exclude else [])


def _advice(text: str) -> str:
    if "Conflicting lock" in text or "different configuration" in text:
        return "close every other connection to the private file, then run it again."
    return "the project is in sql/; `dbt debug` there says more."


def project_hash(folder: Path = SQL) -> str:
    """Hash of everything that decides what a model makes of its inputs: the SQL project, and the engine's version."""
    found = hashlib.sha256(duckdb.__version__.encode())
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and "target" not in path.parts):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
