"""Planted faults over real HTTP: each kind does what it says, where and as often as it was told, and nothing else."""

from __future__ import annotations

import time

import pytest
import requests

from soundscope.sandbox import SandboxServer

PATH = "/hot100/recent.json"


def plant(server: SandboxServer, fault: dict, match: dict | None = None, **more: object) -> str:
    answer = requests.post(f"{server.url}/_sandbox/faults", json={"match": match or {}, "fault": fault, **more}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def get(server: SandboxServer, path: str = PATH) -> requests.Response:
    return requests.get(server.url + path, timeout=10)


def test_a_status_fault_carries_body_and_headers_and_ends_after_its_times(own):
    plant(own, {"kind": "status", "status": 503, "body": {"why": "maintenance"}, "headers": {"Retry-After": "7"}}, times=2)
    first = get(own)
    assert (first.status_code, first.json(), first.headers["Retry-After"]) == (503, {"why": "maintenance"}, "7")
    assert [get(own).status_code for _ in range(2)] == [503, 200]
    listed = requests.get(own.url + "/_sandbox/faults", timeout=10).json()["faults"]
    assert [(f["hits"], f["matched"]) for f in listed] == [(2, 3)]


def test_a_fault_hits_only_what_it_matches_and_only_after_so_many(own):
    plant(own, {"kind": "status", "status": 500}, {"path": r"date/\d+", "provider": "billboard_hot_100"}, after=1)
    assert get(own).status_code == 200
    dated = "/hot100/date/2026-11-21.json"
    assert [get(own, dated).status_code for _ in range(3)] == [200, 500, 500]
    assert get(own, "/deezer/chart/0/tracks").status_code == 200


def test_chance_is_seeded(own):
    def pattern() -> list[int]:
        fault = plant(own, {"kind": "status", "status": 500}, probability=0.5, seed=11)
        codes = [get(own).status_code for _ in range(20)]
        requests.delete(f"{own.url}/_sandbox/faults/{fault}", timeout=10)
        return codes

    first = pattern()
    assert first == pattern()
    assert {200, 500} == set(first)


def test_a_delay_comes_before_the_real_answer(own):
    plant(own, {"kind": "delay", "delay_s": 0.3})
    started = time.perf_counter()
    answer = get(own)
    assert time.perf_counter() - started >= 0.3
    assert answer.json()["date"] == "2026-11-21"


def test_a_delay_combines_with_another_fault(own):
    plant(own, {"kind": "delay", "delay_s": 0.2})
    plant(own, {"kind": "status", "status": 502})
    started = time.perf_counter()
    assert get(own).status_code == 502
    assert time.perf_counter() - started >= 0.2


@pytest.mark.parametrize("after_bytes", [-1, 0, 100])
def test_a_cut_connection_is_an_error_for_the_client(own, after_bytes):
    plant(own, {"kind": "cut", "after_bytes": after_bytes}, times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(own)
    assert get(own).status_code == 200


def test_a_truncated_body_is_a_good_response_with_half_the_text(own):
    whole = get(own)
    plant(own, {"kind": "truncate"})
    part = get(own)
    assert part.status_code == 200
    assert part.content == whole.content[: len(whole.content) // 2]
    with pytest.raises(requests.JSONDecodeError):
        part.json()


def test_a_malformed_body_is_not_json(own):
    plant(own, {"kind": "malformed"})
    answer = get(own)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_schema_can_change_in_json_and_csv(own):
    plant(own, {"kind": "schema", "rename": {"song": "track"}, "drop": ["peak_position"], "retype": {"this_week": "str"}})
    row = get(own).json()["data"][0]
    assert row["track"]
    assert not {"song", "peak_position"} & set(row)
    assert row["this_week"] == "1"
    requests.delete(own.url + "/_sandbox/faults", timeout=10)
    plant(own, {"kind": "schema", "rename": {"performer": "artist"}, "drop": ["peak_pos"]}, {"provider": "billboard_csv"})
    lines = get(own, "/billboard_csv/data-scraped/hot-100/2026/2026-11-21.csv").text.splitlines()
    assert lines[0] == "chart_week,current_week,title,artist,last_week,wks_on_chart"
    assert len(lines) == 101


def test_a_quota_fault_bans_for_hours(own):
    plant(own, {"kind": "quota"}, {"provider": "spotify", "path": "/v1/"}, times=1)
    answer = get(own, "/spotify/v1/search?q=a&type=track")
    assert answer.status_code == 429
    assert answer.json()["error"]["reason"] == "QUOTA_EXCEEDED"
    assert int(answer.headers["Retry-After"]) > 3600
    plant(own, {"kind": "quota", "headers": {"Retry-After": None}}, {"provider": "spotify"}, times=1)
    assert "Retry-After" not in get(own, "/spotify/v1/search?q=a&type=track").headers


def test_a_plain_fault_is_text(own):
    plant(own, {"kind": "plain", "status": 403, "body": "Check settings on developer.spotify.com/dashboard"})
    answer = get(own)
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert answer.text.startswith("Check settings")


def test_faults_can_be_removed_one_by_one_and_all(own):
    one, two = plant(own, {"kind": "status"}), plant(own, {"kind": "status", "status": 418})
    assert get(own).status_code == 503
    assert requests.delete(f"{own.url}/_sandbox/faults/{one}", timeout=10).status_code == 200
    assert get(own).status_code == 418
    assert requests.delete(f"{own.url}/_sandbox/faults/{one}", timeout=10).status_code == 404
    assert requests.delete(own.url + "/_sandbox/faults", timeout=10).json() == {"removed": 1}
    assert two
    assert get(own).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": {"kind": "explode"}},
        {"fault": {"kind": "status"}, "match": {"path": "("}},
        {"fault": {"kind": "status"}, "often": 3},
        {"fault": {"kind": "status"}, "times": "many"},
        {"fault": {"kind": "status"}, "match": {"provider": "nobody"}},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(own, wrong):
    answer = requests.post(own.url + "/_sandbox/faults", json=wrong, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["next_step"]


def test_the_control_plane_itself_is_never_hit(own):
    plant(own, {"kind": "status", "status": 500})
    assert requests.get(own.url + "/_sandbox/", timeout=10).status_code == 200
