"""Rationing of calls, shared by every process through the ledger: a rolling rate window, a rolling quota window, and holds.

A call is reserved before it is sent, so the sum over all processes never exceeds a limit. Nothing here sleeps for long: a wait above
`MAX_WAIT_S` ends in `Deferred` with the instant from which it is worth trying again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import Ledger
from soundscope.sources.base import Deferred, QuotaSpent

MAX_WAIT_S = 60.0
# A call counts from when its answer was there: it had arrived before that, so a window counted this way is never shorter than the
# provider's own. What remains is rounding.
_MARGIN = 0.002
# A call whose process died is under way for so long, and no longer.
_UNDER_WAY_S = 60.0
_POLL_S = 0.02
# Calls noted further in the future than this were noted by a clock that was ahead; less is how far machines differ.
_AHEAD_S = 5.0


@dataclass(frozen=True)
class Limits:
    """What may be sent: `rate` calls in any `window_s` seconds, `quota` calls in any `quota_window_s` seconds; None is no limit."""

    rate: int | None = None
    window_s: float = 30.0
    quota: int | None = None
    quota_window_s: float = 86_400.0


class Budget:
    """The calls of one account at one provider.

    Args:
        ledger: where calls are counted.
        provider: who is called.
        account: hash that tells accounts apart.
        limits: what may be sent.
        run_id: the run that spends.
        clock, sleep: time, replaceable in tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        provider: str,
        account: str,
        limits: Limits,
        run_id: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ledger = ledger
        self.provider = provider
        self.account = account
        self.limits = limits
        self.run_id = run_id
        self._clock = clock
        self._sleep = sleep

    def acquire(self, kind: str) -> int:
        """Reserve one call, waiting up to a minute for the rate window.

        Returns:
            The number of the reserved request, for `settle`.
        Raises:
            Deferred: the rate window or a hold lasts longer than a minute.
            QuotaSpent: the quota of the rolling window is used up.
        """
        while True:
            wait, request_id = self._try(kind)
            if request_id is not None:
                return request_id
            self._sleep(wait)

    def settle(self, request_id: int, status: int | None) -> None:
        """Record the status of the answer to a reserved call (None if none came), and that it is over."""
        with self.ledger.begin() as connection:
            connection.execute(_SETTLE, {"number": request_id, "status": status or 0, "over_at": self._clock()})

    def hold(self, seconds: float, reason: str) -> datetime:
        """The provider said wait: no process calls it for `seconds`. Returns the instant (UTC) it ends; a longer hold stays."""
        now = self._clock()
        until = now + seconds
        with self.ledger.begin() as connection:
            held = self._hold(connection, now)
            if held and held[0] > until:
                return _instant(held[0])
            row = {"provider": self.provider, "account": self.account, "until": until, "reason": reason}
            self.ledger.upsert(connection, t.holds, [row], ["until", "reason"])
        return _instant(until)

    def remaining(self) -> int | None:
        """Calls left in the quota window; None without a quota, 0 during a hold for quota."""
        now = self._clock()
        with self.ledger.read() as connection:
            hold = self._hold(connection, now)
            if hold and hold[1] == "quota":
                return 0
            if self.limits.quota is None:
                return None
            return max(0, self.limits.quota - self._count(connection, now - self.limits.quota_window_s))

    def _try(self, kind: str) -> tuple[float, int | None]:
        limits = self.limits
        with self.ledger.begin() as connection:
            if self.ledger.engine.dialect.name == "postgresql":
                lock = sa.text("select pg_advisory_xact_lock(hashtext(:name))")
                connection.execute(lock, {"name": f"{self.provider}/{self.account}"})
            now = self._clock()
            # A clock that was ahead and has been set back must not shut the window until the time it showed.
            connection.execute(_SET_BACK, {"whose": self.provider, "which": self.account, "now": now, "ahead": now + _AHEAD_S})
            hold = self._hold(connection, now)
            if hold:
                until, reason = hold
                if until - now > MAX_WAIT_S or reason == "quota":
                    kinds = QuotaSpent if reason == "quota" else Deferred
                    raise kinds(f"{self.provider} asked us to wait ({reason})", status=429, retry_at=_instant(until))
                return until - now, None
            if limits.quota is not None and self._count(connection, now - limits.quota_window_s) >= limits.quota:
                free_at = self._nth_newest(connection, limits.quota, now) + limits.quota_window_s
                raise QuotaSpent(
                    f"the budget of {limits.quota} calls for {self.provider} is spent", retry_at=_instant(max(free_at, now + 1))
                )
            if limits.rate is not None:
                wait = self._full_for(connection, now, limits.rate, limits.window_s * (1 + _MARGIN))
                if wait > MAX_WAIT_S:
                    raise Deferred(f"the rate window of {self.provider} is full", retry_at=_instant(now + wait))
                if wait > 0:
                    return wait, None
            row = {"provider": self.provider, "account": self.account, "run_id": self.run_id, "kind": kind, "sent_at": now}
            inserted = connection.execute(_RESERVE, row)
            key = inserted.inserted_primary_key
            return 0.0, int(key[0]) if key else None

    def _full_for(self, connection: sa.Connection, now: float, rate: int, window: float) -> float:
        """Seconds until the rate window has room; 0 if it has."""
        busy = int(connection.execute(_UNDER_WAY, {**self._mine, "since": now - max(_UNDER_WAY_S, window)}).scalar_one())
        if busy >= rate:
            return _POLL_S
        oldest = connection.execute(_OVER, {**self._mine, "since": now - window, "n": rate - busy - 1}).scalar()
        return max(float(oldest) + window - now, 0.001) if oldest is not None else 0.0

    def _hold(self, connection: sa.Connection, now: float) -> tuple[float, str] | None:
        row = connection.execute(_HELD, {**self._mine, "now": now}).first()
        return (row.until, row.reason) if row else None

    @property
    def _mine(self) -> dict[str, str]:
        return {"provider": self.provider, "account": self.account}

    def _count(self, connection: sa.Connection, since: float) -> int:
        return int(connection.execute(_SENT, {**self._mine, "since": since}).scalar_one())

    def _nth_newest(self, connection: sa.Connection, n: int, default: float) -> float:
        found = connection.execute(_NTH, {**self._mine, "n": n - 1}).scalar()
        return float(found) if found is not None else default


