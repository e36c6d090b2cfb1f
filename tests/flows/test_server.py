"""The Prefect server of an installation: one real server on a port that is not the wanted one, which was taken."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from flows import server
from flows.environment import child_environment
from flows.locks import is_held
from soundscope.errors import SoundScopeError
from soundscope.settings import PROJECT, Settings, load_settings

pytestmark = pytest.mark.e2e

SECRET = "a-secret-of-spotify"


def _settings_of(folder: Path, port: int) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SOUNDSCOPE_")]:
            patch.delenv(name)
        settings = load_settings(home=str(folder), server={"port": port})
    settings.paths.create()
    return settings


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A running server; its wanted port was in use, and a state file of a dead one lay in its way."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    wanted = taken.getsockname()[1]
    settings = _settings_of(tmp_path_factory.mktemp("server"), wanted)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stale = {"pid": bystander.pid, "address": f"http://127.0.0.1:{wanted}"}
    (settings.paths.private / "server.json").write_text(json.dumps(stale))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOTIPY_CLIENT_SECRET", SECRET)
        patch.setenv("PREFECT_SERVER_API_AUTH_STRING", "someone:else")
        running = server.start(settings)
    yield SimpleNamespace(settings=settings, server=running, wanted=wanted, bystander=bystander)
    assert running.stop()
    bystander.kill()
    bystander.wait()
    taken.close()


@pytest.fixture
def client_environment(up: SimpleNamespace) -> Iterator[None]:
    """This process as a client of the server; restored afterwards, Prefect's idea of it too."""
    before = dict(os.environ)
    server.apply_environment(up.settings, up.server.address)
    yield
    os.environ.clear()
    os.environ.update(before)
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()


def _auth(up: SimpleNamespace) -> tuple[str, str]:
    kept = json.loads(server.credentials_file(up.settings).read_text())
    return kept["user"], kept["password"]


def test_a_taken_port_is_left_to_its_owner(up: SimpleNamespace) -> None:
    assert up.wanted < int(up.server.address.rsplit(":", 1)[1]) < up.wanted + 50
    assert up.server.started_here
    assert up.server.alone_since is not None
    assert requests.get(f"{up.server.address}/api/health", timeout=5).json() is True


def test_a_stale_state_file_is_not_believed_and_its_process_not_touched(up: SimpleNamespace) -> None:
    assert up.server.pid != up.bystander.pid
    assert up.bystander.poll() is None


def test_another_servers_answer_is_not_ours(up: SimpleNamespace, settings: Settings) -> None:
    state = {"pid": up.server.pid, "address": up.server.address}
    (settings.paths.private / "server.json").write_text(json.dumps(state))
    assert server.running(settings) is None
    assert server.running(up.settings) == up.server.address


def test_without_the_password_nothing_is_told(up: SimpleNamespace) -> None:
    url = f"{up.server.address}/api/admin/version"
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=("admin", "guess"), timeout=5).status_code == 401
    assert requests.get(url, auth=("someone", "else"), timeout=5).status_code == 401
    assert requests.get(url, auth=_auth(up), timeout=5).status_code == 200


def test_a_post_needs_a_csrf_token(up: SimpleNamespace) -> None:
    url = f"{up.server.address}/api/flows/filter"
    assert requests.post(url, json={}, auth=_auth(up), timeout=5).status_code == 403
    asked = {"client": "test"}
    token = requests.get(f"{up.server.address}/api/csrf-token", params=asked, auth=_auth(up), timeout=5).json()["token"]
    headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
    assert requests.post(url, json={}, headers=headers, timeout=5).status_code == 401
    assert requests.post(url, json={}, auth=_auth(up), headers=headers, timeout=5).json() == []


def test_another_site_gets_no_permission(up: SimpleNamespace) -> None:
    def allowed(origin: str) -> str | None:
        answer = requests.get(f"{up.server.address}/api/health", headers={"Origin": origin}, timeout=5)
        return answer.headers.get("Access-Control-Allow-Origin")

    assert allowed("http://evil.example") is None
    assert allowed(up.server.address) == up.server.address


@pytest.mark.parametrize("stream", ["events/in", "events/out", "logs/out"])
def test_streams_need_the_password(up: SimpleNamespace, stream: str) -> None:
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    url = f"{up.server.address}/api/{stream}".replace("http", "ws", 1)
    with pytest.raises(WebSocketException):  # noqa: SIM117 (the connection itself is what raises)
        with connect(url, open_timeout=5) as socket_without_password:
            socket_without_password.recv(timeout=5)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the list of sockets is read from /proc, which only Linux has")
def test_only_loopback_listens(up: SimpleNamespace) -> None:
    port = f"{int(up.server.address.rsplit(':', 1)[1]):04X}"
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port}")}
    assert listening == {f"0100007F:{port}"}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="a process's environment is read from /proc")
def test_the_server_is_not_given_secrets_of_providers(up: SimpleNamespace) -> None:
    environment = Path(f"/proc/{up.server.pid}/environ").read_bytes()
    assert SECRET.encode() not in environment
    assert b"someone:else" not in environment


def test_private_files_are_their_owners_alone(up: SimpleNamespace) -> None:
    paths = up.settings.paths
    files = [server.credentials_file(up.settings), paths.prefect / "prefect.db", paths.logs / "prefect-server.log"]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3
    assert paths.private.stat().st_mode & 0o777 == 0o700


