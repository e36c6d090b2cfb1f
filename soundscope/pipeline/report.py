"""One run told in Markdown: what came in, what waits and until when, what was checked, what was published."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from soundscope.pipeline.ops import request_budget

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run
    from soundscope.warehouse.releases import Release


def run_report(run: Run, release: Release | None) -> str:
    """The report of a run, from what its steps gathered.

    Args:
        run: the run.
        release: what it published, or None if nothing was new.
    """
    parts = [f"# Run {run.run_id}", _headline(run, release), *_fetched(run), *_refused(run), *_loaded(run), *_models(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(run: Run, release: Release | None) -> str:
    synthetic = "All data is **synthetic** (profile sandbox). " if run.settings.profile == "sandbox" else ""
    if release is None:
        return synthetic + "Nothing was new; the current release stays."
    return (
        f"{synthetic}Published release `{release.release_id}`: {sum(release.rows.values()):,} rows in {len(release.rows)} tables."
    )


def _fetched(run: Run) -> list[str]:
    results = run.facts.get("fetched", [])
    if not results:
        return ["## Providers\n\nNothing had to be asked for."]
    table = ["| provider | asked for | ok | absent | waiting | refused | failed |", "|---|---|---|---|---|---|---|"]
    grouped: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        grouped.setdefault((result.provider, result.kind), Counter()).update(result.outcomes)
    for (provider, kind), n in sorted(grouped.items()):
        waiting = n["rate_limited"] + n["quota"]
        table.append(
            f"| {provider} | {kind} | {n['ok']:,} | {n['absent']:,} | {waiting:,} | {n['forbidden']:,} | {n['error']:,} |"
        )
    lines = ["## Providers", "\n".join(table)]
    notes = {(result.message, result.retry_at) for result in results if result.message}
    lines += [
        f"- {message}" + (f" (again from {retry_at:%Y-%m-%d %H:%M} UTC)" if retry_at else "")
        for message, retry_at in sorted(notes, key=str)
    ]
    budget = request_budget(run.settings, run.ledger, run.urls).frame
    limited = budget[budget["budget"].notna()]
    lines += [
        f"- {row.provider}: {row.used:,} of {row.budget:,.0f} calls used in the last {row.window_hours:g} h"
        for row in limited.itertuples()
    ]
    return lines


def _refused(run: Run) -> list[str]:
    session = run._session
    if session is None:
        return []
    lines = [f"- {provider}: {message}" for (provider, _), message in sorted(session.refused.items())]
    lines += [f"- {disabled.name} is not asked: {disabled.reason}. {disabled.next_step}." for disabled in session.disabled]
    return ["## What was not allowed", "\n".join(lines)] if lines else []


def _loaded(run: Run) -> list[str]:
    rows: Counter[str] = Counter()
    quarantined = 0
    damaged: dict[str, str] = {}
    for result in run.facts.get("loaded", []):
        rows.update(result.rows)
        quarantined += result.quarantined
        damaged |= result.damaged
    lines = [f"- {table}: {n:,} rows" for table, n in sorted(rows.items())]
    lines += [f"- quarantine: {quarantined:,} values or rows (see `ops.quarantine`)"] if quarantined else []
    lines += [f"- **damaged** landing file {file}: {reason}" for file, reason in damaged.items()]
    return ["## Loaded", "\n".join(lines)] if lines else []


def _models(run: Run) -> list[str]:
    parts = []
    if matched := run.facts.get("matched"):
        parts += ["## Chart entries and tracks", ", ".join(f"{n:,} {status}" for status, n in sorted(matched.items()))]
    if models := run.facts.get("models"):
        warn = [
            f"- {check.model}: {check.check} - {check.message}"
            for model in models
            for check in model.checks
            if check.status == "warn"
        ]
        parts += [
            "## Tables",
            f"{len(models)} built, {sum(m.tests_passed for m in models)} checks passed, {len(warn)} warn",
            "\n".join(warn),
        ]
    if trained := run.facts.get("trained"):
        parts += ["## Model", f"{trained['verdict']}", str(trained["report"])]
    if "scored" in run.facts:
        parts.append(f"{run.facts['scored']:,} tracks scored.")
    return parts
