"""The steps between landing and a published release. Each opens the private warehouse for itself and closes it again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from soundscope.ingest import tables as t
from soundscope.ingest.fetch import FetchResult, fetch
from soundscope.ingest.imports import dumps, licences
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.plan import Batch, plan
from soundscope.ingest.session import probe
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.gates import hold_back
from soundscope.pipeline.genre_steps import SCORE_KINDS as SCORE_KINDS
from soundscope.pipeline.genre_steps import champion as champion
from soundscope.pipeline.genre_steps import score_step as score_step
from soundscope.pipeline.genre_steps import train_step as train_step
from soundscope.pipeline.genre_steps import training_due as training_due
from soundscope.pipeline.loading import Progress, check_row
from soundscope.pipeline.loading import load_step as load_step
from soundscope.pipeline.loading import load_waiting as load_waiting
from soundscope.pipeline.loading import waits as waits
from soundscope.pipeline.matching import match_step
from soundscope.pipeline.ops import ops_tables
from soundscope.pipeline.run import Run
from soundscope.pipeline.unfinished import building, candidate, is_built, require_whole
from soundscope.settings import PROJECT, Settings
from soundscope.sources.base import Capability
from soundscope.sources.internal import PROVIDER
from soundscope.sources.registry import SOURCES
from soundscope.warehouse.build import BuildResult, ModelResult, run_build
from soundscope.warehouse.publish import new_release_id, publish
from soundscope.warehouse.releases import SCHEMA_VERSION, Release, current_release_id, prune

log = logging.getLogger(__name__)
# Landing kinds that are made from a build: results, which trigger no build of their own.
RESULT_KINDS = ("train", "score", "align", "backtest", "match")


# --- ingest -----------------------------------------------------------------------------------------------------------


def probe_step(run: Run, *, force: bool = False) -> dict[str, list[Capability]]:
    """Ask the providers what they allow, at most once a day."""
    return probe(run.session, force=force)


def plan_step(run: Run, kind: str) -> list[Batch]:
    """What to fetch now for charts, tracks, features, genres or popularity."""
    with run.writer() as con:
        create_raw(con)
        return plan(run.session, con, kind)


def fetch_step(run: Run, batch: Batch, progress: Progress | None = None) -> FetchResult:
    """Fetch one batch; it needs no writer, so several may run at once."""
    result = fetch(run.session, batch, progress)
    run.facts.setdefault("fetched", []).append(result)
    return result


# --- build ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class News:
    """Whether there is anything to build: the fingerprint of all inputs, and that of the current release."""

    fingerprint: str
    published: str | None

    @property
    def is_new(self) -> bool:
        """Something differs from what the current release was built from."""
        return self.fingerprint != self.published


def news_step(run: Run) -> News:
    """Compare what would be built with what the current release was built from. Results do not count: they trigger nothing."""
    current = current_release_id(run.settings)
    # Other machines that share the ledger publish releases of their own.
    last = run.ledger.last_release([path.stem for path in run.settings.paths.releases.glob("*.duckdb")])
    with run.writer() as con:
        # What was lost or left half-built has to be built before anything is published from it.
        is_whole = is_built(con) and not candidate(run.settings.paths).unfinished
    is_known = last and current == last["release_id"] and is_whole
    return News(_inputs(run), last["fingerprint"] if last and is_known else None)


def _inputs(run: Run) -> str:
    """A hash of everything that tables are built from."""
    with run.writer() as con:
        create_raw(con)
        loaded = con.execute("select landing_file from raw.loaded_files order by 1").fetchall()
    files = [row[0] for row in loaded if not row[0].startswith(tuple(f"{PROVIDER}/{kind}/" for kind in RESULT_KINDS))]
    digest = hashlib.sha256()
    for part in (*files, project_hash(), str(SCHEMA_VERSION), repr(sorted(provider_rows(run.settings)))):
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()


def project_hash() -> str:
    """Hash of everything in the project that decides what the tables hold: the SQL models and the rules of matching."""
    digest = hashlib.sha256()
    folders = (
        PROJECT / "sql",
        PROJECT / "soundscope" / "match",
        PROJECT / "soundscope" / "ingest",
        PROJECT / "soundscope" / "sources",
    )
    for path in sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix in {".sql", ".py", ".yml", ".csv"}
    ):
        if "target" not in path.parts and "dbt_packages" not in path.parts:
            digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def provider_rows(settings: Settings) -> list[tuple[str, str, bool, int, str, int | None]]:
    """What each provider's values may be used for, as configured now; see `raw.providers`."""
    sandbox = settings.profile == "sandbox"
    order = {name: place for place, name in enumerate(settings.feature_order, 1)}
    rows: list[tuple[str, str, bool, int, str, int | None]] = []
    for name, entry in SOURCES.items():
        said = settings.provider(name).train_ok
        train_ok = said if said is not None else (True if sandbox else entry.source.train_ok)
        licence = "synthetic" if sandbox else entry.source.licence
        scale, ttl = entry.source.popularity_scale, entry.source.ttl
        days = ttl.days if ttl and not sandbox else None
        rows.append((name, licence, train_ok, order.get(name, 99), scale, days))
    from_dumps = dumps(settings.paths.landing)
    for name, (licence, train_ok) in licences(settings.paths.landing).items():
        place = order.get("acousticbrainz", 90) if name in from_dumps else order.get("import", 99)
        rows.append((name, licence, train_ok, place, "0..100", None))
    return rows


