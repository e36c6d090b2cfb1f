"""One run: its configuration, its place in the ledger, the sandbox it may need, and the writer lock it may hold."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from types import FrameType
from typing import Any, cast

import requests

from soundscope.ingest.fetch import reconcile
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.session import Session, open_session
from soundscope.ingest.tables import check_results
from soundscope.pipeline.healing import heal_ledger, heal_writer, note_damage
from soundscope.pipeline.renewal import renew_writer
from soundscope.settings import Settings
from soundscope.sources.registry import SOURCES
from soundscope.spread import IN_TURN, Spread
from soundscope.warehouse.connect import open_writer, require_space
from soundscope.warehouse.lock import writer_lock

log = logging.getLogger(__name__)
LOG_BYTES = 5 << 20
_LEAST_ROOM = 1 << 18


@dataclass
class Run:
    """A run under way.

    Attributes:
        settings, ledger, run_id: what, where noted, under which id.
        urls: addresses of the sandbox's providers; empty in live use.
        facts: what the report will say, gathered by the steps.
    """

    settings: Settings
    ledger: Ledger
    run_id: str
    urls: Mapping[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    release_id: str | None = None
    # Where candidates, folds and blocks are worked on; the flows may have Dask do it.
    spread: Spread = IN_TURN
    # Set when the run is told to end: what is being fetched stops at the next unit, in every thread.
    ending: threading.Event = field(default_factory=threading.Event)
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The open sources; made when first needed."""
        if self._session is None:
            self._session = open_session(self.settings, self.ledger, self.run_id, self.urls)
            self._session.stop = self.ending
        return self._session

    @contextmanager
    def writer(self) -> Iterator[Any]:
        """The private warehouse file, under the lock, closed afterwards so that the SQL models can open it next."""
        with writer_lock(self.settings, wait_s=5.0):
            con = open_writer(self.settings)
            try:
                yield con
            finally:
                con.close()


class Stopped(BaseException):
    """SIGTERM: end as Ctrl-C would, so that files are closed and the ledger is told."""


@contextmanager
def open_run(
    settings: Settings, command: str, *, providers: bool = False, lock: bool = True, wait_s: float = 5.0
) -> Iterator[Run]:
    """Begin a run and note in the ledger how it ends.

    Args:
        settings: the configuration.
        command: what the user asked for, as typed.
        providers: the run asks providers; in profile sandbox one is started if none is configured.
        lock: hold the writer lock for the whole run, so that no second run comes between its steps. Without it nothing is put in order.
        wait_s: how long to wait for another run to end.
    Raises:
        Busy: another process is writing.
        DiskFull: there is not even space for a line in the ledger.
    """
    settings.paths.create()
    # Without this little, SQLite says "disk I/O error", which reads like damage.
    require_space(settings.paths.private, _LEAST_ROOM, "noting that a run begins")
    write_log(settings)
    with ExitStack() as stack:
        if lock:
            stack.enter_context(writer_lock(settings, wait_s=wait_s, command=f"soundscope {command}"))
        healed = [heal_ledger(settings), heal_writer(settings), renew_writer(settings)] if lock else []
        ledger = Ledger.open(settings)
        stack.callback(ledger.close)
        ledger.close_dead_runs()
        if lock:
            reconcile(settings, ledger)
        ending = threading.Event()
        stack.enter_context(_terminable(ending))
        urls = stack.enter_context(sandbox_urls(settings)) if providers else {}
        run = Run(settings, ledger, ledger.start_run(command, settings.profile), urls, ending=ending)
        stack.enter_context(_named_in_log(run.run_id))
        log.info("run %s started: %s", run.run_id, command)
        for words in filter(None, healed):
            log.warning("%s", words)
            row = {"run_id": run.run_id, "release_id": None, "check": "private_files_readable", "table_name": "warehouse/.private",
                   "status": "warn", "failures": 1, "message": words, "checked_at": utcnow()}  # fmt: skip
            ledger.insert(check_results, [row])
        try:
            yield run
        except BaseException as error:
            if lock and note_damage(settings, error):
                log.error("the private warehouse seems damaged; the next run makes it anew from landing")
            status = "stopped" if isinstance(error, KeyboardInterrupt | Stopped) else "failed"
            ledger.end_run(
                run.run_id, status, str(error).splitlines()[0] if str(error) else type(error).__name__, run.facts.get("published")
            )
            log.error("run %s %s: %s", run.run_id, status, error)
            raise
        ledger.end_run(run.run_id, "completed", str(run.facts.get("message", "")), run.facts.get("published"))
        log.info("run %s completed: %s", run.run_id, run.facts.get("message", ""))