# Built once: a call is reserved and settled thousands of times.
_r, _p = t.requests.c, sa.bindparam
_MINE = sa.and_(_r.provider == _p("provider"), _r.account == _p("account"))
_SENT = sa.select(sa.func.count()).where(_MINE, _r.sent_at > _p("since"))
_NTH = sa.select(_r.sent_at).where(_MINE).order_by(_r.sent_at.desc()).offset(_p("n", type_=sa.Integer)).limit(1)
_UNDER_WAY = sa.select(sa.func.count()).where(_MINE, _r.http_status.is_(None), _r.sent_at > _p("since"))
_OVER = (
    sa.select(_r.sent_at)
    .where(_MINE, _r.http_status.is_not(None), _r.sent_at > _p("since"))
    .order_by(_r.sent_at.desc())
    .offset(_p("n", type_=sa.Integer))
    .limit(1)
)
_HELD = sa.select(t.holds.c.until, t.holds.c.reason).where(
    t.holds.c.provider == _p("provider"), t.holds.c.account == _p("account"), t.holds.c.until > _p("now")
)
_SETTLE = sa.update(t.requests).where(_r.request_id == _p("number")).values(http_status=_p("status"), sent_at=_p("over_at"))
_SET_BACK = (
    sa.update(t.requests)
    .where(_r.provider == _p("whose"), _r.account == _p("which"), _r.sent_at > _p("ahead"))
    .values(sent_at=_p("now"))
)
_RESERVE = sa.insert(t.requests)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
