"""A sandbox that tests only read, a small one of its own for each test that changes something, and spotipy pointed at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
import spotipy
from spotipy.cache_handler import MemoryCacheHandler
from spotipy.oauth2 import SpotifyClientCredentials

from soundscope.sandbox import SandboxServer, World

TODAY = "2026-11-22"


@pytest.fixture(scope="session")
def shared() -> Iterator[SandboxServer]:
    """The default world on a fixed date; nobody changes its state."""
    with SandboxServer(today=TODAY) as server:
        yield server


@pytest.fixture(scope="session")
def small_world() -> World:
    return World(seed=5, tracks=400)


@pytest.fixture
def own(small_world: World) -> Iterator[SandboxServer]:
    """A small sandbox for one test: faults, log, limits and date are its own, the generated arrays are not."""
    with SandboxServer(world=small_world, today=TODAY) as server:
        yield server


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def spotify_for(http: requests.Session) -> Callable[[SandboxServer], spotipy.Spotify]:
    """spotipy with a plain session (no retry of its own), pointed at a sandbox."""

    def make(server: SandboxServer) -> spotipy.Spotify:
        auth = SpotifyClientCredentials("client", "secret", cache_handler=MemoryCacheHandler())
        auth.OAUTH_TOKEN_URL = server.provider_urls()["spotify_token"]
        client = spotipy.Spotify(auth_manager=auth, requests_session=http)
        client.prefix = server.provider_urls()["spotify"]
        return client

    return make


def listed_ids(client: spotipy.Spotify, server: SandboxServer, playlist: int = 0) -> list[str]:
    """Track ids of the first page of a followed playlist."""
    info = requests.get(server.url + "/_sandbox/", timeout=10).json()
    return [i["track"]["id"] for i in client.playlist_items(info["playlists"][playlist]["id"])["items"]]
