"""One way to make a task: a label a person understands around one library call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.exceptions import PrefectHTTPStatusError
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner

T = TypeVar("T")
_AT_ONCE = 100
_ended: set[UUID] = set()


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
    future = cast("PrefectFuture[T]", cast(Any, made).submit(wait_for=list(after)))
    future.add_done_callback(_note)
    return future


def _note(done: PrefectFuture[Any]) -> None:
    inner = cast(Any, done).wrapped_future
    # Of what was broken off the server is told nothing.
    if not inner.cancelled() and inner.exception() is None:
        _ended.add(done.task_run_id)


def wait_until_recorded(seconds: float) -> bool:
    """Wait until the server has written down how the tasks ended that ended in this process; it does so a while after it was told.

    Args:
        seconds: at most so long.

    Returns:
        whether it has. It forgets what it was told and has not written if it is stopped.
    """
    deadline = time.monotonic() + seconds
    patience = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: max(seconds, 1.0)}
    with temporary_settings(patience), get_client(sync_client=True) as client:
        while True:
            try:
                waiting = sorted(_ended)
                for begin in range(0, len(waiting), _AT_ONCE):
                    ids = waiting[begin : begin + _AT_ONCE]
                    ended = {"id": {"any_": ids}, "state": {"type": {"any_": sorted(TERMINAL_STATES)}}}
                    found = client.read_task_runs(task_run_filter=TaskRunFilter.model_validate(ended))
                    _ended.difference_update(run.id for run in found)
                    if time.monotonic() > deadline:
                        break
            except (httpx.HTTPError, PrefectHTTPStatusError):
                pass  # It is gone, or its database is busy: asked again below.
            if not _ended or time.monotonic() > deadline:
                return not _ended
            time.sleep(0.1)


def threads(n: int) -> Any:
    """A task runner with this many threads."""
    return ThreadPoolTaskRunner(max_workers=n)
