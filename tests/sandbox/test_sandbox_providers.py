"""ReccoBeats, Deezer, MusicBrainz and Apple's feed over real HTTP: their shapes, their gaps and their own ways to refuse."""

from __future__ import annotations

import re

import pytest
import requests
from conftest import listed_ids

CONTACT = {"User-Agent": "SoundScope-tests/1.0 (tests@example.org)"}


def get(url: str, **kwargs) -> requests.Response:
    return requests.get(url, timeout=10, **kwargs)


def test_reccobeats_leaves_unknown_ids_out_and_does_not_keep_the_order(shared, spotify_for):
    client, url = spotify_for(shared), shared.provider_urls()["reccobeats"]
    ids = listed_ids(client, shared)[:39]
    rows = get(f"{url}/audio-features", params={"ids": ",".join([*ids, "0" * 22])}).json()["content"]
    found = [row["href"].rsplit("/", 1)[1] for row in rows]
    assert set(found) < set(ids)
    assert len(found) > 10
    assert found != [i for i in ids if i in set(found)]
    assert "time_signature" not in rows[0]
    assert "duration_ms" not in rows[0]
    assert {"tempo", "key", "mode", "loudness", "isrc", "id"} <= set(rows[0])
    same = client.audio_features(found[:1])[0]
    if same:
        assert rows[0]["tempo"] == pytest.approx(same["tempo"], abs=0.002)


def test_reccobeats_answers_by_isrc_with_every_id_of_it(shared):
    world, url = shared.world, shared.provider_urls()["reccobeats"]
    song = next(
        s for s in range(2000) if len({world.names.isrc(t) for t in world.tracks_of_song(s)}) < len(world.tracks_of_song(s)) > 1
    )
    codes = {world.names.isrc(t) for t in world.tracks_of_song(song)}
    sizes = [len(get(f"{url}/audio-features", params={"ids": code}).json()["content"]) for code in codes]
    assert max(sizes) > 1 or sizes == [0] * len(sizes)
    many = [world.names.isrc(world.tracks_of_song(s)[0]) for s in range(300, 340) if world.tracks_of_song(s)]
    content = get(f"{url}/audio-features", params={"ids": ",".join(many[:40])}).json()["content"]
    assert {row["isrc"] for row in content} <= set(many)
    assert content


def test_reccobeats_covers_old_releases_better_than_new_ones(shared):
    world, url = shared.world, shared.provider_urls()["reccobeats"]

    def share(low: int, high: int) -> float:
        age = world.day - world.songs.day[world.tracks.song]
        ids = [world.track_id(t) for t in range(len(age)) if low <= age[t] < high][:200]
        found = 0
        for start in range(0, len(ids), 40):
            part = ids[start : start + 40]
            found += len(get(f"{url}/audio-features", params={"ids": ",".join(part)}).json()["content"])
        return found / len(ids)

    assert share(3000, 20_000) > 0.75
    assert share(0, 200) < 0.5


def test_reccobeats_refuses_in_its_own_words(own):
    url = own.provider_urls()["reccobeats"]
    assert get(f"{url}/audio-features").json()["status"] == 4001
    over = get(f"{url}/audio-features", params={"ids": ",".join(["0" * 22] * 41)})
    assert (over.status_code, over.json()["status"]) == (400, 4002)
    assert get(f"{url}/track/no-such/audio-features").json()["status"] == 4041
    requests.post(own.url + "/_sandbox/limits", json={"reccobeats": {"rate": 1, "window_s": 60}}, timeout=10)
    assert get(f"{url}/track", params={"ids": "0" * 22}).json() == {"content": []}
    refused = get(f"{url}/track", params={"ids": "0" * 22})
    assert (refused.status_code, refused.json()["status"]) == (429, 4291)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_reccobeats_tracks_carry_what_features_lack(shared):
    world, url = shared.world, shared.provider_urls()["reccobeats"]
    ids = ",".join(world.track_id(t) for t in range(40))
    row = get(f"{url}/track", params={"ids": ids}).json()["content"][0]
    assert {"id", "trackTitle", "artists", "durationMs", "isrc", "href", "popularity"} <= set(row)
    single = get(f"{url}/track/{row['id']}/audio-features").json()
    assert single["href"] == row["href"]


