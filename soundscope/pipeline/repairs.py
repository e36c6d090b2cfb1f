"""`doctor --fix`: what is safe to put in order. Nothing is deleted that held data: it is set aside in `warehouse/.private/damaged`.

Each repair is one that the next run would make as well, or takes back what should never have been there. Finding trouble is the checks' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.fetch import reconcile
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.pipeline.finding import Finding
from soundscope.pipeline.healing import heal_ledger, heal_writer
from soundscope.pipeline.release_checks import why_unreadable, writes_of_others
from soundscope.pipeline.setup_checks import dead_spill, stale_state_files
from soundscope.pipeline.store_checks import mend_landing, repair_store
from soundscope.pipeline.stored_checks import check_ledger, sha256
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_writer, remove_dead_spill
from soundscope.warehouse.lock import stale_owner, writer_lock
from soundscope.warehouse.publish import remove_leftovers
from soundscope.warehouse.releases import list_releases, make_current


def repair(settings: Settings) -> list[Finding]:
    """Put in order what is safe to; returns what was done.

    Raises:
        Busy: a run is writing; then nothing is wrong that could be repaired now.
    """
    settings.paths.create()
    dead = stale_owner(settings)
    with writer_lock(settings, wait_s=5.0, command="soundscope doctor --fix"):
        done = [_fixed("warehouse", "writer lock", f"cleared what process {dead.pid} ({dead.command}) left")] if dead else []
        for step in (_private_files, _write_ahead, _ledger, _leftovers, _releases, _published):
            done += step(settings)
    return done


def _fixed(subject: str, what: str, detail: str, instead: str = "") -> Finding:
    return Finding(subject, what, "fixed", detail, instead)


def _private_files(settings: Settings) -> Iterator[Finding]:
    for what, heal in (("ledger", heal_ledger), ("private file", heal_writer)):
        if words := heal(settings):
            yield _fixed("warehouse", what, words)


def _write_ahead(settings: Settings) -> Iterator[Finding]:
    wal = settings.paths.writer.with_name(settings.paths.writer.name + ".wal")
    if not wal.exists() or not wal.stat().st_size:
        return
    size = wal.stat().st_size
    with closing(open_writer(settings)) as con:
        con.execute("checkpoint")
    yield _fixed("warehouse", "private file", f"took in {wal.name} ({size / 1e6:.1f} MB)")


def _ledger(settings: Settings) -> Iterator[Finding]:
    """Runs without a process, and landed files that are damaged or gone; left alone if the ledger itself is in trouble."""
    if any(finding.state == "trouble" for finding in check_ledger(settings)):
        return
    with closing(Ledger.open(settings)) as ledger:
        if crashed := ledger.close_dead_runs():
            yield _fixed("ledger", "runs", f"noted that {crashed} runs crashed")
        yield from mend_landing(settings, ledger)
        yield from repair_store(settings, ledger)
        root, f = settings.paths.landing, t.landing_files.c
        with ledger.read() as connection:
            known = {row.landing_file: row.sha256 for row in connection.execute(sa.select(f.landing_file, f.sha256))}
        for name, hashed in known.items():
            if (root / name).exists() and sha256(root / name) != hashed:
                aside = landing.set_aside(root, root / name, settings.paths.damaged)
                yield _fixed(
                    "landing", name, f"set aside as {aside}", "what it held is asked for again, where a provider gave it"
                )
        gone = [name for name in known if not (root / name).exists()]
        # Elsewhere `reconcile` does so; of a shared file it cannot know whether another machine has it yet.
        ledger.forget_files(gone)
        if ledger.shared:
            ledger.shared.store.remove(gone)
        parts = len(list(root.rglob("*.part")))
        taken = reconcile(settings, ledger)
        if gone:
            words = f"{len(gone)} landed files that are gone were forgotten"
            yield _fixed("landing", "missing files", words, "what a provider gave is fetched again by the next run")
        if taken or parts:
            yield _fixed("landing", "files", f"{parts} part files were finished or dropped, {taken} files taken up in the ledger")


def _leftovers(settings: Settings) -> Iterator[Finding]:
    for name in stale_state_files(settings):
        (settings.paths.private / name).unlink(missing_ok=True)
        yield _fixed("server", name, "removed")
    if dead := dead_spill(settings):
        remove_dead_spill(settings)
        yield _fixed("warehouse", "spilled data", f"removed {len(dead)} folders of processes that are gone")


def _releases(settings: Settings) -> Iterator[Finding]:
    for manifest in sorted(settings.paths.releases.glob("*.json")):
        try:
            list_releases(settings)
        except SoundScopeError as error:
            if str(manifest) in error.message:
                yield _fixed("release", manifest.name, f"set aside as {_set_aside(settings, manifest)}")
    for log in writes_of_others(settings):
        yield _fixed("release", log.name, f"set aside as {_set_aside(settings, log)}")
    if removed := remove_leftovers(settings):
        yield _fixed("release", "unfinished files", f"removed {', '.join(file.name for file in removed)}")


def _published(settings: Settings) -> Iterator[Finding]:
    """Where the shell cannot read the current release, the newest one that it can read becomes the current one."""
    if not settings.paths.published.exists() or (why := why_unreadable(settings.paths.published)) is None:
        return
    for release in list_releases(settings):
        if not release.is_current and release.is_readable and why_unreadable(release.path) is None:
            make_current(settings, release.release_id, "rollback")
            yield _fixed(
                "release", "published file", f"went back to {release.release_id}, because {why}", "soundscope run --rebuild"
            )
            return


def _set_aside(settings: Settings, file: Path) -> Path:
    settings.paths.damaged.mkdir(mode=0o700, exist_ok=True)
    aside = settings.paths.damaged / f"{utcnow():%Y%m%dT%H%M%S}-{file.name}"
    return file.rename(aside)
