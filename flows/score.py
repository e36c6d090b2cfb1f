"""Scoring as a flow: the champion scores every track that is new or has changed."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, named, say
from flows.build import SCORES, build_models
from flows.tasks import submit
from soundscope.pipeline import steps


@flow(name="score", flow_run_name=lambda: named("score tracks"), log_prints=True)
def score() -> int:
    """Score with the champion and build the tables that depend on scores; returns how many tracks were scored."""
    with active_run("score") as run:

        def predict() -> int:
            if run.release_id is None:
                steps.begin_release(run)
            n = steps.score_step(run)
            say(f"score: {n:,} tracks")
            return n

        future = submit("score", "score new and changed tracks", predict)
        n = future.result()
        build_models(run, select=SCORES, after=[future])
        run.facts.setdefault("message", f"scored {n:,} tracks")
        return n
