"""One way to call a provider: reserve the call, send it, tell what came back apart, retry what may pass.

Used by every source, whatever its transport (requests, or spotipy with its own session). Which status means what for one provider is
decided in that provider's file; here are only the rules all share: 429 and Retry-After, 5xx, cut connections, malformed bodies.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import requests
import requests.adapters

from soundscope import __version__
from soundscope.sources.base import Deferred, QuotaSpent, Refused, Reply, Unreachable

MAX_WAIT_S = 60.0
ATTEMPTS = 4
# Whoever asks for more than a week is asked again after one.
_LONGEST_S = 7 * 86_400.0
# Kept of an answer's headers; never a cookie, never anything about authorisation.
KEPT_HEADERS = ("content-type", "etag", "last-modified", "retry-after", "date", "x-synthetic")


class Gate(Protocol):
    """Rations calls; `soundscope.ingest.budget.Budget` is one."""

    def acquire(self, kind: str) -> int:
        """Reserve a call."""
        ...

    def settle(self, request_id: int, status: int | None) -> None:
        """Record what came of it."""
        ...

    def hold(self, seconds: float, reason: str) -> datetime:
        """Stop all calls for a while."""
        ...


class Client:
    """Calls to one provider.

    Args:
        provider: its name, for messages.
        gate: rations the calls.
        timeout_s: seconds to wait for a connection and between bytes.
        user_agent: how we introduce ourselves.
        sleep: replaceable in tests.
    """

    def __init__(
        self,
        provider: str,
        gate: Gate,
        timeout_s: float = 20.0,
        user_agent: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.gate = gate
        self.timeout_s = timeout_s
        self.user_agent = user_agent or f"soundscope/{__version__}"
        self._sleep = sleep
        self._local = threading.local()

    @property
    def session(self) -> requests.Session:
        """This thread's own session: connections are kept, nothing is retried inside it."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.headers["User-Agent"] = self.user_agent
            session.hooks["response"].append(self._remember)
            self._local.session = session
        return self._local.session

    def _remember(self, response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        self._local.last = response

    def forget(self) -> None:
        """Drop the remembered answer, so that an old one is never taken for a new one."""
        self._local.last = None

    def last_reply(self) -> Reply | None:
        """The answer this thread's session received last, as it came."""
        response = getattr(self._local, "last", None)
        return _reply(response) if response is not None else None

    def get(self, kind: str, url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
            json_body: bool = True, refusal: str | None = None) -> Reply:  # fmt: skip
        """GET through `call`; 401 and 403 are about whoever asks and not about one unit, so the run hears of them once.

        Args:
            refusal: what to say then, where more is known than the status.
        Raises:
            Refused: 401 or 403; and what `call` raises.
        """
        return self.heard(self.call(kind, lambda: self.send(url, params=params, headers=headers), json_body=json_body), refusal)

    def heard(self, reply: Reply, refusal: str | None = None) -> Reply:
        """The answer, unless it refuses whoever asks.

        Raises:
            Refused: it does.
        """
        if reply.status in (401, 403):
            words = refusal or f"{self.provider} refuses to answer (status {reply.status}); it is asked again after a day"
            raise Refused(words, capability="catalogue", status=reply.status)
        return reply

    def send(self, url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One GET, whatever its status; for sources that read the answer before `call` does."""
        return _reply(self.session.get(url, params=dict(params or {}), headers=dict(headers or {}), timeout=self.timeout_s))

    def call(self, kind: str, send: Callable[[], Reply], *, json_body: bool = True) -> Reply:
        """Send one request under the rules all providers share.

        Args:
            kind: what is asked for, for the ledger.
            send: sends it and returns the answer, whatever its status.
            json_body: a 200 whose body is not JSON counts as cut short; else one whose last line does not end.
        Returns:
            An answer with a status other than 429 and 5xx.
        Raises:
            Deferred: told to wait longer than a minute.
            QuotaSpent: the account's quota is used up.
            Unreachable: no usable answer after several attempts.
        """
        trouble, status, is_silent = "no answer", None, False
        for attempt in range(1, ATTEMPTS + 1):
            ticket = self.gate.acquire(kind)
            status, is_silent = None, False
            try:
                reply = send()
                status = reply.status
            except requests.RequestException as error:
                trouble, is_silent = _describe(error)
            finally:
                self.gate.settle(ticket, status)
            if status is not None:
                if status == 429:
                    wait = self._told_to_wait(reply, attempt)
                    trouble = "429 too many requests"
                    if attempt < ATTEMPTS:
                        self._sleep(wait)
                    continue
                if status < 500 and (status != 200 or is_whole(reply.body, json_body)):
                    return reply
                trouble = f"status {status}" if status >= 500 else "a body that is cut short or of another kind"
            if attempt < ATTEMPTS:
                self._sleep(_backoff(attempt))
        if status == 429:
            raise Deferred(f"{self.provider} keeps answering 429", status=429, retry_at=self.gate.hold(MAX_WAIT_S, "rate limit"))
        raise Unreachable(
            f"{self.provider} gave no usable answer in {ATTEMPTS} attempts; last: {trouble}", status=status, is_silent=is_silent
        )

    def _told_to_wait(self, reply: Reply, attempt: int) -> float:
        wait = retry_after(reply.headers.get("retry-after"), reply.headers.get("date"))
        if b"QUOTA_EXCEEDED" in reply.body:
            # Without a header a day is the longest that was ever seen.
            until = self.gate.hold(wait if wait is not None else 86_400.0, "quota")
            raise QuotaSpent(f"{self.provider}: the account's quota is used up", status=429, retry_at=until)
        if wait is not None and wait > MAX_WAIT_S:
            until = self.gate.hold(wait, "rate limit")
            raise Deferred(f"{self.provider} asked us to wait {wait:.0f} s", status=429, retry_at=until)
        if wait is None:
            return _backoff(attempt)
        self.gate.hold(wait, "rate limit")
        return wait


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait as a Retry-After header says it, as a number or as a date; None if it says nothing usable.

    Args:
        value: the header.
        date: the answer's Date header: a date is meant by the provider's clock, which need not agree with ours.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = _moment(value)
        if until is None:
            return None
        seconds = (until - (_moment(date) or datetime.now(UTC))).total_seconds()
    return max(0.0, min(_LONGEST_S, seconds))


def _moment(header: str | None) -> datetime | None:
    """The instant that a header names, or None. One without a zone is in UTC, as HTTP dates are."""
    try:
        found = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def is_whole(body: bytes, json_body: bool) -> bool:
    """Whether nothing is missing at the end of a body, as far as its kind can tell."""
    return is_json(body) if json_body else body.endswith(b"\n")


def is_json(body: bytes) -> bool:
    """Whether the body is one complete JSON document."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _backoff(attempt: int) -> float:
    return min(0.5 * 2 ** (attempt - 1), 8.0) * random.uniform(0.5, 1.5)


def _describe(error: requests.RequestException) -> tuple[str, bool]:
    """What happened, and whether nobody answers at all: too slow, or no connection to be had."""
    if isinstance(error, requests.Timeout):
        return "no answer in time", True
    refused = any(word in str(error) for word in ("Failed to establish", "NameResolution", "Connection refused"))
    return ("no connection", True) if refused else ("the connection failed or was cut", False)


def _reply(response: requests.Response) -> Reply:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Reply(
        method=response.request.method or "GET",
        url=response.request.url or "",
        status=response.status_code,
        headers=headers,
        body=response.content,
        fetched_at=datetime.now(UTC).replace(tzinfo=None),
    )
