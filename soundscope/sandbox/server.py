"""The sandbox's HTTP server: sockets, routing to providers, faults, the log. What a provider answers is its own matter."""

from __future__ import annotations

import datetime as dt
import errno
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from soundscope.errors import BadInput
from soundscope.sandbox import spotify
from soundscope.sandbox.control import Control
from soundscope.sandbox.faults import replacement, spoil
from soundscope.sandbox.messages import Request, Response, json_response, split_target
from soundscope.sandbox.providers import providers_of
from soundscope.sandbox.requestlog import endpoint_of
from soundscope.sandbox.state import State
from soundscope.sandbox.world import World

MAX_BODY = 1_000_000


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    # Sharing a port with another server would split the requests between them; an address in use must be an error.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        self.providers = providers_of(state)
        self.control = Control(state)
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event; anything else is shown as the standard library does."""
        import sys

        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SoundScopeSandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self._send(json_response({"error": {"status": 413, "message": "Request body too large"}}, 413))
            return
        body = self.rfile.read(int(length))
        host = self.headers.get("Host") or f"127.0.0.1:{self.server.server_port}"
        path, query = split_target(self.path)
        prefix, _, rest = path.lstrip("/").partition("/")
        request = Request(
            method=self.command,
            path="/" + rest,
            query=query,
            headers={k.lower(): v for k, v in self.headers.items()},
            body=body,
            base_url=f"http://{host}/{prefix}",
            full_path=self.path,
        )
        if prefix == "_sandbox":
            self._send(self.server.control.handle(request))
            return
        found = self.server.providers.get(prefix)
        if found is None:
            text = f"no provider is emulated under /{prefix}; GET /_sandbox/ lists them"
            self._send(json_response({"error": {"status": 404, "message": text}}, 404))
            return
        self._answer(request, prefix, *found)

    def _answer(self, request: Request, prefix: str, name: str, handle: Callable[[Request], Response]) -> None:
        state = self.server.state
        struck = state.faults.strike(name, request.method, self.path)
        quota = spotify.error(429, "Too many requests", "QUOTA_EXCEEDED", Retry_After=str(max(1, int(48_925 / state.time_scale))))
        response = next((r for s in struck if (r := replacement(s, quota))), None)
        if response is None:
            try:
                response = handle(request)
            except Exception as error:  # noqa: BLE001 - the outermost place: a fault of ours is shown and answered as one
                traceback.print_exc()
                response = json_response({"error": {"status": 500, "message": f"sandbox fault: {error!r}"}}, 500)
        for spec in struck:
            response = spoil(spec, response)
        if response.delay_s:
            time.sleep(response.delay_s)
        silent = response.close_after is not None and response.close_after < 0
        state.log.add(name, request.method, self.path, endpoint_of("/" + prefix + request.path), 0 if silent else response.status)
        if silent:  # cut before the first byte: the client sees a connection that just ends
            self.close_connection = True
            return
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status)
        self.send_header("Server", self.version_string())
        if "Date" not in response.headers:
            self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", response.content_type)
        if response.status != 304:
            self.send_header("Content-Length", str(len(response.body)))
        self.send_header("X-Synthetic", "true")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.close_after is not None:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD" and response.status != 304:
            self.wfile.write(response.body if response.close_after is None else response.body[: response.close_after])
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in the request log, not on the terminal."""


class SandboxServer:
    """A running sandbox: `start()` serves in a thread, `stop()` ends it; also a context manager.

    Args:
        port: 0 takes a free one.
        host: address to listen on.
        tier: extended, extended-new, development-old or development.
        seed: names the synthetic world.
        tracks: about how many ids the catalogue has by 2026-11-21.
        time_scale: divides every rate window, quota window, token life and Retry-After.
        today: the world's date as a date or "YYYY-MM-DD"; None follows the real date.
        world: a world made before, instead of one of this seed and size; its date is set.

    Raises:
        BadInput: port in use, unknown tier, size or date out of range.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        tier: str = "extended",
        seed: int = 7,
        tracks: int = 3000,
        time_scale: float = 1.0,
        today: dt.date | str | None = None,
        world: World | None = None,
    ) -> None:
        if isinstance(today, str):
            try:
                today = dt.date.fromisoformat(today)
            except ValueError as error:
                raise BadInput(f"{today!r} is not a date", next_step="write it as YYYY-MM-DD") from error
        if world is None:
            world = World(seed=seed, tracks=tracks, today=today)
        else:
            world.set_today(today)
        self.world = world
        self.state = State(self.world, tier, time_scale)
        try:
            self._server = _Server((host, port), self.state)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                what, then = (
                    f"port {port} on {host} is in use",
                    "stop what uses it, or choose another with --port (0 takes a free one)",
                )
            else:
                what, then = (
                    f"the sandbox cannot listen on {host}:{port}: {error.strerror or error}",
                    "choose another host or port",
                )
            raise BadInput(what, next_step=then) from error
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a final slash."""
        return f"http://{self.host}:{self.port}"

    def provider_urls(self) -> dict[str, str]:
        """Base address of each emulated provider."""
        return self.urls_at(self.url)

    @staticmethod
    def urls_at(url: str) -> dict[str, str]:
        """Base address of each emulated provider of a sandbox that answers at `url`."""
        return {
            "spotify": f"{url}/spotify/v1/",
            "spotify_token": f"{url}/spotify/api/token",
            "reccobeats": f"{url}/reccobeats/v1",
            "deezer": f"{url}/deezer",
            "musicbrainz": f"{url}/musicbrainz/ws/2",
            "apple": f"{url}/apple/api/v2",
            "billboard_hot_100": f"{url}/hot100",
            "billboard_csv": f"{url}/billboard_csv",
        }

    def start(self) -> SandboxServer:
        """Serve in a background thread; returns itself."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving, close open connections and free the port; a second call does nothing."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(timeout=10)
            self._thread = None
        self._server.server_close()
        for connection in list(self._server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._server.connections.discard(connection)  # gone already

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_forever(
    port: int = 8600,
    host: str = "127.0.0.1",
    tier: str = "extended",
    seed: int = 7,
    tracks: int = 3000,
    time_scale: float = 1.0,
    today: dt.date | str | None = None,
    on_ready: Callable[[SandboxServer], None] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then end cleanly; `on_ready` is called once requests are answered.

    Takes the arguments of SandboxServer and raises what it raises. Signals are taken over only in the main thread.
    """
    server = SandboxServer(port, host, tier, seed, tracks, time_scale, today)
    ended = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    before = {}
    if main:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda *_: ended.set())
    try:
        with server:
            if on_ready is not None:
                on_ready(server)
            while not ended.wait(1.0):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
