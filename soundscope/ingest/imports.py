"""Import: a user's CSV, Parquet, JSON or NDJSON file through the same door as every provider's answer.

The file is landed as it is, with a note of its mapping and licence; loading reads it from there (`import_rows.py`). Of an AcousticBrainz
dump only what is understood is landed, a hundredth of it. The same bytes under the same name do nothing; changed bytes replace that
dataset. What a column may mean is in `fields.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import zstandard

from soundscope.errors import BadInput, DiskFull
from soundscope.ingest import acousticbrainz, fields, landing
from soundscope.ingest.acousticbrainz import is_dump
from soundscope.ingest.import_rows import relation
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Reply

log = logging.getLogger(__name__)
KINDS = ("tracks", "chart", "features", "matches")
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_PACKED = (".gz", ".zst")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class ImportRequest:
    """What the user asked for."""

    file: Path
    kind: str
    dataset: str
    given: Mapping[str, str]
    licence: str = "user-supplied"
    train: bool = True
    chart: str | None = None
    date: str | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True)
class ImportResult:
    """What came of it: the dataset, whether anything was new, and field -> column as it was read."""

    dataset: str
    is_new: bool
    mapping: Mapping[str, str]
    landing_file: str | None


def import_file(settings: Settings, ledger: Ledger, run_id: str, request: ImportRequest) -> ImportResult:
    """Check a file, land it, and note it in the ledger; loading comes with the next build.

    Raises:
        BadInput: the file, its format, its columns or the request is wrong; nothing was landed.
        DiskFull: there is no room to land it.
    """
    request = _as_named(request)
    _check(request)
    if request.encoding == "utf-8" and _begins(request.file) in (b"\xff\xfe", b"\xfe\xff"):
        request = replace(request, encoding="utf-16")
    form = "json" if is_dump(request.file) else _format(request.file)
    if form == "ndjson" and not _has_objects(request.file):
        form = "json"  # one list, whatever the name says
    columns, mapping = _read_as(request, form)
    sha256 = _sha256(request.file)
    payload = {
        "sha256": sha256, "format": form, "kind": request.kind, "mapping": mapping, "licence": request.licence, "train_ok": request.train,
        "chart": request.chart, "date": request.date, "encoding": request.encoding, "columns": columns, "file_name": request.file.name,
        "origin": "acousticbrainz" if is_dump(request.file) else None,
    }  # fmt: skip
    provider = f"import:{request.dataset}"
    etag = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    if ledger.unit_etag(provider, "import", request.dataset) == etag:
        return ImportResult(request.dataset, False, mapping, None)
    copy = _land_bytes(settings, request, sha256)
    payload["landed_as"] = copy.relative_to(settings.paths.landing).as_posix()
    payload["landed_sha256"] = _sha256(copy) if payload["origin"] else sha256
    reply = Reply("IMPORT", f"file:{request.file.name}", 200, {"etag": etag}, b"", utcnow())
    with landing.LandingWriter(settings.paths.landing, "import", request.dataset, run_id, sha256[:12]) as writer:
        writer.add(
            "import",
            [request.dataset],
            reply,
            {request.dataset: Outcome.OK},
            payload=payload,
            unit_kind="import",
            dataset=provider,
        )
    landed = writer.landed
    result = {
        "provider": provider,
        "kind": "import",
        "key": request.dataset,
        "outcome": Outcome.OK,
        "http_status": None,
        "etag": etag,
    }
    ledger.record(run_id, [result], landed.row if landed else None)
    return ImportResult(request.dataset, True, mapping, landed.row["landing_file"] if landed else None)


def _as_named(request: ImportRequest) -> ImportRequest:
    """A Spotify charts file says chart and date in its name. Its content is Spotify's, so nothing is trained on it unasked."""
    if is_dump(request.file) and request.licence == "user-supplied":
        return replace(request, licence=acousticbrainz.LICENCE)
    named = fields.named_chart(request.file.name) if request.kind == "chart" else None
    if named is None:
        return request
    said = request.licence != "user-supplied"
    return replace(
        request, chart=request.chart or named[0], date=request.date or named[1],
        licence=request.licence if said else "Spotify content (charts.spotify.com)", train=request.train and said,
    )  # fmt: skip


def licences(root: Path) -> dict[str, tuple[str, bool]]:
    """Licence and trainability of every imported dataset, newest import first to win."""
    found: dict[str, tuple[str, bool]] = {}
    for path in landing.files(root / "import") if (root / "import").exists() else []:
        line = next(landing.read_lines(path))
        found[f"import:{line['keys'][0]}"] = (line["payload"]["licence"], bool(line["payload"]["train_ok"]))
    return found


def dumps(root: Path) -> set[str]:
    """Imported datasets that came from an AcousticBrainz dump: their features count where nobody else's are."""
    found = set()
    for path in landing.files(root / "import") if (root / "import").exists() else []:
        line = next(landing.read_lines(path))
        if line["payload"].get("origin") == "acousticbrainz":
            found.add(f"import:{line['keys'][0]}")
    return found


