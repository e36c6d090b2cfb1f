"""Training as a flow: a challenger is trained on the private warehouse's tables and the gate decides whether it is used."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, named, say
from flows.dashboard import report
from flows.tasks import submit
from soundscope.pipeline import steps
from soundscope.pipeline.markdown import paragraphs


@flow(name="train", flow_run_name=lambda: named("train the genre classifier"), log_prints=True)
def train() -> str:
    """Train a baseline and a challenger, measure both, and land figures and verdict. Scores come with the next pipeline run.

    Returns:
        The verdict.
    """
    with active_run("train") as run:

        def fit() -> str:
            if run.release_id is None:
                steps.begin_release(run)
            outcome = steps.train_step(run)
            said = paragraphs(str(outcome["report"]))
            report(said, "model-report", "What was trained, how good it is, and why it is used or not")
            say(f"train: {outcome['verdict']}")
            return str(outcome["verdict"])

        verdict = submit("train", "train and compare", fit).result()
        run.facts.setdefault("message", f"trained: {verdict}")
        return verdict
