"""Identifiers of the synthetic world, all reversible, so that no table of ids is needed at any size.

Spotify-like ids are 22 base62 characters that hide (kind, index); ISRCs carry the registrants SYx and SRx of the unused
country code ZZ; UUIDs and numeric ids are computed. Names of things do not belong here.
"""

from __future__ import annotations

import hashlib
import re
import uuid

BASE62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUE = {c: i for i, c in enumerate(BASE62)}
KINDS = {"track": 1, "album": 2, "artist": 3, "mb_recording": 4, "mb_artist": 5, "mb_release": 6, "reccobeats": 7}
_KIND_NAME = {v: k for k, v in KINDS.items()}
_ID = re.compile(r"[0-9A-Za-z]{22}\Z")
_ISRC = re.compile(r"ZZS([YR])([0-9A-Z])(\d{2})(\d{5})\Z")
_MAGIC = 0x5CA9E
_REGISTRANT = "N0123456789ABCDEFGHIJKLMOPQRSTUVWXYZ"  # the first hundred thousand recordings are ZZSYN...


def is_base62(text: str) -> bool:
    """Whether the text has the form of a Spotify id."""
    return bool(_ID.match(text))


def _round(key: bytes, number: int, half: int) -> int:
    digest = hashlib.blake2b(half.to_bytes(8, "little") + bytes([number]), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "little")


class IdCodec:
    """Turns (kind, index) into an opaque 128-bit number and back, by a keyed four-round Feistel network."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(f"ids|{seed}".encode(), digest_size=16).digest()

    def number(self, kind: str, index: int) -> int:
        """The 128-bit number of the index-th thing of that kind."""
        left, right = (_MAGIC << 40) | KINDS[kind], index
        for i in range(4):
            left, right = right, left ^ _round(self._key, i, right)
        return (left << 64) | right

    def parse_number(self, value: int) -> tuple[str, int] | None:
        """(kind, index) of a number made by `number`, or None for any other number."""
        left, right = value >> 64, value & 0xFFFFFFFFFFFFFFFF
        for i in reversed(range(4)):
            left, right = right ^ _round(self._key, i, left), left
        kind = left & ((1 << 40) - 1)
        if left >> 40 != _MAGIC or kind not in _KIND_NAME:
            return None
        return _KIND_NAME[kind], right

    def encode(self, kind: str, index: int) -> str:
        """The 22-character id."""
        value, out = self.number(kind, int(index)), []
        for _ in range(22):
            value, digit = divmod(value, 62)
            out.append(BASE62[digit])
        return "".join(reversed(out))

    def decode(self, text: str, kind: str) -> int | None:
        """The index behind a 22-character id of that kind, or None when the world has no such id."""
        if not is_base62(text):
            return None
        value = 0
        for c in text:
            value = value * 62 + _VALUE[c]
        parsed = self.parse_number(value) if value < 1 << 128 else None
        return parsed[1] if parsed is not None and parsed[0] == kind else None

    def uuid(self, kind: str, index: int) -> str:
        """The same number written as a UUID."""
        return str(uuid.UUID(int=self.number(kind, int(index))))

    def from_uuid(self, text: str, kind: str) -> int | None:
        """The index behind a UUID of that kind, or None."""
        try:
            parsed = self.parse_number(uuid.UUID(text).int)
        except ValueError:
            return None
        return parsed[1] if parsed is not None and parsed[0] == kind else None


def named_id(name: str) -> str:
    """A 22-character id that depends on a name alone (playlists keep theirs for every seed)."""
    value = int.from_bytes(hashlib.blake2b(f"name|{name}".encode(), digest_size=16).digest(), "big")
    out = []
    for _ in range(22):
        value, digit = divmod(value, 62)
        out.append(BASE62[digit])
    return "".join(reversed(out))


def isrc(family: str, index: int, year: int) -> str:
    """ISRC of the index-th recording (family "Y") or of the index-th re-issue with its own code (family "R")."""
    block, number = divmod(index, 100_000)
    return f"ZZS{family}{_REGISTRANT[block]}{year % 100:02d}{number:05d}"


def parse_isrc(text: str) -> tuple[str, int, int] | None:
    """(family, index, two-digit year) of a synthetic ISRC, or None; hyphens and case are ignored."""
    match = _ISRC.match(text.replace("-", "").upper())
    if match is None:
        return None
    family, block, year, number = match.groups()
    if block not in _REGISTRANT:
        return None
    return family, _REGISTRANT.index(block) * 100_000 + int(number), int(year)
