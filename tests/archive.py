"""A local HTTP server that offers a chart archive in the layout of the live one; what it serves is the caller's."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def serve_archive(weeks: list[dict[str, Any]]) -> Iterator[str]:
    """Serve weeks of the form {"date", "data"} as all.json, valid_dates.json and date/<date>.json; yields the folder's address."""
    by_date = {week["date"]: week for week in weeks}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[-1].removesuffix(".json")
            found: Any = {"all": weeks, "valid_dates": sorted(by_date), "recent": weeks[-1]}.get(name) or by_date.get(name)
            body = json.dumps(found).encode() if found else b"404: Not Found"
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            fresh = found and self.headers.get("If-None-Match") == tag
            self.send_response(304 if fresh else 200 if found else 404)
            self.send_header("ETag", tag)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", "0" if fresh else str(len(body)))
            self.end_headers()
            if not fresh:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/archive"
    finally:
        server.shutdown()
        server.server_close()
