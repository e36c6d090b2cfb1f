"""The ledger as tables: `ops.*` of a release, and the same frames for commands that read the ledger itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.raw_schema import COMMON, QUARANTINE_TABLE
from soundscope.ingest.session import account, in_force
from soundscope.settings import Settings
from soundscope.sources.registry import SOURCES
from soundscope.warehouse.publish import OpsTable

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run

STALE_DAYS = 14
# Attempts and checks older than this stay in the ledger and leave the releases, so that these do not grow for ever.
_KEEP_DAYS = 90
_TYPES = {sa.Integer: "BIGINT", sa.BigInteger: "BIGINT", sa.Boolean: "BOOLEAN", sa.DateTime: "TIMESTAMP", sa.Float: "DOUBLE"}


def ops_tables(run: Run, con: duckdb.DuckDBPyConnection, release: Mapping[str, Any]) -> dict[str, OpsTable]:
    """Every table of `ops` for a release that is about to be published.

    Args:
        run: the run that publishes.
        con: the private warehouse.
        release: the release's own row, which the ledger learns only once it is out.
    """
    releases = ledger_table(run.ledger, t.releases)
    frame = (
        pd.concat([releases.frame, pd.DataFrame([dict(release)])], ignore_index=True)
        if len(releases.frame)
        else pd.DataFrame([dict(release)])
    )
    frame = frame.reindex(columns=[column.name for column in t.releases.columns])
    return {
        "releases": OpsTable(frame, releases.comment, releases.column_comments, releases.column_types),
        "runs": ledger_table(run.ledger, t.runs),
        "fetch_attempts": ledger_table(run.ledger, t.fetch_attempts, "attempted_at"),
        "check_results": ledger_table(run.ledger, t.check_results, "checked_at"),
        "capabilities": _as_of(run, ledger_table(run.ledger, t.capabilities)),
        "request_budget": _as_of(run, request_budget(run.settings, run.ledger, run.urls)),
        "freshness": _as_of(run, freshness(run.ledger, con)),
        "quarantine": _quarantine(con),
    }


def _as_of(run: Run, table: OpsTable) -> OpsTable:
    """A table of what holds now, with the run that found it so."""
    comments = {**table.column_comments, "run_id": "The run that published this: what is said here held then."}
    return OpsTable(table.frame.assign(run_id=run.run_id), table.comment, comments, {**table.column_types, "run_id": "VARCHAR"})


def ledger_table(ledger: Ledger, table: sa.Table, newest_by: str | None = None) -> OpsTable:
    """One table of the ledger with its comments; with `newest_by`, its last 90 days."""
    query = sa.select(table)
    if newest_by:
        query = query.where(table.c[newest_by] >= utcnow() - pd.Timedelta(days=_KEEP_DAYS).to_pytimedelta())
    with ledger.read() as connection:
        result = connection.execute(query)
        frame = pd.DataFrame(result.all(), columns=list(result.keys()))
    types = {column.name: _duckdb_type(column.type) for column in table.columns}
    return OpsTable(frame, table.comment or "", {column.name: column.comment or "" for column in table.columns}, types)


def _duckdb_type(kind: sa.types.TypeEngine[Any]) -> str:
    return next((name for parent, name in _TYPES.items() if isinstance(kind, parent)), "VARCHAR")


def request_budget(settings: Settings, ledger: Ledger, urls: Mapping[str, str]) -> OpsTable:
    """Calls made and left in each provider's rolling quota window."""
    now = time.time()
    rows = []
    for name in SOURCES:
        whose = account(settings, name, urls)
        said = in_force(settings, ledger, name, whose)
        mine = sa.and_(
            t.requests.c.provider == name, t.requests.c.account == whose, t.requests.c.sent_at > now - said.quota_window_s
        )
        with ledger.read() as connection:
            used = int(connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one())
            hold = connection.execute(
                sa.select(t.holds.c.until, t.holds.c.reason).where(
                    t.holds.c.provider == name, t.holds.c.account == whose, t.holds.c.until > now
                )
            ).first()
        rows.append({
            "provider": name, "account": whose, "used": used, "budget": said.quota,
            "remaining": None if said.quota is None else max(0, said.quota - used), "window_hours": said.quota_window_s / 3600,
            "rate": said.rate, "rate_window_s": said.window_s,
            "held_until": pd.Timestamp(hold.until, unit="s") if hold else pd.NaT, "held_for": hold.reason if hold else None,
        })  # fmt: skip
    comments = {
        "provider": "Who is called.", "account": "Hash of the account whose budget it is.", "used": "Calls in the window so far.",
        "budget": "Calls allowed in the window; NULL without a limit.", "remaining": "Calls left; NULL without a limit.",
        "window_hours": "Length of the rolling window in hours.", "rate": "Calls allowed in the short window; NULL without a limit.",
        "rate_window_s": "Length of the short window in seconds.", "held_until": "No call before this instant (UTC); the provider said so.",
        "held_for": "Why: quota or rate limit.",
    }  # fmt: skip
    types = {
        "used": "BIGINT",
        "budget": "BIGINT",
        "remaining": "BIGINT",
        "rate": "BIGINT",
        "held_until": "TIMESTAMP",
        "held_for": "VARCHAR",
    }
    return OpsTable(pd.DataFrame(rows), "Calls made and left per provider; one row per provider and account.", comments, types)


