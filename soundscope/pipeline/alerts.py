"""What somebody should be told after a run, even if the run ended well. How they are told is the flows' business (`flows/alerts.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from soundscope.ingest.typed import create_raw
from soundscope.pipeline.ops import freshness
from soundscope.pipeline.run import Run
from soundscope.warehouse.releases import Release

KINDS = ("stale_chart", "quota_spent", "model_refused", "release_shrank", "release_held_back")
# A table that lost more of its rows than this since the release before has shrunk.
SHRUNK = 0.1


@dataclass(frozen=True)
class Alert:
    """One message: `kind` is one of `KINDS`, `subject` what it is about, `message` a sentence for a person."""

    kind: str
    subject: str
    message: str


def alerts(run: Run, before: dict[str, int], release: Release | None) -> Iterator[Alert]:
    """What a run that ended well leaves to be told.

    Args:
        run: with the facts its steps gathered.
        before: rows by table of the release before.
        release: what was published, or None.
    """
    with run.writer() as con:
        create_raw(con)
        frame = freshness(run.ledger, con).frame
    for row in frame[frame["is_stale"]].itertuples():
        yield Alert("stale_chart", str(row.subject), f"{row.subject}: its newest chart is {row.age_days:.0f} days old")
    for result in run.facts.get("fetched", []):
        if result.outcomes["quota"]:
            until = f"; deferred until {result.retry_at:%Y-%m-%d %H:%M} UTC" if result.retry_at else ""
            yield Alert("quota_spent", result.provider, f"{result.provider}: the request budget is spent{until}")
    trained = run.facts.get("trained")
    if trained and trained["verdict"] == "refused":
        yield Alert(
            "model_refused", str(trained["model_id"]), f"the challenger {trained['model_id']} was refused; the champion stays"
        )
    if release is not None:
        for table, n in sorted(before.items()):
            now = release.rows.get(table, 0)
            if not table.startswith("ops.") and now < n * (1 - SHRUNK):
                yield Alert("release_shrank", table, f"{table} fell from {n:,} to {now:,} rows in release {release.release_id}")
