"""Alignment as a flow: how well every track fits each chart, and, when the figures have aged, what that was worth in the past."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, named, say
from flows.build import build_models
from flows.tasks import submit
from soundscope.pipeline.align import ALIGN_MODELS, align_step, backtest_due, backtest_step


@flow(name="align", flow_run_name=lambda: named("align tracks with the charts"), log_prints=True)
def align() -> int:
    """Score tracks against the charts' profiles, back-test the scores if that is due, and build the tables of both.

    Returns:
        Batches of scores that were new or had changed.
    """
    with active_run("align") as run:
        aligned = submit("align", "align tracks with the charts", lambda: align_step(run, say))
        n = aligned.result()
        say(f"alignment: {n:,} batches are new or have changed")
        last = aligned
        if why := backtest_due(run):
            last = submit("backtest", f"back-test, because {why}", lambda: backtest_step(run, tell=say), after=[aligned])
            last.result()
        build_models(run, select=ALIGN_MODELS, after=[last])
        run.facts.setdefault("message", f"aligned {n:,} batches")
        return n
