"""Requests and responses as the emulated providers see them. Sockets are in `server`, meaning is in the providers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

JSON = "application/json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


@dataclass
class Request:
    """One HTTP request; `path` is what follows the provider's prefix, percent-decoded, without a trailing slash."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # lower-case names
    body: bytes
    base_url: str  # scheme, host and prefix as the client wrote them
    full_path: str  # as sent, with the query

    def get(self, name: str, default: str = "") -> str:
        """First value of a query parameter."""
        return self.query.get(name, [default])[0]

    def many(self, name: str) -> list[str]:
        """Values of a list parameter, whether comma-joined or repeated."""
        return [part for value in self.query.get(name, []) for part in value.split(",") if part]

    def integer(self, name: str, default: int) -> int | None:
        """An integer parameter; None when it is not a number."""
        text = self.get(name)
        if not text:
            return default
        return int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() else None

    def form(self) -> dict[str, str]:
        """Fields of a form-encoded body."""
        return {k: v[0] for k, v in parse_qs(self.body.decode("utf-8", "replace")).items()}


@dataclass
class Response:
    """One HTTP response; `close_after` cuts the connection after so many bytes of the body (None: sent whole)."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    close_after: int | None = None
    delay_s: float = 0.0


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    """A JSON response; header names are written with underscores for hyphens."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, JSON, {k.replace("_", "-"): v for k, v in headers.items()})


def text_response(text: str, status: int = 200, content_type: str = PLAIN, **headers: str) -> Response:
    """A response of plain text."""
    return Response(status, text.encode(), content_type, {k.replace("_", "-"): v for k, v in headers.items()})


def split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """Path (percent-decoded, no trailing slash) and query of a request target."""
    path, _, query = target.partition("?")
    return unquote(path).rstrip("/") or "/", parse_qs(query, keep_blank_values=True)
