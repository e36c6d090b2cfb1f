"""Faults that a test or a person plants: error statuses, delays, cut and truncated bodies, changed schemas, quotas.

A fault matches requests by provider and path; which requests it hits (after n, so many times, by chance) is counted here.
"""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from soundscope.errors import BadInput
from soundscope.sandbox.limits import DEFAULT_LIMITS
from soundscope.sandbox.messages import JSON, PLAIN, Response, json_response

KINDS = ("status", "delay", "cut", "truncate", "malformed", "schema", "quota", "plain")
_KEYS = {"match", "fault", "times", "after", "probability", "seed"}


@dataclass
class Fault:
    """One planted fault and how often it matched and hit."""

    id: str
    provider: str | None
    path: re.Pattern[str]
    method: str | None
    spec: dict[str, Any]
    times: int | None
    after: int
    probability: float
    random: random.Random
    matched: int = 0
    hits: int = 0
    raw: dict[str, Any] = field(default_factory=dict)

    def strikes(self, provider: str, method: str, target: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.provider not in (None, provider) or self.method not in (None, method):
            return False
        if not self.path.search(target):
            return False
        self.matched += 1
        if self.matched <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True


def _parse(fault_id: str, raw: dict[str, Any]) -> Fault:
    match, spec = raw.get("match") or {}, raw.get("fault") or {}
    unknown = set(raw) - _KEYS
    kind = spec.get("kind")
    if unknown or kind not in KINDS:
        what = f"unknown keys {sorted(unknown)}" if unknown else f"unknown kind {kind!r}"
        raise BadInput(f"the fault has {what}", next_step=f"use keys {sorted(_KEYS)} and a kind of {', '.join(KINDS)}")
    times = raw.get("times")
    if times is not None and (not isinstance(times, int) or times < 0):
        raise BadInput(f"the fault's times is {times!r}", next_step="give a whole number, or null for always")
    provider = match.get("provider")
    if provider is not None and provider not in DEFAULT_LIMITS:
        raise BadInput(f"there is no provider {provider!r}", next_step=f"use one of {', '.join(DEFAULT_LIMITS)}")
    try:
        path = re.compile(match.get("path") or "")
    except re.error as error:
        raise BadInput(f"the path {match['path']!r} is no regular expression: {error}", next_step="mend it") from error
    return Fault(
        id=fault_id,
        provider=provider,
        path=path,
        method=match.get("method"),
        spec=spec,
        times=times,
        after=int(raw.get("after") or 0),
        probability=float(raw.get("probability", 1.0)),
        random=random.Random(raw.get("seed", 0)),
        raw=raw,
    )


class Faults:
    """The planted faults, in the order they were planted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._ids = count(1)

    def add(self, raw: dict[str, Any]) -> str:
        """Plant a fault; returns its id. Raises BadInput for a fault that cannot be understood."""
        with self._lock:
            fault = _parse(f"fault-{next(self._ids)}", raw)
            self._faults[fault.id] = fault
        return fault.id

    def remove(self, fault_id: str | None = None) -> int:
        """Remove one fault, or all; returns how many went."""
        with self._lock:
            gone = [fault_id] if fault_id in self._faults else [] if fault_id else list(self._faults)
            for key in gone:
                del self._faults[key]
        return len(gone)

    def planted(self) -> list[dict[str, Any]]:
        """What is planted, with hit counts."""
        with self._lock:
            return [{"id": f.id, "matched": f.matched, "hits": f.hits, **f.raw} for f in self._faults.values()]

    def strike(self, provider: str, method: str, target: str) -> list[dict[str, Any]]:
        """The faults that hit a request: every delay, and at most one of another kind."""
        with self._lock:
            out: list[dict[str, Any]] = []
            for fault in self._faults.values():
                decided = any(s["kind"] != "delay" for s in out)
                if (fault.spec["kind"] == "delay" or not decided) and fault.strikes(provider, method, target):
                    out.append(fault.spec)
            return out


def _headers(spec: dict[str, Any]) -> dict[str, str]:
    return {str(k): str(v) for k, v in (spec.get("headers") or {}).items() if v is not None}


def _set_headers(spec: dict[str, Any], response: Response) -> None:
    """Add the fault's headers; null takes a header away (a 429 without Retry-After exists)."""
    for name, value in (spec.get("headers") or {}).items():
        if value is None:
            response.headers.pop(name, None)
        else:
            response.headers[name] = str(value)


def replacement(spec: dict[str, Any], quota: Response) -> Response | None:
    """The response that a fault gives instead of the real one, or None when the real one is needed first."""
    kind, body = spec["kind"], spec.get("body")
    if kind == "status":
        status = int(spec.get("status", 503))
        if isinstance(body, str):
            return Response(status, body.encode(), spec.get("content_type", PLAIN), _headers(spec))
        value = body if body is not None else {"error": {"status": status, "message": "Service unavailable"}}
        return json_response(value, status, **_headers(spec))
    if kind == "plain":
        text = body if isinstance(body, str) else "upstream connect error or disconnect/reset before headers"
        return Response(int(spec.get("status", 403)), text.encode(), PLAIN, _headers(spec))
    if kind == "quota":
        _set_headers(spec, quota)
        return quota
    if kind == "malformed":
        text = body if isinstance(body, str) else '{"items": [ <!DOCTYPE html><html><body>Bad Gateway</body></html>'
        return Response(int(spec.get("status", 200)), text.encode(), spec.get("content_type", JSON), _headers(spec))
    return None


def spoil(spec: dict[str, Any], response: Response) -> Response:
    """Apply a fault that works on the real response: delay, cut, truncate, schema."""
    kind = spec["kind"]
    if kind == "delay":
        response.delay_s += float(spec.get("delay_s", 1.0))
    elif kind == "cut":
        response.close_after = int(spec.get("after_bytes", len(response.body) // 2))
    elif kind == "truncate":
        response.body = response.body[: int(spec.get("after_bytes", len(response.body) // 2))]
    elif kind == "schema":
        response.body = _change_schema(spec, response)
    _set_headers(spec, response)
    return response


def _change_schema(spec: dict[str, Any], response: Response) -> bytes:
    rename, drop, retype = spec.get("rename") or {}, set(spec.get("drop") or []), spec.get("retype") or {}
    try:
        value = json.loads(response.body)
    except ValueError:
        return _change_csv(response.body, rename, drop)

    def change(node: Any) -> Any:
        if isinstance(node, list):
            return [change(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            rename.get(k, k): _retype(change(v), retype[k]) if k in retype else change(v)
            for k, v in node.items()
            if k not in drop
        }

    return json.dumps(change(value), ensure_ascii=False).encode()


def _retype(value: Any, to: str) -> Any:
    if value is None or to == "null":
        return None
    if to in ("str", "string"):
        return value if isinstance(value, str) else json.dumps(value)
    if to == "list":
        return [value]
    if to == "object":
        return {"value": value}
    try:
        return int(float(value)) if to == "int" else float(value)
    except (TypeError, ValueError):
        return value


def _change_csv(body: bytes, rename: dict[str, str], drop: set[str]) -> bytes:
    import csv
    import io

    rows = list(csv.reader(io.StringIO(body.decode("utf-8", "replace"))))
    if not rows:
        return body
    keep = [i for i, name in enumerate(rows[0]) if name not in drop]
    rows[0] = [rename.get(name, name) for name in rows[0]]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([row[i] for i in keep if i < len(row)] for row in rows)
    return out.getvalue().encode()
