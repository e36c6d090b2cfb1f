"""Taking back what came from one provider: landed files, raw rows, the ledger's notes and what was derived; and values past their time.

Landing is immutable but for this: a provider whose terms end, or whose values expire, must leave no trace. Counts before and after prove it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from soundscope.errors import BadInput
from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import load_new
from soundscope.ingest.raw_schema import RAW
from soundscope.ingest.typed import create_raw
from soundscope.pipeline import purge_models
from soundscope.pipeline.run import Run
from soundscope.sources.internal import PROVIDER
from soundscope.sources.registry import SOURCES
from soundscope.warehouse.releases import list_releases, prune
from soundscope.warehouse.spark import SparkTables

_RAW = (*RAW, "quarantine")
# Raw tables whose rows name tracks that another table made known.
_NAMING = ("track_links", "recordings", "predictions")
_KEEP_SCHEMAS = ("raw", "main", "information_schema", "pg_catalog")


@dataclass
class Purged:
    """What a purge took away: things held before and after, by name, and what is left for somebody to do."""

    provider: str
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    next_step: str = ""


def purge(run: Run, provider: str) -> Purged:
    """Remove everything that came from a provider.

    Landing files, raw rows, the ledger's notes, the built tables of the private warehouse (they are made anew by the next run) and every
    release but the current one, which is replaced by the next publish. Links, recordings and predictions of tracks that nobody else knows
    go with them, and so do models that were trained on its rows, with all that they said; the next run trains a new one.

    Args:
        run: an open run that holds the writer lock, so that no other run is under way.
        provider: its name, or `import:<dataset>`.
    Raises:
        BadInput: nothing was ever had of such a provider.
    """
    if provider == PROVIDER or not (provider in SOURCES or provider.startswith("import:")):
        raise BadInput(f"There is no provider {provider!r}.", next_step=f"say one of {', '.join(SOURCES)}, or import:<dataset>.")
    with run.writer() as con:
        create_raw(con)
        models = purge_models.trained_on(run, con, provider)
        result = Purged(provider, before=_counts(run, con, provider, models))
        if not any(result.before.values()):
            imports = run.settings.paths.landing / "import"
            held = sorted(path.name for path in imports.iterdir() if path.is_dir()) if imports.exists() else []
            raise BadInput(
                f"Nothing was ever had of {provider}; nothing was removed.",
                next_step=f"imported datasets are: {', '.join(held) or 'none'}.",
            )
        known_before = _known_ids(con)
        con.execute("begin")
        for table in _RAW:
            con.execute(f"delete from raw.{table} where provider = ?", [provider])
        con.execute("delete from raw.loaded_files where starts_with(landing_file, ?)", [_folder(provider) + "/"])
        con.execute("commit")
        gone = known_before - _known_ids(con)
        _forget_named(run, con, gone)
        purge_models.take_back(run, con, models, provider)
        _drop_built(con)
        SparkTables(run.settings).remove()
        con.execute("checkpoint")
        _forget_ledger(run, provider)
        shutil.rmtree(run.settings.paths.landing / _folder(provider), ignore_errors=True)
        run.ledger.settle_store()
        # The verdict on the models; only now, or what is purged would be loaded again with it.
        load_new(con, run.settings.paths.landing)
        prune(run.settings, 1)
        result.after = _counts(run, con, provider, models)
    left = result.after.get("rows in releases", 0)
    shown = f"the current release still shows {left:,} rows of it: " if left else ""
    result.next_step = f"{shown}soundscope run --rebuild --force publishes without it, then soundscope purge --provider {provider} removes the old one"
    if not left:
        result.next_step = "soundscope run --rebuild builds the tables anew"
    return result


def expire(run: Run, now: datetime | None = None, only: dict[str, timedelta] | None = None) -> dict[str, int]:
    """Remove what is older than its provider lets it be kept; what is still wanted is planned anew.

    A landed file goes as a whole: its answers came within minutes of each other.

    Args:
        run: an open run that holds the writer lock.
        now: the instant (UTC) to judge by.
        only: provider -> time to live instead of those the sources state; these apply in live use alone, synthetic values do not expire.
    Returns:
        Files removed per provider.
    """
    stated = {name: entry.source.ttl for name, entry in SOURCES.items() if entry.source.ttl is not None}
    lives: dict[str, timedelta] = only if only is not None else stated if run.settings.profile == "live" else {}
    removed: dict[str, int] = {}
    for provider, ttl in lives.items():
        limit = (now or utcnow()) - ttl
        root = run.settings.paths.landing
        old = (
            [path for path in landing.files(root / _folder(provider)) if landed_at(path) < limit]
            if (root / _folder(provider)).exists()
            else []
        )
        names = [path.relative_to(root).as_posix() for path in old]
        if not names:
            continue
        with run.writer() as con:
            create_raw(con)
            con.execute("begin")
            for table in _RAW:
                con.execute(f"delete from raw.{table} where landing_file in (select unnest(?))", [names])
            con.execute("delete from raw.loaded_files where landing_file in (select unnest(?))", [names])
            con.execute("commit")
        run.ledger.remove_files(names)
        for path in old:
            path.unlink()
        run.ledger.settle_store()
        removed[provider] = len(names)
    if removed:
        # The private file is built anew by the run that asked for this; Spark's tables only when somebody builds there again.
        SparkTables(run.settings).remove()
    return removed


def landed_at(path: Path) -> datetime:
    """When a landing file was begun (UTC): its name begins with that instant, which a copy of the warehouse keeps."""
    return datetime.strptime(path.name[:15], "%Y%m%dT%H%M%S")


def _folder(provider: str) -> str:
    return provider.replace(":", "/", 1)


def _known_ids(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Ids by which tracks are called, as far as a raw row carries them itself."""
    parts = " union ".join(
        f"select 'spotify:' || spotify_id from raw.{table} where spotify_id is not null union "
        f"select 'isrc:' || isrc from raw.{table} where isrc is not null union "
        f"select provider || ':' || source_id from raw.{table} where source_id is not null"
        for table in ("tracks", "audio_features")
    )
    return {row[0] for row in con.execute(parts).fetchall()}


