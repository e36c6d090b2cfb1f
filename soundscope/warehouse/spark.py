"""The SQL models on Spark instead of DuckDB: the raw layer goes out as Parquet, dbt runs in a child process, the tables come back.

What a model says is in `sql/`, how its tables come into the private file in `bring_back.py`. Spark's own tables stay as Parquet under
`warehouse/.private/spark` (or SOUNDSCOPE_SPARK_HOME): weekly models are brought forward there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.dbt_session import SQL
from soundscope.warehouse.export import export_raw
from soundscope.warehouse.following import Follower, Graph, ModelResult

_JAVA = 17
_LOG_LINES = 400


class SparkTables:
    """The tables that Spark has built, as folders of Parquet files, and which of them are as new as those in the private file.

    A table is not after DuckDB has built it anew, or a build on Spark has ended early. Nothing reads it then.
    """

    def __init__(self, settings: Settings) -> None:
        said = os.environ.get("SOUNDSCOPE_SPARK_HOME")
        self.home = Path(said).expanduser().resolve() if said else settings.paths.private / "spark"
        self._list = settings.paths.private / "spark_tables.json"

    def folder(self, name: str) -> Path:
        """Where the files of `schema.table` are."""
        schema, table = name.split(".")
        return self.home / "warehouse" / f"{schema}.db" / table

    def current(self) -> set[str]:
        """Names of the tables that are as new as those in the private file."""
        try:
            return set(json.loads(self._list.read_text(encoding="utf-8"))) if self._list.exists() else set()
        except ValueError:
            return set()

    def forget(self, names: Iterable[str]) -> None:
        """Note that these are no longer current."""
        if self._list.exists():
            self._write(self.current() - set(names))

    def remember(self, names: Iterable[str]) -> None:
        """Note that these are current from now on."""
        self._write(self.current() | set(names))

    def remove(self) -> None:
        """Delete all that Spark has built; the next build there is whole."""
        self._list.unlink(missing_ok=True)
        for folder in ("warehouse", "raw"):
            shutil.rmtree(self.home / folder, ignore_errors=True)

    def rows(self, schema: str, table: str) -> int:
        """Rows of a table, from the ends of its files."""
        if not (files := self.files(f"{schema}.{table}")):
            return 0
        with closing(duckdb.connect()) as con:
            found = con.execute("select sum(num_rows) from parquet_file_metadata(?)", [files]).fetchone()
        return int(found[0]) if found and found[0] is not None else 0

    def files(self, name: str) -> list[str]:
        """The files of a table; none where no row was ever written to a table of weeks."""
        return sorted(str(file) for file in self.folder(name).rglob("*.parquet"))

    def _write(self, names: set[str]) -> None:
        aside = self._list.with_suffix(".part")
        aside.write_text(json.dumps(sorted(names)), encoding="utf-8")
        aside.replace(self._list)


def require_spark() -> None:
    """Check that the extra `spark` and Java are installed; imports nothing.

    Raises:
        BadInput: one of them is missing.
    """
    missing = [name for name in ("pyspark", "dbt.adapters.spark") if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(
            f"Spark is not installed: {' and '.join(missing)} cannot be found.",
            next_step="install the extra: pip install -c constraints.txt -e '.[spark]'",
        )
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    version = re.search(r'version "(\d+)', said)
    if not version or int(version.group(1)) < _JAVA:
        found = f"version {version.group(1)}" if version else f"none{f' in JAVA_HOME ({home})' if home else ''}"
        raise BadInput(
            f"Spark needs Java {_JAVA} or newer; found {found}.",
            next_step="install it (Debian: openjdk-17-jre-headless), or set JAVA_HOME.",
        )


def build_on_spark(
    settings: Settings,
    graph: Graph,
    words: Sequence[str],
    *,
    weekly: bool,
    variables: Mapping[str, Any],
    deliver: Callable[[ModelResult], None],
) -> SparkTables:
    """Build the models of `graph` on Spark, with their tests; the private file is only read.

    Args:
        settings: whose warehouse; the caller holds its lock and no connection to the private file.
        words: of dbt's command line that select `graph`.
        weekly: bring weekly models forward, where Spark still has them; otherwise they are built whole.
        variables: of the project.
        deliver: called with each result, in this thread.

    Returns:
        Where the tables are. Whoever brings them back says `remember`.

    Raises:
        BadInput: a model reads one that was not built on Spark.
        SoundScopeError: dbt or Spark ended without a word.
    """
    tables = SparkTables(settings)
    current = tables.current()
    if absent := sorted(graph.outside() - current):
        raise BadInput(
            f"Not built on Spark since the private warehouse last changed: {', '.join(absent)}.",
            next_step="build everything on Spark: soundscope build --target spark.",
        )
    names = {graph.name(model) for model in graph.models}
    # Weekly models are brought forward together or not at all: one built whole would not fit to another of changed weeks.
    weeks = {graph.name(model) for model in graph.models if graph.is_weekly(model)}
    brought_forward = weeks if weekly and weeks <= current else set()
    tables.home.mkdir(parents=True, exist_ok=True)
    tables.forget(names)
    for name in names - brought_forward:
        shutil.rmtree(tables.folder(name), ignore_errors=True)
    raw = tables.home / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    chosen = [*words, "--indirect-selection", "buildable", *([] if brought_forward else ["--full-refresh"])]
    try:
        export_raw(settings, raw)
        environment = _environment(settings, tables, raw, brought_forward | graph.outside())
        _run_child(settings, chosen, variables, environment, Follower(graph, deliver, count_rows=tables.rows))
    finally:
        shutil.rmtree(raw, ignore_errors=True)
    return tables


def _environment(settings: Settings, tables: SparkTables, raw: Path, there: set[str]) -> dict[str, str]:
    """What the profile `spark` and the macro `register_raw` read; `there` are the tables that Spark finds as files."""
    return {
        "SOUNDSCOPE_RAW": str(raw / "raw"),
        "SOUNDSCOPE_SPARK_HOME": str(tables.home),
        "SOUNDSCOPE_SPARK_TABLES": ",".join(sorted(there)),
        "SOUNDSCOPE_SPARK_CATALOG": "in-memory",
        "SOUNDSCOPE_SPARK_PARTITIONS": os.environ.get("SOUNDSCOPE_SPARK_PARTITIONS", str(settings.engine.threads)),
        "DO_NOT_TRACK": "1",
    }


def _run_child(
    settings: Settings, chosen: Sequence[str], variables: Mapping[str, Any], environment: Mapping[str, str], follower: Follower
) -> None:
    dbt, home = settings.paths.dbt / "spark", environment["SOUNDSCOPE_SPARK_HOME"]
    log = settings.paths.logs / "spark.log"
    words = [
        "--quiet", "--log-level", "none", "--log-level-file", "info", "--no-use-colors", "--no-print", "--no-write-json",
        "--no-send-anonymous-usage-stats", "--no-version-check", "--log-path", str(dbt / "logs"),
        "build", "--target", "spark", *chosen, "--exclude-resource-type", "unit_test", "--vars", json.dumps(dict(variables)),
        "--project-dir", str(SQL), "--profiles-dir", str(SQL), "--target-path", str(dbt / "target"),
    ]  # fmt: skip
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "soundscope.warehouse.spark_child", str(writing), *words]
    # Its own group, so that Java ends with it; its own folder, since Java's libraries leave files where they run.
    with log.open("wb") as noise, os.fdopen(reading, encoding="utf-8") as told:
        child = subprocess.Popen(
            command, cwd=home, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=noise, stderr=noise,
            pass_fds=(writing,), start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        try:
            ended = _follow(told, follower)
            status = child.wait()
        finally:
            # After Ctrl-C here the child too, and after its own end what Java left. It has nothing of the private file open.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if child.stdin:
                child.stdin.close()
    if ended is None:
        raise SoundScopeError(
            f"Spark ended with status {status} before its work was done: {_last_words(log)}", next_step=f"read {log}."
        )
    if ended:
        raise SoundScopeError(f"dbt build on Spark failed: {ended}", next_step=f"the project is in sql/; {log} says more.")


def _follow(lines: Iterable[str], follower: Follower) -> str | None:
    """Pass on what the child says; its error at the end, empty if there was none, None if it never came to an end."""
    for line in lines:
        said = json.loads(line)
        if "error" in said:
            follower.complete()
            return said["error"] or ""
        follower.note(said["id"], said["status"], said["seconds"], said["failures"], said["message"])
    return None


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]]
    telling = [line for line in lines if re.search(r"(Error|Exception|Killed|OutOfMemory)", line)]
    return (telling or lines or ["it said nothing"])[-1][:300]
