"""Building the tables: runs the dbt project in `sql/` in this process, for a selection, and tells what came of each model.

What a table is and which tests it must pass is said in `sql/`; how dbt is started is in `dbt_session.py`, how its run is
followed in `following.py`, how Spark takes DuckDB's place in `spark.py`. A caller
must hold no connection to the private file while `run_build` works, and none is left open afterwards.
"""

from __future__ import annotations

import json
import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from soundscope.errors import BadInput, CheckFailed
from soundscope.settings import Settings
from soundscope.warehouse.bring_back import bring_back
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.dbt_session import Dbt, dbt_session, selection
from soundscope.warehouse.following import CheckResult, Follower, Graph, ModelPlan, ModelResult
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.spark import SparkTables, build_on_spark, require_spark
from soundscope.warehouse.unchanged import Unchanged
from soundscope.warehouse.weekly import Forward

__all__ = ["TARGETS", "BuildFailed", "BuildResult", "CheckResult", "ModelPlan", "ModelResult", "building_on", "plan", "run_build"]

TARGETS = ("duckdb", "spark")
_DONE = object()
_target: ContextVar[str] = ContextVar("target", default="duckdb")


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
    with dbt_session(settings) as dbt:
        return dbt.graph(select, exclude, unit_tests=False).plan()


@contextmanager
def building_on(target: str) -> Iterator[None]:
    """Let every `run_build` of this thread work on another engine, until the end of the block.

    Args:
        target: `duckdb`, or `spark` for the same models on Spark.

    Raises:
        BadInput: there is no such engine, or something it needs is not installed.
    """
    if target not in TARGETS:
        raise BadInput(f"There is no target {target!r}.", next_step=f"say one of {', '.join(TARGETS)}.")
    if target == "spark":
        require_spark()
    before = _target.set(target)
    try:
        yield
    finally:
        _target.reset(before)


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
    that are brought forward week by week are rebuilt from the first week on that changed, or from the `start_week` that `variables` names. A model whose inputs are what they were
    is left as it is, and its tests' results stand; it is delivered like any other, with 0 seconds.

    Args:
        settings: whose warehouse.
        select: layers (`staging`, `core`, `marts`, `ml`), models, or anything dbt's `--select` takes; nothing means all.
        exclude: the same, left out.
        full_refresh: rebuild everything, whether its inputs changed or not, and weekly models whole although there is a `start_week`.
        variables: variables of the project: `start_week`, the first chart date that changed (YYYY-MM-DD). It is for new or corrected
            weeks alone: new features or links change weeks of any date.
        on_model: called in this thread with each model once it and its tests are done.
        with_unit_tests: run the models' unit tests too; the models they read must have been built before.

    Returns:
        The result of every model.

    Raises:
        BadInput: the selection or a variable is not understood; nothing was built.
        Busy: another process is writing; nothing was built.
        BuildFailed: a model or a test failed. What depends on it was not built; every result was delivered before.
        SoundScopeError: dbt itself failed.

    Within `building_on("spark")` nothing is built in the private file unless everything was built.
    """
    given = {name: value for name, value in (variables or {}).items() if value is not None}
    _check_variables(given)
    anew, full_refresh = full_refresh or with_unit_tests, full_refresh or "start_week" not in given
    if _target.get() == "spark":
        if with_unit_tests:
            raise BadInput("Unit tests of models run on DuckDB alone.", next_step="build them with target duckdb.")
        return _build_on_spark(settings, select, exclude, given, full_refresh, on_model)
    with writer_lock(settings), dbt_session(settings, given) as dbt:
        # One name for the folder of spilled data in all processes, since dbt reads the project anew when its profile changes;
        # the lock keeps it to one process at a time.
        shutil.rmtree(settings.paths.temp / "dbt", ignore_errors=True)
        graph = dbt.graph(select, exclude, unit_tests=with_unit_tests)
        SparkTables(settings).forget(graph.name(model) for model in graph.models)
        unchanged = Unchanged(settings, dbt.manifest, graph)
        kinds = [] if with_unit_tests else ["--exclude-resource-type", "unit_test"]
        kinds += ["--full-refresh"] if full_refresh else []
        if anew:
            commands: Iterable[list[str]] = [["build", *selection(select, exclude), "--indirect-selection", "buildable", *kinds]]
        else:
            with closing(open_writer(settings)) as con:
                unchanged.find(con)
                weekly = Forward(graph, unchanged, con) if full_refresh else None
            commands = _commands(settings, dbt, unchanged, kinds, weekly)
        models = list(_delivered(dbt, graph, commands, on_model, unchanged))
        dbt.close()
        with closing(open_writer(settings)) as con:
            unchanged.remember(con, models, weekly=not full_refresh)
    result = BuildResult(models)
    _raise_failures(result)
    return result


def _commands(
    settings: Settings, dbt: Dbt, unchanged: Unchanged, kinds: Sequence[str], weekly: Forward | None
) -> Iterator[list[str]]:
    """dbt's commands that build what does not stay: one, or a second one for the weeks that turn out to have changed by the first, if any have."""
    later = weekly.later if weekly else []
    first = [one for one in unchanged.left() if one not in set(later)]
    if first:
        forward = ["--vars", json.dumps({"by_track": unchanged.names(unchanged.intact)})] if unchanged.intact else []
        yield ["build", "--select", *unchanged.names(first), "--indirect-selection", "empty", *kinds, *forward]
    if weekly and later:
        # dbt's own connection has other options than ours, and one process may not mix them.
        dbt.close()
        with closing(open_writer(settings)) as con:
            start = weekly.start_week(con)
            unchanged.find(con, later)
        left = set(unchanged.left())
        later = [one for one in later if one in left]
        weeks = ["--full-refresh"] if start is None else ["--vars", json.dumps({"start_week": str(start)})]
        kinds = [word for word in kinds if word != "--full-refresh"]
        if later:
            yield ["build", "--select", *unchanged.names(later), "--indirect-selection", "empty", *kinds, *weeks]


