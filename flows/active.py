"""The run that the flows of this process work on. A flow started alone opens one; a flow inside another joins it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flows.spread import spreading
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.run import Run, open_run
from soundscope.settings import load_settings

# A scheduled flow waits for the run before it rather than fail; the longest run seen takes minutes.
WAIT_S = 1800.0
_active: list[Run] = []


@contextmanager
def active_run(command: str, *, providers: bool = False) -> Iterator[Run]:
    """The run of the flow around this one, else a new one under the writer lock.

    Raises:
        Busy: another process is writing.
    """
    if _active:
        with _told(_active[-1]):
            yield _active[-1]
        return
    settings = load_settings()
    with open_run(settings, command, providers=providers, wait_s=WAIT_S) as run, spreading(settings) as run.spread:
        _active.append(run)
        try:
            with _told(run):
                yield run
        finally:
            _active.pop()


@contextmanager
def _told(run: Run) -> Iterator[None]:
    """A signal that ends a flow is told to what still fetches in its threads; Prefect waits for them before it ends the flow."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            run.ending.set()
        raise


def named(what: str) -> str:
    """Name of a flow's run: what it does and, if it was started on its own, when; inside another run that one says when."""
    return what if _active else f"{what} {utcnow():%Y-%m-%d %H:%M} UTC"


def say(message: str) -> None:
    """A line for the dashboard's log of this run, and for whoever started it in a terminal."""
    print(message)  # Prefect takes this for the run's log
    terminal = sys.__stderr__
    if terminal is not None:
        terminal.write(f"{message}\n")
        terminal.flush()
