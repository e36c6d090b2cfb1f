"""Building the tables: runs the dbt project in `sql/` in this process, for a selection, and tells what came of each model.

What a table is and which tests it must pass is said in `sql/`; how a run of dbt is followed is in `following.py`. A caller
must hold no connection to the private file while `run_build` works, and none is left open afterwards.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundscope.errors import BadInput, CheckFailed, SoundScopeError
from soundscope.settings import PROJECT, Settings
from soundscope.warehouse.following import CheckResult, Follower, Graph, ModelPlan, ModelResult
from soundscope.warehouse.lock import writer_lock

__all__ = ["BuildFailed", "BuildResult", "CheckResult", "ModelPlan", "ModelResult", "plan", "run_build"]

SQL = PROJECT / "sql"
_DONE = object()
# dbt keeps its adapter and its flags in module globals, so one invocation at a time in a process.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class BuildResult:
    """What a build came to: every model in the order it was finished, with its tests."""

    models: Sequence[ModelResult]

    @property
    def checks(self) -> list[CheckResult]:
        """Every test of every model."""
        return [check for model in self.models for check in model.checks]


class BuildFailed(CheckFailed):
    """A model or one of its tests failed; `result` has everything that was found."""

    def __init__(self, message: str, *, next_step: str, result: BuildResult) -> None:
        super().__init__(message, next_step=next_step)
        self.result = result


def plan(settings: Settings, select: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[ModelPlan]:
    """Models and seeds of a selection, each after everything it reads.

    Args:
        settings: whose warehouse.
        select: layers (`staging`, `core`, `marts`, `ml`), models, or anything dbt's `--select` takes; nothing means all.
        exclude: the same, left out.

    Raises:
        BadInput: the selection is not understood, or fits no model.
        SoundScopeError: the project in `sql/` cannot be read.
    """
    with _dbt(settings) as dbt:
        return dbt.graph(select, exclude, unit_tests=False).plan()


def run_build(
    settings: Settings,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    on_model: Callable[[ModelResult], None] | None = None,
    with_unit_tests: bool = False,
) -> BuildResult:
    """Build a selection of models in the private file and run their tests.

    A test runs when all models it reads are selected or come before the selected ones; it counts for the last of them. Models
    that are brought forward week by week are rebuilt whole unless `variables` names a `start_week`.

    Args:
        settings: whose warehouse.
        select: layers (`staging`, `core`, `marts`, `ml`), models, or anything dbt's `--select` takes; nothing means all.
        exclude: the same, left out.
        full_refresh: rebuild weekly models whole although there is a `start_week`.
        variables: variables of the project: `start_week`, the first chart date that changed (YYYY-MM-DD).
        on_model: called in this thread with each model once it and its tests are done.
        with_unit_tests: run the models' unit tests too; the models they read must have been built before.

    Returns:
        The result of every model.

    Raises:
        BadInput: the selection or a variable is not understood; nothing was built.
        Busy: another process is writing; nothing was built.
        BuildFailed: a model or a test failed. What depends on it was not built; every result was delivered before.
        SoundScopeError: dbt itself failed.
    """
    given = {name: value for name, value in (variables or {}).items() if value is not None}
    _check_variables(given)
    with writer_lock(settings), _dbt(settings, given) as dbt:
        # One name for the folder of spilled data in all processes, since dbt reads the project anew when its profile changes;
        # the lock keeps it to one process at a time.
        shutil.rmtree(settings.paths.temp / "dbt", ignore_errors=True)
        graph = dbt.graph(select, exclude, unit_tests=with_unit_tests)
        arguments = ["build", *_selection(select, exclude), "--indirect-selection", "buildable"]
        arguments += [] if with_unit_tests else ["--exclude-resource-type", "unit_test"]
        arguments += ["--full-refresh"] if full_refresh or "start_week" not in given else []
        models = list(_delivered(dbt, graph, arguments, on_model))
    result = BuildResult(models)
    _raise_failures(result)
    return result


def _delivered(
    dbt: _Dbt, graph: Graph, arguments: list[str], on_model: Callable[[ModelResult], None] | None
) -> Iterator[ModelResult]:
    """Run dbt in a thread of its own and hand out results here, so that callers are called where they called from."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    follower = Follower(graph, results.put, count_rows=dbt.count_rows)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            follower.finish(dbt.invoke(arguments, callback=follower.event))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failure.append(error)
        finally:
            results.put(_DONE)

    thread = threading.Thread(target=work, name="dbt", daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not _DONE:
            if on_model:
                on_model(result)
            yield result
    finally:
        # After an exception or Ctrl-C the running statements are broken off; what is built already stays.
        while thread.is_alive():
            dbt.interrupt()
            thread.join(0.1)
    if failure:
        raise failure[0]


class _Dbt:
    """dbt in this process, for one warehouse."""

    def __init__(self, settings: Settings, variables: Mapping[str, Any]) -> None:
        self.settings = settings
        folder = settings.paths.dbt
        self._common = [
            "--quiet", "--log-level", "none", "--log-level-file", "info", "--no-use-colors", "--no-print",
            "--no-send-anonymous-usage-stats", "--no-version-check", "--log-path", str(folder / "logs"),
        ]  # fmt: skip
        self._project = ["--project-dir", str(SQL), "--profiles-dir", str(SQL), "--target-path", str(folder / "target")]
        self._project += ["--vars", json.dumps(dict(variables))] if variables else []
        self._manifest: Any = None

    def graph(self, select: Sequence[str], exclude: Sequence[str], *, unit_tests: bool) -> Graph:
        """The models, seeds and tests of a selection, and what depends on what."""
        self._manifest = self.invoke(["parse"]).result
        kinds = ["model", "seed", "test", *(["unit_test"] if unit_tests else [])]
        asked = [word for kind in kinds for word in ("--resource-type", kind)]
        asked += ["--indirect-selection", "buildable", "--output", "json", "--output-keys", "unique_id"]
        listed = self.invoke(["ls", *_selection(select, exclude), *asked]).result or []
        ids = [json.loads(line)["unique_id"] for line in listed]
        graph = Graph(self._manifest, ids)
        if not graph.models:
            words = " ".join(_selection(select, exclude))
            raise BadInput(
                f"No model fits {words or 'the project'}.",
                next_step="say staging, core, marts, ml, or the name of a model; sql/README.md lists them.",
            )
        return graph

    def invoke(self, arguments: Sequence[str], callback: Callable[[Any], None] | None = None) -> Any:
        """Run one dbt command; failed models and tests are in its result, anything worse is raised."""
        from dbt.cli.main import dbtRunner

        runner = dbtRunner(manifest=self._manifest, callbacks=[callback] if callback else None)
        outcome = runner.invoke([*self._common, *arguments, *self._project])
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
def _dbt(settings: Settings, variables: Mapping[str, Any] | None = None) -> Iterator[_Dbt]:
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
        dbt = _Dbt(settings, variables or {})
        try:
            yield dbt
        finally:
            dbt.close()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _selection(select: Sequence[str], exclude: Sequence[str]) -> list[str]:
    words = ["--select", *select] if select else []
    return words + (["--exclude", *exclude] if exclude else [])


def _check_variables(variables: Mapping[str, Any]) -> None:
    from datetime import date

    unknown = sorted(set(variables) - {"start_week"})
    if unknown:
        raise BadInput(f"The SQL models have no variable {', '.join(unknown)}.", next_step="the only one is start_week.")
    if "start_week" in variables:
        try:
            date.fromisoformat(str(variables["start_week"]))
        except ValueError as error:
            raise BadInput(
                f"start_week = {variables['start_week']!r} is no date.", next_step="write it as YYYY-MM-DD."
            ) from error


def _raise_failures(result: BuildResult) -> None:
    wrong = [model for model in result.models if model.status != "success"]
    if not wrong:
        return
    lines = [f"{model.name}: {message}" for model in wrong for message in model.messages if model.status != "skipped"]
    skipped = sum(model.status == "skipped" for model in wrong)
    lines += [f"{skipped} model(s) that depend on these were not built"] if skipped else []
    failed = len(wrong) - skipped
    shown = "\n".join(f"  - {line}" for line in lines[:15]) + (f"\n  - and {len(lines) - 15} more" if len(lines) > 15 else "")
    raise BuildFailed(
        f"The build failed at {failed} model(s):\n{shown}",
        next_step="the published release is untouched; correct the cause in raw data or in sql/, and run `soundscope build` again.",
        result=result,
    )


def _advice(text: str) -> str:
    if "Conflicting lock" in text or "different configuration" in text:
        return "close every other connection to the private file, then run it again."
    return f"the project is in {Path('sql')}/; `dbt debug` there says more."
