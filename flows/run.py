"""`python -m flows.run`: the whole pipeline once under Prefect. Starts a server if none runs and stops only what it started."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from flows.server import ensure_server, say
from soundscope.errors import Busy, known
from soundscope.pipeline.run import Stopped
from soundscope.settings import Settings, load_settings
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.releases import current_release_id

__all__ = ["main"]
# Who tells the server of tasks asks again after 2, 4, ... 64 s, give or take a fifth, if it was gone meanwhile.
_HAND_OVER_S = 90.0
_WRITING_S = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline; returns the exit status."""
    parser = argparse.ArgumentParser(prog="soundscope run", description="Run the whole pipeline once.")
    parser.add_argument("--retrain", action="store_true", help="train now even if the champion is young")
    parser.add_argument("--rebuild", action="store_true", help="build and publish even if nothing is new")
    parser.add_argument("--force", action="store_true", help="publish even if a check on shrunken tables holds the release back")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    said = parser.parse_args(arguments)
    started = time.monotonic()
    # The terminal gets the run's own lines, and the one error that ended it; Prefect's, with their tracebacks, go to the dashboard.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    logging.getLogger("prefect.task_runs").setLevel(logging.ERROR)
    try:
        settings = load_settings()
        settings.paths.create()
        with ensure_server(settings, meanwhile=lambda: _get_ready(settings)) as address:
            from prefect import tags

            from flows.pipeline import pipeline

            try:
                with tags("soundscope", settings.profile):
                    outcome = pipeline(retrain=said.retrain, rebuild=said.rebuild, force=said.force)
            finally:
                _hand_over()
    except Exception as error:
        understood = known(error)
        if understood is None:
            raise
        print(f"soundscope: {understood}", file=sys.stderr)
        return understood.exit_status
    except (KeyboardInterrupt, Stopped):
        print("soundscope: stopped; what was fetched is kept, run it again to go on", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started
    result = {"outcome": outcome, "seconds": round(seconds, 1), "published": str(settings.paths.published), "dashboard": address}
    if said.json:
        print(json.dumps(result))
    else:
        say(
            f'Done in {seconds:.0f} s: {outcome}. Ask it: soundscope sql "select * from marts.feature_summary"; watch: soundscope up'
        )
    return 0


def _get_ready(settings: Settings) -> None:
    """What a first run needs soon, done while the server makes its database: the slow imports, and dbt's first reading of the models."""
    if current_release_id(settings) is not None:
        return
    import soundscope.genre.train
    import soundscope.pipeline.align  # noqa: F401 - both are imported for later
    from soundscope.warehouse.build import plan

    with suppress(Busy), writer_lock(settings):
        plan(settings)


def _hand_over() -> None:
    """Wait until the server has this run's logs and events, and has written them; otherwise they would be lost, and wait minutes for a server that is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    from flows.tasks import wait_until_recorded

    deadline = time.monotonic() + _HAND_OVER_S
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=max(deadline - time.monotonic(), 1.0), at_exit=False)
    wait_until_recorded(_WRITING_S)


if __name__ == "__main__":
    sys.exit(main())