def build_step(
    run: Run,
    select: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    on_model: Callable[[ModelResult], None] | None = None,
    *,
    full: bool = False,
) -> BuildResult:
    """Build a part of the SQL models with their tests; the results are noted even if a test fails.

    Raises:
        CheckFailed: a model or a test failed; nothing is published then.
    """
    with run.writer() as con:
        create_raw(con)
        con.execute("begin")
        con.execute("delete from raw.providers")
        con.executemany("insert into raw.providers values (?, ?, ?, ?, ?, ?)", provider_rows(run.settings))
        con.execute("commit")
    seen: list[ModelResult] = []

    def note(result: ModelResult) -> None:
        seen.append(result)
        if on_model:
            on_model(result)

    try:
        with building(run.settings.paths, select, exclude, lambda: _inputs(run)):
            return run_build(run.settings, select=select, exclude=exclude, full_refresh=full, on_model=note)
    finally:
        rows = [
            check_row(run, check.check, check.model, check.status, check.failures, check.message)
            for result in seen
            for check in result.checks
        ]
        run.ledger.insert(t.check_results, rows)
        run.facts.setdefault("models", []).extend(seen)


def build_all(run: Run, on_model: Callable[[ModelResult], None] | None = None, *, full: bool = False) -> int:
    """Staging, matching, then everything that stands on it; returns how many tables were built."""
    load_waiting(run)
    staged = build_step(run, ("staging",), on_model=on_model, full=full)
    match_step(run)
    built = build_step(run, exclude=("staging",), on_model=on_model, full=full)
    return len(staged.models) + len(built.models)


# --- publish ----------------------------------------------------------------------------------------------------------


def begin_release(run: Run) -> str:
    """Give the candidate its id, by which models and scores name what they were made from."""
    run.release_id = new_release_id(utcnow())
    return run.release_id


def publish_step(run: Run, *, force: bool = False) -> Release:
    """Publish the candidate as a release, note it, and let go of the oldest ones.

    Raises:
        CheckFailed: the candidate is not whole, or matching fell in the newest chart weeks; the old release stays.
        SoundScopeError: nothing was built yet.
    """
    release_id = run.release_id or begin_release(run)
    with run.writer() as con:
        require_whole(con, run.settings.paths)
    hold_back(run, force=force)
    row: dict[str, Any] = {
        "release_id": release_id, "run_id": run.run_id, "published_at": utcnow(), "schema_version": SCHEMA_VERSION,
        "fingerprint": candidate(run.settings.paths).built_from, "is_forced": force,
    }  # fmt: skip
    with run.writer() as con:
        ops = ops_tables(run, con, row)
    release = publish(run.settings, release_id, ops=ops, info={"run_id": run.run_id}, force=force)
    row["bytes"] = release.size
    run.ledger.insert(t.releases, [row])
    run.facts["published"] = release_id
    prune(run.settings, run.settings.retention.releases)
    return release
