"""SoundScope's own results come back through landing like any other source: frames in, one landing file out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Reply
from soundscope.sources.internal import PROVIDER

# Rows in one line of the file: some megabytes of JSON, which DuckDB reads at once.
_ROWS_PER_LINE = 20_000
# Bytes of JSON in one file: loading takes a file at once, within the memory that DuckDB is given.
_BYTES_PER_FILE = 32 << 20


def land_frames(
    settings: Settings,
    ledger: Ledger,
    run_id: str,
    name: str,
    frames: Iterable[tuple[str, pd.DataFrame]],
    notes: Mapping[str, str] | None = None,
) -> str | None:
    """Land rows for raw tables.

    Args:
        settings, ledger, run_id: where, and which run made them.
        name: what they are, for the file's name: match, train or score.
        frames: raw table and rows; may be a generator, one batch at a time.
        notes: unit key -> entity tag to remember with this landing, in the same step.
    Returns:
        The last landing file, or None if there was nothing to land. Rows that come early are in earlier files, so what counts only
        together with others must be named by a row that comes last.
    """
    lines = _lines(frames)
    waiting = next(lines, None)
    landed = None
    while waiting is not None:
        with LandingWriter(settings.paths.landing, PROVIDER, name, run_id, name) as writer:
            size = 0
            while waiting is not None and size < _BYTES_PER_FILE:
                table, body = waiting
                writer.add(table, [name], Reply("SOUNDSCOPE", f"soundscope:{name}", 200, {}, body, utcnow()), {})
                size += len(body)
                waiting = next(lines, None)
        landed = writer.landed.row if writer.landed else None
        if waiting is not None:
            ledger.record(run_id, [], landed)
    results = [
        {"provider": PROVIDER, "kind": name, "key": key, "outcome": Outcome.OK, "etag": tag, "http_status": None}
        for key, tag in (notes or {}).items()
    ]
    ledger.record(run_id, results, landed)
    return landed["landing_file"] if landed else None


def _lines(frames: Iterable[tuple[str, pd.DataFrame]]) -> Iterator[tuple[str, bytes]]:
    for table, frame in frames:
        for start in range(0, len(frame), _ROWS_PER_LINE):
            part = frame.iloc[start : start + _ROWS_PER_LINE]
            yield (
                table,
                f'{{"rows":{part.to_json(orient="records", date_format="iso", date_unit="us", double_precision=15)}}}'.encode(),
            )


def as_json(value: object) -> str:
    """Compact JSON with sorted keys, for columns that hold it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
