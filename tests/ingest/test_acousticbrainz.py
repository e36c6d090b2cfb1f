"""AcousticBrainz dumps, made here in the documented layout: what is taken, on which scale, and which archives are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from soundscope.errors import BadInput
from soundscope.ingest import acousticbrainz
from soundscope.ingest.imports import ImportRequest, dumps, import_file, licences
from soundscope.ingest.ledger import Ledger
from soundscope.ingest.load import load_new, raw_counts, replay
from soundscope.pipeline.steps import provider_rows
from soundscope.settings import Settings

ONE, TWO = "00000baf-9215-483a-8900-93756eaf1cfc", "ab5c4f10-0000-4d6e-9f00-0123456789ab"
TAGS = {
    "title": ["Invented Song"],
    "artist": ["Made Up", "Another"],
    "isrc": ["ZZS002400001"],
    "date": ["2004-05"],
    "album": ["Nothing"],
}
LOW = {
    "metadata": {"audio_properties": {"length": 201.5, "sample_rate": 44100}, "tags": TAGS, "version": {"essentia": "2.1"}},
    "rhythm": {"bpm": 128.04, "danceability": 1.31, "beats_position": [0.5, 1.0]},
    "tonal": {"key_key": "C#", "key_scale": "minor", "key_strength": 0.71},
    "lowlevel": {"average_loudness": 0.93, "dynamic_complexity": 2.5},
}
HIGH = {
    "metadata": {"audio_properties": {"length": 201.5}, "tags": TAGS},
    "highlevel": {
        "danceability": {"all": {"danceable": 0.94, "not_danceable": 0.06}, "value": "danceable", "probability": 0.94},
        "voice_instrumental": {"all": {"instrumental": 0.1, "voice": 0.9}, "value": "voice"},
        "genre_rosamerica": {"all": {"roc": 0.8}, "value": "roc", "probability": 0.8},
    },
}
Files = list[tuple[tarfile.TarInfo | str, bytes]]


def _member(level: str, mbid: str, number: int, document: Any) -> tuple[str, bytes]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"acousticbrainz-{level}-json-20220623-0/{level}/{mbid[0]}/{mbid[:2]}/{mbid}-{number}.json", body


def _archive(path: Path, files: Files) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for named, body in files:
            info = named if isinstance(named, tarfile.TarInfo) else tarfile.TarInfo(named)
            if info.isreg():
                info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    data = plain.getvalue()
    pack = {".zst": zstandard.compress, ".bz2": bz2.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    return path


class Door:
    def __init__(self, settings: Settings, con: duckdb.DuckDBPyConnection) -> None:
        self.settings, self.con, self.ledger = settings, con, Ledger.open(settings)

    def take(self, file: Path, **said: Any) -> Any:
        request = ImportRequest(file, said.pop("kind", "features"), said.pop("name", "ab"), said.pop("given", {}), **said)
        result = import_file(self.settings, self.ledger, "run-1", request)
        self.loaded = load_new(self.con, self.settings.paths.landing)
        assert self.loaded.damaged == {}
        return result

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    with closing(duckdb.connect()) as con:
        opened = Door(settings, con)
        yield opened
        opened.ledger.close()


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst", ".tar.bz2", ".tar.gz"])
def test_a_low_level_dump_gives_features_of_the_same_scale_and_descriptors_of_its_own(
    door: Door, tmp_path: Path, suffix: str
) -> None:
    odd = {"rhythm": {"bpm": float("nan")}, "tonal": {"key_key": "H", "key_scale": "dorian"}}
    file = _archive(
        tmp_path / f"acousticbrainz-lowlevel-json-20220623-0{suffix}",
        [("acousticbrainz-lowlevel-json-20220623-0/COPYING", b"CC0"), _member("lowlevel", ONE, 0, LOW), _member("lowlevel", ONE, 1, odd),
         _member("lowlevel", TWO, 0, odd), _member("lowlevel", TWO[::-1].replace("-", ""), 0, LOW), _member("lowlevel", TWO, 12, b"{cut")],
    )  # fmt: skip
    assert door.take(file).is_new
    assert not door.take(file).is_new, "the same bytes do nothing"
    assert door.ask("select source_id, isrc, title, artist, album, release_date::varchar, release_precision, duration_ms from raw.tracks order by 1") == [
        (ONE, "ZZS002400001", "Invented Song", "Made Up", "Nothing", "2004-05-01", "month", 201_500),
        (TWO, None, None, None, None, None, None, None),
    ]  # fmt: skip
    assert door.ask("select tempo, key, mode, danceability, energy, loudness from raw.audio_features order by source_id") == [
        (128.04, 1, 0, None, None, None),
        (None, None, None, None, None, None),
    ], "what is not on the common scale is no feature"
    assert door.ask("select raw_value, reason from raw.quarantine order by 1") == [
        ("H", "not a whole number"), ("dorian", "not a whole number"),
    ]  # fmt: skip
    found = {name: (value, scale) for name, value, scale in door.ask("select descriptor, value, scale from raw.descriptors")}
    assert {name: value for name, (value, _) in found.items()} == {
        "danceability_dfa": 1.31, "average_loudness": 0.93, "dynamic_complexity": 2.5, "key_strength": 0.71,
    }  # fmt: skip
    assert all("Essentia" in scale for _, scale in found.values())
    before = raw_counts(door.con)
    replay(door.con, door.settings.paths.landing)
    assert raw_counts(door.con) == before


def test_a_high_level_dump_gives_probabilities_with_their_scale_and_no_genre_labels(door: Door, tmp_path: Path) -> None:
    door.take(_archive(tmp_path / "h.tar.zst", [_member("highlevel", ONE, 0, HIGH)]))
    assert door.ask("select descriptor, value from raw.descriptors order by 1") == [
        ("p_danceable", 0.94),
        ("p_instrumental", 0.1),
    ]
    assert door.ask("select distinct scale from raw.descriptors") == [("probability 0..1 of an AcousticBrainz classifier",)]
    assert door.ask("select count(*) from raw.genre_labels") == [(0,)], "what a classifier guessed is no label"
    assert door.ask("select danceability, instrumentalness from raw.audio_features") == [(None, None)]


def test_a_dump_is_free_to_train_on_and_asked_last(door: Door, tmp_path: Path) -> None:
    door.take(_archive(tmp_path / "l.tar", [_member("lowlevel", ONE, 0, LOW)]))
    assert licences(door.settings.paths.landing) == {"import:ab": (acousticbrainz.LICENCE, True)}
    assert dumps(door.settings.paths.landing) == {"import:ab"}
    order = {name: place for name, _, _, place, *_ in provider_rows(door.settings)}
    assert order["spotify"] < order["reccobeats"] < order["import:ab"]


def test_only_the_first_submission_counts_and_the_others_are_counted(tmp_path: Path) -> None:
    left_out: Counter[str] = Counter()
    files = [_member("lowlevel", ONE, n, {"rhythm": {"bpm": 100 + n}}) for n in range(3)] + [_member("lowlevel", TWO, 0, b"[1]")]
    rows = list(acousticbrainz.rows(_archive(tmp_path / "d.tar.gz", files), left_out))
    assert [row["bpm"] for row in rows] == [100]
    assert left_out == {"another submission": 2, "not readable": 1}


def _special(name: str, kind: bytes, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def _claiming(size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("../../etc/cron.d/x", b"x")], "leads out"),
        ([("/etc/passwd", b"x")], "leads out"),
        ([(f"a/lowlevel/0/../../../{ONE}-0.json", b"{}")], "leads out"),
        ([(_special(f"a/lowlevel/0/00/{ONE}-0.json", tarfile.SYMTYPE, "/etc/passwd"), b"")], "neither a file"),
        ([(_special(f"a/lowlevel/0/00/{ONE}-0.json", tarfile.LNKTYPE, "../x"), b"")], "neither a file"),
        ([(_special("a/pipe", tarfile.FIFOTYPE), b"")], "neither a file"),
        ([_member("lowlevel", ONE, 0, b"{}" + b" " * (5 << 20))], "above 4,194,304"),
        ([("a/README", b"only that")], "holds no recording"),
    ],
    ids=["climbing", "absolute", "climbing within", "symlink", "hard link", "pipe", "oversized", "empty"],
)  # fmt: skip
def test_an_archive_that_is_no_dump_is_refused_and_leaves_nothing(door: Door, tmp_path: Path, files: Files, says: str) -> None:
    file = _archive(
        tmp_path / "hostile.tar.zst", [_member("lowlevel", TWO, 0, LOW), *files] if "only" not in str(files) else files
    )
    with pytest.raises(BadInput) as caught:
        door.take(file)
    assert says in str(caught.value)
    assert [path for path in door.settings.paths.landing.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_size_that_is_only_claimed_is_refused_before_anything_is_read(door: Door, tmp_path: Path, kind: bytes) -> None:
    file = tmp_path / "bomb.tar"
    file.write_bytes(_claiming(6 << 30, kind) + b"\0" * 4096)
    with pytest.raises(BadInput, match="above"):
        door.take(file)


@pytest.mark.parametrize("suffix", [".tar.zst", ".tar.bz2", ".tar.gz"])
def test_a_damaged_archive_is_refused(door: Door, tmp_path: Path, suffix: str) -> None:
    file = _archive(tmp_path / f"cut{suffix}", [_member("lowlevel", ONE, n, {**LOW, "n": n}) for n in range(50)])
    file.write_bytes(file.read_bytes()[:-150])
    with pytest.raises(BadInput, match="damaged"):
        door.take(file)


def test_a_dump_is_features_and_nothing_else(door: Door, tmp_path: Path) -> None:
    file = _archive(tmp_path / "l.tar", [_member("lowlevel", ONE, 0, LOW)])
    with pytest.raises(BadInput, match="--as features"):
        door.take(file, kind="chart", chart="x", date="2020-01-01")
