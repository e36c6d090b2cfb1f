"""What was asked of the sandbox: counts and a log per provider, and the busiest rolling window. No header is kept."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections import Counter, deque
from typing import Any

_SHAPES = (
    (re.compile(r"(?<=/)[0-9a-f]{8}-[0-9a-f-]{27}(?=/|$)"), "{uuid}"),
    (re.compile(r"(?<=/)\d{4}-\d{2}-\d{2}(?=[./]|$)"), "{date}"),
    (re.compile(r"(?<=/)(isrc:)?[A-Z]{2}[0-9A-Z]{3}\d{7}(?=/|$)"), r"\1{isrc}"),
    (re.compile(r"(?<=/)[0-9A-Za-z]{22}(?=/|$)"), "{id}"),
    (re.compile(r"(?<=/)\d+(?=/|$)"), "{n}"),
)
WINDOWS_S = (1.0, 5.0, 30.0, 60.0)


def endpoint_of(path: str) -> str:
    """A path with its ids, codes and dates replaced by placeholders."""
    for pattern, name in _SHAPES:
        path = pattern.sub(name, path)
    return path


def busiest(times: list[float], window_s: float) -> int:
    """The most requests in any rolling window of so many seconds (times ascending)."""
    best = first = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - window_s:
            first += 1
        best = max(best, last - first + 1)
    return best


class RequestLog:
    """Counts for ever, keeps the newest hundred thousand requests."""

    def __init__(self, keep: int = 100_000) -> None:
        self._lock = threading.Lock()
        self._rows: deque[tuple[float, str, str, str, str, int]] = deque(maxlen=keep)
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def add(self, provider: str, method: str, target: str, endpoint: str, status: int) -> None:
        """Record one answered request; status 0 stands for a connection cut before any answer."""
        with self._lock:
            self._rows.append((time.time(), provider, method, target, endpoint, status))
            self._counts[(provider, endpoint, status)] += 1

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows.clear()
            self._counts.clear()

    def summary(self, with_log: bool, window_s: float | None = None) -> dict[str, Any]:
        """Counts per provider, endpoint and status, the busiest windows, and the log if wanted."""
        with self._lock:
            rows, counts = list(self._rows), dict(self._counts)
        out: dict[str, Any] = {"total": sum(counts.values()), "providers": {}}
        for (provider, endpoint, status), n in sorted(counts.items()):
            p = out["providers"].setdefault(provider, {"total": 0, "status": {}, "endpoints": {}})
            p["total"] += n
            p["status"][str(status)] = p["status"].get(str(status), 0) + n
            e = p["endpoints"].setdefault(endpoint, {"total": 0, "status": {}})
            e["total"] += n
            e["status"][str(status)] = n
        windows = WINDOWS_S + ((window_s,) if window_s else ())
        for provider, p in out["providers"].items():
            times = [r[0] for r in rows if r[1] == provider]
            p["max_in_window"] = {f"{w:g}": busiest(times, w) for w in windows}
        if with_log:
            out["log"] = [
                {
                    "time": dt.datetime.fromtimestamp(t, dt.UTC).isoformat().replace("+00:00", "Z"),
                    "provider": provider,
                    "method": method,
                    "path": target,
                    "endpoint": endpoint,
                    "status": status,
                }
                for t, provider, method, target, endpoint, status in rows
            ]
        return out
