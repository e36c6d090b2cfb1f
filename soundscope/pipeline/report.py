"""One run told in Markdown: what came in, what waits and until when, what was checked, what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from soundscope.ingest.typed import create_raw
from soundscope.pipeline.cards import quarantine
from soundscope.pipeline.gates import newest_match_rates
from soundscope.pipeline.genre_steps import champion
from soundscope.pipeline.markdown import code, paragraphs, plain, table
from soundscope.pipeline.ops import request_budget

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run
    from soundscope.warehouse.releases import Release


def run_report(run: Run, release: Release | None, links: Mapping[str, str] | None = None) -> str:
    """The report of a run, from what its steps gathered.

    Args:
        run: the run.
        release: what it published, or None if nothing was new.
        links: where to look further: name -> address.
    """
    parts = [f"# Run {run.run_id}", _headline(run, release), *_fetched(run), *_refused(run), *_loaded(run), *_matched(run), *_built(run),
             *_model(run), _links(links or {})]  # fmt: skip
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
    lines = ["## Providers"]
    if results:
        grouped: dict[tuple[str, str], Counter[str]] = {}
        for result in results:
            grouped.setdefault((result.provider, result.kind), Counter()).update(result.outcomes)
        columns = ["provider", "asked for", "ok", "absent", "deferred", "refused", "failed"]
        rows = [
            (
                provider,
                kind,
                f"{n['ok']:,}",
                f"{n['absent']:,}",
                f"{n['rate_limited'] + n['quota']:,}",
                f"{n['forbidden']:,}",
                f"{n['error']:,}",
            )
            for (provider, kind), n in sorted(grouped.items())
        ]
        lines.append(table(columns, rows))
    else:
        lines.append("Nothing had to be asked for.")
    notes = {(result.message, result.retry_at) for result in results if result.message}
    lines += [
        f"- {plain(message)}" + (f" (deferred until {retry_at:%Y-%m-%d %H:%M} UTC)" if retry_at else "")
        for message, retry_at in sorted(notes, key=str)
    ]
    return [*lines, *_budget(run)]


def _budget(run: Run) -> list[str]:
    frame = request_budget(run.settings, run.ledger, run.urls).frame
    rows = [
        (row.provider, f"{row.used:,}", f"{row.remaining:,.0f} of {row.budget:,.0f}", f"{row.window_hours:g} h",
         f"{row.held_until:%Y-%m-%d %H:%M} UTC" if row.held_for else "")
        for row in frame[frame["budget"].notna()].itertuples()
    ]  # fmt: skip
    return ["### Budget left", table(["provider", "calls made", "left", "in", "held until"], rows)] if rows else []


def _refused(run: Run) -> list[str]:
    session = run._session
    if session is None:
        return []
    lines = [f"- {provider}: {plain(message)}" for (provider, _), message in sorted(session.refused.items())]
    lines += [
        f"- {disabled.name} is not asked: {plain(disabled.reason)}. {plain(disabled.next_step)}." for disabled in session.disabled
    ]
    return ["## What was not allowed", "\n".join(lines)] if lines else []


def _loaded(run: Run) -> list[str]:
    rows: Counter[str] = Counter()
    quarantined = 0
    damaged: dict[str, str] = {}
    for result in run.facts.get("loaded", []):
        rows.update(result.rows)
        quarantined += result.quarantined
        damaged |= result.damaged
    lines = [f"- {name}: {n:,} rows" for name, n in sorted(rows.items())]
    lines += [f"- **damaged** landing file {code(file)}: {plain(reason)}" for file, reason in damaged.items()]
    parts = ["## Loaded", "\n".join(lines)] if lines else []
    if quarantined:
        with run.writer() as con:
            held, *reasons = quarantine(con)
        parts += [held, f"{quarantined:,} values or rows went there in this run; all that is held there, by reason:", *reasons]
    return parts


def _matched(run: Run) -> list[str]:
    matched = run.facts.get("matched")
    if not matched:
        return []
    parts = ["## Chart entries and tracks", ", ".join(f"{n:,} {status}" for status, n in sorted(matched.items()))]
    with run.writer() as con:
        create_raw(con)
        rates = [(code(one.chart), one.chart_date, f"{one.rate:.1%}", f"{one.usual:.1%}") for one in newest_match_rates(con)]
    return [*parts, table(["chart", "week", "matched", "usual"], rates)]


def _built(run: Run) -> list[str]:
    models = run.facts.get("models")
    if not models:
        return []
    warn = [
        f"- {model_check.model}: {plain(model_check.check)}: {plain(model_check.message)}"
        for model in models
        for model_check in model.checks
        if model_check.status == "warn"
    ]
    passed = sum(model.tests_passed for model in models)
    return ["## Tables", f"{len(models)} built, {passed} checks passed, {len(warn)} warn", "\n".join(warn)]


def _model(run: Run) -> list[str]:
    parts = ["## Model"]
    if trained := run.facts.get("trained"):
        parts += [f"{trained['verdict']}", paragraphs(str(trained["report"]))]
    else:
        why = run.facts.get("training_due")
        due = f"Training is due ({plain(why)}) and was not done." if why else "Not trained, because nothing asks for it."
        parts.append(f"{due} {_champion(run)}")
    if "scored" in run.facts:
        parts.append(f"{run.facts['scored']:,} tracks scored.")
    return parts


def _champion(run: Run) -> str:
    with run.writer() as con:
        create_raw(con)
        model_id = champion(con, run.settings.train.target)
        newest = "select verdict, reason from raw.model_runs where model_id = ? order by fetched_at desc, row_no desc limit 1"
        row = con.execute(newest, [model_id]).fetchone() if model_id else None
    return f"In use: {code(model_id)}, {row[0]}: {plain(row[1])}." if row else "No model is in use."


def _links(links: Mapping[str, str]) -> str:
    shown = [f"[{name}]({address})" for name, address in links.items()]
    pages = (
        "`docs/operations.md` (when something is wrong), `docs/questions.md` (how to ask), `soundscope doctor` (what is wrong)"
    )
    return "## Further\n\n" + "; ".join([*shown, pages])
