"""Deezer: a track's ISRC by title and artist, its rank as popularity, and the chart of the day. No key.

What is known of it: 50 requests in 5 s per address; errors and the spent rate come inside HTTP 200; lists carry no ISRC, so a search is
followed by one look at the best fitting track; several tracks may share an ISRC; the chart follows the country of whoever asks. Its terms
allow personal use; nothing is trained on its values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from soundscope.sources.alike import may_be, plain, without_guests
from soundscope.sources.base import Answer, Capability, Entry, Outcome, Reply, RowSpec, Unit
from soundscope.sources.entries import names_songs
from soundscope.sources.http import Client
from soundscope.sources.json_sql import elements, first_day, joined, precision, text
from soundscope.sources.shape import Shape

LIVE_URL = "https://api.deezer.com"
CHART = "deezer"
_BUSY, _NO_DATA, _RATE = 700, 800, 4
_WINDOW_S = 5
_HAS_ID = "json_type(e) = 'OBJECT' and json_extract_string(e, '$.id') is not null"
_DATE = text("$.release_date")
_NAMES = {
    "source_id": text("$.id"),
    "isrc": f"upper(replace({text('$.isrc')}, '-', ''))",
    "title": text("$.title"),
    "artist": text("$.artist.name"),
}
_TRACK = RowSpec(
    "tracks",
    "[body]",
    {
        **_NAMES,
        "artists": f"coalesce({joined('$.contributors[*].name', '; ')}, {text('$.artist.name')})",
        "album": text("$.album.title"),
        # Silence about the day is written 0000-00-00.
        "release_date": first_day(f"nullif({_DATE}, '0000-00-00')"),
        "release_precision": precision(f"nullif({_DATE}, '0000-00-00')"),
        "duration_ms": f"cast(try_cast({text('$.duration')} as bigint) * 1000 as varchar)",
        "explicit": text("$.explicit_lyrics"),
    },
    _HAS_ID,
)
# The rank goes up to a million; only its order means something.
_RANK = {
    "popularity": f"cast(try_cast({text('$.rank')} as double) / 10000 as varchar)",
    "observed_at": "cast(fetched_at as varchar)",
}
_LISTED = (
    "id:int title:str title_short:str title_version?:str link:str duration:int rank:int explicit_lyrics:bool preview:str type:str "
    "artist.id:int artist.name:str album.id:int album.title:str readable?:bool md5_image?:str explicit_content_lyrics?:int "
    "explicit_content_cover?:int "
)
_OPAQUE = (
    "artist.link?:str artist.tracklist?:str artist.type?:str artist.picture?:str artist.picture_small?:str artist.picture_medium?:str "
    "artist.picture_big?:str artist.picture_xl?:str artist.share?:str artist.radio?:bool album.link?:str album.tracklist?:str album.type?:str "
    "album.cover?:str album.cover_small?:str album.cover_medium?:str album.cover_big?:str album.cover_xl?:str album.md5_image?:str "
    "album.release_date?:str "
)


class Deezer:
    """Deezer as a source of `search`, `isrc`, `track` and `chart` units."""

    name: ClassVar[str] = "deezer"
    licence: ClassVar[str] = "Deezer terms of use: personal, not commercial"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "rank"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "charts": ("chart",),
        "tracks": ("track",),
        "identity": ("search",),
        "popularity": ("isrc",),
    }
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {"search": None, "track": None, "isrc": timedelta(days=7), "chart": None}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        # What a search lists has no ISRC; only the track that was looked at counts.
        "search": (),
        "track": (_TRACK, RowSpec("popularity", "[body]", {**_NAMES, **_RANK}, f"{_HAS_ID} and {text('$.rank')} is not null")),
        "chart": (
            RowSpec(
                "chart_entries",
                elements("$.data[*]"),
                {
                    "chart": f"'{CHART}'",
                    # The list says no date of its own; it is today's.
                    "chart_date": "cast(cast(fetched_at as date) as varchar)",
                    "rank": f"coalesce({text('$.position')}, cast(i as varchar))",
                    "title": text("$.title"),
                    "artist": text("$.artist.name"),
                    "source_id": text("$.id"),
                },
                _HAS_ID,
            ),
        ),
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "search": Shape("data", _LISTED + _OPAQUE),
        "chart": Shape("data", _LISTED + _OPAQUE + "position:int"),
        "track": Shape(
            "",
            _LISTED + _OPAQUE + "isrc:str release_date:str track_position:int disk_number:int bpm:num gain:num contributors:list "
            "available_countries:list share?:str track_token?:str",
        ),
    }

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")
        # Tracks that were looked at: two spellings of a chart often lead to the same one.
        self._looked_at: set[str] = set()

    def batch_size(self, kind: str) -> int:
        """One track per request."""
        return 1

    def probe(self) -> list[Capability]:
        """Nothing to ask: no key, no tiers."""
        return [Capability("catalogue", True, "open to all, no key: ISRC, popularity as a rank, chart of the day")]

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Ask for these units; see `Source.fetch`. A found search takes two requests, anything else one."""
        for unit in units:
            if kind == "search":
                yield from self._search(unit)
            elif kind == "chart":
                reply = self._get(kind, "chart/0/tracks", limit=100)
                held = _has_chart(_document(reply).get("data"))
                outcome = Outcome.OK if held else Outcome.ERROR
                yield Answer("chart", [unit.key], reply, {unit.key: outcome}, None if held else _said(reply))
            else:
                yield self._track(unit, f"track/isrc:{unit.key}" if kind == "isrc" else f"track/{unit.key}")

    def _search(self, unit: Unit) -> Iterator[Answer]:
        title, artist = str(unit.payload["title"]), str(unit.payload["artist"])
        reply = self._get("search", "search", q=f'artist:"{_quoted(without_guests(artist))}" track:"{_quoted(title)}"', limit=10)
        listed = _document(reply).get("data")
        if not isinstance(listed, list) or any(not isinstance(row, dict) or "id" not in row for row in listed):
            yield Answer("search", [unit.key], reply, {unit.key: Outcome.ERROR}, _said(reply))
            return
        best = _best(title, artist, listed)
        if best is None:
            yield Answer("search", [unit.key], reply, {unit.key: Outcome.ABSENT})
            return
        if str(best) in self._looked_at:
            yield Answer("search", [unit.key], reply, {unit.key: Outcome.OK})
            return
        yield Answer("search", [unit.key], reply, {})
        looked = self._track(unit, f"track/{best}")
        if looked.outcomes[unit.key] is Outcome.OK:
            self._looked_at.add(str(best))
        yield looked

    def _track(self, unit: Unit, path: str) -> Answer:
        reply = self._get("track", path)
        document = _document(reply)
        error = document.get("error")
        if isinstance(error, dict) and error.get("code") == _NO_DATA:
            return Answer("track", [unit.key], reply, {unit.key: Outcome.ABSENT})
        outcome = Outcome.OK if "id" in document else Outcome.ERROR
        return Answer("track", [unit.key], reply, {unit.key: outcome}, None if outcome is Outcome.OK else _said(reply))

    def _get(self, kind: str, path: str, **params: Any) -> Reply:
        def send() -> Reply:
            return _by_status(self.client.send(f"{self.url}/{path}", params=params))

        return self.client.heard(self.client.call(kind, send))