def _check(request: ImportRequest) -> None:
    if request.kind not in KINDS:
        raise BadInput(f"--as {request.kind} is unknown.", next_step=f"say one of {', '.join(KINDS)}.")
    if not _NAME.fullmatch(request.dataset):
        raise BadInput(
            f"The dataset name {request.dataset!r} cannot be used.",
            next_step="use letters, digits, '_', '-' and '.', at most 63 characters.",
        )
    if not request.file.is_file():
        raise BadInput(f"There is no file {request.file}.", next_step="check the path.")
    if not os.access(request.file, os.R_OK):
        raise BadInput(f"{request.file} cannot be read.", next_step="give yourself read permission on it.")
    if is_dump(request.file) and (request.kind not in ("tracks", "features") or request.given):
        raise BadInput(
            f"{request.file.name} is read as an AcousticBrainz dump, which holds recordings with their features.",
            next_step="import it --as features, without --map.",
        )
    if request.date:
        try:
            date.fromisoformat(request.date)
        except ValueError as error:
            raise BadInput(f"--date {request.date} is not a date.", next_step="write it as YYYY-MM-DD.") from error


def _format(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    form = _FORMATS.get(suffixes[-1]) if suffixes else None
    if form is None:
        raise BadInput(
            f"{file.name} is no kind of file that can be imported.",
            next_step="CSV, TSV, JSON, NDJSON (each also as .gz or .zst) and Parquet can; rename it or convert it.",
        )
    return form


def _read_as(request: ImportRequest, form: str) -> tuple[list[str], dict[str, str]]:
    """The file's columns, and field -> column."""
    if is_dump(request.file):
        return list(acousticbrainz.MAPPING.values()), dict(acousticbrainz.MAPPING)
    columns = _columns(request, form)
    mapping = fields.mapping_of(columns, request.given, request.kind, request.file.name)
    fields.check_needed(mapping, request.kind, request.file.name, columns, chart=request.chart, date=request.date)
    return columns, mapping


def _columns(request: ImportRequest, form: str) -> list[str]:
    payload = {"format": form, "encoding": request.encoding}
    _check_whole(request.file)
    try:
        with duckdb.connect() as con:
            if form in ("json", "ndjson"):
                source, _ = relation(request.file, {**payload, "columns": None})
                names = con.execute(
                    f"select distinct unnest(json_keys(json)) from {source} where json_type(json) = 'OBJECT'"
                ).fetchall()
                columns = sorted(row[0] for row in names)
            else:
                source, _ = relation(request.file, payload)
                columns = [row[0] for row in con.execute(f"describe select * from {source}").fetchall()]
                # Reads the whole file once, so that damage is found before anything is landed.
                con.execute(f"select count(*) from (select columns(*)::varchar from {source})").fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        hint = "is it whole, and of the kind its name says?"
        if "utf" in reason.lower() or "unicode" in reason.lower():
            hint = "it is not UTF-8; convert it, or say its encoding with --encoding latin-1."
        raise BadInput(f"{request.file.name} cannot be read as {form}: {reason}", next_step=hint) from error
    if not columns:
        raise BadInput(f"{request.file.name} holds no rows.", next_step="check that it is the file you meant.")
    return columns


def _has_objects(file: Path) -> bool:
    """Whether a line of it is a JSON object."""
    source, _ = relation(file, {"format": "ndjson", "columns": None})
    try:
        with duckdb.connect() as con:
            return con.execute(f"select 1 from {source} where json_type(json) = 'OBJECT' limit 1").fetchone() is not None
    except duckdb.Error:
        return False


def _begins(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(2)


def _check_whole(file: Path) -> None:
    """A compressed file that was cut short is refused: a reader of CSV takes what is there and says nothing."""
    suffix = file.suffix.lower()
    try:
        if suffix == ".gz":
            with gzip.open(file) as unpacked:
                while unpacked.read(1 << 20):
                    pass
        elif suffix == ".zst":
            _unpack_frames(file)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise BadInput(
            f"{file.name} cannot be unpacked: it is damaged or was cut short.", next_step="fetch or compress it again."
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


def _land_bytes(settings: Settings, request: ImportRequest, sha256: str) -> Path:
    folder = settings.paths.landing / "import" / request.dataset
    suffixes = request.file.suffixes[-2:] if request.file.suffixes[-1].lower() in _PACKED else request.file.suffixes[-1:]
    # A name that ends like those of our own landing files would be taken for one of them.
    suffix = ".jsonl.zst" if is_dump(request.file) else "".join(suffixes).lower().replace(".ndjson", ".jsonl")
    target = folder / f"{sha256[:16]}{suffix}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".incoming")
    try:
        if is_dump(request.file):
            _distil(request.file, temporary)
        else:
            shutil.copyfile(request.file, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise DiskFull(
            f"{request.file.name} cannot be landed: {error.strerror}.", next_step="free some space and import it again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _distil(dump: Path, target: Path) -> None:
    left_out: Counter[str] = Counter()
    n = 0
    with zstandard.open(target, "wb") as out:
        for row in acousticbrainz.rows(dump, left_out):
            n += 1
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    log.info("%s: %d recordings; left out: %s", dump.name, n, dict(left_out))
    if not n:
        raise BadInput(
            f"{dump.name} holds no recording of AcousticBrainz.",
            next_step="give one of its JSON dumps, low-level or high-level, as it was downloaded.",
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
