"""The ledger: a small transactional database of what was planned, fetched, deferred, spent and published.

Cursors belong here, never in the data. Several processes write it at once: SQLite in WAL mode by default, Postgres by URL.
Which units there should be is decided in `plan.py`; how calls are rationed in `budget.py`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.dialects import postgresql, sqlite

from soundscope.errors import SoundScopeError
from soundscope.ingest import tables as t
from soundscope.ingest.claims import release
from soundscope.ingest.shared import SharedLanding, known, shared_landing
from soundscope.processes import is_running
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Unit

logging.getLogger("alembic").setLevel(logging.WARNING)
MIGRATIONS = Path(__file__).with_name("migrations")
_STATUS = {
    Outcome.OK: "done",
    Outcome.ABSENT: "absent",
    Outcome.FORBIDDEN: "forbidden",
    Outcome.RATE_LIMITED: "deferred",
    Outcome.QUOTA: "deferred",
    Outcome.ERROR: "failed",
}


def utcnow() -> datetime:
    """The instant, naive UTC, as the ledger and the warehouse keep it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Ledger:
    """Reads and writes the ledger. Safe to share between threads; open one per process.

    Args:
        url: SQLAlchemy address of the database.
        shared: the landing place shared with other machines, if there is one.
    Raises:
        SoundScopeError: the database cannot be opened or migrated.
    """

    def __init__(self, url: str, shared: SharedLanding | None = None) -> None:
        self.url = url
        self.shared = shared
        self._line: AbstractContextManager[Any] = threading.Lock() if url.startswith("sqlite") else nullcontext()
        connect_args: dict[str, Any] = {"timeout": 60, "check_same_thread": False} if url.startswith("sqlite") else {}
        self.engine = sa.create_engine(url, connect_args=connect_args)
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _sqlite_connect)
            sa.event.listen(self.engine, "begin", _sqlite_begin)
        try:
            self._migrate()
        except sa.exc.SQLAlchemyError as error:
            raise SoundScopeError(
                f"The ledger {self.engine.url.render_as_string(hide_password=True)} cannot be opened: {_first_line(error)}.",
                next_step="check the address (SOUNDSCOPE_LEDGER_URL) and that the database is running and not damaged; "
                "a damaged SQLite ledger can be set aside: the warehouse is rebuilt from landing.",
            ) from error

    @classmethod
    def open(cls, settings: Settings) -> Ledger:
        """The ledger of this installation, made or migrated if need be."""
        settings.paths.create()
        return cls(settings.ledger_url or f"sqlite:///{settings.paths.ledger}", shared_landing(settings))

    def close(self) -> None:
        """Release every connection."""
        self.engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.begin() as connection:
            # Two processes may start at once; one migrates, the other finds it done.
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.text("select pg_advisory_xact_lock(735201)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that writes; in SQLite it holds the write lock from its start, so it never fails half-way."""
        # SQLite's own waiting sleeps up to a tenth of a second; threads of one process line up here instead.
        with self._line, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for single reads, which never waits for a writer."""
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    # --- runs -------------------------------------------------------------------------------------------------------

    def start_run(self, command_line: str, profile: str) -> str:
        """Record that a run started; returns its id, which sorts by time."""
        run_id = f"{utcnow():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        row = {
            "run_id": run_id, "command": command_line, "profile": profile, "status": "running", "started_at": utcnow(),
            "host": socket.gethostname(), "pid": os.getpid(),
        }  # fmt: skip
        with self.begin() as connection:
            connection.execute(sa.insert(t.runs).values(**row))
        return run_id

    def end_run(self, run_id: str, status: str, message: str = "", release_id: str | None = None) -> None:
        """Record how a run ended."""
        with self.begin() as connection:
            connection.execute(
                sa.update(t.runs)
                .where(t.runs.c.run_id == run_id)
                .values(status=status, message=message, ended_at=utcnow(), release_id=release_id)
            )
            connection.execute(sa.delete(t.claims).where(t.claims.c.run_id == run_id))

    def close_dead_runs(self) -> int:
        """Mark runs of this machine whose process is gone as crashed; returns how many."""
        with self.begin() as connection:
            rows = connection.execute(
                sa.select(t.runs.c.run_id, t.runs.c.pid).where(
                    t.runs.c.status == "running", t.runs.c.host == socket.gethostname()
                )
            ).all()
            dead = [row.run_id for row in rows if not is_running(row.pid)]
            if dead:
                connection.execute(
                    sa.update(t.runs)
                    .where(t.runs.c.run_id.in_(dead))
                    .values(status="crashed", ended_at=utcnow(), message="the process ended without a word")
                )
                connection.execute(sa.delete(t.claims).where(t.claims.c.run_id.in_(dead)))
        return len(dead)

    # --- units ------------------------------------------------------------------------------------------------------

    def plan_units(self, units: Sequence[Unit]) -> None:
        """Remember that these units are wanted; one already known keeps its state, but takes the new priority."""
        now = utcnow()
        rows = [
            {
                "provider": u.provider, "kind": u.kind, "key": u.key, "status": "planned", "priority": u.priority,
                "payload": json.dumps(u.payload, ensure_ascii=False), "attempts": 0, "planned_at": now, "updated_at": now,
            }
            for u in units
        ]  # fmt: skip
        with self.begin() as connection:
            self.upsert(connection, t.units, rows, ["priority", "payload"])

    def due_units(self, provider: str, kind: str, now: datetime | None = None) -> list[Unit]:
        """Units to ask for now, most urgent first: planned ones, those whose retry is due and those gone stale."""
        now = now or utcnow()
        u = t.units.c
        retry_due = sa.or_(u.retry_at.is_(None), u.retry_at <= now)
        due = sa.or_(
            sa.and_(u.status.in_(["planned", "deferred", "failed"]), retry_due),
            sa.and_(u.status == "forbidden", u.retry_at.is_not(None), u.retry_at <= now),
            sa.and_(u.status == "absent", u.retry_at.is_not(None), u.retry_at <= now),
            sa.and_(u.status == "done", u.fresh_until.is_not(None), u.fresh_until <= now),
        )
        query = (
            sa.select(u.key, u.priority, u.payload, u.etag)
            .where(u.provider == provider, u.kind == kind, due)
            .order_by(u.priority, u.key)
        )
        with self.read() as connection:
            return [
                Unit(provider, kind, row.key, row.priority, json.loads(row.payload or "{}"), row.etag)
                for row in connection.execute(query)
            ]

    def unit_status(self, provider: str, kind: str) -> dict[str, str]:
        """Status of every unit of a kind, by key."""
        query = sa.select(t.units.c.key, t.units.c.status).where(t.units.c.provider == provider, t.units.c.kind == kind)
        with self.read() as connection:
            return {row.key: row.status for row in connection.execute(query)}

    def unit_rows(self, provider: str, kind: str) -> dict[str, Any]:
        """Every unit of a kind, by key: rows with status, updated_at and etag."""
        u = t.units.c
        query = sa.select(u.key, u.status, u.updated_at, u.etag).where(u.provider == provider, u.kind == kind)
        with self.read() as connection:
            return {row.key: row for row in connection.execute(query)}

    def unit_etag(self, provider: str, kind: str, key: str) -> str | None:
        """Entity tag of the answer held for a unit, or None."""
        u = t.units.c
        query = sa.select(u.etag).where(u.provider == provider, u.kind == kind, u.key == key, u.status == "done")
        with self.read() as connection:
            return connection.execute(query).scalar()

    def record(self, run_id: str, results: Iterable[Mapping[str, Any]], landed: Mapping[str, Any] | None = None) -> None:
        """Acknowledge what came of asking, together with the file it was landed in, in one transaction.

        Args:
            run_id: the run that asked.
            results: mappings with provider, kind, key, outcome and, where known, http_status, retry_at, fresh_until, etag, message.
            landed: a row of `landing_files`, or None if nothing was landed.
        Raises:
            StoreUnreachable: the shared store did not take the file; nothing was acknowledged.
        """
        now = utcnow()
        results = list(results)
        file = landed["landing_file"] if landed else None
        sent = self.shared.send(file) if file and self.shared else []
        with self.begin() as connection:
            if landed:
                row = {**landed, "store": self.shared.url if self.shared else None}
                self.upsert(connection, t.landing_files, [row], ["records", "bytes", "sha256", "store"])
            if sent:
                # What was purged may be landed again under the same name: a user's own file is named after its content.
                connection.execute(sa.delete(t.removed_files).where(t.removed_files.c.landing_file.in_(sent)))
            if not results:
                return
            attempts = [
                {"run_id": run_id, "attempted_at": now, "http_status": None, "retry_at": None, "message": None}
                | {k: v for k, v in r.items() if k in t.fetch_attempts.c} | {"outcome": str(r["outcome"])}
                for r in results
            ]  # fmt: skip
            connection.execute(sa.insert(t.fetch_attempts), attempts)
            counts = {
                (r.provider, r.kind, r.key): r.attempts or 0
                for r in self._units_of(connection, [(r["provider"], r["kind"], r["key"]) for r in results])
            }
            rows = []
            for r in results:
                outcome = Outcome(r["outcome"])
                tried = counts.get((r["provider"], r["kind"], r["key"]), 0) + 1
                rows.append({
                    "provider": r["provider"], "kind": r["kind"], "key": r["key"], "status": _STATUS[outcome],
                    "attempts": tried, "updated_at": now, "retry_at": r.get("retry_at") or _retry_at(outcome, tried, now),
                    # Of an answer that was of no use nobody should be told that it has not changed.
                    "fresh_until": r.get("fresh_until"), "etag": r.get("etag") if outcome is Outcome.OK else None, "http_status": r.get("http_status"),
                    "message": r.get("message"), "run_id": run_id, "landing_file": file, "priority": r.get("priority", 0.0),
                    "payload": json.dumps(r.get("payload") or {}, ensure_ascii=False), "planned_at": now,
                })  # fmt: skip
            self.upsert(
                connection, t.units, rows,
                ["status", "attempts", "updated_at", "retry_at", "fresh_until", "etag", "http_status", "message", "run_id", "landing_file"],
            )  # fmt: skip
            release(connection, run_id, [(r["provider"], r["kind"], r["key"]) for r in results])

    def forget_files(self, names: Sequence[str]) -> None:
        """Landing files that are gone: the units they settled are planned anew."""
        with self.begin() as connection:
            for name in names:
                connection.execute(
                    sa.update(t.units)
                    .where(t.units.c.landing_file == name)
                    .values(status="planned", etag=None, fresh_until=None, retry_at=None, landing_file=None)
                )
                connection.execute(sa.delete(t.landing_files).where(t.landing_files.c.landing_file == name))

    def remove_files(self, names: Sequence[str]) -> None:
        """Landing files that are removed on purpose: as `forget_files`, and other machines that share landing will remove theirs."""
        self.forget_files(names)
        if self.shared:
            rows = [{"landing_file": name, "removed_at": utcnow(), "store": self.shared.url} for name in names]
            with self.begin() as connection:
                self.upsert(connection, t.removed_files, rows, ["removed_at", "store"])

    def refresh_file(self, name: str, row: Mapping[str, Any]) -> None:
        """A landed file was rewritten: its size and hash are new. `settle_store` brings it into the shared store."""
        values = {key: row[key] for key in ("records", "bytes", "sha256")}
        if self.shared:
            values |= {"store": None, "rewritten_at": utcnow()}
        with self.begin() as connection:
            connection.execute(sa.update(t.landing_files).where(t.landing_files.c.landing_file == name).values(**values))

    def store_lacks(self, names: Collection[str]) -> None:
        """The shared store turned out not to have these landed files whole: whichever machine has them copies them again."""
        if names:
            with self.begin() as connection:
                for name in names:
                    connection.execute(
                        sa.update(t.landing_files).where(t.landing_files.c.landing_file == name).values(store=None)
                    )

    def settle_store(self) -> tuple[int, int]:
        """Bring the shared store up to what the ledger says: copy what it has not, as far as this machine has it, and remove what must go.

        Safe to repeat; after a death, or with a store that is new, the next run does the rest.

        Returns:
            Files copied, and removed.
        Raises:
            StoreUnreachable: the store did not answer.
        """
        if self.shared is None:
            return 0, 0
        with self.read() as connection:
            noted = known(connection)
        sent = [
            name for name, row in noted.files.items() if row.store != self.shared.url and self.shared.has_whole(name, row.sha256)
        ]
        f, r = t.landing_files.c, t.removed_files.c
        for name in sent:
            self.shared.send(name)
            # Another machine may have rewritten it meanwhile: then it waits for the next time.
            is_same = sa.and_(f.landing_file == name, f.sha256 == noted.files[name].sha256)
            with self.begin() as connection:
                connection.execute(sa.update(t.landing_files).where(is_same).values(store=self.shared.url))
        leaving = sorted(set(noted.leaving) - set(noted.files))
        self.shared.store.remove(leaving)
        with self.begin() as connection:
            for name in leaving:
                connection.execute(sa.update(t.removed_files).where(r.landing_file == name).values(store=None))
        return len(sent), len(leaving)

    def forget_units(self, provider: str, kind: str) -> None:
        """Everything noted about units of a kind is forgotten."""
        with self.begin() as connection:
            connection.execute(sa.delete(t.units).where(t.units.c.provider == provider, t.units.c.kind == kind))

    def withdraw(self, provider: str, kind: str, wanted: Collection[str]) -> None:
        """Units that wait to be asked for and are wanted no more are forgotten; answers that were had stay noted."""
        u = t.units.c
        waiting = sa.and_(u.provider == provider, u.kind == kind, u.status.in_(["planned", "deferred", "failed"]))
        with self.begin() as connection:
            known: set[str] = set(connection.execute(sa.select(u.key).where(waiting)).scalars())
            for key in known - set(wanted):
                connection.execute(sa.delete(t.units).where(waiting, u.key == key))

    def _units_of(self, connection: sa.Connection, keys: Sequence[tuple[str, str, str]]) -> Iterator[Any]:
        by_kind: dict[tuple[str, str], list[str]] = {}
        for provider, kind, key in keys:
            by_kind.setdefault((provider, kind), []).append(key)
        u = t.units.c
        for (provider, kind), names in by_kind.items():
            for start in range(0, len(names), 500):
                some = names[start : start + 500]
                yield from connection.execute(
                    sa.select(u.provider, u.kind, u.key, u.attempts).where(
                        u.provider == provider, u.kind == kind, u.key.in_(some)
                    )
                )

    def upsert(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[dict[str, Any]],
        update: Sequence[str],
    ) -> None:
        """Insert rows, or update the named columns of those whose key is already there."""
        insert = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        if not rows:
            return
        statement = insert(table)
        statement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: statement.excluded[name] for name in update},
        )
        connection.execute(statement, rows)

    # --- capabilities, releases, checks -----------------------------------------------------------------------------

    def save_capabilities(self, provider: str, account: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Remember what a provider allows; `rows` carry capability, is_allowed, reason and instead."""
        now = utcnow()
        full = [{"provider": provider, "account": account, "checked_at": now, **row} for row in rows]
        with self.begin() as connection:
            self.upsert(connection, t.capabilities, full, ["is_allowed", "reason", "instead", "checked_at"])

    def capabilities(self, provider: str, account: str, max_age: timedelta) -> dict[str, bool] | None:
        """What the provider allows, if that was asked within `max_age`; else None."""
        c = t.capabilities.c
        query = sa.select(c.capability, c.is_allowed).where(
            c.provider == provider, c.account == account, c.checked_at >= utcnow() - max_age
        )
        with self.read() as connection:
            found = {row.capability: bool(row.is_allowed) for row in connection.execute(query)}
        return found or None

    def insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to one of the ledger's tables."""
        if rows:
            with self.begin() as connection:
                connection.execute(sa.insert(table), [dict(row) for row in rows])

    def last_release(self, among: Collection[str] | None = None) -> dict[str, Any] | None:
        """The newest published release as the ledger knows it, or None; with `among`, of those ids: other machines publish theirs."""
        query = sa.select(t.releases).order_by(t.releases.c.published_at.desc()).limit(1)
        if among is not None:
            query = query.where(t.releases.c.release_id.in_(list(among)))
        with self.read() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None


def account_of(*secrets: str) -> str:
    """A short hash that tells accounts apart without naming them."""
    return hashlib.sha256("\x1f".join(secrets).encode()).hexdigest()[:12] if any(secrets) else "none"


def _retry_at(outcome: Outcome, attempts: int, now: datetime) -> datetime | None:
    """When to ask again by itself: errors after minutes, absences after a growing while up to half a year."""
    if outcome is Outcome.ABSENT:
        return now + timedelta(days=min(7 * 2 ** (attempts - 1), 180))
    if outcome is Outcome.FORBIDDEN:
        return now + timedelta(days=1)
    return None


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_sqlite_begin`, not by the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=60000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