def _by_status(reply: Reply) -> Reply:
    """The answer under the status that other providers would have given it, where Deezer says 200 and means something else."""
    if reply.status != 200 or b'"error"' not in reply.body[:200]:
        return reply
    try:
        error = json.loads(reply.body).get("error")
    except (ValueError, AttributeError):
        return reply
    code = error.get("code") if isinstance(error, dict) else None
    if code == _RATE:
        return replace(reply, status=429, headers={**reply.headers, "retry-after": str(_WINDOW_S)})
    return replace(reply, status=503) if code == _BUSY else reply


def _best(title: str, artist: str, listed: Sequence[Mapping[str, Any]]) -> Any:
    """The id of the track that fits title and artist, one that is named just so before a version of it; None if none does."""
    fitting = []
    for place, row in enumerate(listed):
        by = row.get("artist")
        name = str(by.get("name", "")) if isinstance(by, dict) else ""
        if may_be(title, artist, str(row.get("title", "")), name):
            fitting.append((plain(str(row.get("title", ""))) != plain(title), place, row["id"]))
    return min(fitting)[2] if fitting else None


def _has_chart(listed: object) -> bool:
    rows = listed if isinstance(listed, list) else []
    artists = [row.get("artist") if isinstance(row, dict) else None for row in rows]
    named = [{**row, "by": artist.get("name")} for row, artist in zip(rows, artists, strict=True) if isinstance(artist, dict)]
    return names_songs([*named, *([None] * (len(rows) - len(named)))], "title", "by", "position")


def _document(reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        return {}
    document = json.loads(reply.body)
    return document if isinstance(document, dict) else {}


def _said(reply: Reply) -> str:
    return f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"


def _quoted(words: str) -> str:
    return words.replace('"', " ").strip()


SOURCE = Entry(Deezer, LIVE_URL, rate=50, window_s=5.0, per_run=3000, is_strict=True)