def freshness(ledger: Ledger, con: duckdb.DuckDBPyConnection | None) -> OpsTable:
    """How new what is held is: charts by the date of their newest week, everything else by when it was last fetched."""
    now = utcnow()
    rows: list[dict[str, Any]] = []
    if con is not None:
        query = "select chart, max(chart_date), max(fetched_at), count(*), bool_or(not starts_with(provider, 'import:')) from raw.chart_entries group by chart order by chart"
        for chart, newest, fetched_at, n, is_fetched in con.execute(query).fetchall():
            age = (now.date() - newest).days
            rows.append(
                {
                    "subject": chart,
                    "kind": "chart",
                    "newest_date": newest,
                    "fetched_at": fetched_at,
                    "age_days": age,
                    "n_rows": n,
                    "n_waiting": 0,
                    "is_stale": is_fetched and age > STALE_DAYS,
                }
            )
    u = t.units.c
    held = sa.func.max(sa.case((u.status == "done", u.updated_at)))
    waiting = sa.func.sum(sa.case((u.status.in_(["planned", "deferred", "failed"]), 1), else_=0))
    with ledger.read() as connection:
        for row in connection.execute(sa.select(u.provider, u.kind, held, waiting, sa.func.count()).group_by(u.provider, u.kind)):
            provider, kind, fetched_at, n_waiting, n = tuple[str, str, Any, int, int](row)
            age = (now - fetched_at).days if fetched_at else None
            rows.append(
                {
                    "subject": provider,
                    "kind": kind,
                    "newest_date": None,
                    "fetched_at": fetched_at,
                    "age_days": age,
                    "n_rows": n,
                    "n_waiting": n_waiting,
                }
            )
    columns = ["subject", "kind", "newest_date", "fetched_at", "age_days", "n_rows", "n_waiting", "is_stale"]
    frame = pd.DataFrame(rows, columns=columns)
    # A list that somebody imported once grows no older than it is.
    frame["is_stale"] = frame["is_stale"].eq(True)
    comments = {
        "subject": "Chart or provider.", "kind": "chart, or what the provider is asked for.", "newest_date": "Date of the newest chart held.",
        "fetched_at": "When something was last fetched (UTC).", "age_days": "Days since the newest chart, or since the last fetch.",
        "n_rows": "Chart entries held, or units known.", "n_waiting": "Units still to be fetched: planned, deferred or failed.",
        "is_stale": f"The newest chart is older than {STALE_DAYS} days, of a chart that is fetched and not imported.",
    }  # fmt: skip
    types = {
        "newest_date": "DATE",
        "fetched_at": "TIMESTAMP",
        "age_days": "BIGINT",
        "n_rows": "BIGINT",
        "n_waiting": "BIGINT",
        "is_stale": "BOOLEAN",
    }
    return OpsTable(frame, "How new what is held is; one row per chart, and per provider and kind.", comments, types)


def _quarantine(con: duckdb.DuckDBPyConnection) -> OpsTable:
    frame = con.execute("select * from raw.quarantine order by landing_file, row_no, table_name, field").df()
    comments = {name: column.comment for name, column in {**QUARANTINE_TABLE.columns, **COMMON}.items()}
    types = {name: column.type for name, column in {**QUARANTINE_TABLE.columns, **COMMON}.items()}
    return OpsTable(frame, QUARANTINE_TABLE.comment, comments, types)
