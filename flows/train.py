"""Training as a flow: a challenger is trained on the private warehouse's tables and the gate decides whether it is used."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.active import active_run, say
from flows.dashboard import report
from soundscope.pipeline import steps


@flow(name="train", flow_run_name="train the genre classifier", log_prints=True)
def train() -> str:
    """Train a baseline and a challenger, measure both, and land figures and verdict. Scores come with the next pipeline run.

    Returns:
        The verdict.
    """
    with active_run("train") as run:

        @task(name="train", task_run_name="train and compare", cache_policy=NO_CACHE)
        def fit() -> str:
            if run.release_id is None:
                steps.begin_release(run)
            outcome = steps.train_step(run)
            report(outcome["report"], "model-report", "What was trained, how good it is, and why it is used or not")
            say(f"train: {outcome['verdict']}")
            return str(outcome["verdict"])

        verdict = fit.submit().result()
        run.facts.setdefault("message", f"trained: {verdict}")
        return verdict
