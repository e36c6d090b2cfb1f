"""The classifier as steps of a run: train if due, score, explain what charts, look for drift, and a person's verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pandas as pd

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import Progress, check_row, load_step
from soundscope.pipeline.run import Run
from soundscope.pipeline.shared_models import bring_model, send_models
from soundscope.pipeline.unfinished import require_whole

# Landing kinds of these steps: a release that differs only in them triggers nothing.
SCORE_KINDS = ("train", "score")
# Tracks that charted in the last year of their chart, scored by the model, and not explained as they are now.
_TO_EXPLAIN = """
with newest as (select chart, max(chart_date) as last_date from core.chart_entries group by chart),
charting as (
    select distinct e.track_id from core.chart_entries e join newest n on n.chart = e.chart
    where e.track_id is not null and e.chart_date > n.last_date - interval 52 week
),
scored as (
    select track_id, arg_max(input_hash, scored_at) as input_hash from raw.predictions where model_id = $model_id group by track_id
),
explained as (
    select track_id, arg_max(input_hash, explained_at) as input_hash from raw.explanations where model_id = $model_id group by track_id
)
select scored.track_id, scored.input_hash
from scored join charting on charting.track_id = scored.track_id
join marts.track_features f on f.track_id = scored.track_id and f.train_ok
left join explained on explained.track_id = scored.track_id
where explained.input_hash is distinct from scored.input_hash
order by scored.track_id
"""


def champion(con: duckdb.DuckDBPyConnection, target: str) -> str | None:
    """The model scores are made with: the newest that was promoted and not retired since, or None."""
    row = con.execute(
        "select model_id from (select model_id, is_champion, fetched_at, row_no from raw.model_runs where target = ? "
        "qualify row_number() over (partition by model_id order by fetched_at desc, row_no desc) = 1) "
        "where is_champion order by fetched_at desc, row_no desc limit 1",
        [target],
    ).fetchone()
    return row[0] if row else None


def training_due(run: Run) -> str | None:
    """Why a model should be trained now (its file is lost, age, new labels, drift), or None; kept for the verdict."""
    from soundscope.genre.due import retraining_due

    said = run.settings.train
    with run.writer() as con:
        create_raw(con)
        reigning = champion(con, said.target)
        why = _trouble(run, con, reigning) or retraining_due(con, said, reigning, utcnow())
    run.facts["training_due"] = why
    return why


def _trouble(run: Run, con: duckdb.DuckDBPyConnection, model_id: str | None) -> str | None:
    from soundscope.genre import registry

    if model_id:
        bring_model(run, model_id)
    return registry.trouble(run.settings.paths.models, model_id, registry.recorded_hash(con, model_id)) if model_id else None


def train_step(run: Run) -> Mapping[str, Any]:
    """Train on the candidate's tables, let the gate decide, and land models, figures and verdict.

    Raises:
        CheckFailed, SoundScopeError: there is no whole candidate.
    """
    from soundscope.genre.train import train

    with run.writer() as con:
        create_raw(con)
        require_whole(con, run.settings.paths, results=False)
        before = champion(con, run.settings.train.target)
        why = run.facts.get("training_due") or "it was asked for"
        outcome = train(con, run.settings, run.release_id or "", utcnow(), before, why=why, spread=run.spread)
    send_models(run, outcome.rows["model_runs"]["model_id"])
    land_frames(run.settings, run.ledger, run.run_id, "train", outcome.rows.items())
    load_step(run)
    run.facts["trained"] = {"model_id": outcome.model_id, "verdict": outcome.verdict, "report": outcome.report}
    return run.facts["trained"]


def score_step(run: Run, progress: Progress | None = None) -> int:
    """Score tracks that are new or changed with the champion, explain those that chart, measure drift, and land all of it.

    Returns:
        How many tracks were scored.
    Raises:
        CheckFailed, SoundScopeError: there is no whole candidate.
    """
    from soundscope.genre.score import score

    scored = 0

    def batches(con: duckdb.DuckDBPyConnection, model_id: str) -> Iterator[tuple[str, pd.DataFrame]]:
        nonlocal scored
        for frame in score(con, run.settings, model_id, run.release_id or "", utcnow()):
            scored += frame["track_id"].nunique()
            if progress:
                progress(scored, scored)
            yield "predictions", frame

    with run.writer() as con:
        create_raw(con)
        require_whole(con, run.settings.paths, results=False)
        model_id = champion(con, run.settings.train.target)
        if model_id is not None and (lost := _trouble(run, con, model_id)):
            # Nothing could be trained in its place (see the verdict); everything but the scores goes on.
            run.ledger.insert(t.check_results, [check_row(run, "champion_readable", "ml.model_runs", "warn", 1, lost)])
            model_id = None
        if model_id is None:
            run.facts["scored"] = 0
            return 0
        land_frames(run.settings, run.ledger, run.run_id, "score", batches(con, model_id))
    load_step(run)
    with run.writer() as con:
        landed = land_frames(run.settings, run.ledger, run.run_id, "score", _after_scoring(run, con, model_id))
    if landed:
        load_step(run)
    run.facts["scored"] = scored
    return scored


def _after_scoring(run: Run, con: duckdb.DuckDBPyConnection, model_id: str) -> Iterator[tuple[str, pd.DataFrame]]:
    from soundscope.genre import registry
    from soundscope.genre.drift import drift
    from soundscope.genre.explain import explain_batches

    now = utcnow()
    due = con.execute(_TO_EXPLAIN, {"model_id": model_id}).df()
    if len(due):
        stored = registry.load(run.settings.paths.models, model_id, registry.recorded_hash(con, model_id))
        for frame in explain_batches(con, stored, list(due["track_id"])):
            yield "explanations", frame.merge(due, on="track_id").assign(explained_at=now)
    points = drift(con, run.settings, model_id, now)
    run.facts["drift"] = points[points["level"] != "none"][["feature", "as_of", "psi", "level"]].to_dict("records")
    if len(points):
        yield "drift", points
