"""Models and a purge: which were trained on what a provider gave, and how nothing but the verdict on them is left.

A model counts as trained on a provider's rows if its card names the provider, or if it saw a track of which the provider said anything:
features, labels, popularity or names. One whose card cannot be read is taken for one of them.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import duckdb
import pandas as pd

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing
from soundscope.ingest.raw_schema import RAW
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.run import Run
from soundscope.pipeline.shared_models import remove_models
from soundscope.sources.internal import PROVIDER

# What a model has said, of single tracks and of its input.
SAID = ("predictions", "explanations", "drift")


def trained_on(run: Run, con: duckdb.DuckDBPyConnection, provider: str) -> list[str]:
    """Ids of the stored models that were trained on rows of a provider; to be asked while the built tables still stand."""
    folder = run.settings.paths.models
    names = (
        sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        if folder.exists()
        else []
    )
    if not names:
        return []
    from soundscope.genre import registry

    told = pd.Series(sorted(_told_of(con, provider)), dtype=object)
    found = []
    for name in names:
        try:
            providers = registry.read_card(folder, name).get("providers")
        except SoundScopeError:
            providers = None
        if not isinstance(providers, dict) or provider in providers or registry.has_seen(folder, name, told).any():
            found.append(name)
    return found


def take_back(run: Run, con: duckdb.DuckDBPyConnection, models: list[str], provider: str) -> None:
    """Remove the files of models and what they said, out of raw tables and landing, and land the verdict that they are retired."""
    if not models:
        return
    con.execute("create or replace temp table taken_back as select unnest(?) as model_id", [models])
    files: set[str] = set()
    for table in SAID:
        where = f"raw.{table}.model_id in (select model_id from taken_back)"
        files |= {row[0] for row in con.execute(f"select distinct landing_file from raw.{table} where {where}").fetchall()}
        con.execute(f"delete from raw.{table} where {where}")
    columns = ", ".join(RAW["model_runs"].columns)
    runs = con.execute(
        f"select {columns} from raw.model_runs where model_id in (select model_id from taken_back) "
        "qualify row_number() over (partition by model_id order by fetched_at desc, row_no desc) = 1"
    ).df()
    con.execute("drop table taken_back")
    root, gone = run.settings.paths.landing, set(models)
    for name in sorted(files):
        if name.startswith(f"{PROVIDER}/") and (root / name).exists():
            run.ledger.refresh_file(name, landing.rewrite(root / name, lambda line: _without(line, gone)))
    # The store first: killed in between, what is here still says which models they are.
    remove_models(run, models)
    for model_id in models:
        shutil.rmtree(run.settings.paths.models / model_id)
    if len(runs):
        reason = f"trained on rows of {provider}, which were purged; its file is removed"
        runs = runs.assign(is_champion=False, verdict="retired", reason=reason)
        land_frames(run.settings, run.ledger, run.run_id, "train", [("model_runs", runs)])


def said_by(con: duckdb.DuckDBPyConnection, models: list[str]) -> int:
    """Raw rows that models have said."""
    counted = " union all ".join(
        f"select count(*) as n from raw.{table} where model_id in (select unnest($models))" for table in SAID
    )
    row = con.execute(f"select sum(n) from ({counted})", {"models": models}).fetchone()
    return int(row[0]) if row else 0


def _told_of(con: duckdb.DuckDBPyConnection, provider: str) -> set[str]:
    """Tracks of which a provider has said anything, by the built tables that say who said it."""
    tables: list[tuple[str, str]] = con.execute(
        "select schema_name, table_name from duckdb_columns() where database_name = current_database() and schema_name <> 'raw' "
        "group by all having list_has_all(list(column_name), ['track_id', 'provider'])"
    ).fetchall()
    found: set[str] = set()
    for schema, table in tables:
        asked = con.execute(
            f'select distinct track_id from "{schema}"."{table}" where provider = ? and track_id is not null', [provider]
        )
        found |= {row[0] for row in asked.fetchall()}
    return found


def _without(line: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    document = json.loads(line["body"])
    # Positions stay as they were, so that a replay gives the same row numbers.
    kept = [
        None if isinstance(row, dict) and line["kind"] in SAID and row.get("model_id") in gone else row
        for row in document["rows"]
    ]
    return landing.with_body(line, json.dumps({**document, "rows": kept}, ensure_ascii=False, separators=(",", ":")))
