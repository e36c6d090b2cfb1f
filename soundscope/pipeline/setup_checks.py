"""What may be wrong with an installation: lock, private file, landing, ledger, releases, ports, disk. Nothing here asks a provider."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import requests
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.finding import Finding
from soundscope.pipeline.ops import STALE_DAYS
from soundscope.settings import Settings
from soundscope.warehouse.lock import lock_owner
from soundscope.warehouse.releases import SCHEMA_VERSION, list_releases

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run

_LOW_DISK = 1 << 30
_SHELL_WAIT_S = 20.0


def all_of(run: Run) -> Iterator[Finding]:
    """Every check, cheapest first."""
    settings = run.settings
    yield from _writer(settings)
    yield from _ledger(run)
    yield from _landing(run)
    yield from _release(settings)
    yield from _ports(settings)
    yield from _disk(settings)


def _writer(settings: Settings) -> Iterator[Finding]:
    owner = lock_owner(settings)
    if owner is not None:
        yield Finding("warehouse", "writer lock", "ok", str(owner), "other writers wait for it; readers are not concerned")
    else:
        yield Finding("warehouse", "writer lock", "ok", "free")
    wal = settings.paths.writer.with_name(settings.paths.writer.name + ".wal")
    if owner is None and wal.exists() and wal.stat().st_size:
        words = f"{wal.name} ({wal.stat().st_size / 1e6:.1f} MB) was left by a run that was interrupted"
        yield Finding("warehouse", "private file", "ok", words, "the next run takes it in by itself; do not delete it")


def _ledger(run: Run) -> Iterator[Finding]:
    where = run.ledger.engine.url.render_as_string(hide_password=True)
    with run.ledger.read() as connection:
        version = connection.execute(sa.text("select version_num from alembic_version")).scalar()
        damage = (
            connection.execute(sa.text("pragma quick_check(1)")).scalar() if run.ledger.engine.dialect.name == "sqlite" else "ok"
        )
        stuck = connection.execute(
            sa.select(sa.func.count()).where(t.runs.c.status == "crashed", t.runs.c.started_at >= utcnow() - timedelta(days=7))
        ).scalar_one()
    if damage != "ok":
        yield Finding(
            "ledger", "database", "trouble", f"{where} is damaged: {damage}", "set it aside: it is made anew from landing"
        )
    else:
        yield Finding("ledger", "database", "ok", f"{where}, version {version}")
    if stuck:
        yield Finding(
            "ledger",
            "runs",
            "ok",
            f"{stuck} runs ended without a word in the last 7 days",
            "`soundscope runs` lists them; what they landed is kept",
        )


def _landing(run: Run) -> Iterator[Finding]:
    root = run.settings.paths.landing
    f, u = t.landing_files.c, t.units.c
    with run.ledger.read() as connection:
        known = {row.landing_file: row.sha256 for row in connection.execute(sa.select(f.landing_file, f.sha256))}
        lost = connection.execute(sa.select(sa.func.count()).where(u.status == "planned", u.attempts > 0)).scalar_one()
    damaged = [name for name, sha256 in sorted(known.items()) if (root / name).exists() and _sha256(root / name) != sha256]
    missing = [name for name in sorted(known) if not (root / name).exists()]
    for name in damaged:
        yield Finding(
            "landing",
            name,
            "trouble",
            "damaged: its bytes are not those that were landed",
            "restore it from a backup, or delete it: its content is then fetched again",
        )
    for name in missing:
        yield Finding(
            "landing", name, "trouble", "missing", "restore it from a backup; otherwise the next run fetches its content again"
        )
    if lost:
        yield Finding(
            "landing", "lost answers", "ok", f"{lost:,} answers were in files that are gone", "the next run fetches them again"
        )
    if not damaged and not missing:
        size = sum((root / name).stat().st_size for name in known)
        yield Finding("landing", "files", "ok", f"{len(known):,} files, {size / 1e6:.1f} MB, all as they were landed")


def _release(settings: Settings) -> Iterator[Finding]:
    file = settings.paths.published
    if not file.exists():
        yield Finding("release", "published file", "off", "nothing is published yet", "soundscope run")
        return
    yield _shell(file)
    current = next((release for release in list_releases(settings) if release.is_current), None)
    if current is not None and current.schema_version != SCHEMA_VERSION:
        words = f"the current release has schema {current.schema_version}, this version of SoundScope makes {SCHEMA_VERSION}"
        yield Finding("release", "schema version", "trouble", words, "soundscope run --rebuild")
    elif current is not None:
        yield Finding("release", "schema version", "ok", str(SCHEMA_VERSION))
    yield from _charts(file)


def _shell(file: Path) -> Finding:
    """Ask the file the way an analyst does, with the shell, read-only."""
    beside = Path(sys.executable).with_name("duckdb")
    shell = str(beside) if beside.exists() else shutil.which("duckdb")
    if shell is None:
        return Finding(
            "release", "published file", "trouble", "there is no duckdb shell to read it with", "pip install duckdb-cli"
        )
    try:
        said = subprocess.run(
            [shell, "-readonly", str(file), "-csv", "-noheader", "-c", "select count(*) from main.dictionary"],
            capture_output=True, text=True, timeout=_SHELL_WAIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Finding(
            "release",
            "published file",
            "trouble",
            f"the shell gave no answer in {_SHELL_WAIT_S:g} s",
            "is the machine overloaded?",
        )
    if said.returncode != 0:
        reason = (said.stderr.strip() or said.stdout.strip() or "no reason given").splitlines()[0]
        return Finding(
            "release",
            "published file",
            "trouble",
            f"the shell cannot read it: {reason}",
            "soundscope rollback, or soundscope run",
        )
    return Finding("release", "published file", "ok", f"the shell reads it: {said.stdout.strip()} columns described")


def _charts(file: Path) -> Iterator[Finding]:
    try:
        with duckdb.connect(str(file.resolve()), read_only=True) as con:
            rows = con.execute("select chart, max(chart_date) from core.chart_entries group by chart order by chart").fetchall()
    except duckdb.Error:
        # The shell's finding names a file that cannot be read.
        return
    for chart, newest in rows:
        age = (utcnow().date() - newest).days
        if age > STALE_DAYS:
            yield Finding(
                "release",
                chart,
                "trouble",
                f"its newest week is {newest}, {age} days ago",
                "soundscope ingest charts; is the archive still kept?",
            )


def _ports(settings: Settings) -> Iterator[Finding]:
    checks = (
        ("server", settings.server.port, "/api/health", "a Prefect server"),
        ("app", settings.server.app_port, "/_stcore/health", "an app of Streamlit"),
        ("sandbox", settings.sandbox.port, "/_sandbox/", "a sandbox"),
    )
    for name, port, path, kind in checks:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                yield Finding("port", f"{name} {port}", "ok", "free")
                continue
        try:
            ours = requests.get(f"http://127.0.0.1:{port}{path}", timeout=1).ok
        except requests.RequestException:
            ours = False
        words = f"in use by {kind}" if ours else "in use by another program"
        yield Finding("port", f"{name} {port}", "ok", words, "" if ours else "the next free one is taken")


def _disk(settings: Settings) -> Iterator[Finding]:
    paths = settings.paths
    free = shutil.disk_usage(paths.warehouse).free
    # A publish holds the private file, the candidate and the old release at once.
    need = max(_LOW_DISK, 3 * (paths.writer.stat().st_size if paths.writer.exists() else 0))
    words = f"{free / 1e9:.1f} GB free, {need / 1e9:.1f} GB wanted"
    if free < need:
        yield Finding(
            "disk", str(paths.warehouse), "trouble", words, "free some space, or keep fewer releases ([retention] releases)"
        )
    else:
        yield Finding("disk", str(paths.warehouse), "ok", words)


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise SoundScopeError(f"{file} cannot be read: {error.strerror}.", next_step="check its permissions.") from error
