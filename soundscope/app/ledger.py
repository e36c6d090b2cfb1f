"""The ledger as it is now, for runs that published nothing: opened so that it cannot be written. What a release says is in `source`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pandas as pd
import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.settings import Settings

WAITING = ("planned", "deferred", "failed")


def newest_runs(settings: Settings, last: int = 20) -> Any:
    """The last runs, newest first; no rows where there is no ledger that can be read."""
    return _read(settings, sa.select(t.runs).order_by(t.runs.c.started_at.desc()).limit(last))


def waiting_units(settings: Settings) -> Any:
    """What is still to be fetched: provider, kind, status, units, asked_again_at (the earliest instant, UTC, NaT for now)."""
    u = t.units.c
    query = (
        sa.select(u.provider, u.kind, u.status, sa.func.count().label("units"), sa.func.min(u.retry_at).label("asked_again_at"))
        .where(u.status.in_(WAITING))
        .group_by(u.provider, u.kind, u.status)
        .order_by(u.provider, u.kind, u.status)
    )
    return _read(settings, query)


def calls_since(settings: Settings, since: float) -> dict[tuple[str, str], int]:
    """Calls per provider and account that were sent since an instant (seconds since 1970)."""
    r = t.requests.c
    rows = _read(
        settings,
        sa.select(r.provider, r.account, sa.func.count().label("n")).where(r.sent_at > since).group_by(r.provider, r.account),
    )
    return {(str(row.provider), str(row.account)): int(row.n) for row in rows.itertuples()} if len(rows) else {}


def dashboard(settings: Settings) -> str | None:
    """Address of the dashboard while `soundscope up` runs, else None."""
    try:
        state: Any = json.loads((settings.paths.private / "up.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    address = state.get("dashboard") if isinstance(state, dict) else None
    return address if isinstance(address, str) and address.startswith("http://127.0.0.1:") else None


def _read(settings: Settings, query: sa.Select[Any]) -> Any:
    columns = [column.name for column in query.selected_columns]
    url = settings.ledger_url or f"sqlite:///file:{quote(str(settings.paths.ledger))}?mode=ro&uri=true"
    if settings.ledger_url is None and not settings.paths.ledger.exists():
        return pd.DataFrame(columns=columns)
    engine = sa.create_engine(url, connect_args={"timeout": 2} if url.startswith("sqlite") else {})
    try:
        with engine.connect() as connection:
            result = connection.execution_options(isolation_level="AUTOCOMMIT").execute(query)
            return pd.DataFrame(result.all(), columns=columns)
    except sa.exc.DBAPIError:
        # Locked for a moment, or of another version: what the release says still holds, and `soundscope runs` says what is wrong.
        return pd.DataFrame(columns=columns)
    finally:
        engine.dispose()
