"""The Web API over real HTTP, through spotipy and without it: shapes, nulls, limits, tiers, tokens, both kinds of 429."""

from __future__ import annotations

import base64
import re

import pytest
import requests
import spotipy
from conftest import listed_ids
from spotipy.oauth2 import SpotifyOauthError

from soundscope.sandbox import SandboxServer

UNKNOWN = "0" * 22


def token(server: SandboxServer) -> dict[str, str]:
    answer = requests.post(
        server.provider_urls()["spotify_token"], data={"grant_type": "client_credentials"}, auth=("client", "secret"), timeout=10
    )
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def control(server: SandboxServer, path: str, **body: object) -> dict:
    answer = requests.post(f"{server.url}/_sandbox/{path}", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(call, *args, **kwargs) -> spotipy.SpotifyException:
    with pytest.raises(spotipy.SpotifyException) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_track_has_the_documented_shape(shared, spotify_for):
    client = spotify_for(shared)
    track = client.track(listed_ids(client, shared)[0])
    assert set(track) == {
        "album", "artists", "available_markets", "disc_number", "duration_ms", "explicit", "external_ids", "external_urls", "href",
        "id", "is_local", "name", "popularity", "preview_url", "track_number", "type", "uri",
    }  # fmt: skip
    assert re.fullmatch(r"[0-9A-Za-z]{22}", track["id"])
    assert re.fullmatch(r"ZZS[A-Z0-9]{2}\d{7}", track["external_ids"]["isrc"])
    assert track["album"]["release_date_precision"] in ("year", "month", "day")
    assert 0 <= track["popularity"] <= 100
    assert track["uri"] == f"spotify:track:{track['id']}"


def test_every_json_answer_says_that_it_is_synthetic(shared):
    for path in ("/_sandbox/", "/deezer/chart/0/tracks", "/apple/api/v2/us/music/most-played/10/songs.json", "/nobody/here"):
        assert requests.get(shared.url + path, timeout=10).headers["X-Synthetic"] == "true"


def test_a_batch_keeps_order_and_has_null_for_unknown_ids(shared, spotify_for):
    client = spotify_for(shared)
    ids = listed_ids(client, shared)[:5]
    asked = [*ids[:2], UNKNOWN, *ids[2:]]
    tracks = client.tracks(asked)["tracks"]
    assert [t and t["id"] for t in tracks] == [*ids[:2], None, *ids[2:]]
    features = client.audio_features(asked)
    assert features[2] is None
    assert all(f is None or f["id"] == i for f, i in zip(features, asked, strict=True))
    assert client.artists([UNKNOWN])["artists"] == [None]
    assert client.albums([UNKNOWN])["albums"] == [None]


def test_some_tracks_were_never_analysed_and_values_stay_in_their_ranges(shared, spotify_for):
    client = spotify_for(shared)
    rows = [f for p in range(10) for f in client.audio_features(listed_ids(client, shared, p)[:50])]
    known = [f for f in rows if f]
    assert 0 < len(rows) - len(known) < 0.1 * len(rows)
    for name in ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness"):
        assert all(0 <= f[name] <= 1 for f in known)
    assert all(-60 <= f["loudness"] <= 0 and -1 <= f["key"] <= 11 and f["mode"] in (0, 1) for f in known)
    assert all(f["tempo"] == 0 or 40 < f["tempo"] < 250 for f in known)
    assert set(known[0]) == {
        "acousticness", "analysis_url", "danceability", "duration_ms", "energy", "id", "instrumentalness", "key", "liveness",
        "loudness", "mode", "speechiness", "tempo", "time_signature", "track_href", "type", "uri", "valence",
    }  # fmt: skip


def test_silence_shows_up_as_zero_tempo_and_unknown_key(shared):
    headers, world = token(shared), shared.world
    silent = next(t for t in range(3000) if world.is_silent(int(world.tracks.song[t])) and world.has_analysis(t))
    answer = requests.get(
        f"{shared.provider_urls()['spotify']}audio-features/{world.track_id(silent)}", headers=headers, timeout=10
    )
    row = answer.json()
    assert (row["tempo"], row["key"], row["time_signature"]) == (0, -1, 0)


def test_some_artists_have_no_genres(shared, spotify_for):
    client, world = spotify_for(shared), shared.world
    artists = client.artists([world.codec.encode("artist", i) for i in range(10, 60)])["artists"]
    empty = sum(a["genres"] == [] for a in artists)
    assert 0 < empty < 25
    assert all(a["followers"]["total"] >= 0 for a in artists)


@pytest.mark.parametrize(("path", "most"), [("audio-features", 100), ("tracks", 50), ("artists", 50), ("albums", 20)])
def test_batches_have_limits(shared, path, most):
    headers, url = token(shared), shared.provider_urls()["spotify"]
    ok = requests.get(f"{url}{path}/?ids={','.join([UNKNOWN] * most)}", headers=headers, timeout=10)
    over = requests.get(f"{url}{path}/?ids={','.join([UNKNOWN] * (most + 1))}", headers=headers, timeout=10)
    assert ok.status_code == 200
    assert (over.status_code, over.json()) == (400, {"error": {"status": 400, "message": "Too many ids requested"}})
    assert requests.get(f"{url}{path}/?ids=", headers=headers, timeout=10).status_code == 400


def test_unknown_and_malformed_ids_differ(shared):
    headers, url = token(shared), shared.provider_urls()["spotify"]
    for kind in ("tracks", "albums", "artists", "playlists", "audio-features"):
        assert requests.get(f"{url}{kind}/{UNKNOWN}", headers=headers, timeout=10).status_code == 404
        assert requests.get(f"{url}{kind}/short", headers=headers, timeout=10).status_code == 400


def test_pages_link_to_this_server_until_the_end(shared, spotify_for):
    client = spotify_for(shared)
    playlist = requests.get(shared.url + "/_sandbox/", timeout=10).json()["playlists"][0]["id"]
    page = client.playlist_items(playlist, limit=50)
    seen = list(page["items"])
    while page["next"]:
        assert page["next"].startswith(shared.url)
        page = client.next(page)
        seen += page["items"]
    assert len(seen) == page["total"]
    ids = [i["track"]["id"] for i in seen]
    assert len(set(ids)) == len(ids)


def test_new_releases_hold_a_local_file_and_a_gone_track(shared, spotify_for):
    client = spotify_for(shared)
    known = requests.get(shared.url + "/_sandbox/", timeout=10).json()["playlists"]
    unlabelled = [p for p in known if p["genre"] is None]
    assert len(known) >= 9
    assert len(unlabelled) == 1
    items = client.playlist_items(unlabelled[0]["id"])["items"]
    assert sum(i["track"] is None for i in items) == 1
    assert [i["track"]["id"] for i in items if i["is_local"]] == [None]


def test_relinking_returns_another_id_of_the_same_recording(shared):
    headers, url, world = token(shared), shared.provider_urls()["spotify"], shared.world
    several = [t for s in range(800) for t in world.tracks_of_song(s) if len(world.tracks_of_song(s)) > 1]
    moved = 0
    for start in range(0, 200, 50):
        asked = [world.track_id(t) for t in several[start : start + 50]]
        tracks = requests.get(f"{url}tracks/?ids={','.join(asked)}&market=DE", headers=headers, timeout=10).json()["tracks"]
        for spotify_id, track in zip(asked, tracks, strict=True):
            assert "available_markets" not in track
            if track["id"] != spotify_id:
                moved += 1
                assert track["linked_from"]["id"] == spotify_id
    assert moved > 0


def test_artist_albums_and_top_tracks(shared, spotify_for):
    client = spotify_for(shared)
    artist = client.track(listed_ids(client, shared)[0])["artists"][0]["id"]
    albums = client.artist_albums(artist, limit=50)
    assert albums["total"] == len(albums["items"]) > 0
    assert {a["album_group"] for a in albums["items"]} <= {"single", "album", "compilation"}
    album = client.album(albums["items"][0]["id"])
    assert album["total_tracks"] == album["tracks"]["total"] == client.album_tracks(album["id"])["total"]
    top = client.artist_top_tracks(artist)["tracks"]
    assert 0 < len(top) <= 10
    assert [t["popularity"] for t in top] == sorted((t["popularity"] for t in top), reverse=True)


def test_search_finds_by_fields_by_words_and_by_isrc(shared, spotify_for):
    client = spotify_for(shared)
    track = client.track(listed_ids(client, shared)[3])
    title, artist = track["name"].split(" (")[0], track["artists"][0]["name"]
    by_fields = client.search(f'track:"{title}" artist:"{artist}"', type="track")["tracks"]
    assert track["id"] in [t["id"] for t in by_fields["items"]]
    by_words = client.search(f"{title} {artist}", type="track")["tracks"]
    assert track["id"] in [t["id"] for t in by_words["items"]]
    by_isrc = client.search(f"isrc:{track['external_ids']['isrc']}", type="track")["tracks"]["items"]
    assert track["id"] in [t["id"] for t in by_isrc]
    assert {t["external_ids"]["isrc"] for t in by_isrc} == {track["external_ids"]["isrc"]}
    assert client.search("isrc:USAAA2400001", type="track")["tracks"]["total"] == 0


def test_search_also_returns_other_peoples_versions(shared, spotify_for):
    client, world = spotify_for(shared), shared.world
    karaoke = next(s for s in range(len(world.songs.day)) if world.songs.kind[s] == 2 and world.tracks_of_song(s))
    title = world.names.base_title(int(world.songs.of_song[karaoke]))
    found = [t["name"] for t in client.search(title, type="track", limit=50)["tracks"]["items"]]
    assert any("araoke" in name for name in found)
    assert any("araoke" not in name for name in found)


def test_search_pages_have_limits(shared):
    headers, url = token(shared), shared.provider_urls()["spotify"]
    for query in ("limit=51", "limit=0", "limit=x"):
        answer = requests.get(f"{url}search?q=comet&type=track&{query}", headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (400, {"error": {"status": 400, "message": "Invalid limit"}})
    first = requests.get(f"{url}search?q=comet&type=track&limit=2", headers=headers, timeout=10).json()["tracks"]
    second = requests.get(first["next"], headers=headers, timeout=10).json()["tracks"]
    assert len(first["items"]) == 2
    assert not {t["id"] for t in first["items"]} & {t["id"] for t in second["items"]}


def test_wrong_credentials_get_the_oauth_shape(shared):
    url = shared.provider_urls()["spotify_token"]
    for client, secret in (("bad-client", "x"), ("x", "bad"), ("", "x")):
        answer = requests.post(url, data={"grant_type": "client_credentials"}, auth=(client, secret), timeout=10)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_client"
        assert isinstance(answer.json()["error_description"], str)
    wrong_grant = requests.post(url, data={"grant_type": "password"}, auth=("a", "b"), timeout=10)
    assert wrong_grant.json()["error"] == "unsupported_grant_type"


def test_spotipy_reports_wrong_credentials(shared, spotify_for):
    client = spotify_for(shared)
    client.auth_manager.client_id = "bad"
    with pytest.raises(SpotifyOauthError):
        client.track(UNKNOWN)


def test_tokens_are_asked_for_and_expire(own):
    url = own.provider_urls()["spotify"] + "search?q=a&type=track"
    assert requests.get(url, timeout=10).json() == {"error": {"status": 401, "message": "No token provided"}}
    wrong = requests.get(url, headers={"Authorization": "Bearer x"}, timeout=10)
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (401, "Invalid access token")
    headers = token(own)
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    control(own, "expire_tokens")
    late = requests.get(url, headers=headers, timeout=10)
    assert (late.status_code, late.json()["error"]["message"]) == (401, "The access token expired")


def test_time_scale_shortens_tokens():
    with SandboxServer(tracks=400, time_scale=600) as server:
        basic = base64.b64encode(b"a:b").decode()
        answer = requests.post(
            server.provider_urls()["spotify_token"],
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {basic}"},
            timeout=10,
        ).json()
        assert answer["expires_in"] == 6
        assert answer["token_type"] == "Bearer"


def test_only_the_oldest_tier_has_audio_features(own, spotify_for):
    client = spotify_for(own)
    ids = listed_ids(client, own)[:3]
    assert any(client.audio_features(ids))
    for tier in ("extended-new", "development-old", "development"):
        control(own, "tier", tier=tier)
        answer = requests.get(f"{own.provider_urls()['spotify']}audio-features/?ids={ids[0]}", headers=token(own), timeout=10)
        assert (answer.status_code, answer.json()) == (403, {"error": {"status": 403}})
        assert refusal(client.audio_analysis, ids[0]).http_status == 403
        recommended = requests.get(f"{own.provider_urls()['spotify']}recommendations?limit=1", headers=token(own), timeout=10)
        assert recommended.status_code == 404
        if tier != "development":
            assert client.tracks(ids)["tracks"][0]["popularity"] >= 0
            assert client.search("hollow", type="track", limit=50)["tracks"]["limit"] == 50


def test_the_development_tier_is_reduced(own, spotify_for):
    client = spotify_for(own)
    ids = listed_ids(client, own)[:3]
    full = client.track(ids[0])
    playlist = requests.get(own.url + "/_sandbox/", timeout=10).json()["playlists"][0]["id"]
    control(own, "tier", tier="development")
    url, headers = own.provider_urls()["spotify"], token(own)
    for path in ("tracks/?ids=" + ids[0], "artists/?ids=" + full["artists"][0]["id"], "albums/?ids=" + full["album"]["id"]):
        answer = requests.get(url + path, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (403, {"error": {"status": 403, "message": "Forbidden"}})
    assert refusal(client.artist_top_tracks, full["artists"][0]["id"]).http_status == 403
    track = client.track(ids[0])
    assert set(full) - set(track) == {"available_markets", "popularity"}
    assert track["external_ids"] == full["external_ids"]
    artist = client.artist(full["artists"][0]["id"])
    assert "genres" in artist
    assert not {"followers", "popularity"} & set(artist)
    album = client.album(full["album"]["id"])
    assert "upc" in album["external_ids"]
    assert not {"popularity", "label", "available_markets"} & set(album)
    assert "album_group" not in client.artist_albums(full["artists"][0]["id"], limit=5)["items"][0]
    assert refusal(client.artist_albums, full["artists"][0]["id"], limit=20).http_status == 400
    assert refusal(client.search, "comet", limit=20, type="track").msg.endswith("Invalid limit")
    assert requests.get(f"{url}search?q=comet&type=track", headers=headers, timeout=10).json()["tracks"]["limit"] == 5
    assert refusal(client.playlist_items, playlist).http_status == 403
    assert not {"tracks", "items"} & set(client.playlist(playlist))
    relinked = [requests.get(f"{url}tracks/{i}?market=DE", headers=headers, timeout=10).json() for i in ids]
    assert all("linked_from" not in t for t in relinked)


def test_rate_limit_says_when_to_come_back(own, spotify_for):
    client = spotify_for(own)
    ids = listed_ids(client, own)
    control(own, "limits", spotify={"rate": 3, "window_s": 30})
    for _ in range(3):
        client.track(ids[0])
    error = refusal(client.track, ids[0])
    assert error.http_status == 429
    assert 1 <= int(error.headers["Retry-After"]) <= 30


def test_a_used_up_quota_bans_for_hours_and_longer_when_pressed(own, spotify_for):
    client = spotify_for(own)
    ids = listed_ids(client, own)
    control(own, "tier", tier="development-old")
    control(own, "limits", spotify={"rate": None, "quota": 2})
    client.track(ids[0])
    client.track(ids[0])
    first, second = refusal(client.track, ids[0]), refusal(client.track, ids[0])
    assert first.reason == second.reason == "QUOTA_EXCEEDED"
    assert 80_000 < int(first.headers["Retry-After"]) < int(second.headers["Retry-After"])


def test_development_apps_have_limits_by_default(own):
    control(own, "tier", tier="development")
    limits = requests.get(own.url + "/_sandbox/limits", timeout=10).json()["spotify"]
    assert (limits["rate"], limits["window_s"], limits["quota"], limits["quota_window_s"]) == (180, 30, 1000, 86_400)


def test_an_owner_without_premium_and_an_unlisted_user_get_plain_text(own):
    url, headers = own.provider_urls()["spotify"] + "search?q=a&type=track", token(own)
    control(own, "tier", tier="development")
    control(own, "premium", active=False)
    answer = requests.get(url, headers=headers, timeout=10)
    assert answer.status_code == 403
    assert answer.text.startswith("Active premium subscription required for the owner of the app")
    assert answer.headers["Content-Type"].startswith("text/plain")
    control(own, "premium", active=True)
    control(own, "allow_list", listed=False)
    assert requests.get(url, headers=headers, timeout=10).status_code == 403
    control(own, "allow_list", listed=True)
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
