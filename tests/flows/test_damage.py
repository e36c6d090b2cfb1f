"""Truncated and bit-flipped files: the next scheduled run, at the latest the one after it, ends well with the same tables."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.kills import Installation


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])


def _flip(file: Path, times: int) -> None:
    content = bytearray(file.read_bytes())
    draw = random.Random(3)
    for _ in range(times):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(bytes(content))


def _champion(home: Installation) -> str:
    with closing(duckdb.connect(str(home.path / "warehouse" / "soundscope.duckdb"), read_only=True)) as con:
        found = con.execute("select model_id from ml.model_runs where is_champion and target = 'genre'").fetchone()
    assert found is not None
    return str(found[0])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("damaged"), 4450)
    made.complete()
    return made


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["writer and model", "ledger and landing", "bits of the writer"])
def test_damaged_files_are_set_aside_and_made_anew(home: Installation, what: str) -> None:
    warehouse = home.path / "warehouse"
    private, before = warehouse / ".private", home.digests()
    if what == "writer and model":
        _truncate(private / "writer.duckdb")
        _flip(warehouse / "models" / _champion(home) / "model.skops", 1)
    elif what == "ledger and landing":
        for companion in private.glob("ledger.sqlite-*"):
            companion.unlink()
        _truncate(private / "ledger.sqlite")
        _flip(next((warehouse / "landing" / "billboard_hot_100").rglob("*.zst")), 1)
    else:
        _flip(private / "writer.duckdb", 40)
    # Damage that shows only when the bytes are read fails one run, and tells the next.
    statuses = [home.start().wait(400)]
    if statuses[-1]:
        statuses.append(home.start().wait(400))
    assert statuses[-1] == 0, (home.path / "run.log").read_text()[-3000:]
    assert home.digests() == before
    assert list((private / "damaged").iterdir()), "what was damaged is kept"
