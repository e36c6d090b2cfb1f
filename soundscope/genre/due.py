"""Whether a new model should be trained, and why: age, new labels, or drift. Only reads; the schedule asks it too, through the pipeline."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from soundscope.genre import registry
from soundscope.genre.data import count_labelled
from soundscope.settings import TrainSettings

# Labelled tracks that came since: this share of those held at the last training, and at least so many.
NEW_LABELS_SHARE, NEW_LABELS_LEAST = 0.2, 100
# An alarm of a feature and week asks once; one found before the newest training has been answered by it.
_ALARMS = """
with first_found as (
    select feature, as_of, min(measured_at) as found_at, arg_max(psi, measured_at) as psi
    from raw.drift where model_id = ? and level = 'alarm' group by feature, as_of
)
select feature, as_of, psi from first_found where found_at > ? order by as_of desc, psi desc
"""


def retraining_due(con: duckdb.DuckDBPyConnection, said: TrainSettings, champion: str | None, now: datetime) -> str | None:
    """Why a model should be trained now, in words, or None.

    Args:
        con: a connection to the private warehouse with the raw tables; label counts need `marts.track_features`, if it is there.
        said: `settings.train`.
        champion: the model in use, or None.
        now: naive UTC.
    """
    newest = con.execute(
        "select model_id, trained_at, verdict from raw.model_runs where target = ? order by trained_at desc, fetched_at desc limit 1",
        [said.target],
    ).fetchone()
    if newest is None:
        return "no model has been trained yet"
    _, trained_at, verdict = newest
    if champion is None and verdict == "not_trained":
        return "there was too little to train on before"
    if now - trained_at > timedelta(days=said.every_days):
        return f"the newest model is older than {said.every_days:g} days"
    return _new_labels(con, said.target) or _drifted(con, champion, trained_at)


def _new_labels(con: duckdb.DuckDBPyConnection, target: str) -> str | None:
    row = con.execute(
        "select arg_max(m.value, r.trained_at) from raw.model_metrics m join raw.model_runs r on r.model_id = m.model_id "
        "where m.metric = 'n_labelled' and r.target = ?",
        [target],
    ).fetchone()
    if row is None or row[0] is None or not registry.has_table(con, "marts", "track_features"):
        return None
    before, held = int(row[0]), count_labelled(con, target)
    if held - before >= max(NEW_LABELS_SHARE * before, NEW_LABELS_LEAST):
        return f"{held - before:,} labelled tracks came since the last training, which had {before:,}"
    return None


def _drifted(con: duckdb.DuckDBPyConnection, champion: str | None, trained_at: datetime) -> str | None:
    if champion is None:
        return None
    found = con.execute(_ALARMS, [champion, trained_at]).fetchall()
    if not found:
        return None
    newest = [row for row in found if row[1] == found[0][1]]
    named = ", ".join(f"{feature} (PSI {psi:.2f})" for feature, _, psi in newest[:3])
    more = f" and {len(newest) - 3} more" if len(newest) > 3 else ""
    return f"{named}{more} drifted in the week of {newest[0][1]:%Y-%m-%d}"
