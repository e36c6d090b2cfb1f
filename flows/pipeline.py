"""The whole run, top to bottom: ingest, build, align, train if due, score, publish once. Nothing new ends it early."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, say
from flows.alerts import tell
from flows.align import align
from flows.build import build
from flows.dashboard import announce, links, report, row_counts
from flows.ingest import ingest
from flows.score import score
from flows.tasks import submit
from flows.train import train
from soundscope.errors import CheckFailed
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline import steps
from soundscope.pipeline.alerts import Alert, alerts
from soundscope.pipeline.cards import model_card, quality_report
from soundscope.pipeline.report import run_report
from soundscope.pipeline.run import Run
from soundscope.pipeline.shortfall import shortfall
from soundscope.warehouse.releases import Release, list_releases


def _name() -> str:
    return f"pipeline {utcnow():%Y-%m-%d %H:%M} UTC"


@flow(name="pipeline", flow_run_name=_name, log_prints=True)
def pipeline(retrain: bool = False, rebuild: bool = False, force: bool = False) -> str:
    """Everything once: fetch what is new, build, align, train if due, score, check, publish one release.

    Args:
        retrain: train now even if the champion is young.
        rebuild: build and publish even if nothing is new.
        force: publish even if the check on shrunken tables holds the release back; recorded in the release.
    """
    with active_run("run", providers=True) as run:
        ingest()
        news = steps.news_step(run)
        due = "asked for" if retrain else steps.training_due(run)
        if not (news.is_new or rebuild or due):
            run.facts["message"] = _with_shortfall(run, "nothing new: the current release stays")
            say(run.facts["message"])
            _leave_report(run, None)
            tell(alerts(run, {}, None))
            return "nothing new"
        before = _rows(run)
        steps.begin_release(run)
        if news.is_new or rebuild:
            build(full=rebuild, results=False)
            align()
        if due or steps.training_due(run):
            say(f"training, because {due or steps.training_due(run)}")
            train()
        score()
        release = _publish(run, force)
        row_counts(before, dict(release.rows))
        announce(release)
        run.facts["message"] = _with_shortfall(run, f"published {release.release_id}")
        _leave_report(run, release)
        tell(alerts(run, before, release))
        return release.release_id


def _publish(run: Run, force: bool) -> Release:
    try:
        release = submit("publish", "check and publish", lambda: steps.publish_step(run, force=force)).result()
    except CheckFailed as error:
        tell([Alert("release_held_back", run.release_id or "", str(error).splitlines()[0])])
        raise
    say(f"published {release.release_id}: {sum(release.rows.values()):,} rows in {len(release.rows)} tables")
    return release


def _with_shortfall(run: Run, message: str) -> str:
    if missing := shortfall(run.ledger, run.run_id):
        say(missing)
        return f"{message}; {missing}"
    return message


def _rows(run: Run) -> dict[str, int]:
    current = next((release for release in list_releases(run.settings) if release.is_current), None)
    return dict(current.rows) if current else {}


def _leave_report(run: Run, release: Release | None) -> None:
    said = run_report(run, release, links(run.settings))
    report(said, "pipeline-report", "What came in, what waits, what was checked, what was published")
    report(quality_report(run), "data-quality", "Age of the charts, match rate, missing features, quarantine, checks")
    report(model_card(run), "model-card", "The model in use: what it was trained on and how good it is")
