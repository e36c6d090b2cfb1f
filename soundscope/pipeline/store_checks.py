"""The shared store of landed files: what `doctor` says of it, and what `doctor --fix` puts in order. Without the setting nothing is said."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import landing, shared
from soundscope.ingest.ledger import Ledger
from soundscope.ingest.shared import MODELS, SharedLanding
from soundscope.pipeline.finding import Finding
from soundscope.pipeline.stored_checks import reading
from soundscope.settings import Settings

_FIX = "soundscope doctor --fix"
_NAMED = 5


def check_store(settings: Settings) -> Iterator[Finding]:
    """Whether the shared store answers, and has what the ledger names, by size; hashes are checked when a file is brought."""
    place = shared.shared_landing(settings)
    if place is None:
        return
    try:
        with reading(settings) as connection:
            noted = shared.known(connection)
    except (sa.exc.SQLAlchemyError, FileNotFoundError):
        # Said by the ledger's own check.
        noted = None
    try:
        there = _there(place)
    except SoundScopeError as error:
        yield Finding("store", place.url, "trouble", error.message, error.next_step)
        return
    if noted is None:
        yield Finding("store", place.url, "ok", f"it answers, {len(there):,} files")
        return
    wrong = _wrong(noted, there, place)
    for name in wrong[:_NAMED]:
        words = "is not in the store" if name not in there else "is damaged in the store"
        yield Finding("store", name, "trouble", words, f"{_FIX} on a machine that has it copies it again")
    if len(wrong) > _NAMED:
        yield Finding("store", place.url, "trouble", f"{len(wrong) - _NAMED:,} more files are missing or damaged there")
    if strange := _strange(place, noted, there):
        words = f"{len(strange):,} files that the ledger does not know, of a run that was killed or of a ledger that is gone"
        yield Finding("store", place.url, "leftover", words, f"{_FIX} takes them up")
    if not wrong:
        yield Finding(
            "store", place.url, "ok", f"it has all {len(noted.files):,} landed files, {sum(there.values()) / 1e6:.1f} MB"
        )


def repair_store(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """Copy to the store what it lacks or has damaged and this machine has whole, and bring what it has and the ledger does not know.

    Raises:
        StoreUnreachable: the store did not answer.
    """
    place = ledger.shared
    if place is None:
        return
    with ledger.read() as connection:
        noted = shared.known(connection)
    there = _there(place)
    sent = [name for name in _wrong(noted, there, place) if place.has_whole(name, noted.files[name].sha256)]
    for name in sent:
        place.send(name)
    if sent:
        yield Finding("store", place.url, "fixed", f"{len(sent):,} files were copied to it again")
    brought = []
    for name in _strange(place, noted, there):
        if (place.root / name).exists():
            continue
        place.bring(name, None)
        try:
            landing.verify(place.root / name)
            brought.append(name)
        except SoundScopeError:
            aside = landing.set_aside(place.root, place.root / name, settings.paths.damaged)
            place.store.remove([name])
            yield Finding("store", name, "fixed", f"damaged, and the ledger does not know it; it is now {aside}")
    if brought:
        yield Finding("store", place.url, "fixed", f"{len(brought):,} files that the ledger did not know were brought from it")


def mend_landing(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """Replace landed files that are damaged or gone here by what the store has; what it has not either is left for others to judge.

    Raises:
        StoreUnreachable: the store did not answer.
    """
    place = ledger.shared
    if place is None:
        return
    with ledger.read() as connection:
        noted = shared.known(connection)
    wanted = [name for name, row in noted.files.items() if not place.has_whole(name, row.sha256)]
    failed = shared.bring_lacking(place, noted, wanted)
    ledger.store_lacks(failed)
    if done := set(wanted) - set(failed):
        yield Finding("landing", "files", "fixed", f"{len(done):,} files were brought from the shared store")


def _there(place: SharedLanding) -> dict[str, int]:
    return {name: size for name, size in place.store.sizes().items() if not name.startswith(f"{MODELS}/")}


def _wrong(noted: shared.Known, there: dict[str, int], place: SharedLanding) -> list[str]:
    """What the store should have and has not. A file that waits on this machine to be copied is no trouble: the next run does it."""
    return [
        name
        for name, row in sorted(noted.files.items())
        if (there.get(name) != row.bytes if row.store is not None else not place.has_whole(name, row.sha256))
    ]


def _strange(place: SharedLanding, noted: shared.Known, there: dict[str, int]) -> list[str]:
    unknown = set(there) - set(noted.files) - noted.removed
    return sorted(name for name in unknown if name.endswith(".ndjson.zst"))
