"""What may be wrong with what everything else can be made anew from: the ledger, and the landed files that it names. Changes nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import MIGRATIONS, utcnow
from soundscope.ingest.shared import hash_of as sha256
from soundscope.pipeline.finding import Finding
from soundscope.processes import is_running
from soundscope.settings import Settings
from soundscope.sources.internal import PROVIDER

_FIX = "soundscope doctor --fix"


def check_ledger(settings: Settings) -> Iterator[Finding]:
    """Whether the ledger can be read, is whole, and is of a version that this SoundScope knows."""
    if not settings.ledger_url and not settings.paths.ledger.exists():
        yield Finding("ledger", "database", "off", "there is none yet", "the next run makes it, from landing if there is any")
        return
    try:
        with reading(settings) as connection:
            yield from _database(connection, _name(settings))
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        instead = (
            "is the database running, and the address right (SOUNDSCOPE_LEDGER_URL)?"
            if settings.ledger_url
            else f"the next run or {_FIX} sets it aside and makes it anew from landing; its history of runs and spent budget are lost"
        )
        yield Finding("ledger", "database", "trouble", f"{_name(settings)} cannot be read: {reason}", instead)


def _database(connection: sa.Connection, where: str) -> Iterator[Finding]:
    if connection.dialect.name == "sqlite":
        verdict = str(connection.execute(sa.text("pragma quick_check(1)")).scalar())
        if verdict != "ok":
            words = f"{where} is damaged: {verdict.splitlines()[0]}"
            yield Finding("ledger", "database", "trouble", words, f"the next run or {_FIX} makes it anew from landing")
            return
    if not sa.inspect(connection).has_table("alembic_version"):
        yield Finding("ledger", "database", "off", f"{where} is empty yet", "the next run fills it, from landing if there is any")
        return
    version = str(connection.execute(sa.text("select version_num from alembic_version")).scalar())
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    if version not in known:
        words = f"{where} has schema {version}, which this version of SoundScope does not know: a newer one made it"
        instead = "install that version again, or set the file aside: a new one is made from landing"
        yield Finding("ledger", "database", "trouble", words, instead)
        return
    if version != known[0]:
        yield Finding("ledger", "database", "leftover", f"{where} has schema {version}", f"the next run brings it to {known[0]}")
    else:
        yield Finding("ledger", "database", "ok", f"{where}, schema {version}")
    yield from _runs(connection)


def _runs(connection: sa.Connection) -> Iterator[Finding]:
    r = t.runs.c
    here = sa.select(r.run_id, r.pid).where(r.status == "running", r.host == socket.gethostname())
    dead = [row.run_id for row in connection.execute(here) if not is_running(row.pid)]
    if dead:
        words = f"{len(dead)} runs claim to be going on and have no process: {', '.join(dead[:3])}"
        yield Finding("ledger", "runs", "leftover", words, f"the next run or {_FIX} notes that they crashed")
    recent = sa.select(sa.func.count()).where(r.status == "crashed", r.started_at >= utcnow() - timedelta(days=7))
    if crashed := connection.execute(recent).scalar_one():
        words = f"{crashed} runs ended without a word in the last 7 days"
        yield Finding("ledger", "crashed runs", "ok", words, "`soundscope runs` lists them; what they landed is kept")


def check_landing(settings: Settings) -> Iterator[Finding]:
    """Whether the landed files are there, and their bytes those that were landed."""
    root = settings.paths.landing
    try:
        with reading(settings) as connection:
            f, u = t.landing_files.c, t.units.c
            known = {row.landing_file: row.sha256 for row in connection.execute(sa.select(f.landing_file, f.sha256))}
            lost = connection.execute(sa.select(sa.func.count()).where(u.status == "planned", u.attempts > 0)).scalar_one()
    except (sa.exc.SQLAlchemyError, FileNotFoundError):
        # Said by the ledger's own check.
        return
    shared = settings.landing.store is not None
    missing = [name for name in sorted(known) if not (root / name).exists()]
    damaged = [name for name in sorted(set(known) - set(missing)) if sha256(root / name) != known[name]]
    for name in damaged:
        words = "damaged: its bytes are not those that were landed"
        instead = (
            f"{_FIX} takes it from the shared store"
            if shared
            else f"restore it from a backup; {_FIX} sets it aside, and {_again(name)}"
        )
        yield Finding("landing", name, "trouble", words, instead)
    if missing and shared:
        words = f"{len(missing):,} landed files of other machines are not here yet"
        yield Finding("landing", "files elsewhere", "ok", words, "the next run brings them from the shared store")
        missing = []
    for name in missing:
        words = "missing: the ledger names it, and it is gone"
        yield Finding("landing", name, "trouble", words, f"restore it from a backup; {_FIX} forgets it, and {_again(name)}")
    if lost:
        words = f"{lost:,} answers were in files that are gone"
        yield Finding("landing", "lost answers", "ok", words, "the next run fetches them again")
    if parts := sorted(root.rglob("*.part")):
        words = f"{len(parts)} files were being written when their process ended, or still are"
        yield Finding("landing", "part files", "leftover", words, f"the next run or {_FIX} keeps what is whole in them")
    if not damaged and not missing:
        here = [root / name for name in known if (root / name).exists()]
        size = sum(file.stat().st_size for file in here)
        yield Finding("landing", "files", "ok", f"{len(here):,} files, {size / 1e6:.1f} MB, all as they were landed")


@contextmanager
def reading(settings: Settings) -> Iterator[sa.Connection]:
    """The ledger as it is: not made, not migrated, not written.

    Raises:
        FileNotFoundError: there is none.
        SQLAlchemyError: it cannot be read.
    """
    url = settings.ledger_url or f"sqlite:///file:{settings.paths.ledger}?mode=ro&uri=true"
    if not settings.ledger_url and not settings.paths.ledger.exists():
        raise FileNotFoundError(settings.paths.ledger)
    arguments: dict[str, Any] = {"timeout": 60} if url.startswith("sqlite") else {}
    engine = sa.create_engine(url, connect_args=arguments)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _again(name: str) -> str:
    if name.startswith((f"{PROVIDER}/", "import/")):
        return "what it held has to be made, decided or imported again"
    return "its content is fetched again by the next run"


def _name(settings: Settings) -> str:
    return (
        sa.make_url(settings.ledger_url).render_as_string(hide_password=True)
        if settings.ledger_url
        else str(settings.paths.ledger)
    )
