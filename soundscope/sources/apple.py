"""Apple's most-played feed per country: today's list only, so that history is what was observed. No key, no ISRC.

The rank is the position. The genres that the feed names are kept as labels of its songs, but for "Music", which all of them are.
Layout: https://rss.marketingtools.apple.com (the feed generator); the feed's terms allow showing it, nothing is trained on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from soundscope.sources.base import Answer, Capability, Entry, Outcome, RowSpec, Unit
from soundscope.sources.entries import names_songs
from soundscope.sources.http import Client
from soundscope.sources.json_sql import elements, first_day, precision, text
from soundscope.sources.shape import Shape

LIVE_URL = "https://rss.marketingtools.apple.com/api/v2"
SIZE = 100
# The feed's own date, as "Mon, 23 Nov 2026 04:00:00 +0000"; the day it was fetched where that cannot be read.
_DAY = (
    f"coalesce(strftime(try_strptime(substr({text('$.feed.updated', 'body')}, 6, 11), '%d %b %Y'), '%Y-%m-%d'), "
    "cast(cast(fetched_at as date) as varchar))"
)
_SONGS = elements("$.feed.results[*]")
_NAMES = {"source_id": text("$.id"), "title": text("$.name"), "artist": text("$.artistName")}
_DATE = text("$.releaseDate")


class Apple:
    """Apple's feed as a source of `songs` units, keyed `<country>/<day>`."""

    name: ClassVar[str] = "apple"
    licence: ClassVar[str] = "Apple feed terms"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {"charts": ("songs",)}
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {"songs": None}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        "songs": (
            RowSpec(
                "chart_entries",
                _SONGS,
                {"chart": "'apple_' || split_part(keys[1], '/', 1)", "chart_date": _DAY, "rank": "cast(i as varchar)", **_NAMES},
            ),
            RowSpec("tracks", _SONGS, {**_NAMES, "release_date": first_day(_DATE), "release_precision": precision(_DATE)}),
            RowSpec(
                "genre_labels",
                "flatten(list_transform(json_extract(body, '$.feed.results[*]'), lambda s: list_transform("
                "coalesce(json_extract_string(s, '$.genres[*].name'), []), lambda g: json_object('id', json_extract_string(s, '$.id'), "
                "'name', json_extract_string(s, '$.name'), 'artistName', json_extract_string(s, '$.artistName'), 'genre', g))))",
                {"subject": "'track'", **_NAMES, "label": text("$.genre"), "source": "'apple'"},
                f"{text('$.genre')} <> 'Music'",
            ),
        )
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "songs": Shape(
            "feed.results",
            "id:str name:str artistName:str kind:str url:str artworkUrl100:str genres[].genreId:str genres[].name:str genres[].url:str "
            "releaseDate?:str artistId?:str artistUrl?:str contentAdvisoryRating?:str",
        )
    }

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")

    def batch_size(self, kind: str) -> int:
        """One list per request."""
        return 1

    def probe(self) -> list[Capability]:
        """Nothing to ask: the feed is open to all."""
        return [Capability("charts", True, "open feed: today's list per country, with genres")]

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """One list per unit; a country without a feed is absent."""
        for unit in units:
            country = unit.key.partition("/")[0]
            reply = self.client.get(kind, f"{self.url}/{country}/music/most-played/{SIZE}/songs.json")
            if reply.status in (400, 404):
                yield Answer("songs", [unit.key], reply, {unit.key: Outcome.ABSENT}, f"there is no feed for {country!r}")
                continue
            held = reply.status == 200 and _has_songs(reply.body)
            message = None if held else f"status {reply.status}: the answer holds no list of songs"
            yield Answer("songs", [unit.key], reply, {unit.key: Outcome.OK if held else Outcome.ERROR}, message)


def _has_songs(body: bytes) -> bool:
    document = json.loads(body)
    feed = document.get("feed") if isinstance(document, dict) else None
    songs = feed.get("results") if isinstance(feed, dict) else None
    return names_songs(songs, "name", "artistName", None)


SOURCE = Entry(Apple, LIVE_URL, rate=20, window_s=60.0)
