"""The chart archives over HTTP: identities of the weeks, the quirks of each layout, ETags, restatements, a moving date."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
import requests


def get(url: str, **kwargs) -> requests.Response:
    return requests.get(url, timeout=10, **kwargs)


def table(url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(get(url).text)))


def test_all_weeks_have_ranks_one_to_a_hundred_in_date_order(shared):
    charts = get(shared.provider_urls()["billboard_hot_100"] + "/all.json").json()
    dates = [c["date"] for c in charts]
    assert dates == sorted(dates)
    assert len(dates) == 209
    for chart in charts:
        assert [r["this_week"] for r in chart["data"]] == list(range(1, 101))
    assert set(charts[5]["data"][0]) == {"song", "artist", "this_week", "last_week", "peak_position", "weeks_on_chart"}
    before = {(r["song"], r["artist"], r["this_week"]) for r in charts[-2]["data"]}
    for row in charts[-1]["data"]:
        assert row["last_week"] is None or (row["song"], row["artist"], row["last_week"]) in before
        assert row["peak_position"] <= row["this_week"]


def test_the_parts_agree_with_the_whole(shared):
    url = shared.provider_urls()["billboard_hot_100"]
    charts, dates = get(url + "/all.json").json(), get(url + "/valid_dates.json").json()
    assert dates == [c["date"] for c in charts]
    assert get(url + "/recent.json").json() == charts[-1]
    assert get(f"{url}/date/{dates[7]}.json").json() == charts[7]
    missing = get(f"{url}/date/2026-11-20.json")
    assert (missing.status_code, missing.text) == (404, "404: Not Found")


@pytest.mark.parametrize("path", ["hot100/recent.json", "billboard_csv/data-out/billboard-200-current.csv"])
def test_archives_are_plain_text_with_an_etag(shared, path):
    first = get(f"{shared.url}/{path}")
    assert first.headers["Content-Type"] == "text/plain; charset=utf-8"
    again = get(f"{shared.url}/{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(f"{shared.url}/{path}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_csv_archive_has_its_quirks(shared):
    url = shared.provider_urls()["billboard_csv"]
    rows = table(url + "/data-out/hot-100-current.csv")
    dates = [r["chart_week"] for r in rows]
    assert dates != sorted(dates)
    assert len(rows) == 20_900
    new = [r for r in rows if r["chart_week"] >= "2025-01-01"]
    old = [r for r in rows if r["chart_week"] < "2024-01-01"]
    assert "0" in {r["last_week"] for r in new}
    assert "NA" not in {r["last_week"] for r in new}
    assert "NA" in {r["last_week"] for r in old}
    weekly = table(url + "/data-scraped/hot-100/2026/2026-11-21.csv")
    assert len(weekly) == 100
    assert "-" in {r["last_week"] for r in weekly}
    assert get(url + "/data-scraped/hot-100/2025/2026-11-21.csv").status_code == 404
    assigned = table(url + "/data-out/hot100_assignment.csv")
    assert assigned[0]["CHART WEEK"] == "11/26/2022"
    assert list(assigned[0]) == ["CHART WEEK", "THIS WEEK", "TITLE", "PERFORMER", "LAST WEEK", "PEAK POS.", "WKS ON CHART"]


def test_both_archives_agree_but_for_a_few_spellings(shared):
    urls = shared.provider_urls()
    first = {
        (c["date"], r["this_week"]): (r["song"], r["artist"], r["peak_position"], r["weeks_on_chart"])
        for c in get(urls["billboard_hot_100"] + "/all.json").json()
        for r in c["data"]
    }
    second = {
        (r["chart_week"], int(r["current_week"])): (r["title"], r["performer"], int(r["peak_pos"]), int(r["wks_on_chart"]))
        for r in table(urls["billboard_csv"] + "/data-out/hot-100-current.csv")
    }
    assert first.keys() == second.keys()
    assert all(first[k][2:] == second[k][2:] for k in first)
    different = sum(first[k][:2] != second[k][:2] for k in first)
    assert 0 < different < 0.03 * len(first)


def test_the_album_chart_has_two_hundred_ranks(shared):
    rows = table(shared.provider_urls()["billboard_csv"] + "/data-out/billboard-200-current.csv")
    weeks: dict[str, list[int]] = {}
    for row in rows:
        weeks.setdefault(row["chart_week"], []).append(int(row["current_week"]))
    assert all(ranks == list(range(1, 201)) for ranks in weeks.values())


def test_a_new_week_appears_when_the_date_moves(own):
    url = own.provider_urls()["billboard_hot_100"]
    before = get(url + "/valid_dates.json")
    clock = requests.post(own.url + "/_sandbox/clock", json={"advance_days": 6}, timeout=10).json()
    assert clock["today"] == "2026-11-28"
    after = get(url + "/valid_dates.json")
    assert after.json() == [*before.json(), "2026-11-28"]
    assert after.headers["ETag"] != before.headers["ETag"]
    assert get(url + "/recent.json").json()["date"] == "2026-11-28"
    requests.post(own.url + "/_sandbox/clock", json={"today": "2024-02-03"}, timeout=10)
    assert get(url + "/recent.json").json()["date"] == "2024-02-03"


def test_a_published_week_can_be_restated(own):
    urls = own.provider_urls()
    week, csv_path = "/date/2026-11-07.json", "/data-scraped/hot-100/2026/2026-11-07.csv"
    before = get(urls["billboard_hot_100"] + week)
    body = {"chart": "billboard_hot_100", "date": "2026-11-07", "rank": 3, "kind": "spelling", "title": "Another Name"}
    assert requests.post(own.url + "/_sandbox/restate", json=body, timeout=10).json()["rank"] == 3
    after = get(urls["billboard_hot_100"] + week)
    assert after.headers["ETag"] != before.headers["ETag"]
    changed = [(a, b) for a, b in zip(before.json()["data"], after.json()["data"], strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0][1]["song"] == "Another Name"
    assert table(urls["billboard_csv"] + csv_path)[2]["title"] == "Another Name"
    swap = {"date": "2026-11-07", "rank": 20, "kind": "rank"}
    assert requests.post(own.url + "/_sandbox/restate", json=swap, timeout=10).json()["with_rank"] == 21
    swapped = get(urls["billboard_hot_100"] + week).json()["data"]
    assert [r["this_week"] for r in swapped] == list(range(1, 101))
    assert swapped[19]["song"] == before.json()["data"][20]["song"]
    bad = requests.post(own.url + "/_sandbox/restate", json={"date": "2026-11-08"}, timeout=10)
    assert bad.status_code == 400
    assert "next_step" in bad.json()


def test_a_restatement_without_words_changes_the_spelling_by_itself(own):
    url = own.provider_urls()["billboard_hot_100"]
    done = requests.post(own.url + "/_sandbox/restate", json={}, timeout=10).json()
    day = dt.date.fromisoformat(done["date"])
    row = get(f"{url}/date/{day}.json").json()["data"][done["rank"] - 1]
    own.state.restatements.spelled.clear()
    own.state.restatements.version += 1
    original = get(f"{url}/date/{day}.json").json()["data"][done["rank"] - 1]
    assert (row["song"], row["artist"]) != (original["song"], original["artist"])
    assert row["this_week"] == original["this_week"]
