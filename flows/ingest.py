"""Ingest as a flow: ask what each provider allows, then for every kind plan, fetch in batches, load."""

from __future__ import annotations

from typing import Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.active import active_run, say
from flows.dashboard import progress
from soundscope.ingest.fetch import FetchResult
from soundscope.ingest.plan import Batch
from soundscope.pipeline import steps
from soundscope.pipeline.run import Run

Kind = Literal["charts", "tracks", "features", "genres", "popularity"]
ALL_KINDS: tuple[Kind, ...] = ("charts", "tracks", "features", "genres", "popularity")
# Calls in flight at once; the providers' limits are kept by the budget whatever this says.
_AT_ONCE = 4


def _name() -> str:
    kinds = flow_run.parameters.get("kinds") or ALL_KINDS
    return "ingest " + (", ".join(kinds) if len(kinds) < len(ALL_KINDS) else "everything new")


@flow(
    name="ingest",
    flow_run_name=_name,
    task_runner=ThreadPoolTaskRunner(max_workers=_AT_ONCE),
    log_prints=True,
    validate_parameters=True,
)
def ingest(kinds: list[Kind] | None = None) -> dict[str, int]:
    """Fetch what is new and load it into the private warehouse; the next build brings it into a release.

    Args:
        kinds: what to ask for, in this order; everything if left out.
    """
    with active_run("ingest " + " ".join(kinds or ()), providers=True) as run:
        loaded: PrefectFuture | None = _probe(run)
        for kind in kinds or ALL_KINDS:
            loaded = _ingest_kind(run, kind, loaded)
        rows: dict[str, int] = {}
        for result in run.facts.get("loaded", []):
            for table, n in result.rows.items():
                rows[table] = rows.get(table, 0) + n
        run.facts.setdefault("message", "loaded " + (", ".join(f"{n:,} {table}" for table, n in rows.items()) or "nothing new"))
        return rows


def _probe(run: Run) -> PrefectFuture:
    @task(name="probe", task_run_name="ask providers what they allow", cache_policy=NO_CACHE)
    def probe() -> None:
        for name, capabilities in steps.probe_step(run).items():
            for found in capabilities:
                if not found.is_allowed:
                    say(f"{name}: {found.capability} - {found.reason}; {found.instead}")
        for disabled in run.session.disabled:
            say(f"{disabled.name} is not asked: {disabled.reason}")

    future = probe.submit()
    future.result()
    return future


def _ingest_kind(run: Run, kind: Kind, after: PrefectFuture | None) -> PrefectFuture | None:
    """Plan, fetch and load one kind until nothing more is wanted; what one fetch brings may make more wanted."""
    while True:
        planned = _plan(run, kind, after)
        batches: list[Batch] = planned.result()
        if not batches:
            return planned
        say(f"{kind}: asking for {sum(len(batch.units) for batch in batches):,} in {len(batches)} batches")
        fetched = [_fetch(run, batch, planned) for batch in batches]
        wait(fetched)
        results: list[FetchResult] = [future.result() for future in fetched]
        for message in dict.fromkeys(result.message for result in results if result.message):
            say(f"{kind}: {message}")
        after = _load(run, kind, fetched)


# The tasks are closures: the dashboard shows their names, and none of what they work on.


def _plan(run: Run, kind: Kind, after: PrefectFuture | None) -> PrefectFuture:
    @task(name="plan", task_run_name=f"plan {kind}", cache_policy=NO_CACHE)
    def plan() -> list[Batch]:
        return steps.plan_step(run, kind)

    future = plan.submit(wait_for=[after] if after else None)
    future.result()
    return future


def _load(run: Run, kind: Kind, fetched: list[PrefectFuture]) -> PrefectFuture:
    @task(name="load", task_run_name=f"load {kind}", cache_policy=NO_CACHE)
    def load() -> dict[str, int]:
        result = steps.load_step(run)
        if result.quarantined:
            say(f"{kind}: {result.quarantined:,} values or rows went to quarantine")
        return result.rows

    future = load.submit(wait_for=fetched)
    rows = future.result()
    say(f"{kind}: loaded " + (", ".join(f"{n:,} {table}" for table, n in rows.items()) or "no rows"))
    return future


def _fetch(run: Run, batch: Batch, planned: PrefectFuture) -> PrefectFuture:
    @task(name="fetch", task_run_name=f"fetch {batch.name}", tags=[batch.provider], cache_policy=NO_CACHE)
    def fetch() -> FetchResult:
        bar = progress(f"fetch-{batch.provider}-{batch.kind}", len(batch.units), f"{batch.name}: units settled")
        return steps.fetch_step(run, batch, lambda done, total: bar.advance(done - bar.done))

    return fetch.submit(wait_for=[planned])