def test_the_second_user_gets_the_running_server_and_leaves_it(up: SimpleNamespace) -> None:
    with server.start(up.settings) as second:
        assert (second.pid, second.address) == (up.server.pid, up.server.address)
        assert not second.started_here
        assert second.alone_since is None
    assert server.running(up.settings) == up.server.address


def test_limits_are_made_once(up: SimpleNamespace, client_environment: None) -> None:
    from prefect.client.orchestration import get_client

    # Several processes at the same moment, each with a Prefect client of its own: the server refuses a second of the same name.
    program = (
        "import sys, time; from flows.guards import set_up; from soundscope.settings import load_settings;"
        "import prefect.client.orchestration; time.sleep(max(0, float(sys.argv[1]) - time.time()));"
        "set_up(load_settings(), None)"
    )
    environment = child_environment(up.settings, up.server.address)
    begin = str(time.time() + 8)
    several = [subprocess.Popen([sys.executable, "-c", program, begin], cwd=PROJECT, env=environment) for _ in range(3)]
    assert [process.wait(60) for process in several] == [0, 0, 0]
    with get_client(sync_client=True) as client:
        assert [(limit.name, limit.limit) for limit in client.read_global_concurrency_limits()] == [("soundscope-writer", 1)]
        automations = client.read_automations()
    assert len(automations) == 1
    assert automations[0].trigger.within.total_seconds() >= 3 * 30


def test_a_run_without_a_process_is_marked_crashed(up: SimpleNamespace, client_environment: None) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from flows.guards import crash_abandoned_runs

    @flow
    def abandoned() -> None:
        """Never runs: only its record is made."""

    before = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(abandoned, state=Running())
        assert crash_abandoned_runs(before) == 0, "it has told something since"
        assert crash_abandoned_runs(datetime.now(UTC)) == 1
        assert client.read_flow_run(run.id).state.is_crashed()
        assert crash_abandoned_runs(datetime.now(UTC)) == 0


def test_artifacts_keep_their_keys(up: SimpleNamespace, client_environment: None) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client

    from flows import dashboard

    @flow
    def showing() -> None:
        dashboard.row_counts({"core.tracks": 2, "core.old": 1}, {"core.tracks": 5, "core.new": 4})
        dashboard.report("# Nothing to report", "Run Report")
        bar = dashboard.progress("fetch", 2)
        bar.advance()
        bar.advance()

    showing()
    with get_client(sync_client=True) as client:
        found = {artifact.key: artifact for artifact in client.read_artifacts()}
    assert set(found) == {"row-counts", "run-report", "fetch"}
    assert [(row["table"], row["change"]) for row in json.loads(found["row-counts"].data)] == [
        ("core.new", "+4"),
        ("core.old", "-1"),
        ("core.tracks", "+3"),
    ]
    assert float(found["fetch"].data) == 100


def test_credentials_are_made_once_and_mended(settings: Settings) -> None:
    first = server.credentials(settings)
    file = server.credentials_file(settings)
    file.chmod(0o644)
    assert server.credentials(settings, "http://127.0.0.1:9").password == first.password
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["url"] == "http://127.0.0.1:9"
    assert first.password not in repr(first)
    file.write_text("{")
    with pytest.raises(SoundScopeError, match="does not hold"):
        server.credentials(settings)


def test_the_environment_is_ours_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("PREFECT_API_KEY", "of-another-set-up")
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere.example/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    environment = server.prefect_environment(settings, "http://127.0.0.1:4321")
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4321"
    assert environment["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    child = child_environment(settings, "http://127.0.0.1:4321")
    assert "PREFECT_API_KEY" not in child
    assert child["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert {name: child[name] for name in environment} == {**environment, "PREFECT_LOGGING_LEVEL": "DEBUG"}
    decoded = base64.b64encode(environment["PREFECT_API_AUTH_STRING"].encode())
    assert decoded not in repr(server.credentials(settings)).encode()


@pytest.mark.slow
def test_two_starters_share_one_server_that_leaves_when_both_are_killed(settings: Settings) -> None:
    program = (
        "import json, sys, time; from flows import server; from soundscope.settings import load_settings;"
        "held = server.start(load_settings(server={'port': 0})); print(json.dumps([held.pid, held.started_here]), flush=True);"
        "time.sleep(600)"
    )
    starters = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        said = [json.loads(starter.stdout.readline()) for starter in starters if starter.stdout]
    finally:
        for starter in starters:
            starter.kill()
            starter.communicate()
    assert said[0][0] == said[1][0]
    assert sorted(started for _, started in said) == [False, True]
    deadline = time.monotonic() + 30
    while is_held(settings.paths.private / "server.lock"):
        assert time.monotonic() < deadline, "the server stayed although nobody uses it"
        time.sleep(0.2)


@pytest.mark.slow
def test_a_server_that_dies_at_its_start_says_why(settings: Settings) -> None:
    (settings.paths.prefect / "prefect.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(SoundScopeError, match=r"(?s)ended with status.*not a database"):
        server.start(settings)
    assert server.running(settings) is None
    assert not is_held(settings.paths.private / "server.lock")
