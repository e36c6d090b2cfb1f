"""Which provider answers under which path."""

from __future__ import annotations

from collections.abc import Callable

from soundscope.sandbox.apple import Apple
from soundscope.sandbox.archives import Archives
from soundscope.sandbox.deezer import Deezer
from soundscope.sandbox.messages import Request, Response
from soundscope.sandbox.musicbrainz import MusicBrainz
from soundscope.sandbox.reccobeats import ReccoBeats
from soundscope.sandbox.spotify import Spotify
from soundscope.sandbox.state import State


def providers_of(state: State) -> dict[str, tuple[str, Callable[[Request], Response]]]:
    """First path segment -> (provider name as in settings, what answers)."""
    archives = Archives(state)
    return {
        "spotify": ("spotify", Spotify(state).handle),
        "reccobeats": ("reccobeats", ReccoBeats(state).handle),
        "deezer": ("deezer", Deezer(state).handle),
        "musicbrainz": ("musicbrainz", MusicBrainz(state).handle),
        "apple": ("apple", Apple(state).handle),
        "hot100": ("billboard_hot_100", archives.hot_100),
        "billboard_csv": ("billboard_csv", archives.csv),
    }
