"""What this installation's Prefect server and its clients are told, through the environment alone.

Every variable is set here, so that nothing of another Prefect set-up on the machine (a profile, an API key, another
server) reaches SoundScope. Starting and stopping the server is `flows/server.py`. Prefect is not imported here: it reads
the environment at import.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from soundscope.errors import BadInput
from soundscope.settings import Settings

HEARTBEAT_S = 30  # the least that Prefect allows
USER = "admin"
_LOGGING = "PREFECT_LOGGING_"
LOOPBACK = "127.0.0.1"

# Without batches the task-run recorder falls behind from about a thousand tasks on, starves the API and loses records at a stop.
_BATCHES = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
}


@dataclass(frozen=True, repr=False)
class Credentials:
    """The dashboard's sign-in; `repr` leaves the password out."""

    user: str
    password: str
    url: str

    @property
    def auth_string(self) -> str:
        """`user:password`, which is what the sign-in page asks for."""
        return f"{self.user}:{self.password}"

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, url={self.url!r})"


def credentials_file(settings: Settings) -> Path:
    """Where the sign-in is kept: JSON with user, password, url and
    sign_in (the text that the sign-in page wants), readable by its owner alone."""
    return settings.paths.private / "dashboard-credentials"


def credentials(settings: Settings, url: str | None = None) -> Credentials:
    """The sign-in of this installation's dashboard, made at the first call and kept.

    Args:
        settings: of the installation.
        url: the dashboard's address, recorded beside the password; None leaves what is recorded.

    Raises:
        BadInput: the file is there and cannot be read as credentials.
    """
    file = credentials_file(settings)
    if not file.exists():
        settings.paths.create()
        first = url or f"http://{LOOPBACK}:{settings.server.port}"
        made = Credentials(USER, secrets.token_urlsafe(24), first)
        _write_private(file, made, replace=False)
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        found = Credentials(str(kept["user"]), str(kept["password"]), str(kept["url"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{file} does not hold the dashboard's credentials: {error!r}.",
            next_step="stop `soundscope up` if it runs, delete that file and start again: a new password is made.",
        ) from error
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)
    if url and url != found.url:
        found = Credentials(found.user, found.password, url)
        _write_private(file, found, replace=True)
    return found


def prefect_environment(settings: Settings, address: str | None = None) -> dict[str, str]:
    """Every variable that the server and its clients need.

    Args:
        settings: of the installation.
        address: of the running server, as `http://127.0.0.1:4200`; None means the port of the settings.
    """
    origin = address or f"http://{LOOPBACK}:{settings.server.port}"
    auth = credentials(settings).auth_string
    return {
        **_BATCHES,
        "PREFECT_HOME": str(settings.paths.prefect),
        "PREFECT_API_URL": f"{origin}/api",
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": origin.rsplit(":", 1)[1],
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "8",
        # Waits of 2, 4, ... 64 s: a server that is gone for a minute and then takes a while to start does not end a run.
        "PREFECT_CLIENT_MAX_RETRIES": "6",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_CLI_PROMPT": "false",
        **_direct_to_loopback(),
        "DO_NOT_TRACK": "1",
    }


def child_environment(settings: Settings, address: str | None = None) -> dict[str, str]:
    """This process's environment for a child that uses Prefect: foreign `PREFECT_*` variables out, ours in.

    How much is logged, and where to, stays as it was said (`PREFECT_LOGGING_*`).
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_") or name.startswith(_LOGGING)}
    return {**prefect_environment(settings, address), **kept, **_direct_to_loopback(), "DO_NOT_TRACK": "1"}


def apply_environment(settings: Settings, address: str | None = None) -> None:
    """Point this process at the installation's server.

    Best called before Prefect is imported; if it already is, its settings are read anew.
    """
    wanted = child_environment(settings, address)
    for name in [name for name in os.environ if name.startswith("PREFECT_") and name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def _direct_to_loopback() -> dict[str, str]:
    """A proxy of the machine must not see, and could not reach, calls to this machine."""
    bypass = [part for part in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if part]
    no_proxy = ",".join(dict.fromkeys([*bypass, LOOPBACK, "localhost"]))
    return {"NO_PROXY": no_proxy, "no_proxy": no_proxy}


def _write_private(file: Path, content: Credentials, *, replace: bool) -> None:
    """Write JSON with mode 0600, whole or not at all; without `replace` the first of two writers wins."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump({**vars(content), "sign_in": content.auth_string}, out, indent=2)
            out.write("\n")
        if replace:
            temporary.replace(file)
        elif not file.exists():
            try:
                os.link(temporary, file)
            except FileExistsError:
                return
    finally:
        temporary.unlink(missing_ok=True)
