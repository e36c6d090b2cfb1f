"""One way to make a task: a label a person understands around one library call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

T = TypeVar("T")


def submit(
    kind: str, label: str, work: Callable[[], T], *, after: Sequence[PrefectFuture[Any]] = (), tags: Sequence[str] = ()
) -> PrefectFuture[T]:
    """Start one task of the flow around.

    The work is a closure, so that the dashboard shows its label and none of what it works on.

    Args:
        kind: what sort of task it is: fetch, load, sql-model, ...
        label: what this one does; its name in the dashboard.
        work: the library call.
        after: tasks it waits for; they are its edges in the dashboard's graph.
        tags: shown with it.
    """
    made = task(name=kind, task_run_name=label.replace("{", "{{").replace("}", "}}"), tags=list(tags), cache_policy=NO_CACHE)(
        work
    )
    return cast("PrefectFuture[T]", cast(Any, made).submit(wait_for=list(after)))


def threads(n: int) -> Any:
    """A task runner with this many threads."""
    return ThreadPoolTaskRunner(max_workers=n)
