"""Rolling windows: rate limits, quotas and tokens. What a provider answers when one is exceeded is the provider's own."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass


@dataclass
class Limit:
    """`rate` requests per `window_s` and `quota` requests per `quota_window_s`, both rolling; None is unlimited."""

    rate: int | None = None
    window_s: float = 30.0
    quota: int | None = None
    quota_window_s: float = 86_400.0


DEVELOPMENT = Limit(rate=180, window_s=30, quota=1000, quota_window_s=86_400)
DEFAULT_LIMITS = {
    "spotify": Limit(),
    "reccobeats": Limit(rate=200, window_s=60),
    "deezer": Limit(rate=50, window_s=5),
    "musicbrainz": Limit(rate=1, window_s=1),
    "apple": Limit(),
    "billboard_hot_100": Limit(),
    "billboard_csv": Limit(),
}
PENALTY_S = 60.0
"""How much longer a quota ban lasts for each request sent into it."""


@dataclass
class Refusal:
    """Why a request was refused ("rate" or "quota") and after how many seconds it would be served."""

    reason: str
    after_s: float

    @property
    def retry_after(self) -> str:
        """The value of a Retry-After header."""
        return str(max(1, math.ceil(self.after_s)))


class Gate:
    """Counts one provider's requests against its limits; windows are divided by `time_scale`."""

    def __init__(self, limit: Limit, time_scale: float = 1.0) -> None:
        self.limit, self._scale = limit, time_scale
        self._recent: deque[float] = deque()
        self._quota: deque[float] = deque()
        self._penalty = 0.0
        self._lock = threading.Lock()

    def set(self, limit: Limit) -> None:
        """Use other limits and forget what was counted."""
        with self._lock:
            self.limit, self._penalty = limit, 0.0
            self._recent.clear()
            self._quota.clear()

    def describe(self) -> dict[str, float | int | None]:
        """The limits and how much of each is used."""
        return asdict(self.limit) | {"used_in_window": len(self._recent), "used_of_quota": len(self._quota)}

    def admit(self, now: float | None = None) -> Refusal | None:
        """Count a request; a Refusal when it is over a limit (then it takes no place in the window)."""
        now = time.monotonic() if now is None else now
        with self._lock:
            refusal = self._over(self._quota, self.limit.quota, self.limit.quota_window_s, now, self._penalty)
            if refusal is not None:
                self._penalty += PENALTY_S / self._scale
                return Refusal("quota", refusal)
            self._penalty = 0.0
            # A client that keeps exactly to the limit must not be refused because the network jitters: 5 % slack.
            refusal = self._over(self._recent, self.limit.rate, 0.95 * self.limit.window_s, now, 0.0)
            if refusal is not None:
                return Refusal("rate", refusal)
            if self.limit.rate is not None:
                self._recent.append(now)
            if self.limit.quota is not None:
                self._quota.append(now)
            return None

    def _over(self, seen: deque[float], most: int | None, window: float, now: float, extra: float) -> float | None:
        if most is None:
            return None
        window = window / self._scale + extra
        while seen and seen[0] <= now - window:
            seen.popleft()
        if len(seen) < most:
            return None
        return seen[0] + window - now if seen else window


class Tokens:
    """Access tokens and their expiry; credentials themselves are looked at once and kept nowhere."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self) -> str:
        """A new token."""
        token = "synthetic-" + secrets.token_urlsafe(48)
        with self._lock:
            self._expiry[token] = time.monotonic() + self.life_s
        return token

    def problem(self, authorization: str) -> str | None:
        """The Web API's message for a header that does not authorise, or None when it does."""
        scheme, _, token = authorization.partition(" ")
        if not token:
            return "No token provided"
        if scheme.lower() != "bearer":
            return "Only valid bearer authentication supported"
        expiry = self._expiry.get(token)
        if expiry is None:
            return "Invalid access token"
        return None if time.monotonic() < expiry else "The access token expired"

    def expire_all(self) -> int:
        """Make every token expired; returns how many were alive."""
        now = time.monotonic()
        with self._lock:
            alive = sum(e > now for e in self._expiry.values())
            self._expiry = dict.fromkeys(self._expiry, 0.0)
        return alive
