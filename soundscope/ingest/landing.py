"""The raw landing: immutable compressed NDJSON files, one line per answer, written whole and then renamed.

A line holds request, status, the headers that matter, body, sha256, fetched_at and run id. While a file is being written it is called
`.part` and every line is flushed, so that an answer survives the death of the process; `recover` turns such leftovers into whole files.
How lines become typed rows is in `load.py`.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from soundscope.errors import DiskFull, SoundScopeError
from soundscope.sources.base import Outcome, Reply

FORMAT = 1
_SECRET = re.compile(r"(?i)([?&](?:access_token|client_secret|api_key|token)=)[^&]+")


@dataclass
class Landed:
    """A finished file: its row for the ledger, and what each key in it came to."""

    row: dict[str, Any]
    outcomes: list[dict[str, Any]] = field(default_factory=list)


class LandingWriter:
    """Writes one landing file. Use as a context manager; nothing remains of it if no answer was added.

    Args:
        root: the landing folder.
        provider, kind: what the answers are; they name the folder.
        run_id: the run that fetched them.
        name: tells files of one run apart.
    Raises:
        DiskFull: no space left; what was written before stays readable.
    """

    def __init__(self, root: Path, provider: str, kind: str, run_id: str, name: str) -> None:
        self.root = root
        self.provider = provider
        self.kind = kind
        self.run_id = run_id
        folder = root / _safe(provider) / kind / run_id[:8]
        folder.mkdir(parents=True, exist_ok=True)
        # Names sort by when the file was begun: later ones win where two tell of the same thing, in a replay too.
        begun = datetime.now(UTC)
        self.path = folder / f"{begun:%Y%m%dT%H%M%S%f}-{run_id[-6:]}-{_safe(name)}.ndjson.zst"
        self.part = self.path.with_name(self.path.name + ".part")
        self.records = 0
        self.landed: Landed | None = None

    def __enter__(self) -> LandingWriter:
        self._file = self.part.open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._stream = zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(self._file, closefd=False)
        return self

    def add(
        self, kind: str, keys: Sequence[str], reply: Reply, outcomes: dict[str, Outcome], message: str | None = None, **extra: Any
    ) -> None:
        """Append one answer; it survives the death of the process once this returns.

        Args:
            kind: how rows are read from it.
            keys: what was asked for, in the order asked.
            reply: the answer.
            outcomes: outcome per unit key; keys left out stay open.
            message: what the provider said, if it refused.
            extra: more fields for the line (an import's licence, for instance).
        """
        self.records += 1
        line = {
            "format": FORMAT,
            "n": self.records,
            "provider": self.provider,
            "kind": kind,
            "keys": list(keys),
            "outcomes": {key: str(outcome) for key, outcome in outcomes.items()},
            "request": {"method": reply.method, "url": redact(reply.url)},
            "status": reply.status,
            "headers": dict(reply.headers),
            "fetched_at": reply.fetched_at.isoformat() + "Z",
            "run_id": self.run_id,
            "message": message,
            "sha256": hashlib.sha256(reply.body).hexdigest(),
            **extra,
            **_body(reply.body),
        }
        self._write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush(zstandard.FLUSH_BLOCK)
            self._file.flush()
        except OSError as error:
            raise DiskFull(
                f"Landing {self.path.name} failed: {error.strerror}.",
                next_step="free some space; answers landed before are kept and are not fetched again.",
            ) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if self.records == 0 or isinstance(error, DiskFull):
            # After a full disk the lines before it are recovered from the part file by the next run.
            with suppress(OSError):
                self._file.close()
            if self.records == 0:
                self.part.unlink(missing_ok=True)
            return
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._finish()

    def _finish(self) -> None:
        data = self.part.read_bytes()
        os.replace(self.part, self.path)
        _fsync_folder(self.path.parent)
        self._file.close()
        self.landed = Landed(
            {
                "landing_file": self.path.relative_to(self.root).as_posix(),
                "provider": self.provider,
                "kind": self.kind,
                "run_id": self.run_id,
                "records": self.records,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "landed_at": _modified(self.path),
            }
        )


def redact(url: str) -> str:
    """The address without what would open a door."""
    return _SECRET.sub(r"\1***", url)


def read_lines(path: Path, *, tolerate_cut: bool = False) -> Iterator[dict[str, Any]]:
    """The lines of a landing file.

    Args:
        path: the file.
        tolerate_cut: stop silently where the file was cut off in mid-write.
    Raises:
        SoundScopeError: the file is damaged, and `tolerate_cut` is false.
    """
    rest = b""
    try:
        for chunk in _decompressed(path, tolerate_cut):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield json.loads(line)
    except (zstandard.ZstdError, ValueError, EOFError) as error:
        if not tolerate_cut:
            raise _damaged(path, error) from error


def verify(path: Path) -> int:
    """Read a landing file to its end against its checksum; returns the length of its longest line in bytes.

    Raises:
        SoundScopeError: it is cut off or damaged.
    """
    longest = length = 0
    try:
        for data in _decompressed(path, tolerate_cut=False):
            start = 0
            while (end := data.find(b"\n", start)) >= 0:
                longest, length, start = max(longest, length + end - start), 0, end + 1
            length += len(data) - start
    except (zstandard.ZstdError, EOFError) as error:
        raise _damaged(path, error) from error
    return max(longest, length)


def set_aside(root: Path, path: Path, folder: Path) -> Path:
    """Move a damaged landing file out of landing into a folder, where it stays; returns its new place."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = folder / path.relative_to(root).as_posix().replace("/", "-")
    path.rename(aside)
    return aside


def _decompressed(path: Path, tolerate_cut: bool) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while data := file.read(1 << 18):
            yield frame.decompress(data)
    if not frame.eof and not tolerate_cut:
        raise EOFError("it ends too early")


def _damaged(path: Path, error: Exception) -> SoundScopeError:
    return SoundScopeError(
        f"The landed file {path} is damaged: {error}.",
        next_step="restore it from a backup, or delete it: what it held is then fetched again.",
    )


def recover(root: Path) -> list[Path]:
    """Turn part files of dead processes into whole landing files; returns the new files.

    A part file whose writer still lives is left alone.
    """
    recovered = []
    for part in sorted(root.rglob("*.part")):
        with part.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            lines = list(read_lines(part, tolerate_cut=True))
            path = part.with_name(part.name.removesuffix(".part"))
            if lines and path.suffix == ".zst":
                rescue = part.with_name(part.name + ".rescue")
                with rescue.open("wb") as out:
                    with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(out, closefd=False) as stream:
                        for line in lines:
                            stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
                    os.fsync(out.fileno())
                os.replace(rescue, path)
                recovered.append(path)
            part.unlink()
            _fsync_folder(part.parent)
    return recovered


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Replace every line of a finished file, for a purge alone; returns its new records, bytes and sha256."""
    fresh = path.with_name(path.name + ".rescue")
    records = 0
    with fresh.open("wb") as out:
        with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(out, closefd=False) as stream:
            for line in read_lines(path):
                records += 1
                stream.write(json.dumps(change(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
    data = fresh.read_bytes()
    os.replace(fresh, path)
    _fsync_folder(path.parent)
    return {"records": records, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def with_body(line: dict[str, Any], body: str) -> dict[str, Any]:
    """A line with another body, and the hash of that."""
    return {**line, "encoding": "utf-8", "body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}


def beside(root: Path, name: str) -> list[tuple[str, str | None]]:
    """What an import landed beside a landing file: the name of the user's own file, and its SHA-256 where that was noted; mostly nothing."""
    if not name.startswith("import/") or not name.endswith(".ndjson.zst") or not (root / name).exists():
        return []
    try:
        payload = next(read_lines(root / name), {}).get("payload") or {}
    except SoundScopeError:
        return []
    if "landed_as" not in payload:
        return []
    # What is kept of a dump is made from it, so it has another hash.
    usual = None if payload.get("origin") else payload.get("sha256")
    return [(payload["landed_as"], payload.get("landed_sha256") or usual)]


def files(root: Path) -> list[Path]:
    """Every finished landing file, oldest first."""
    found = [path for path in root.rglob("*.ndjson.zst") if path.is_file()]
    return sorted(found, key=lambda path: (path.name, path.as_posix()))


def ledger_row(root: Path, path: Path) -> Landed:
    """What the ledger should know of a landing file, read from the file itself."""
    data = path.read_bytes()
    outcomes: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    records = 0
    for line in read_lines(path):
        first = first or line
        records += 1
        for key, outcome in line["outcomes"].items():
            outcomes.append(
                {
                    "provider": line["provider"], "kind": line.get("unit_kind") or line["kind"], "key": key, "outcome": outcome,
                    "http_status": line["status"], "etag": line["headers"].get("etag"), "message": line.get("message"),
                }
            )  # fmt: skip
    row = {
        "landing_file": path.relative_to(root).as_posix(), "provider": first.get("provider"),
        "kind": path.parent.parent.name, "run_id": first.get("run_id"), "records": records, "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(), "landed_at": _modified(path),
    }  # fmt: skip
    return Landed(row, outcomes)


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "body": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"encoding": "base64", "body": base64.b64encode(body).decode("ascii")}


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