@contextmanager
def sandbox_urls(settings: Settings, say: Callable[[str], None] = log.info) -> Iterator[Mapping[str, str]]:
    """Addresses of the sandbox's providers: of one that runs already at the configured port with the same world, else of one started here.

    Empty in live use, and where every provider has an address of its own.
    """
    needed = [name for name in SOURCES if settings.provider(name).enabled is not False and not settings.provider(name).url]
    if settings.profile == "live" or not needed:
        yield {}
        return
    if found := _running_sandbox(settings):
        yield found
        return
    from soundscope.sandbox import SandboxServer

    said = settings.sandbox
    say("starting the sandbox: synthetic providers on this machine")
    with SandboxServer(port=0, tier=said.tier, seed=said.seed, tracks=said.tracks, time_scale=said.time_scale) as server:
        yield server.provider_urls()


def _running_sandbox(settings: Settings) -> Mapping[str, str] | None:
    from soundscope.sandbox import SandboxServer

    said = settings.sandbox
    try:
        info = requests.get(f"http://127.0.0.1:{said.port}/_sandbox/", timeout=1).json()
    except (requests.RequestException, ValueError):
        return None
    same = all(info.get(name) == getattr(said, name) for name in ("tier", "seed", "tracks"))
    return SandboxServer.urls_at(f"http://127.0.0.1:{said.port}") if same else None


@contextmanager
def _terminable(ending: threading.Event) -> Iterator[None]:
    """SIGTERM raises `Stopped` in the main thread, so that a stopped run ends in order; so does Ctrl-C. Threads are told first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        ending.set()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(f"stopped by signal {number}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _NamesRun(logging.Filter):
    """Puts the id of the run under way into each line of the log; a dash outside of runs."""

    run_id = "-"

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; every line passes."""
        record.run_id = _NamesRun.run_id
        return True


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """Every file of the rotation is readable by its owner alone."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return cast("TextIOWrapper", os.fdopen(descriptor, self.mode, encoding=self.encoding))

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that is full is said once, by the step that fails; a traceback for each lost line would bury it."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


@contextmanager
def _named_in_log(run_id: str) -> Iterator[None]:
    before, _NamesRun.run_id = _NamesRun.run_id, run_id
    try:
        yield
    finally:
        _NamesRun.run_id = before


def write_log(settings: Settings) -> None:
    """Send the log of this process to the rotating file in `warehouse/logs`, once; each line has its time in UTC and its run's id."""
    root = logging.getLogger("soundscope")
    name = f"soundscope-{settings.paths.logs}"
    if any(handler.get_name() == name for handler in root.handlers):
        return
    settings.paths.logs.mkdir(parents=True, exist_ok=True)
    file = settings.paths.logs / "soundscope.log"
    handler = _PrivateLog(file, maxBytes=LOG_BYTES, backupCount=5, encoding="utf-8", delay=True)
    handler.set_name(name)
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s [%(run_id)s %(process)d] %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_NamesRun())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # The terminal gets the commands' own lines; some libraries make the root logger print everything.
    root.propagate = False
    file.touch(mode=0o600, exist_ok=True)
    os.chmod(file, 0o600)
