"""Ingest as a flow: ask what each provider allows, then for every kind plan, fetch in batches, load."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run

from flows.active import active_run, named, say
from flows.dashboard import progress
from flows.tasks import submit, threads
from soundscope.ingest.fetch import FetchResult
from soundscope.ingest.plan import Batch
from soundscope.pipeline import steps
from soundscope.pipeline.ingest import import_followed
from soundscope.pipeline.run import Run

Kind = Literal["charts", "tracks", "features", "genres", "popularity"]
ALL_KINDS: tuple[Kind, ...] = ("charts", "tracks", "features", "genres", "popularity")
# Calls in flight at once; the providers' limits are kept by the budget whatever this says.
_AT_ONCE = 4


def _name() -> str:
    kinds = flow_run.parameters.get("kinds") or ALL_KINDS
    return named("ingest " + (", ".join(kinds) if len(kinds) < len(ALL_KINDS) else "everything new"))


@flow(name="ingest", flow_run_name=_name, task_runner=threads(_AT_ONCE), log_prints=True)
def ingest(kinds: list[Kind] | None = None) -> dict[str, int]:
    """Fetch what is new and load it into the private warehouse; the next build brings it into a release.

    Args:
        kinds: what to ask for, in this order; everything if left out.
    """
    with active_run("ingest " + " ".join(kinds or ()), providers=True) as run:
        before: PrefectFuture[Any] = submit("probe", "ask providers what they allow", lambda: _probe(run))
        before.result()
        if steps.waits(run):
            before = submit("load", "load what was landed before", lambda: _load(run, "landed before"), after=[before])
            before.result()
        if run.settings.followed.files and "tracks" in (kinds or ALL_KINDS):
            before = submit("import", "import followed files", lambda: _import(run), after=[before])
            before.result()
        for kind in kinds or ALL_KINDS:
            before = _ingest_kind(run, kind, before)
        rows: dict[str, int] = {}
        for result in run.facts.get("loaded", []):
            for table, n in result.rows.items():
                rows[table] = rows.get(table, 0) + n
        run.facts.setdefault("message", "loaded " + (", ".join(f"{n:,} {table}" for table, n in rows.items()) or "nothing new"))
        return rows


def _import(run: Run) -> list[str]:
    new = import_followed(run)
    say(f"imported {', '.join(new)}" if new else "followed files: nothing changed")
    return new


def _probe(run: Run) -> None:
    for name, capabilities in steps.probe_step(run).items():
        for found in capabilities:
            if not found.is_allowed:
                say(f"{name}: {found.capability}: {found.reason}; {found.instead}")
    for disabled in run.session.disabled:
        say(f"{disabled.name} is not asked: {disabled.reason}")


def _ingest_kind(run: Run, kind: Kind, before: PrefectFuture[Any]) -> PrefectFuture[Any]:
    """Plan, fetch and load one kind until nothing more is wanted; what one fetch brings may make more wanted."""
    while True:
        planned = submit("plan", f"plan {kind}", lambda: steps.plan_step(run, kind), after=[before])
        batches = planned.result()
        if not batches:
            return planned
        say(f"{kind}: asking for {sum(len(batch.units) for batch in batches):,} in {len(batches)} batches")
        fetched = [_fetch(run, batch, planned) for batch in batches]
        wait(fetched)
        for message in dict.fromkeys(message for future in fetched if (message := future.result().message)):
            say(f"{kind}: {message}")
        before = submit("load", f"load {kind}", lambda: _load(run, kind), after=fetched)
        before.result()


def _fetch(run: Run, batch: Batch, planned: PrefectFuture[Any]) -> PrefectFuture[FetchResult]:
    def work() -> FetchResult:
        bar = progress(f"fetch-{batch.provider}-{batch.kind}", len(batch.units), f"{batch.name}: units settled")
        return steps.fetch_step(run, batch, lambda done, total: bar.advance(done - bar.done))

    return submit("fetch", f"fetch {batch.name}", work, after=[planned], tags=[batch.provider])


def _load(run: Run, kind: str) -> dict[str, int]:
    result = steps.load_step(run, others=True)
    say(f"{kind}: loaded " + (", ".join(f"{n:,} {table}" for table, n in result.rows.items()) or "no rows"))
    if result.quarantined:
        say(f"{kind}: {result.quarantined:,} values or rows went to quarantine")
    return result.rows
