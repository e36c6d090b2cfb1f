"""AcousticBrainz dumps: what an archive of JSON documents, one per recording and submission, says of each recording.

Layout: https://github.com/metabrainz/acousticbrainz-server/blob/master/db/dump.py (a tar, packed or not; members
`<archive>/lowlevel|highlevel/<x>/<xy>/<recording MBID>-<submission>.json`). The data is CC0 and frozen since 2022.

Tempo, key, mode and length mean what they mean elsewhere and become features. Everything else is on a scale of its own, though it may
bear the same name: `danceability` is a classifier's probability or a measure of Essentia's, not Spotify's 0..1. Such values become
descriptors with their scale beside them and are compared with no other provider's. Genres that a classifier guessed are no labels.

An archive is read as a stream and nothing is unpacked to disk under a name that it chose. Importing it is in `imports.py`.
"""

from __future__ import annotations

import bz2
import gzip
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import zstandard

from soundscope.errors import BadInput

LICENCE = "CC0 1.0 (AcousticBrainz)"
PACKINGS = (".tar", ".tar.zst", ".tar.bz2", ".tar.gz")
# Field -> key of a row; a file of such rows needs no guessing.
MAPPING = {
    "source_id": "mbid", "isrc": "isrc", "title": "title", "artist": "artist", "album": "album", "release_date": "date",
    "duration_ms": "duration_ms", "tempo": "bpm", "key": "key", "mode": "mode", "descriptors": "descriptors",
}  # fmt: skip
_MEMBER = re.compile(r"(?:[^/]+/)?(lowlevel|highlevel)/(?:[^/]+/)*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)\.json")
# The longest documents known are some hundred kilobytes.
_LARGEST = 4 << 20
_PROBABILITY = "probability 0..1 of an AcousticBrainz classifier"
# Name -> where it is in a document, and its scale.
_DESCRIPTORS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "danceability_dfa": (("rhythm", "danceability"), "Essentia: detrended fluctuation analysis, 0 to about 3"),
    "average_loudness": (("lowlevel", "average_loudness"), "Essentia: 0..1 of its dynamic range, not dB"),
    "dynamic_complexity": (("lowlevel", "dynamic_complexity"), "Essentia: mean deviation from the loudness, dB"),
    "key_strength": (("tonal", "key_strength"), "Essentia: correlation with the key's profile, 0..1"),
    **{
        f"p_{positive}": (("highlevel", model, "all", positive), _PROBABILITY)
        for model, positive in (
            ("danceability", "danceable"), ("mood_acoustic", "acoustic"), ("mood_aggressive", "aggressive"),
            ("mood_electronic", "electronic"), ("mood_happy", "happy"), ("mood_party", "party"), ("mood_relaxed", "relaxed"),
            ("mood_sad", "sad"), ("timbre", "bright"), ("tonal_atonal", "tonal"), ("voice_instrumental", "instrumental"),
        )
    },
}  # fmt: skip
SCALES = {name: scale for name, (_, scale) in _DESCRIPTORS.items()}
_PITCH = {name: pitch for pitch, names in enumerate(
    (("C", "B#"), ("C#", "Db"), ("D",), ("D#", "Eb"), ("E", "Fb"), ("F", "E#"), ("F#", "Gb"), ("G",), ("G#", "Ab"), ("A",), ("A#", "Bb"), ("B", "Cb"))
) for name in names}  # fmt: skip


class _Member(tarfile.TarInfo):
    """A member whose size is looked at before anything of it is read, headers that extend others included."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        found = super().frombuf(buf, encoding, errors)
        _refuse_size(found)
        return found


def is_dump(file: Path) -> bool:
    """Whether a file is called like an archive."""
    return file.name.lower().endswith(PACKINGS)


def rows(file: Path, left_out: Counter[str] | None = None) -> Iterator[dict[str, Any]]:
    """One row per recording of an archive: its first submission, with the keys of `MAPPING`.

    Args:
        file: the archive.
        left_out: counts documents that gave no row: `another submission`, `not readable`.
    Raises:
        BadInput: it is damaged, or holds what no dump holds: links, devices, absolute or climbing paths, members above 4 MiB.
    """
    left_out = Counter() if left_out is None else left_out
    seen: set[str] = set()
    try:
        with _opened(file) as packed, tarfile.open(fileobj=packed, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                _refuse(file, member)
                named = _MEMBER.fullmatch(member.name.removeprefix("./")) if member.isreg() else None
                body = archive.extractfile(member) if named else None
                if named is None or body is None:
                    continue
                document = _document(body.read())
                if document is None:
                    left_out["not readable"] += 1
                elif named[2] in seen:
                    left_out["another submission"] += 1
                else:
                    seen.add(named[2])
                    yield _row(named[2], document)
    except (tarfile.TarError, zstandard.ZstdError, OSError, EOFError) as error:
        raise BadInput(f"{file.name} is damaged: {error}.", next_step="fetch it again and compare its checksum.") from error


def _opened(file: Path) -> Any:
    name = file.name.lower()
    if name.endswith(".zst"):
        return zstandard.open(file, "rb")
    if name.endswith(".bz2"):
        return bz2.open(file, "rb")
    return gzip.open(file, "rb") if name.endswith(".gz") else file.open("rb")


def _refuse(file: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    wrong = None
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        wrong = "its path leads out of the archive"
    elif not (member.isreg() or member.isdir()):
        wrong = "it is neither a file nor a folder"
    if wrong:
        raise BadInput(
            f"{file.name}: the member {member.name!r} is refused: {wrong}.", next_step="this is no dump; nothing of it was taken."
        )
    _refuse_size(member)


def _refuse_size(member: tarfile.TarInfo) -> None:
    if member.size > _LARGEST:
        raise BadInput(
            f"The archive's member {member.name!r} is refused: {member.size:,} bytes, above {_LARGEST:,}.",
            next_step="this is no dump; nothing of it was taken.",
        )


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _row(mbid: str, document: Mapping[str, Any]) -> dict[str, Any]:
    tags = _at(document, "metadata", "tags")
    tags = {str(name).lower(): value for name, value in tags.items()} if isinstance(tags, dict) else {}
    length = _at(document, "metadata", "audio_properties", "length")
    key, scale = _at(document, "tonal", "key_key"), _at(document, "tonal", "key_scale")
    values = {name: _at(document, *path) for name, (path, _) in _DESCRIPTORS.items()}
    return {
        "mbid": mbid,
        **{name: _first(tags.get(name)) for name in ("isrc", "title", "artist", "album", "date")},
        "duration_ms": round(length * 1000) if isinstance(length, int | float) and 0 < length < 1e6 else None,
        "bpm": _at(document, "rhythm", "bpm"),
        # What is not understood stays as it is, so that it shows in quarantine.
        "key": _PITCH.get(str(key), key),
        "mode": {"major": 1, "minor": 0}.get(str(scale), scale),
        "descriptors": {name: value for name, value in values.items() if value is not None},
    }


def _at(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _first(value: Any) -> str | None:
    found = value[0] if isinstance(value, list) and value else value
    return found.strip()[:600] or None if isinstance(found, str) else None
