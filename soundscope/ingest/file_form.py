"""What a user's file is made of - packing, encoding, line ends - and a plain copy of it where it cannot be read as it is.

Most files need none. What their rows mean is in `fields.py`; landing them is in `imports.py`.
"""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import IO, Any

import zstandard

from soundscope.errors import BadInput

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
PACKED = (".gz", ".zst")
_SUFFIX = {"csv": ".csv.zst", "json": ".json.zst", "ndjson": ".jsonl.zst", "parquet": ".parquet"}
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods")
_BEGINS = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".zip": b"PK\x03\x04"}
_HEAD = 4096


@dataclass(frozen=True)
class Readable:
    """A file that can be read: the user's own or a copy in UTF-8; its format (csv, json, ndjson, parquet)."""

    file: Path
    form: str
    is_copy: bool


@contextmanager
def readable(file: Path, encoding: str, folder: Path) -> Iterator[Readable]:
    """The file in a form that can be read; a copy lives as long as the context.

    Args:
        file: what the user gave.
        encoding: as the user said, utf-8 if nothing was.
        folder: where a copy may be made.
    Raises:
        BadInput: it is no kind of file that can be imported, is damaged, empty, or not in that encoding.
    """
    packing = _packing(file)
    check_whole(file, packing)
    name, open_plain = _unpacked(file, packing)
    form = _format(file, name)
    with open_plain() as stream:
        head = stream.read(_HEAD)
    _check_head(file, form, head)
    codec = None if form == "parquet" else _codec(file, form, head, encoding)
    is_mixed = form == "csv" and codec is None and _has_mixed_ends(open_plain)
    # A reader knows what is packed by the ending of its name alone, in small letters.
    is_hidden = packing is not None and (packing not in PACKED or file.suffix != packing)
    if not (codec or is_mixed or is_hidden):
        yield Readable(file, form, False)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as place:
        copy = Path(place) / ("copy" + _SUFFIX[form])
        _copy(file, open_plain, copy, codec, None if form == "csv" else "")
        yield Readable(copy, form, True)


def check_whole(file: Path, packing: str | None) -> None:
    """A compressed file that was cut short is refused: a reader of CSV takes what is there and says nothing."""
    try:
        if packing == ".gz":
            with gzip.open(file) as unpacked:
                while unpacked.read(1 << 20):
                    pass
        elif packing == ".zst":
            _unpack_frames(file)
        elif packing == ".zip":
            with zipfile.ZipFile(file) as archive:
                if broken := archive.testzip():
                    raise zipfile.BadZipFile(broken)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"{file.name} cannot be unpacked: it is damaged or was cut short.", next_step="fetch or compress it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise BadInput(
            f"{file.name} cannot be unpacked: {error}.", next_step="unpack it yourself and import what is in it."
        ) from error


def _unpack_frames(file: Path) -> None:
    frame = None
    with file.open("rb") as packed:
        # Small pieces, because a hostile one unpacks to thirty thousand times its size.
        while piece := packed.read(4096):
            while piece:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                frame.decompress(piece)
                piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError


def _packing(file: Path) -> str | None:
    """How it is packed, as it begins, whatever it is called; by its name where that says so and the file does not."""
    with file.open("rb") as handle:
        head = handle.read(4)
    begins = next((packing for packing, start in _BEGINS.items() if head.startswith(start)), None)
    if begins == ".zip" and file.suffix.lower() in _WORKBOOKS:
        return None
    return begins or (file.suffix.lower() if file.suffix.lower() in _BEGINS else None)


def _unpacked(file: Path, packing: str | None) -> tuple[str, Callable[[], Any]]:
    """The name without packing, and how to open what is in it."""
    plain = file.stem if file.suffix.lower() in PACKED else file.name
    if packing == ".gz":
        return plain, lambda: gzip.open(file)
    if packing == ".zst":
        return plain, lambda: zstandard.open(file, "rb")
    if packing == ".zip":
        member = _member(file)
        return member, lambda: _in_zip(file, member)
    return plain, lambda: file.open("rb")


