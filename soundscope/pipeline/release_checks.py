"""What may be wrong with what readers see: the published file, the releases behind it, the age of the charts in it. Changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from soundscope.errors import SoundScopeError
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.finding import Finding
from soundscope.pipeline.ops import STALE_DAYS
from soundscope.settings import Settings
from soundscope.warehouse.publish import leftovers
from soundscope.warehouse.releases import READABLE_SCHEMA_VERSIONS, SCHEMA_VERSION, Release, list_releases

_FIX = "soundscope doctor --fix"
_SHELL_WAIT_S = 20.0


def check_releases(settings: Settings) -> Iterator[Finding]:
    """Whether shell and app can read what is published."""
    file = settings.paths.published
    try:
        kept = list_releases(settings)
    except SoundScopeError as error:
        yield Finding("release", "manifest", "trouble", error.message, f"{_FIX} sets it aside")
        kept = []
    if left := leftovers(settings):
        words = f"{len(left)} files of a publish that was interrupted"
        yield Finding("release", "unfinished files", "leftover", words, f"the next publish or {_FIX} removes them")
    for log in writes_of_others(settings):
        words = "somebody opened a release for writing, and these changes are in no manifest"
        yield Finding("release", log.name, "trouble", words, f"read with `duckdb -readonly`; {_FIX} sets the file aside")
    for release in kept:
        if release.path.stat().st_size != release.size:
            words = f"its file has {release.path.stat().st_size:,} bytes, and had {release.size:,} when it was published"
            yield Finding("release", release.release_id, "trouble", words, "soundscope run --rebuild publishes a new one")
    if not file.exists():
        yield Finding("release", "published file", "off", "nothing is published yet", "soundscope run")
        return
    yield _published(file)
    yield from _schema(next((release for release in kept if release.is_current), None))
    yield from _charts(file)


def writes_of_others(settings: Settings) -> list[Path]:
    """Write-ahead files beside published files: nobody may write those."""
    folders = (settings.paths.warehouse, settings.paths.releases)
    return sorted(path for folder in folders for path in folder.glob("*.duckdb.wal"))


def why_unreadable(file: Path) -> str | None:
    """What the DuckDB shell says when it opens the file the way an analyst does, read-only; None if it reads it."""
    beside = Path(sys.executable).with_name("duckdb")
    shell = str(beside) if beside.exists() else shutil.which("duckdb")
    if shell is None:
        return "there is no duckdb shell to read it with (pip install duckdb-cli)"
    command = [shell, "-readonly", str(file), "-csv", "-noheader", "-c", "select count(*) from main.dictionary"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_SHELL_WAIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the shell gave no answer in {_SHELL_WAIT_S:g} s; is the machine overloaded?"
    if said.returncode == 0:
        return None
    return "the shell cannot read it: " + (said.stderr.strip() or said.stdout.strip() or "no reason given").splitlines()[0]


def _published(file: Path) -> Finding:
    why = why_unreadable(file)
    if why is None:
        return Finding("release", "published file", "ok", "the shell reads it")
    next_step = f"{_FIX} goes back to the newest release that can be read; else soundscope run --rebuild"
    return Finding("release", "published file", "trouble", why, next_step)


def _schema(current: Release | None) -> Iterator[Finding]:
    if current is None:
        return
    if current.schema_version == SCHEMA_VERSION:
        yield Finding("release", "schema version", "ok", str(SCHEMA_VERSION))
        return
    reads = "can read it all the same" if current.schema_version in READABLE_SCHEMA_VERSIONS else "cannot read it; the shell can"
    words = (
        f"the current release has schema {current.schema_version} (SoundScope {current.soundscope_version}), "
        f"this version makes {SCHEMA_VERSION}: app and commands {reads}"
    )
    yield Finding(
        "release", "schema version", "trouble", words, "soundscope run builds and publishes one of the new schema by itself"
    )


def _charts(file: Path) -> Iterator[Finding]:
    try:
        with duckdb.connect(str(file.resolve()), read_only=True) as con:
            rows = con.execute(
                "select chart, max(chart_date) from core.chart_entries where not starts_with(provider, 'import:') group by chart order by chart"
            ).fetchall()
    except duckdb.Error:
        # The shell's finding names a file that cannot be read.
        return
    for chart, newest in rows:
        age = (utcnow().date() - newest).days
        if age > STALE_DAYS:
            words = f"its newest week is {newest}, {age} days ago"
            yield Finding("release", chart, "trouble", words, "soundscope ingest charts; is the archive still kept?")
