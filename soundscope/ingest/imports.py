"""Import: a user's CSV, Parquet, JSON or NDJSON file through the same door as every provider's answer.

The file is landed as it is, with a note of its mapping and licence; loading reads it from there (`import_rows.py`). Where it cannot be
read as it is, a copy in UTF-8 is landed (`file_form.py`), and of an AcousticBrainz dump only what is understood, a hundredth of it. The
same bytes under the same name do nothing; changed bytes replace that dataset. What a column may mean is in `fields.py`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import zstandard

from soundscope.errors import BadInput, DiskFull
from soundscope.ingest import acousticbrainz, fields, landing
from soundscope.ingest.acousticbrainz import is_dump
from soundscope.ingest.file_form import PACKED, Readable, readable
from soundscope.ingest.import_columns import ROW, named_fields
from soundscope.ingest.import_source import is_one_object, lists_in, relation, said_beside
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.typed import EARLIEST
from soundscope.ingest.written_dates import ORDERS, order_in
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Reply

log = logging.getLogger(__name__)
KINDS = ("tracks", "chart", "features", "matches")
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
    dates: str | None = None
    decimal: str = "."


@dataclass(frozen=True)
class ImportResult:
    """What came of it: the dataset, whether anything was new, field -> column as it was read, columns nothing was read from, order of dates."""

    dataset: str
    is_new: bool
    mapping: Mapping[str, str]
    landing_file: str | None
    unused: tuple[str, ...] = ()
    dates: str | None = None


def import_file(settings: Settings, ledger: Ledger, run_id: str, request: ImportRequest) -> ImportResult:
    """Check a file, land it, and note it in the ledger; loading comes with the next build.

    Raises:
        BadInput: the file, its format, its columns or the request is wrong; nothing was landed.
        DiskFull: there is no room to land it.
    """
    request = _as_named(request)
    _check(request)
    with _opened(settings, request) as read:
        return _import(settings, ledger, run_id, request, read)


def _import(settings: Settings, ledger: Ledger, run_id: str, request: ImportRequest, read: Readable) -> ImportResult:
    found = _read_as(request, read)
    sha256 = _sha256(request.file)
    payload = {
        "sha256": sha256, "format": read.form, "kind": request.kind, "mapping": found.mapping, "licence": request.licence, "train_ok": request.train,
        "chart": request.chart, "date": request.date, "encoding": "utf-8", "columns": found.columns, "file_name": request.file.name,
        "origin": "acousticbrainz" if is_dump(request.file) else None,
    } | {name: said for name, said in (("rows_in", found.rows_in), ("beside", found.beside), ("dates", found.dates), ("read_as", _said_encoding(request)), ("decimal", request.decimal.strip(".")),
           ("named", found.named)) if said}  # fmt: skip
    provider = f"import:{request.dataset}"
    unused = tuple(column for column in found.columns if column not in found.mapping.values())
    etag = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
    if ledger.unit_etag(provider, "import", request.dataset) == etag:
        return ImportResult(request.dataset, False, found.mapping, None, unused, found.dates)
    copy = _land_bytes(settings, request, read)
    payload["landed_as"] = copy.relative_to(settings.paths.landing).as_posix()
    payload["landed_sha256"] = _sha256(copy)
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
    return ImportResult(request.dataset, True, found.mapping, landed.row["landing_file"] if landed else None, unused, found.dates)


@contextmanager
def _opened(settings: Settings, request: ImportRequest) -> Iterator[Readable]:
    if is_dump(request.file):
        yield Readable(request.file, "json", False)
        return
    with readable(request.file, request.encoding, settings.paths.temp) as read:
        # One list, whatever the name says.
        yield read if read.form != "ndjson" or _has_objects(read.file) else replace(read, form="json")


def _said_encoding(request: ImportRequest) -> str | None:
    return None if request.encoding == "utf-8" else request.encoding


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
            next_step="say another with --name: letters, digits, '_', '-' and '.', at most 63 characters.",
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
    if request.dates and request.dates not in ORDERS:
        raise BadInput(f"--dates {request.dates} is no order of day and month.", next_step=f"say one of {', '.join(ORDERS)}.")
    if request.decimal not in (".", ","):
        raise BadInput(f"--decimal {request.decimal} is no mark that numbers are written with.", next_step="say '.' or ','.")
    if request.date:
        try:
            day = date.fromisoformat(request.date)
        except ValueError as error:
            raise BadInput(f"--date {request.date} is not a date.", next_step="write it as YYYY-MM-DD.") from error
        if not date.fromisoformat(EARLIEST) <= day <= utcnow().date() + timedelta(days=366):
            raise BadInput(
                f"--date {request.date} is before {EARLIEST}, or more than a year ahead.", next_step="say the date of the chart."
            )


@dataclass(frozen=True)
class _Found:
    """How a file is read: its columns, field -> column, the key its rows are listed under and those said of all of them, the order of day and month,
    fields written as names."""

    columns: list[str]
    mapping: dict[str, str]
    rows_in: str | None = None
    beside: list[str] = field(default_factory=list)
    dates: str | None = None
    named: list[str] = field(default_factory=list)


def _read_as(request: ImportRequest, read: Readable) -> _Found:
    if is_dump(request.file):
        return _Found(list(acousticbrainz.MAPPING.values()), dict(acousticbrainz.MAPPING))
    found = _found(request, read)
    named = [found.mapping[field] for field in ("chart_date", "release_date") if field in found.mapping]
    if request.kind == "chart" and request.date:
        named = [column for column in named if column != found.mapping.get("chart_date")]
    where = {"rows_in": found.rows_in, "beside": found.beside}
    source, _ = relation(read.file, {"format": read.form, "encoding": "utf-8", "columns": found.columns} | where)
    is_needed = request.kind == "chart" and not request.date
    dates = order_in(source, named, request.dates, request.file.name, found.mapping.get("chart_date") if is_needed else None)
    with duckdb.connect() as con:
        return replace(found, dates=dates, named=named_fields(con, source, found.mapping))


def _found(request: ImportRequest, read: Readable) -> _Found:
    """Rows may be objects of the file, or be listed under a key of an object: of all tracks, or of a week.

    One object alone with a list of named things is a list with a head, as a playlist is, whatever the head could be read as.
    """
    listed = [_Source(key, said_beside(read.file)) for key in lists_in(read.file)] if read.form == "json" else []
    refused: BadInput | None = None
    is_one = bool(listed) and is_one_object(read.file)
    for source in [*listed, None, *listed] if is_one else [None, *listed]:
        try:
            found = _mapped(request, read, source)
        except BadInput as error:
            refused = error if source is None else refused
            if is_one and source and not refused and "title" in fields.guess(_columns(request.file.name, read, source)):
                raise
            continue
        if source is None or refused or found.mapping.keys() & {"title", "spotify_id", "isrc"}:
            return found
    assert refused
    raise refused


@dataclass(frozen=True)
class _Source:
    """Where in a JSON file its rows are: the key of the list, and the keys beside it that are said of all of them."""

    rows_in: str
    beside: list[str]


def _mapped(request: ImportRequest, read: Readable, source: _Source | None) -> _Found:
    columns = _columns(request.file.name, read, source)
    mapping = fields.mapping_of(columns, request.given, request.kind, request.file.name)
    fields.check_needed(mapping, request.kind, request.file.name, columns, chart=request.chart, date=request.date)
    return _Found(columns, mapping, source.rows_in if source else None, source.beside if source else [])


def _columns(name: str, read: Readable, listed: _Source | None) -> list[str]:
    try:
        with duckdb.connect() as con:
            if read.form in ("json", "ndjson"):
                columns = _json_columns(con, name, read, listed)
            else:
                source, _ = relation(read.file, {"format": read.form, "encoding": "utf-8"})
                columns = [row[0] for row in con.execute(f"describe select * from {source}").fetchall()]
                # Reads the whole file once, so that damage is found before anything is landed.
                whole = con.execute(f"select count(*) from (select columns(*)::varchar from {source})").fetchall()
                if columns and whole == [(0,)]:
                    columns = []
                    _check_refused(con, name, read.form)
    except (duckdb.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        hint = "is it whole, and of the kind its name says?"
        if "utf" in reason.lower() or "unicode" in reason.lower():
            hint = "it is not UTF-8; convert it, or say its encoding with --encoding latin-1."
        raise BadInput(f"{name} cannot be read as {read.form}: {reason}", next_step=hint) from error
    if not columns:
        raise BadInput(f"{name} holds no rows.", next_step="check that it is the file you meant.")
    if clash := [column for column in columns if column.lower() == ROW.strip('"')]:
        raise BadInput(f"{name} has a column called {clash[0]}, which is taken.", next_step="give it another name.")
    return columns


def _json_columns(con: duckdb.DuckDBPyConnection, name: str, read: Readable, listed: _Source | None) -> list[str]:
    where = {"rows_in": listed.rows_in, "beside": listed.beside} if listed else {}
    source, _ = relation(read.file, {"format": read.form, "encoding": "utf-8", "columns": None, **where})
    names = con.execute(f"select distinct unnest(json_keys(json)) from {source} where json_type(json) = 'OBJECT'").fetchall()
    by_column = con.execute(
        f"select count(*) = 1 and bool_and(json_type(json) = 'OBJECT' and len(json_keys(json)) > 1 and list_bool_and("
        f"list_transform(json_extract(json, '$.*'), lambda v: json_type(v) = 'OBJECT' and json_exists(v, '$.\"0\"')))) from {source}"
    ).fetchone()
    if by_column == (True,):
        raise BadInput(
            f"{name} is written column by column.", next_step="write it row by row: with pandas, to_json(..., orient='records')."
        )
    # A column without a name, as of row numbers, can be called by none.
    return sorted(row[0] for row in names if row[0])


def _check_refused(con: duckdb.DuckDBPyConnection, name: str, form: str) -> None:
    """A file none of whose lines can be read is no dataset."""
    refused = (
        con.execute("select count(distinct line), min(error_message) from reject_errors").fetchone() if form == "csv" else None
    )
    if refused and refused[0]:
        raise BadInput(
            f"{name}: none of its {refused[0]:,} lines can be read as a row: {str(refused[1]).splitlines()[0]}",
            next_step="correct its first line or the others, so that all have the same number of fields.",
        )


def _has_objects(file: Path) -> bool:
    """Whether a line of it is a JSON object."""
    source, _ = relation(file, {"format": "ndjson", "columns": None})
    try:
        with duckdb.connect() as con:
            return con.execute(f"select 1 from {source} where json_type(json) = 'OBJECT' limit 1").fetchone() is not None
    except duckdb.Error:
        return False


def _land_bytes(settings: Settings, request: ImportRequest, read: Readable) -> Path:
    folder = settings.paths.landing / "import" / request.dataset
    suffixes = read.file.suffixes[-2:] if read.file.suffixes[-1].lower() in PACKED else read.file.suffixes[-1:]
    # A name that ends like those of our own landing files would be taken for one of them.
    suffix = ".jsonl.zst" if is_dump(request.file) else "".join(suffixes).lower().replace(".ndjson", ".jsonl")
    target = folder / f"{_sha256(read.file)[:16]}{suffix}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".incoming")
    try:
        if is_dump(request.file):
            _distil(request.file, temporary)
        else:
            shutil.copyfile(read.file, temporary)
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
