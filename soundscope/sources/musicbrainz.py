"""MusicBrainz: recordings by title and artist or by ISRC, with the tags and genres its editors gave them.

One request a second, and only with a way to contact whoever asks in the User-Agent: the provider is off until `contact` is configured.
Core data is CC0; tags and genres are CC BY-NC-SA 3.0, which allows training models for non-commercial use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from soundscope.sources.alike import may_be, without_guests
from soundscope.sources.base import Answer, Capability, Entry, Outcome, Reply, RowSpec, Unit
from soundscope.sources.http import Client
from soundscope.sources.json_sql import first_day, precision, text
from soundscope.sources.shape import Shape

LIVE_URL = "https://musicbrainz.org/ws/2"
# Below this the service's own score says that the hit is a chance one.
MIN_SCORE = 80
_LUCENE = re.compile(r'([+\-!(){}\[\]^"~*?:\\/&|])')
_DATE = text("$.first-release-date")
_CREDIT = (
    "array_to_string(list_transform(json_extract(e, '$.artist-credit[*]'), "
    "lambda c: json_extract_string(c, '$.name') || coalesce(json_extract_string(c, '$.joinphrase'), '')), '')"
)
_NAMES = {
    "source_id": text("$.id"),
    "title": text("$.title"),
    "artist": text("$.artist-credit[0].name"),
}
_FOUND = "json_type(e) = 'OBJECT' and json_extract_string(e, '$.id') is not null"
# Hits that the service itself is unsure of, and those without an ISRC, which lead nowhere, are left in landing.
_SURE = f"{_FOUND} and coalesce(try_cast({text('$.score')} as int), 100) >= {MIN_SCORE} and {text('$.isrcs[0]')} is not null"
_RECORDINGS = "json_extract(body, '$.recordings[*]')"
# A label per tag, with its recording; genres are those tags that the service knows as such, so tags hold both.
_TAGS = (
    "flatten(list_transform(json_extract(body, '$.recordings[*]'), lambda r: list_transform("
    "coalesce(json_extract(r, '$.tags[*]'), []), lambda t: json_object('id', json_extract_string(r, '$.id'), "
    "'title', json_extract_string(r, '$.title'), 'artist-credit', json_extract(r, '$.artist-credit'), "
    "'isrcs', json_extract(r, '$.isrcs'), 'score', json_extract(r, '$.score'), 'tag', json_extract_string(t, '$.name'), "
    "'count', json_extract_string(t, '$.count')))))"
)


def _rows(isrc: str, where: str) -> tuple[RowSpec, ...]:
    return (
        RowSpec(
            "tracks",
            _RECORDINGS,
            {
                **_NAMES,
                "isrc": isrc,
                "artists": f"nullif({_CREDIT}, '')",
                "release_date": first_day(f"nullif({_DATE}, '')"),
                "release_precision": precision(f"nullif({_DATE}, '')"),
                "duration_ms": text("$.length"),
            },
            where,
        ),
        RowSpec(
            "genre_labels",
            _TAGS,
            {"subject": "'track'", **_NAMES, "isrc": isrc, "label": text("$.tag"), "source": "'musicbrainz'"},
            # A tag whose votes cancel out is nobody's opinion.
            f"{where} and {text('$.tag')} is not null and coalesce(try_cast({text('$.count')} as int), 1) > 0",
        ),
    )


_KEYS = (
    "id:str title:str length?:int|null disambiguation?:str video?:bool|null first-release-date?:str artist-credit:list tags?:list genres?:list "
    "isrcs?:list releases?:list "
)


class MusicBrainz:
    """MusicBrainz as a source of `search` units (title and artist) and `isrc` units."""

    name: ClassVar[str] = "musicbrainz"
    licence: ClassVar[str] = "core CC0; tags and genres CC BY-NC-SA 3.0"
    train_ok: ClassVar[bool] = True
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {"identity": ("search",), "genres": ("isrc",)}
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {"search": None, "isrc": timedelta(days=180)}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        "search": _rows(text("$.isrcs[0]"), _SURE),
        "isrc": _rows("keys[1]", _FOUND),
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "search": Shape("recordings", _KEYS + "score:int artist-credit-id?:str"),
        "isrc": Shape("recordings", _KEYS),
    }

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")

    def batch_size(self, kind: str) -> int:
        """One recording per request."""
        return 1

    def probe(self) -> list[Capability]:
        """Nothing to ask: it is open to all who say how to reach them."""
        return [Capability("catalogue", True, "open to all with a contact, one request a second: ISRC, genres and tags")]

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """One request per unit; see `Source.fetch`."""
        for unit in units:
            if kind == "isrc":
                yield self._by_isrc(unit)
            else:
                yield self._search(unit)

    def _by_isrc(self, unit: Unit) -> Answer:
        # Spaces between includes are sent as the plus signs that the service asks for.
        reply = self._get("isrc", f"isrc/{unit.key}", inc="artist-credits tags genres")
        if reply.status in (400, 404):
            return Answer("isrc", [unit.key], reply, {unit.key: Outcome.ABSENT}, _said(reply))
        return self._answer("isrc", unit, reply, lambda rows: bool(rows))

    def _search(self, unit: Unit) -> Answer:
        title, artist = str(unit.payload["title"]), str(unit.payload["artist"])
        reply = self._get(
            "search",
            "recording",
            query=f'recording:"{_escaped(title)}" AND artist:"{_escaped(without_guests(artist))}"',
            limit=10,
        )
        return self._answer(
            "search",
            unit,
            reply,
            lambda rows: any(row.get("isrcs") and may_be(title, artist, str(row.get("title")), _credit(row)) for row in rows),
        )

    def _answer(self, kind: str, unit: Unit, reply: Reply, is_found: Any) -> Answer:
        if reply.status != 200:
            return Answer(kind, [unit.key], reply, {unit.key: Outcome.ERROR}, _said(reply))
        document = json.loads(reply.body)
        rows = document.get("recordings") if isinstance(document, dict) else None
        if not isinstance(rows, list) or any(not isinstance(row, dict) or "id" not in row for row in rows):
            return Answer(kind, [unit.key], reply, {unit.key: Outcome.ERROR}, "the answer holds no list of recordings")
        return Answer(kind, [unit.key], reply, {unit.key: Outcome.OK if is_found(rows) else Outcome.ABSENT})

    def _get(self, kind: str, path: str, **params: Any) -> Reply:
        return self.client.get(
            kind,
            f"{self.url}/{path}",
            params={**params, "fmt": "json"},
            refusal="MusicBrainz refuses the User-Agent: set providers.musicbrainz.contact to a mail or web address of yours",
        )


def _credit(row: Mapping[str, Any]) -> str:
    credit = row.get("artist-credit")
    parts = [part for part in credit if isinstance(part, dict)] if isinstance(credit, list) else []
    return "".join(str(part.get("name", "")) + str(part.get("joinphrase", "")) for part in parts)


def _escaped(words: str) -> str:
    return _LUCENE.sub(r"\\\1", words.strip())


def _said(reply: Reply) -> str:
    return f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"


SOURCE = Entry(MusicBrainz, LIVE_URL, rate=1, window_s=1.0, per_run=600, is_strict=True)
