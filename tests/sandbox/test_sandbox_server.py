"""The server as a thing that is started, stopped, counted and asked about; the truth it keeps to itself."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from soundscope.errors import BadInput
from soundscope.sandbox import SandboxServer, write_truth

# Whole commands and servers in processes of their own.
pytestmark = pytest.mark.e2e


def test_many_clients_at_once_are_all_served(own):
    codes: list[int] = []

    def work() -> None:
        with requests.Session() as session:
            codes.extend(session.get(own.url + "/hot100/recent.json", timeout=10).status_code for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 80


def test_a_port_in_use_is_named_with_the_next_step(own):
    with pytest.raises(BadInput) as caught:
        SandboxServer(port=own.port, tracks=400)
    assert str(own.port) in caught.value.message
    assert "--port" in caught.value.next_step


@pytest.mark.parametrize("bad", [{"tier": "gold"}, {"today": "yesterday"}, {"time_scale": 0}, {"tracks": 1}])
def test_bad_arguments_are_refused(bad):
    with pytest.raises(BadInput) as caught:
        SandboxServer(**({"tracks": 400} | bad))
    assert caught.value.next_step


def test_a_stopped_server_frees_its_port_and_ends_connections():
    server = SandboxServer(tracks=400).start()
    session = requests.Session()
    assert session.get(server.url + "/_sandbox/", timeout=10).status_code == 200
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        session.get(server.url + "/_sandbox/", timeout=10)
    with SandboxServer(port=server.port, tracks=400) as again:
        assert again.port == server.port


def test_serving_ends_cleanly_on_a_signal():
    code = (
        "from soundscope.sandbox import serve_forever\n"
        "serve_forever(port=0, tracks=400, on_ready=lambda server: print(server.url, flush=True))\n"
        "print('ended', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert requests.get(url + "/_sandbox/", timeout=10).status_code == 200
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=15)
    assert (rest.strip(), process.returncode) == ("ended", 0)


def test_requests_are_counted_by_provider_endpoint_and_status(own):
    for path in ("/hot100/recent.json", "/hot100/date/2026-11-21.json", "/hot100/date/1999-01-02.json", "/deezer/track/7"):
        requests.get(own.url + path, timeout=10)
    seen = requests.get(own.url + "/_sandbox/requests?log=1&window_s=2", timeout=10).json()
    hot = seen["providers"]["billboard_hot_100"]
    assert seen["total"] == 4
    assert hot["status"] == {"200": 2, "404": 1}
    assert hot["endpoints"]["/hot100/date/{date}.json"] == {"total": 2, "status": {"200": 1, "404": 1}}
    assert hot["max_in_window"]["2"] == 3
    assert seen["providers"]["deezer"]["endpoints"]["/deezer/track/{n}"]["total"] == 1
    assert [r["path"] for r in seen["log"]][-1] == "/deezer/track/7"
    assert set(seen["log"][0]) == {"time", "provider", "method", "path", "endpoint", "status"}
    requests.delete(own.url + "/_sandbox/requests", timeout=10)
    assert requests.get(own.url + "/_sandbox/requests", timeout=10).json() == {"total": 0, "providers": {}}


def test_no_credential_is_kept(own):
    requests.post(
        own.provider_urls()["spotify_token"], data={"grant_type": "client_credentials"}, auth=("me", "my-own-secret"), timeout=10
    )
    seen = requests.get(own.url + "/_sandbox/requests?log=1", timeout=10).text
    assert "my-own-secret" not in seen
    assert "Basic" not in seen


def test_time_scale_shortens_windows():
    with SandboxServer(tracks=400, time_scale=10) as server:
        # Three calls in any 20 s, scaled to 2 s: slow enough for a busy machine to overrun.
        limits = {"deezer": {"rate": 3, "window_s": 20}}
        requests.post(server.url + "/_sandbox/limits", json=limits, timeout=10).raise_for_status()
        url = server.provider_urls()["deezer"] + "/track/1"
        codes = [requests.get(url, timeout=10).json()["error"]["code"] for _ in range(6)]
        assert 4 in codes
        time.sleep(2.2)
        assert requests.get(url, timeout=10).json()["error"]["code"] == 800


@pytest.mark.parametrize("body", ["{", "[]", '{"today": "soon"}', "{}"])
def test_a_control_that_cannot_be_understood_is_refused(own, body):
    answer = requests.post(own.url + "/_sandbox/clock", data=body, timeout=10)
    assert answer.status_code == 400
    assert {"error", "next_step"} <= set(answer.json())


def test_an_unknown_control_names_the_known_ones(own):
    answer = requests.get(own.url + "/_sandbox/truth", timeout=10)
    assert answer.status_code == 404
    assert "POST /_sandbox/faults" in answer.json()["controls"]


def test_truth_names_every_chart_row_and_its_ids(own, tmp_path):
    paths = {p.name: p for p in write_truth(own.world, tmp_path / "truth")}
    assert set(paths) == {"chart_links.csv", "recordings.csv", "features.csv", "genres.csv", "popularity.csv"}

    def rows(name: str) -> list[dict[str, str]]:
        with paths[name].open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    links = rows("chart_links.csv")
    assert len(links) == 100 * own.world.chart_weeks()
    recent = requests.get(own.url + "/hot100/recent.json", timeout=10).json()
    last = [r for r in links if r["chart_date"] == recent["date"]]
    assert [(r["title"], r["artist"]) for r in last] == [(r["song"], r["artist"]) for r in recent["data"]]
    known = {i for r in rows("recordings.csv") for i in r["spotify_ids"].split()}
    linked = {i for r in links for i in r["spotify_ids"].split()}
    assert linked <= known
    assert any(r["spotify_ids"] == "" for r in links)
    assert all(own.world.find_track(i) is not None for i in list(linked)[:50])
    assert len(rows("features.csv")) == len(rows("genres.csv")) == len(rows("recordings.csv"))
    assert all(0 <= int(r["popularity"]) <= 100 for r in rows("popularity.csv"))


def test_truth_that_cannot_be_written_is_an_error_with_a_next_step(own, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(BadInput) as caught:
        write_truth(own.world, blocked)
    assert caught.value.next_step
