"""Build as a flow: one task per SQL model, its tests counted in that task's result, and the matching between staging and core."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture, wait

from flows.active import active_run, named, say
from flows.tasks import submit, threads
from soundscope.errors import CheckFailed
from soundscope.pipeline import steps
from soundscope.pipeline.run import Run
from soundscope.pipeline.unfinished import RESULTS
from soundscope.warehouse.build import ModelPlan, ModelResult, plan

STAGING = ("staging",)
SCORES = ("ml",)
# A task of a model waits in a thread of its own until dbt is done with it, so there are more threads than models.
_TASKS_AT_ONCE = 100


@flow(name="build", flow_run_name=lambda: named("build the tables"), task_runner=threads(_TASKS_AT_ONCE), log_prints=True)
def build(full: bool = False, results: bool = True) -> dict[str, int]:
    """Build staging, match chart entries to tracks, build core, marts and ml in the private warehouse, with every test.

    Args:
        full: rebuild tables that are otherwise brought forward week by week.
        results: build the tables of alignment and scores too, from what was computed before.
    """
    with active_run("build") as run:
        steps.load_waiting(run)
        staged = build_models(run, select=STAGING, full=full)
        matched = _match(run, staged)
        built = build_models(run, exclude=STAGING if results else STAGING + RESULTS, full=full, after=[matched])
        rows = {future.result().name: future.result().rows or 0 for future in [*staged, *built]}
        run.facts.setdefault("message", f"built {len(rows)} tables")
        return rows


def _match(run: Run, after: Sequence[PrefectFuture[Any]]) -> PrefectFuture[Any]:
    def work() -> dict[str, int]:
        counts = steps.match_step(run)
        say("match: " + ", ".join(f"{n:,} {status}" for status, n in counts.items()))
        return counts

    future = submit("match", "match chart entries to tracks", work, after=after)
    future.result()
    return future


def build_models(
    run: Run,
    select: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    *,
    full: bool = False,
    after: Sequence[PrefectFuture[Any]] = (),
) -> list[PrefectFuture[ModelResult]]:
    """Run dbt once in a thread and show it as one task per model, each ending when its model and tests are done.

    Raises:
        CheckFailed: a model or a test failed.
    """
    models = plan(run.settings, select=select, exclude=exclude)
    board = _Board(models)
    thread = threading.Thread(target=board.run, args=(run, select, exclude, full), name="dbt")
    futures: dict[str, PrefectFuture[ModelResult]] = {}
    try:
        for model in models:
            parents = [futures[name] for name in model.parents if name in futures]
            futures[model.name] = submit(
                "sql-model", f"sql {model.name}", partial(board.wait_for, model.name), after=parents or after, tags=["sql"]
            )
        thread.start()
    except BaseException:
        # A signal, or a server that is gone: the run ends here, and tasks that wait for dbt, which never began, would keep it from ending.
        board.close()
        raise
    thread.join()
    wait(list(futures.values()))
    if board.error:
        raise board.error
    warned = sum(future.result().tests_warned for future in futures.values())
    passed = sum(future.result().tests_passed for future in futures.values())
    say(f"built {len(models)} tables; {passed} checks passed, {warned} warn")
    return list(futures.values())


class _Board:
    """Where dbt's thread hangs results and the tasks wait for theirs."""

    def __init__(self, models: Sequence[ModelPlan]) -> None:
        self.results: dict[str, ModelResult] = {}
        self.error: BaseException | None = None
        self._events = {model.name: threading.Event() for model in models}

    def run(self, run: Run, select: tuple[str, ...], exclude: tuple[str, ...], full: bool) -> None:
        try:
            steps.build_step(run, select, exclude, self._hang, full=full)
        except BaseException as error:  # noqa: BLE001 - handed to the flow, which raises it
            self.error = error
        finally:
            self.close()

    def close(self) -> None:
        """No more results will come."""
        for event in self._events.values():
            event.set()

    def _hang(self, result: ModelResult) -> None:
        self.results[result.name] = result
        if result.name in self._events:
            self._events[result.name].set()

    def wait_for(self, name: str) -> ModelResult:
        self._events[name].wait()
        result = self.results.get(name)
        if result is None:
            raise CheckFailed(f"{name} was not built, because something before it failed.")
        if result.status not in ("success", "pass", "ok"):
            raise CheckFailed(f"{name}: {'; '.join(result.messages) or result.status}")
        return result