def _build_on_spark(
    settings: Settings,
    select: Sequence[str],
    exclude: Sequence[str],
    variables: Mapping[str, Any],
    full_refresh: bool,
    on_model: Callable[[ModelResult], None] | None,
) -> BuildResult:
    """Build on Spark, then bring all tables into the private file at once; where a test fails, none."""
    models: list[ModelResult] = []

    def deliver(result: ModelResult) -> None:
        models.append(result)
        if on_model:
            on_model(result)

    with writer_lock(settings):
        with dbt_session(settings, variables) as dbt:
            graph = dbt.graph(select, exclude, unit_tests=False)
            definitions = dbt.definitions(graph)
        words = selection(select, exclude)
        tables = build_on_spark(settings, graph, words, weekly=not full_refresh, variables=variables, deliver=deliver)
        result = BuildResult(models)
        _raise_failures(result)
        with closing(open_writer(settings)) as con:
            bring_back(con, definitions, tables.files)
        tables.remember(definition.name for definition in definitions)
    return result


def _delivered(
    dbt: Dbt,
    graph: Graph,
    commands: Iterable[list[str]],
    on_model: Callable[[ModelResult], None] | None,
    unchanged: Unchanged,
) -> Iterator[ModelResult]:
    """Run dbt in a thread of its own and hand out results here, so that callers are called where they called from.

    Commands follow each other as long as nothing failed.
    """
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def count_rows(schema: str, table: str) -> int | None:
        kept = unchanged.rows(schema, table)
        return dbt.count_rows(schema, table) if kept is None else kept

    follower = Follower(graph, results.put, count_rows)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            unchanged.tell(follower.note)
            for command in commands:
                outcome = dbt.invoke(command, callback=follower.event)
                follower.take(outcome)
                if not outcome.success:
                    break
            else:
                # More may have turned out to stay.
                unchanged.tell(follower.note)
            follower.complete()
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
