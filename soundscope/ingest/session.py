"""One ingest session: the sources this configuration allows, each behind its budget, and what they said they allow.

Opened by the command line and by flows alike; planning is in `plan.py`, fetching in `fetch.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from soundscope.ingest import tables as t
from soundscope.ingest.budget import Budget, Limits
from soundscope.ingest.ledger import Ledger, account_of, utcnow
from soundscope.settings import Settings, spotify_credentials
from soundscope.sources.base import Capability, ProviderTrouble, Refused, Source, Stopping, Unit, Unreachable
from soundscope.sources.http import Client
from soundscope.sources.registry import SOURCES, Disabled, address, enabled, make

log = logging.getLogger(__name__)
PROBE_EVERY = timedelta(days=1)


@dataclass
class Session:
    """Open sources and their budgets.

    Attributes:
        refused: what was refused in this run: (provider, capability) -> message.
        asked: units asked for in this run, (provider, kind, key); none is asked twice, whatever came of it.
        capabilities: provider -> capability -> whether it is allowed, as probed.
        noted: results of checks that this run has reported.
    """

    settings: Settings
    ledger: Ledger
    run_id: str
    sources: dict[str, Source]
    budgets: dict[str, Budget]
    disabled: list[Disabled]
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: set[tuple[str, str, str]] = field(default_factory=set)
    capabilities: dict[str, dict[str, bool]] = field(default_factory=dict)
    noted: set[tuple[str, str, str]] = field(default_factory=set)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    # Set when the run is to end: no further call is made, and what was not answered stays planned.
    stop: threading.Event = field(default_factory=threading.Event)
    # Providers that gave no usable answer several times in a row; left alone for the rest of the run.
    down: dict[str, Unreachable] = field(default_factory=dict)
    # What `claims.asked_so_far` said when units were last planned.
    planned_at: int | None = None
    # Set by a backfill: no unit is left for the next run for the sake of this one's length.
    is_backfill: bool = False

    def pause(self, seconds: float) -> None:
        """Sleep, but not on when the run is to end.

        Raises:
            Stopping: it is to end.
        """
        if self.stop.wait(seconds):
            raise Stopping("the run is ending")

    def room(self, provider: str) -> int | None:
        """Units that may still be asked of a provider in this run; None is no limit."""
        most = SOURCES[provider].per_run
        if most is None or self.is_backfill:
            return None
        return max(0, most - sum(1 for mark in self.asked if mark[0] == provider and mark[2]))

    def due(self, provider: str, kind: str, units: Sequence[Unit] | None) -> list[Unit]:
        """Of these units (all that the ledger knows, if None) those to ask for now, most urgent first; none twice in a run."""
        if units is not None:
            self.ledger.plan_units(units)
        names = {unit.key for unit in units} if units is not None else None
        due = self.ledger.due_units(provider, kind)
        return [u for u in due if (names is None or u.key in names) and (provider, kind, u.key) not in self.asked]

    def note(self, check: str, subject: str, status: str, failures: int, message: str, about: str = "") -> None:
        """Put one result of a check into the ledger, once in this run for each subject and what it is about."""
        with self._mutex:
            if (check, subject, about) in self.noted:
                return
            self.noted.add((check, subject, about))
        row = {
            "run_id": self.run_id, "release_id": None, "check": check, "table_name": subject, "status": status, "failures": failures,
            "message": message, "checked_at": utcnow(),
        }  # fmt: skip
        self.ledger.insert(t.check_results, [row])
        if status != "pass":
            log.warning("%s: %s: %s", check, subject, message)

    def allows(self, provider: str, capability: str) -> bool:
        """Whether a provider is there and has not refused this, now or when probed."""
        if (
            provider not in self.sources
            or provider in self.down
            or any((provider, what) in self.refused for what in ("catalogue", "token", capability))
        ):
            return False
        known = self.capabilities.get(provider, {})
        return known.get("catalogue", True) and known.get(capability, True)

    def asked_for(self, provider: str, kind: str) -> bool:
        """Whether this run has asked for this at all; says so from now on."""
        mark = (provider, kind, "")
        was = mark in self.asked
        self.asked.add(mark)
        return was

    def refuse(self, provider: str, capability: str, message: str) -> None:
        """Note a refusal once for the whole run."""
        if (provider, capability) not in self.refused:
            self.refused[(provider, capability)] = message
            log.warning("%s: %s", provider, message)


def open_session(settings: Settings, ledger: Ledger, run_id: str, urls: Mapping[str, str]) -> Session:
    """Make every source that may be asked.

    Args:
        settings: the configuration.
        ledger: counts the calls.
        run_id: the run that makes them.
        urls: addresses of the sandbox's providers; empty in live use.
    """
    on, off = enabled(settings, urls)
    session = Session(settings, ledger, run_id, {}, {}, off)
    for name in on:
        budget = Budget(ledger, name, account(settings, name, urls), limits(settings, name), run_id, sleep=session.pause)
        client = Client(name, budget, settings.provider(name).timeout_s, _agent(settings, name), session.pause)
        session.budgets[name] = budget
        session.sources[name] = make(settings, name, urls, client)
    return session


def account(settings: Settings, name: str, urls: Mapping[str, str]) -> str:
    """A hash of whose budget is spent: the address, and for Spotify the client id."""
    client_id = (spotify_credentials(settings.home) or ("", ""))[0] if name == "spotify" else ""
    return account_of(
        address(settings, name, urls) if settings.profile == "live" else settings.profile, client_id, _tier(settings)
    )


def _tier(settings: Settings) -> str:
    return settings.sandbox.tier if settings.profile == "sandbox" else ""


def limits(settings: Settings, name: str) -> Limits:
    """What may be sent to a provider: as configured, else as known of the live one; the sandbox sets its own limits."""
    said, entry = settings.provider(name), SOURCES[name]
    live = settings.profile == "live"
    development = name == "spotify" and (live or settings.sandbox.tier.startswith("development"))
    # The sandbox enforces published limits, in its own time.
    window_s = entry.window_s if live else entry.window_s / settings.sandbox.time_scale
    return Limits(
        rate=said.rate or (entry.rate if live or entry.is_strict else None),
        window_s=said.window_s or window_s,
        quota=said.daily_budget if said.daily_budget is not None else (entry.daily_budget if live or development else None),
        quota_window_s=said.quota_window_s,
    )


def probe(session: Session, *, force: bool = False) -> dict[str, list[Capability]]:
    """Ask every source what it allows, at most once a day; remembers the answers in the ledger.

    Returns:
        What was asked now, per provider; empty for those asked within a day. A provider that cannot be asked now (an outage, a spent
        budget) keeps what was known, and is asked again next time.
    """
    asked: dict[str, list[Capability]] = {}
    for name, source in session.sources.items():
        budget = session.budgets[name]
        known = None if force else session.ledger.capabilities(name, budget.account, PROBE_EVERY)
        if known is None:
            try:
                found = source.probe()
            except Refused as trouble:
                found = [Capability("catalogue", False, trouble.message, "other providers go on without it")]
            except ProviderTrouble as trouble:
                log.warning("%s could not be asked what it allows: %s", name, trouble.message)
                known = session.ledger.capabilities(name, budget.account, timedelta(days=3650)) or {}
                found = []
            if found:
                asked[name] = found
                rows = [vars(capability) for capability in found]
                session.ledger.save_capabilities(name, budget.account, rows)
                known = {capability.capability: capability.is_allowed for capability in found}
        session.capabilities[name] = known or {}
        budget.limits = in_force(session.settings, session.ledger, name, budget.account)
        if hasattr(source, "capabilities"):
            source.capabilities = session.capabilities[name]
    return asked


def in_force(settings: Settings, ledger: Ledger, name: str, whose: str) -> Limits:
    """The limits of a provider for an account, with what it is known to allow.

    The few calls a day are for Spotify's development apps; one that may ask for audio features is none.
    """
    said = limits(settings, name)
    if name != "spotify" or settings.provider(name).daily_budget is not None:
        return said
    known = ledger.capabilities(name, whose, timedelta(days=3650)) or {}
    return replace(said, quota=None) if known.get("audio_features") else said


def _agent(settings: Settings, name: str) -> str | None:
    contact = settings.provider(name).contact
    return f"soundscope ({contact})" if contact else None