def _member(file: Path) -> str:
    """The one file in an archive that holds data."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    except zipfile.BadZipFile as error:
        raise BadInput(
            f"{file.name} cannot be unpacked: it is damaged or was cut short.", next_step="fetch or compress it again."
        ) from error
    if any(name.startswith(("xl/", "[Content_Types]")) for name in names):
        raise _workbook(file)
    data = [name for name in names if PurePath(name).suffix.lower() in FORMATS]
    if len(data) != 1:
        raise BadInput(
            f"{file.name} holds {len(data)} files that can be imported, not one: {', '.join((data or names)[:10]) or 'it is empty'}.",
            next_step="unpack it and import them one by one.",
        )
    return data[0]


@contextmanager
def _in_zip(file: Path, member: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
        yield stream


def _workbook(file: Path) -> BadInput:
    return BadInput(
        f"{file.name} is a spreadsheet, no kind of file that can be imported.",
        next_step="save the sheet as CSV (UTF-8) and import that.",
    )


def _format(file: Path, name: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    if file.suffix.lower() in _WORKBOOKS:
        raise _workbook(file)
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    form = FORMATS.get(suffixes[-1]) if suffixes else None
    if form is None:
        raise BadInput(
            f"{file.name} is no kind of file that can be imported.",
            next_step="CSV, TSV, JSON, NDJSON (each also as .gz, .zst or .zip) and Parquet can; rename it or convert it.",
        )
    return form


def _check_head(file: Path, form: str, head: bytes) -> None:
    if head.startswith(b"PAR1") != (form == "parquet") and head:
        said = "cannot be read as parquet: it is none" if form == "parquet" else "is Parquet, whatever its name says"
        raise BadInput(f"{file.name} {said}.", next_step="name it after what it is, or fetch it again.")
    words = head.removeprefix(codecs.BOM_UTF8).strip()
    if not words:
        raise BadInput(f"{file.name} holds no rows.", next_step="check that it is the file you meant.")
    if words[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise BadInput(f"{file.name} is a web page, no table.", next_step="download the file itself.")


def _codec(file: Path, form: str, head: bytes, said: str) -> tuple[str, str] | None:
    """Encoding and treatment of errors to read it with; None where it is UTF-8 that can be read as it is."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "strict"
    try:
        encoding = codecs.lookup(said).name
    except LookupError as error:
        raise BadInput(
            f"There is no encoding {said!r}.", next_step="say utf-8, latin-1, windows-1252, utf-16 or another that Python knows."
        ) from error
    if encoding not in ("utf-8", "utf-8-sig", "ascii"):
        # What is called Latin-1 is Windows' superset of it where it has curly quotes and euro signs.
        return ("cp1252", "latin-1 rest") if encoding in ("iso8859-1", "cp1252") else (encoding, "strict")
    if head.startswith(codecs.BOM_UTF8) and form == "json":
        return "utf-8-sig", "strict"
    n = len(head) // 3
    if head[1::2].count(0) > n:
        return "utf-16-le", "strict"
    if head[0::2].count(0) > n:
        return "utf-16-be", "strict"
    if b"\0" in head.split(b"\n", 1)[0]:
        raise BadInput(
            f"{file.name} is no text: there are NUL bytes in its first line.", next_step="check that it is the file you meant."
        )
    return None


codecs.register_error(
    "latin-1 rest",
    lambda error: (error.object[error.start : error.end].decode("latin-1"), error.end),  # type: ignore[attr-defined]
)


def _has_mixed_ends(open_plain: Callable[[], Any]) -> bool:
    """Whether lines end in more than one way, which DuckDB refuses."""
    pairs = feeds = returns = 0
    before = b""
    with open_plain() as stream:
        while block := stream.read(1 << 20):
            block = before + block
            before = b"\r" if block.endswith(b"\r") else b""
            block = block[: len(block) - len(before)]
            n = block.count(b"\r\n")
            pairs, feeds, returns = pairs + n, feeds + block.count(b"\n") - n, returns + block.count(b"\r") - n
    returns += len(before)
    return sum(1 for n in (pairs, feeds, returns) if n) > 1


def _copy(file: Path, open_plain: Callable[[], Any], copy: Path, codec: tuple[str, str] | None, newline: str | None) -> None:
    if copy.suffix == ".parquet":
        with open_plain() as stream, copy.open("wb") as out:
            shutil.copyfileobj(stream, out)
        return
    # Without a codec bytes pass as they are: those that are no UTF-8 go to quarantine with their line.
    encoding, errors = codec or ("utf-8", "surrogateescape")
    try:
        with open_plain() as stream, zstandard.open(copy, "wb") as out:
            words = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline=newline)
            while piece := words.read(1 << 20):
                out.write(piece.encode("utf-8", "surrogateescape"))
    except UnicodeError as error:
        raise BadInput(
            f"{file.name} cannot be read as {encoding}: {error}.",
            next_step="say its encoding with --encoding, or save it as UTF-8.",
        ) from error
