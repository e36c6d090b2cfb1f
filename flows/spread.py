"""Coarse parallel work on Dask: each part a task of a flow of its own, run by Prefect's Dask task runner. What is cut up is the library's business.

Workers need the same SoundScope and the packages of the extra `dask`, and none of the installation's files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from soundscope.errors import BadInput
from soundscope.settings import Settings
from soundscope.spread import IN_TURN, Spread

T = TypeVar("T")
R = TypeVar("R")


class _Part:
    """A call that waits to be made, as a function without arguments."""

    def __init__(self, work: Callable[[Any], Any], part: Any) -> None:
        self.work, self.part = work, part
        self.__name__ = self.__qualname__ = "part"

    def __call__(self) -> Any:
        return self.work(self.part)


class DaskSpread(Spread):
    """Parts go to a Dask cluster: the one at `prefect.dask_address`, else processes of this machine, begun when first needed.

    Args:
        settings: of the installation.
    Raises:
        BadInput: the package is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            import prefect_dask
        except ImportError as error:
            raise BadInput(
                f"prefect.task_runner is dask, but {error}.",
                next_step="make setup EXTRAS=app,dev,postgres,dask, or set it to threads.",
            ) from error
        self._runner: Any = prefect_dask.DaskTaskRunner
        self._address = settings.prefect.dask_address
        self._cluster: Any = None
        self.width = settings.prefect.dask_workers

    def _at(self) -> str:
        if self._address:
            return self._address
        if self._cluster is None:
            from distributed import LocalCluster

            logging.getLogger("distributed").setLevel(logging.WARNING)
            # One thread each: the fits have threads of their own (`engine.threads`).
            self._cluster = LocalCluster(n_workers=self.width, threads_per_worker=1, processes=True, dashboard_address=None)
        return str(self._cluster.scheduler_address)

    def close(self) -> None:
        """End the processes that were begun here."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def __call__(self, kind: str, work: Callable[[T], R], parts: Mapping[str, T]) -> list[R]:
        """See `Spread`."""
        ran: Any = spread_out.with_options(
            name=kind, flow_run_name=f"{kind} on Dask", task_runner=self._runner(address=self._at())
        )

        def begin() -> list[R]:
            # What surrounds a task is sent along with it; the task around this one holds the whole run, which cannot be sent.
            cast(Any, TaskRunContext.__var__).set(None)
            _waiting.set([(label, _Part(work, part)) for label, part in parts.items()])
            return list(ran())

        return copy_context().run(begin)


_waiting: ContextVar[list[tuple[str, _Part]]] = ContextVar("waiting")


def _submitted() -> list[Any]:
    return [
        task(name="part", task_run_name=label.replace("{", "{{").replace("}", "}}"), cache_policy=NO_CACHE)(part).submit()
        for label, part in _waiting.get()
    ]


@flow(persist_result=False)
def spread_out() -> list[Any]:
    """One task for each part that waits; the parts come beside the parameters, so that the dashboard shows none of the data.

    It is sent along with each task, so it names nothing that cannot be sent.
    """
    return [future.result() for future in _submitted()]


@contextmanager
def spreading(settings: Settings) -> Iterator[Spread]:
    """Where this installation does coarse parallel work, for as long as a run lasts."""
    if settings.prefect.task_runner != "dask":
        yield IN_TURN
        return
    spread = DaskSpread(settings)
    try:
        yield spread
    finally:
        spread.close()