def test_deezer_lists_have_no_isrc_but_tracks_do(shared):
    url = shared.provider_urls()["deezer"]
    listed = get(f"{url}/chart/0/tracks?limit=30").json()["data"]
    assert [row["position"] for row in listed] == list(range(1, 31))
    assert "isrc" not in listed[0]
    tracks = [get(f"{url}/track/{row['id']}").json() for row in listed[:12]]
    assert 0 in [t["bpm"] for t in tracks]
    assert all(30 < t["duration"] < 2000 for t in tracks)
    assert any(t["bpm"] > 40 for t in tracks)
    by_isrc = get(f"{url}/track/isrc:{tracks[0]['isrc']}").json()
    assert by_isrc["isrc"] == tracks[0]["isrc"]
    found = get(
        f"{url}/search", params={"q": f'artist:"{tracks[0]["artist"]["name"]}" track:"{tracks[0]["title_short"]}"'}
    ).json()
    assert tracks[0]["id"] in [row["id"] for row in found["data"]]


def test_deezer_errors_come_inside_a_good_status(own):
    url = own.provider_urls()["deezer"]
    missing = get(f"{url}/track/isrc:USAAA2400001")
    assert (missing.status_code, missing.json()["error"]["code"]) == (200, 800)
    assert get(f"{url}/search").json()["error"]["code"] == 501
    assert get(f"{url}/nowhere").json()["error"]["code"] == 600
    codes = [get(f"{url}/track/1").json()["error"]["code"] for _ in range(50)]
    assert codes[:40] == [800] * 40
    assert codes[-1] == 4


def test_musicbrainz_wants_a_contact_and_one_request_a_second(own):
    url = own.provider_urls()["musicbrainz"]
    nobody = get(f"{url}/isrc/ZZSYN2400001?fmt=json", headers={"User-Agent": "python-requests/2"})
    assert nobody.status_code == 403
    first = get(f"{url}/isrc/ZZSYN2400001?fmt=json", headers=CONTACT)
    second = get(f"{url}/isrc/ZZSYN2400001?fmt=json", headers=CONTACT)
    assert first.status_code in (200, 404)
    assert second.status_code == 503
    assert "allowable rate limit" in second.json()["error"]


def test_musicbrainz_describes_a_recording_as_far_as_asked(own):
    url, world = own.provider_urls()["musicbrainz"], own.world
    requests.post(own.url + "/_sandbox/limits", json={"musicbrainz": {"rate": None}}, timeout=10)
    answers = []
    for song in range(60):
        tracks = world.tracks_of_song(song)
        if tracks:
            code = world.names.isrc(tracks[0])
            answers.append(get(f"{url}/isrc/{code}?inc=artist-credits+tags+genres&fmt=json", headers=CONTACT))
    found = [a.json() for a in answers if a.status_code == 200]
    assert {a.status_code for a in answers} == {200, 404}
    recording = found[0]["recordings"][0]
    assert recording["artist-credit"][0]["artist"]["name"]
    assert any(f["recordings"][0]["tags"] for f in found)
    bare = get(f"{url}/isrc/{found[0]['isrc']}?fmt=json", headers=CONTACT).json()["recordings"][0]
    assert not {"tags", "genres", "artist-credit"} & set(bare)
    searched = get(f"{url}/recording", params={"query": f'recording:"{bare["title"]}"', "fmt": "json"}, headers=CONTACT).json()
    assert bare["id"] in [r["id"] for r in searched["recordings"]]
    assert searched["recordings"][0]["score"] == 100
    assert get(f"{url}/isrc/{found[0]['isrc']}", headers=CONTACT).text.startswith("<?xml")
    assert get(f"{url}/isrc/nonsense?fmt=json", headers=CONTACT).status_code == 400


def test_apple_ranks_by_position_for_today_only(own):
    url = own.provider_urls()["apple"]
    answer = get(f"{url}/us/music/most-played/50/songs.json")
    feed = answer.json()["feed"]
    assert len(feed["results"]) == 50
    assert feed["country"] == "us"
    assert feed["updated"].startswith("Sun, 22 Nov 2026")
    song = feed["results"][0]
    assert song["kind"] == "songs"
    assert re.fullmatch(r"\d+", song["id"])
    assert [g["name"] for g in song["genres"]][-1] == "Music"
    assert "isrc" not in song
    assert get(f"{url}/us/music/most-played/50/songs.json", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    other = get(f"{url}/jp/music/most-played/50/songs.json").json()["feed"]["results"]
    assert [s["id"] for s in other] != [s["id"] for s in feed["results"]]
    assert get(f"{url}/us/music/most-played/51/songs.json").status_code == 404
    requests.post(own.url + "/_sandbox/clock", json={"advance_days": 1}, timeout=10)
    assert get(f"{url}/us/music/most-played/50/songs.json").json()["feed"]["updated"].startswith("Mon, 23 Nov 2026")