def _forget_named(run: Run, con: duckdb.DuckDBPyConnection, gone: set[str]) -> None:
    """Links, recordings and predictions of tracks that nobody knows any more, out of raw tables and landing."""
    if not gone:
        return
    con.execute("create or replace temp table gone as select unnest(?) as track_id", [sorted(gone)])
    files: set[str] = set()
    for table in _NAMING:
        where = f"raw.{table}.track_id in (select track_id from gone)"
        files |= {row[0] for row in con.execute(f"select distinct landing_file from raw.{table} where {where}").fetchall()}
        con.execute(f"delete from raw.{table} where {where}")
    con.execute("drop table gone")
    root = run.settings.paths.landing
    for name in sorted(files):
        if name.startswith(f"{PROVIDER}/") and (root / name).exists():
            run.ledger.refresh_file(name, landing.rewrite(root / name, lambda line: _without(line, gone)))
    # What was matched is to be matched again, whatever its inputs' hash.
    run.ledger.forget_units(PROVIDER, "match")


def _without(line: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    document = json.loads(line["body"])
    rows = document.get("rows", [])
    # Positions stay as they were, so that a replay gives the same row numbers.
    kept = [None if isinstance(row, dict) and row.get("track_id") in gone else row for row in rows]
    return landing.with_body(line, json.dumps({**document, "rows": kept}, ensure_ascii=False, separators=(",", ":")))


def _drop_built(con: duckdb.DuckDBPyConnection) -> None:
    names = con.execute(
        "select distinct schema_name from duckdb_schemas() where database_name = current_database() and not internal"
    ).fetchall()
    for (name,) in names:
        if name not in _KEEP_SCHEMAS:
            con.execute(f'drop schema "{name}" cascade')


def _forget_ledger(run: Run, provider: str) -> None:
    folder, f = f"{_folder(provider)}/", t.landing_files.c
    with run.ledger.begin() as connection:
        noted: set[str] = set(
            connection.execute(sa.select(f.landing_file).where(f.landing_file.startswith(folder, autoescape=True))).scalars()
        )
        for table in (t.units, t.fetch_attempts, t.landing_files, t.capabilities):
            owner = table.c.provider
            connection.execute(sa.delete(table).where(owner == provider))
        connection.execute(sa.delete(t.landing_files).where(f.landing_file.startswith(folder, autoescape=True)))
    root = run.settings.paths.landing
    here = {path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file()}
    there = set(run.ledger.shared.store.sizes(folder)) if run.ledger.shared else set()
    run.ledger.remove_files(sorted(noted | here | there))


def _counts(run: Run, con: duckdb.DuckDBPyConnection, provider: str, models: list[str]) -> dict[str, int]:
    """How much there is of a provider: files, raw rows, notes in the ledger, rows of built tables and of releases."""
    folder = run.settings.paths.landing / _folder(provider)
    found = {"landing files": sum(1 for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0}
    if run.ledger.shared:
        found["files in the shared store"] = len(run.ledger.shared.store.sizes(f"{_folder(provider)}/"))
    for table in _RAW:
        found[f"raw.{table}"] = _one(con, f"select count(*) from raw.{table} where provider = ?", provider)
    found["models trained on it"] = sum((run.settings.paths.models / model_id).exists() for model_id in models)
    found["rows said by those models"] = purge_models.said_by(con, models)
    with run.ledger.read() as connection:
        for noted in (t.units, t.fetch_attempts, t.landing_files, t.capabilities):
            query = sa.select(sa.func.count()).select_from(noted).where(noted.c.provider == provider)
            found[f"ledger {noted.name}"] = int(connection.execute(query).scalar_one())
    found["rows in built tables"] = sum(n for schema, n in _rows_by_provider(con, provider) if schema not in _KEEP_SCHEMAS)
    found["rows in releases"] = 0
    for release in list_releases(run.settings):
        with closing(duckdb.connect(str(release.path), read_only=True)) as shown:
            found["rows in releases"] += sum(n for schema, n in _rows_by_provider(shown, provider) if schema != "ops")
    return {name: n for name, n in found.items() if n or name in ("landing files", "rows in built tables", "rows in releases")}


def _rows_by_provider(con: duckdb.DuckDBPyConnection, provider: str) -> Iterator[tuple[str, int]]:
    columns: Iterable[tuple[str, str, str]] = con.execute(
        "select c.schema_name, c.table_name, c.column_name from duckdb_columns() c join duckdb_tables() t using (database_name, schema_name, table_name) "
        "where c.database_name = current_database() and c.column_name in ('provider', 'feature_provider') and not c.internal"
    ).fetchall()
    for schema, table, column in columns:
        yield schema, _one(con, f'select count(*) from "{schema}"."{table}" where "{column}" = ?', provider)


def _one(con: duckdb.DuckDBPyConnection, sql: str, value: str) -> int:
    row = con.execute(sql, [value]).fetchone()
    return int(row[0]) if row else 0
