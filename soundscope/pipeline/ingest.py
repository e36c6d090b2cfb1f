"""Ingest without Prefect, for the command line: the same steps in the same order, a few batches at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from soundscope.ingest.fetch import FetchResult
from soundscope.ingest.imports import ImportRequest, import_file
from soundscope.ingest.plan import Batch
from soundscope.pipeline import steps
from soundscope.pipeline.run import Run

KINDS = ("charts", "tracks", "features", "genres", "popularity")
AT_ONCE = 4


def ingest(run: Run, kinds: Sequence[str] = KINDS, say: Callable[[str], None] = print) -> dict[str, Counter[str]]:
    """Plan, fetch and load; returns units per outcome for each kind."""
    _say_what_is_allowed(run, say)
    if waiting := steps.load_waiting(run):
        say(f"loaded what was landed before: {dict(waiting.rows)}")
    if "tracks" in kinds and (new := import_followed(run)):
        say(f"imported {', '.join(new)}")
    outcomes: dict[str, Counter[str]] = {}
    heard: set[str] = set()
    for kind in kinds:
        outcomes[kind] = Counter()
        while batches := steps.plan_step(run, kind):
            say(f"{kind}: asking for {sum(len(batch.units) for batch in batches):,} in {len(batches)} batches")
            for result in fetch_all(run, batches):
                outcomes[kind].update(result.outcomes)
                # A refusal is said once, at the end; any other trouble once, however many batches it ended.
                if result.message and result.message not in heard and result.message not in run.session.refused.values():
                    heard.add(result.message)
                    say(f"{result.batch}: {result.message}")
            loaded = steps.load_step(run, others=True)
            say(f"{kind}: {dict(outcomes[kind])}; loaded {dict(loaded.rows)}, {loaded.quarantined:,} to quarantine")
        if not outcomes[kind]:
            say(f"{kind}: nothing new to ask for")
    for message in dict.fromkeys(run.session.refused.values()):
        say(message)
    run.facts["message"] = "; ".join(f"{kind}: {sum(n.values()):,} asked" for kind, n in outcomes.items())
    return outcomes


def _say_what_is_allowed(run: Run, say: Callable[[str], None]) -> None:
    for name, capabilities in steps.probe_step(run).items():
        for found in capabilities:
            if not found.is_allowed:
                say(f"{name}: {found.capability}: {found.reason}. {found.instead}")
    for disabled in run.session.disabled:
        say(f"{disabled.name} is not asked: {disabled.reason}. Next: {disabled.next_step}")


def fetch_all(run: Run, batches: Sequence[Batch]) -> list[FetchResult]:
    """Fetch batches a few at a time; stopped from outside, it ends after the calls that are under way."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(lambda batch: steps.fetch_step(run, batch), batches))
        except BaseException:
            run.session.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def import_followed(run: Run) -> list[str]:
    """Import the files that the configuration follows, where they changed; returns the names of the new datasets."""
    new = []
    for said in run.settings.followed.files:
        path = said.path if said.path.is_absolute() else run.settings.home / said.path
        request = ImportRequest(
            path, said.kind, said.name, said.map, said.licence or "user-supplied", said.train, said.chart, said.date
        )
        if import_file(run.settings, run.ledger, run.run_id, request).is_new:
            new.append(said.name)
    if new:
        steps.load_step(run)
    return new
