"""A person's verdicts on models: promoting one by hand, and going back to the champion before. Landed like those of the gate."""

from __future__ import annotations

from typing import Any

import pandas as pd

from soundscope.errors import BadInput, SoundScopeError
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.genre_steps import champion
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_step
from soundscope.pipeline.run import Run

_NEWEST = """
select * exclude (provider, fetched_at, run_id, landing_file, row_no) from raw.model_runs where model_id = ?
order by fetched_at desc, row_no desc limit 1
"""
# Models that were champion before, the last one first.
_FORMER = """
select model_id from raw.model_runs where target = ? and is_champion and model_id <> ?
group by model_id order by max(fetched_at) desc, model_id limit 1
"""


def promote(run: Run, model_id: str, reason: str, by: str) -> str | None:
    """Make a model the champion of its target by hand; both verdicts are landed with the reason and who gave it.

    Returns:
        The champion it replaces, or None.

    Raises:
        BadInput: there is no such model, it is champion already, its target is not the configured one, or the reason is empty.
        SoundScopeError: its file is missing or was changed.
    """
    from soundscope.genre import registry

    if not reason.strip():
        raise BadInput("A promotion by hand needs a reason.", next_step='say why with --reason "...".')
    said = run.settings.train.target
    with run.writer() as con:
        create_raw(con)
        found = con.execute(_NEWEST, [model_id]).df()
        before = champion(con, said)
        old = con.execute(_NEWEST, [before]).df() if before else None
    if found.empty or found["verdict"].iloc[0] == "not_trained":
        raise BadInput(f"There is no model {model_id}.", next_step="list the models with: soundscope models")
    if found["target"].iloc[0] != said:
        raise BadInput(
            f"Model {model_id} predicts {found['target'].iloc[0]}, but {said} is configured.",
            next_step="promote a model of that target, or set [train] target in soundscope.toml.",
        )
    if before == model_id:
        raise BadInput(f"Model {model_id} is the champion already.", next_step="nothing is left to do.")
    try:
        registry.load(run.settings.paths.models, model_id, found["artefact_sha256"].iloc[0])
    except BadInput as error:
        raise SoundScopeError(
            f"Model {model_id} has no file any more.", next_step="promote one that is kept, or train."
        ) from error
    rows = [_verdict(found, True, "promoted", reason, by)]
    if old is not None and len(old):
        rows.append(_verdict(old, False, "retired", f"replaced by {model_id}: {reason}", by))
    land_frames(run.settings, run.ledger, run.run_id, "train", [("model_runs", pd.concat(rows, ignore_index=True))])
    load_step(run)
    return before


def rollback(run: Run, reason: str, by: str) -> tuple[str, str]:
    """Return to the champion before the present one.

    Returns:
        The model that is champion again, and the one it replaces.

    Raises:
        BadInput: no model was champion before.
    """
    with run.writer() as con:
        create_raw(con)
        now = champion(con, run.settings.train.target)
        row = con.execute(_FORMER, [run.settings.train.target, now]).fetchone() if now else None
    if now is None or row is None:
        raise BadInput("No model was champion before this one.", next_step="promote one of: soundscope models")
    promote(run, str(row[0]), reason, by)
    return str(row[0]), now


def _verdict(row: pd.DataFrame, is_champion: bool, verdict: str, reason: str, by: str) -> pd.DataFrame:
    changes: dict[str, Any] = {"is_champion": is_champion, "verdict": verdict, "reason": f"by hand: {reason}", "decided_by": by}
    return row.assign(**changes)
