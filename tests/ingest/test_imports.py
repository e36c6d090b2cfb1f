"""Import and typed load: any file a person may have, clean or dirty, with nothing lost and nothing guessed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from soundscope.errors import BadInput
from soundscope.ingest import import_rows, landing
from soundscope.ingest.imports import ImportRequest, ImportResult, import_file, licences
from soundscope.ingest.ledger import Ledger
from soundscope.ingest.load import load_new, raw_counts, replay
from soundscope.ingest.refusals import refusals
from soundscope.ingest.typed import create_raw
from soundscope.ingest.written_objects import names_in
from soundscope.pipeline.ops import freshness
from soundscope.settings import Settings

ID = "6f807x0ima9a1j3VPbc7VN"


class Door:
    """Import into an empty home, and ask what arrived."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger = Ledger.open(settings)
        self.run_id = self.ledger.start_run("test", "sandbox")
        self.con = duckdb.connect(str(settings.paths.writer), config={"storage_compatibility_version": "v1.5.0"})

    def take(self, file: Path, kind: str = "tracks", name: str = "mine", **said: Any) -> ImportResult:
        given = said.pop("given", {})
        result = import_file(self.settings, self.ledger, self.run_id, ImportRequest(file, kind, name, given, **said))
        self.loaded = load_new(self.con, self.settings.paths.landing)
        assert self.loaded.damaged == {}
        return result

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    opened = Door(settings)
    with closing(opened.con):
        yield opened
    opened.ledger.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def make(name: str, text: str | bytes) -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        data = text.encode() if isinstance(text, str) else text
        path.write_bytes(
            gzip.compress(data) if name.endswith(".gz") else zstandard.compress(data) if name.endswith(".zst") else data
        )
        return path

    return make


Write = Callable[[str, str | bytes], Path]
CSV = f"track_id,track_name,track_artist,playlist_genre,danceability,loudness,track_popularity,track_album_release_date\n{ID},One,Ann,pop,0.5,-5,70,2019-06\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.tsv"])
def test_csv_in_every_wrapping(door: Door, write: Write, name: str) -> None:
    door.take(write(name, CSV.replace(",", "\t") if name.endswith("tsv") else CSV))
    assert door.ask("select spotify_id, title, artist, release_date::varchar, release_precision from raw.tracks") == [
        (ID, "One", "Ann", "2019-06-01", "month")
    ]
    assert door.ask("select danceability, loudness from raw.audio_features") == [(0.5, -5.0)]
    assert door.ask("select label, source from raw.genre_labels") == [("pop", "import:mine")]
    assert door.ask("select popularity from raw.popularity") == [(70.0,)]


@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.jsonl.gz", "b.json.zst", "b.ndjson.zst"])
def test_json_as_a_list_or_in_lines(door: Door, write: Write, name: str) -> None:
    rows = [
        {"id": ID, "name": "One", "artists": "Ann; Bob", "tempo": 120.5, "year": 1999},
        {"id": "x2", "name": "Zwei", "artists": "Cé"},
    ]
    door.take(write(name, json.dumps(rows) if ".json." in name or name.endswith(".json") else "\n".join(map(json.dumps, rows))))
    assert door.ask("select source_id, spotify_id, artist, artists, release_date::varchar from raw.tracks order by title") == [
        (ID, ID, "Ann", "Ann; Bob", "1999-01-01"),
        ("x2", None, "Cé", "Cé", None),
    ]


def test_parquet_with_typed_columns(door: Door, write: Write, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    door.con.execute(
        f"copy (select '{ID}' as spotify_track_id, 'A' as song, 'B' as performer, 0.25::double as energy, ['x', 'y'] as genres, "
        f"date '1987-05-01' as release_date) to '{path}'"
    )
    door.take(path)
    assert door.ask("select spotify_id, release_precision from raw.tracks") == [(ID, "day")]
    assert door.ask("select energy from raw.audio_features") == [(0.25,)]


def test_values_that_cannot_be_typed_go_to_quarantine_and_the_row_stays(door: Door, write: Write) -> None:
    header = "id,title,artist,danceability,loudness,key,time_signature,tempo,explicit,duration_ms,popularity,release_date\n"
    door.take(
        write(
            "dirty.csv",
            header
            + "1,Broken decimals,A,945,-3,5,4,100,true,200000,50,2001-02-03\n"
            + "2,Words,A,high,quiet,C,four,fast,perhaps,long,many,last year\n"
            + "3,Loud and odd,A,0.5,3.5,12,1,-1,false,0,101,03/04/2020\n"
            + "4,Silent,A,0.5,-20,-1,0,0,no,1.5,0,2020\n"
            + "5,Nothing,A,,,NA,,,,NaN,,\n"
            + ",,,0.5,-5,1,4,90,true,1000,1,2000-01-01\n",
        ),
        "features",
    )
    assert door.ask(
        "select source_id, danceability, loudness, key, time_signature, tempo, duration_ms from raw.audio_features order by 1"
    ) == [
        ("1", None, -3.0, 5, 4, 100.0, 200000),
        ("2", None, None, None, None, None, None),
        ("3", 0.5, None, None, None, None, None),
        ("4", 0.5, -20.0, -1, None, 0.0, None),
        ("5", None, None, None, None, None, None),
    ]
    found = door.ask(
        "select row_key, \"field\", raw_value, reason from raw.quarantine where table_name = 'audio_features' order by all"
    )
    assert ("1 | Broken decimals | A", "danceability", "945", "outside 0..1") in found
    assert ("2 | Words | A", "key", "C", "not a whole number") in found
    assert ("3 | Loud and odd | A", "loudness", "3.5", "outside -60..0") in found
    assert ("4 | Silent | A", "duration_ms", "1.5", "not a whole number") in found
    assert not [row for row in found if row[0].startswith("4") and row[1] in ("key", "time_signature", "tempo")], (
        "silence is no error"
    )
    assert not [row for row in found if row[0].startswith("5")], "missing is no error"
    assert [row[3] for row in found if row[1] is None] == [
        "the row has no key: it needs spotify_id or isrc or source_id or title + artist"
    ]
    assert (
        door.ask("select popularity from raw.popularity order by 1") == [(0.0,), (50.0,)]
        or door.ask("select count(*) from raw.quarantine where table_name = 'popularity'")[0][0] == 2
    )


def test_lines_that_are_no_rows_are_kept_in_quarantine(door: Door, write: Write) -> None:
    rows = "".join(f"s{n},Title {n},Artist {n},0.5\n" for n in range(50))
    door.take(write("torn.csv", "id,title,artist,energy\n" + rows + "s90,too,few\ns91,one,too,0.1,many\n"))
    assert door.ask("select count(*) from raw.tracks")[0][0] == 50
    kept = door.ask("select raw_line from raw.quarantine where table_name = 'import' order by 1")
    assert [line[0].strip() for line in kept] == ["s90,too,few", "s91,one,too,0.1,many"]


def test_lines_that_are_no_json_are_kept_in_quarantine(door: Door, write: Write) -> None:
    good = json.dumps({"track_id": ID, "track_name": "One", "track_artist": "Ann"})
    door.take(write("a.ndjson", f"{good}\nnot json\n\n{good[:-1]}\n"))
    assert door.ask("select title from raw.tracks") == [("One",)]
    assert door.ask("select raw_line, row_key from raw.quarantine order by row_key") == [
        ("not json", "line 2"),
        (good[:-1], "line 4"),
    ]


def test_a_file_read_in_pieces_gives_what_it_gives_whole(door: Door, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = "".join(f"2020-01-04,{1 + n // 2},Song {n},\"['Ann', 'Bob']\",s{n},{n / 8},{n}\n" for n in range(8))
    objects = [{"id": f"t{n}", "title": f"T{n}", "artist": "Ann", "genre": "pop, rock", "energy": n / 4} for n in range(6)]
    files: list[tuple[str, str, str, dict[str, Any]]] = [
        (
            "c.csv",
            "date,rank,title,artist,id,energy,popularity\n" + chart + "2020-01-04,5,Torn\nno day,x,,\n",
            "chart",
            {"chart": "c"},
        ),
        ("t.ndjson", "\n".join([*map(json.dumps, objects), "no json", "{"]), "tracks", {}),
        ("l.json", json.dumps({"tracks": objects}), "features", {}),
    ]
    found = []
    for rows in (1_000, 1, 3, 8):
        monkeypatch.setattr(import_rows, "ROWS_AT_ONCE", rows)
        if not found:
            for name, text, kind, said in files:
                door.take(write(name, text), kind, name.split(".")[0], **said)
        else:
            replay(door.con, door.settings.paths.landing)
        counts = raw_counts(door.con)
        found.append({table: sorted(map(str, door.ask(f"from raw.{table}"))) for table, n in counts.items() if n})
    assert found[0].keys() >= {"tracks", "chart_entries", "audio_features", "popularity", "genre_labels", "quarantine"}
    assert len(found[0]["chart_entries"]) == 8
    assert sum("twice" in row for row in found[0]["quarantine"]) == 4
    assert all(again == found[0] for again in found[1:])


def test_a_load_broken_off_between_pieces_leaves_what_was_there_and_begins_again(
    door: Door, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_rows, "ROWS_AT_ONCE", 2)

    def take(word: str) -> Path:
        """Land a changed file, and load its first two pieces as a process does that is killed then."""
        rows = "".join(f"t{n},{word} {n},Ann,1.5\n" for n in range(5))
        request = ImportRequest(write("a.csv", "id,title,artist,energy\n" + rows), "tracks", "mine", {})
        landed = import_file(door.settings, door.ledger, door.run_id, request).landing_file
        assert landed
        pieces = import_rows.load_import(door.con, root, root / landed, lambda *_: None)
        door.con.execute("begin")
        for _ in range(2):
            next(pieces)
            door.con.execute("commit")
            door.con.execute("begin")
        pieces.close()
        door.con.execute("rollback")
        return root / landed

    root = door.settings.paths.landing
    create_raw(door.con)
    titles = "select title from raw.tracks order by row_no"
    take("One")
    assert door.ask(titles) == [(f"One {n}",) for n in range(4)]
    assert load_new(door.con, root).rows == {"tracks": 5, "audio_features": 5}
    assert door.ask(titles) == [(f"One {n}",) for n in range(5)]
    second = take("Two")
    assert door.ask("select count(*) from raw.tracks where title like 'One%'") == [(5,)]
    copy = root / next(landing.read_lines(second))["payload"]["landed_as"]
    copy.rename(copy.with_suffix(".away"))
    assert load_new(door.con, root).damaged.keys() == {second.relative_to(root).as_posix()}
    assert door.ask(titles) == [(f"One {n}",) for n in range(5)]
    copy.with_suffix(".away").rename(copy)
    assert not load_new(door.con, root).damaged
    assert door.ask(titles) == [(f"Two {n}",) for n in range(5)]
    assert door.ask("select count(*), count(distinct landing_file) from raw.quarantine") == [(5, 1)]


def test_numbers_with_a_decimal_comma_are_read_when_said(door: Door, write: Write) -> None:
    text = "id;title;artist;energy;valence_%;tempo;popularity;duration_ms\na;A;Ann;0,5;53,5;120,25;61,5;211.120,0\nb;B;Ann;0.25;7;98,5;x,5;211.121\n"
    file = write("euro.csv", text)
    door.take(file, "features", "plain")
    advice = {row["field"]: row["advice"] for row in refusals(door.con, "plain")}
    assert "--decimal ','" in advice["energy"]
    door.take(file, "features", "euro", decimal=",")
    shown = "select energy, valence, tempo, duration_ms from raw.audio_features where provider = 'import:euro' order by source_id"
    assert door.ask(shown) == [(0.5, 0.535, 120.25, 211_120), (0.25, 0.07, 98.5, 211_121)]
    assert door.ask("select popularity from raw.popularity where provider = 'import:euro'") == [(61.5,)]
    assert door.ask("""select "field", raw_value from raw.quarantine where provider = 'import:euro'""") == [
        ("popularity", "x,5"),
        (None, None),
    ]
    assert not any("hundredths" in row["advice"] for row in refusals(door.con, "euro"))
    door.take(
        write("ms.csv", "title;artist;duration_ms;energy\nA;B;215.000;0,5\nC;D;1.234.567;0.250\nE;F;;9,1E-05\n"),
        "features",
        "ms",
        decimal=",",
    )
    assert door.ask("select duration_ms, energy from raw.audio_features where provider = 'import:ms' order by row_no") == [
        (215000, 0.5),
        (1234567, 0.25),
        (None, 9.1e-05),
    ]
    with pytest.raises(BadInput, match="--decimal"):
        door.take(file, "features", "euro", decimal="'")


def test_a_list_with_a_head_gives_its_rows_what_is_said_of_all(door: Door, write: Write) -> None:
    songs = [{"title": f"S{n}", "artist": f"A{n}", "energy": n / 4} for n in range(4)]
    head = {"id": "37i9dQZEVXbMDoHDwVN2tF", "uri": "spotify:playlist:x", "name": "Top 50", "popularity": 70, "genre": "rock"}
    shown = "select title, artist, source_id, spotify_id from raw.tracks order by row_no"
    for kind in ("features", "tracks"):
        door.take(write(f"{kind}.json", json.dumps(head | {"tracks": songs, "images": [{"url": "x", "height": 64}]})), kind)
        assert door.ask(shown) == [(f"S{n}", f"A{n}", None, None) for n in range(4)]
        assert door.ask("select label, count(*) from raw.genre_labels group by 1") == [("rock", 4)]
        assert door.ask("select count(*) from raw.popularity") == [(0,)]
    one = {
        "id": ID,
        "uri": f"spotify:track:{ID}",
        "name": "One",
        "artist": "Ann",
        "artists": [{"id": "a", "name": "Ann"}],
        "album": {"images": []},
    }
    door.take(write("one.json", json.dumps(one)))
    assert door.ask("select title, spotify_id from raw.tracks") == [("One", ID)]
    # What lies beside is not copied into every row.
    wide = {"tracks": songs, "artists": [{"name": "x" * 400, "followers": n} for n in range(3000)]}
    door.take(write("wide.json", json.dumps(wide)), "features")
    assert door.ask("select count(*), count(distinct artist) from raw.tracks") == [(4, 4)]
    album = {"name": "Thriller", "artist": "Michael", "tracks": [{"name": "T0"}, {"name": "T1", "artist": "Paul"}]}
    door.take(write("album.json", json.dumps(album)))
    assert door.ask("select title, artist from raw.tracks order by row_no") == [("T0", "Michael"), ("T1", "Paul")]
    with pytest.raises(BadInput, match="no column for artist"):
        door.take(
            write(
                "nobody.json",
                json.dumps({"name": "Mix", "curator": "Ann", "artist": None, "tracks": [{"name": "T0"}]} | {"artist": []}),
            )
        )
    weeks = [{"date": f"2020-01-{day:02}", "data": [{"rank": 1, "title": "T", "artist": "A"}]} for day in (4, 11)]
    door.take(write("weeks.json", json.dumps(weeks)), "chart", "weeks", chart="c")
    assert [str(row[0]) for row in door.ask("select chart_date from raw.chart_entries order by 1")] == [
        "2020-01-04",
        "2020-01-11",
    ]


def test_a_year_first_is_a_date_in_any_form(door: Door, write: Write) -> None:
    written = ["2021-9-5", "2021-10-10", "2021/9/12", "2021.09.19", "20210926", "2021-10-3 00:00:00"]
    rows = "".join(f"{n},T{n},A,{day}\n" for n, day in enumerate(written, 1))
    door.take(write("d.csv", "rank,title,artist,date\n" + rows), "chart", chart="c")
    found = [str(row[0]) for row in door.ask("select chart_date from raw.chart_entries order by rank")]
    assert found == ["2021-09-05", "2021-10-10", "2021-09-12", "2021-09-19", "2021-09-26", "2021-10-03"]


def test_keys_that_sql_cannot_tell_apart_or_call(door: Door, write: Write) -> None:
    rows = [
        {"": 0, "Title": "A", "artist": "X"},
        {"": 1, "title": "B", "artist": "Y"},
        {"Title": "playlist", "title": "C", "artist": "Z"},
    ]
    for name, text in (("a.json", json.dumps(rows)), ("a.ndjson", "\n".join(map(json.dumps, rows)))):
        door.take(write(name, text))
        assert door.ask("select title, artist from raw.tracks order by row_no") == [("A", "X"), ("B", "Y"), ("C", "Z")]


def test_half_a_character_stays_as_it_is_written(door: Door, write: Write) -> None:
    names = r"['Caf\ud83d', 'B']"
    door.take(write("s.csv", f"title,artists,energy\nA,\"{names}\",0.5\nB,\"['C', 'D']\",0.5\n"))
    assert door.ask("select artists from raw.tracks order by row_no") == [(names,), ("C; D",)]


def test_an_import_that_cannot_be_loaded_keeps_no_other_out(door: Door, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any) -> None:
        raise RuntimeError("such a file was never seen")

    def land(name: str) -> None:
        request = ImportRequest(write(f"{name}.csv", f"title,artist\n{name},Ann\n"), "tracks", name, {})
        import_file(door.settings, door.ledger, door.run_id, request)

    land("odd")
    with monkeypatch.context() as patch:
        patch.setattr(import_rows, "unwrap_names", unreadable)
        loaded = load_new(door.con, door.settings.paths.landing)
    assert list(loaded.damaged.values()) == ["such a file was never seen"]
    land("even")
    assert load_new(door.con, door.settings.paths.landing).files == 2
    assert door.ask("select title from raw.tracks order by 1") == [("even",), ("odd",)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv", lambda plain: gzip.compress(plain)),
        ("a.CSV.GZ", lambda plain: gzip.compress(plain)),
        ("a.csv.ZST", lambda plain: zstandard.ZstdCompressor(write_checksum=True).compress(plain)),
        ("a.csv.gz", lambda plain: zstandard.ZstdCompressor(write_checksum=True).compress(plain)),
        ("a.csv", lambda plain: zstandard.ZstdCompressor(write_checksum=True).compress(plain)),
        ("tracks.csv", lambda plain: _zip({"tracks.csv": plain.decode()})),
        ("tracks.zip", lambda plain: _zip({"tracks.csv": plain.decode()})),
    ],
)
def test_packed_files_are_known_by_how_they_begin_and_read_whole(
    door: Door, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    rows = "".join(f"t{n},{hashlib.sha256(str(n).encode()).hexdigest()},Ann\n" for n in range(9000))
    packed = pack(("id,title,artist\n" + rows).encode())
    file = tmp_path / name
    file.write_bytes(packed)
    door.take(file)
    assert door.ask("select count(*) from raw.tracks") == [(9000,)]
    for damaged in (packed[: len(packed) // 2], packed[:900] + b"\0\0\0\0" + packed[904:]):
        file.write_bytes(damaged)
        with pytest.raises(BadInput, match="damaged or was cut short"):
            door.take(file)
    assert door.ask("select count(*) from raw.tracks") == [(9000,)]


def test_columns_of_keys_and_modes_may_be_written_as_names(door: Door, write: Write) -> None:
    names = {"C": 0, "c#": 1, "D\u266d": 1, "Bb": 10, "B": 11, "C#/Db": 1, "7": 7, "-1": -1, "H": None, "": None}
    rows = "".join(f"t{n},T{n},Ann,0.5,{key},{('Major', 'minor', '1')[n % 3]}\n" for n, key in enumerate(names))
    door.take(write("named.csv", "id,title,artist,energy,key,mode\n" + rows), "features")
    found = door.ask('select "key", mode from raw.audio_features order by row_no')
    assert found == [(number, (1, 0, 1)[n % 3]) for n, number in enumerate(names.values())]
    assert door.ask('select "field", raw_value from raw.quarantine') == [("key", "H")]
    door.take(
        write("numbers.csv", "id,title,artist,energy,key,mode\nx,X,Ann,0.5,NA,1\ny,Y,Ann,0.5,3,\nz,Z,Ann,0.5,C,Minor\n"),
        "features",
    )
    assert door.ask('select "key", mode from raw.audio_features order by row_no') == [(None, 1), (3, None), (None, None)]


def test_a_list_is_read_whatever_its_name_says(door: Door, write: Write) -> None:
    door.take(write("a.ndjson", json.dumps([{"track_id": ID, "track_name": "One", "track_artist": "Ann"}], indent=1)))
    assert door.ask("select title from raw.tracks") == [("One",)]


def _zip(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def test_files_as_programs_save_them(door: Door, write: Write) -> None:
    text = CSV.replace("Ann", "Ánn")
    rows = json.dumps([{"id": ID, "name": "One", "artist": "Ánn"}])
    more = "".join(f"x{n},T{n},Ánn,pop,0.5,-5,70,2019\n" for n in range(9))
    files: list[tuple[str, str | bytes, dict[str, Any]]] = [
        ("utf_16.csv", text.encode("utf-16"), {}),
        ("big_endian.csv", "\ufeff".encode("utf-16-be") + text.encode("utf-16-be"), {}),
        ("no_mark.csv", text.encode("utf-16-le"), {}),
        ("windows.csv", text.replace("Ánn", "Ánn’s").encode("cp1252"), {"encoding": "latin-1"}),
        ("marked.json", b"\xef\xbb\xbf" + rows.encode(), {}),
        ("powershell.json", rows.encode("utf-16"), {}),
        ("mixed_ends.csv", text.replace("\n", "\r\n", 1) + more, {}),
        ("archive.zip", _zip({"x/a.csv": text, "__MACOSX/x/._a.csv": ""}), {}),
        ("unnamed.csv", gzip.compress(text.encode()), {}),
        ("wrapped.json", json.dumps({"tracks": json.loads(rows), "n": 1}), {}),
    ]
    for name, content, said in files:
        file, dataset = write(name, content), name.split(".")[0]
        assert door.take(file, name=dataset, **said).is_new
        assert not door.take(file, name=dataset, **said).is_new, "the same bytes"
        rows_read = door.ask(f"select title, artist from raw.tracks where provider = 'import:{dataset}' and spotify_id = '{ID}'")
        assert rows_read == [("One", "Ánn’s" if dataset == "windows" else "Ánn")], dataset
    assert door.ask("select count(*) from raw.tracks where provider = 'import:mixed_ends'") == [(10,)]
    assert door.ask("select count(*) from raw.quarantine") == [(0,)]


def test_what_programs_write_for_nothing_is_no_id_and_no_date(door: Door, write: Write) -> None:
    head = "id,title,artist,isrc,release_date,popularity,energy,valence_%,genre\n"
    door.take(
        write(
            "a.csv",
            head
            + "NA,One,Ann,NA,0000,NaN,0.5,50,None\nnan,Two,Bob,-,0001-01-01,,50%,1,-\n,Three,Cid,us-rc1-76-07839,2020/3/4,\\N,0.5,,null\n"
            "None,Four,Dan,not one,2020-03-04 00:00:00,null,0.5,,pop\n",
        )
    )
    assert door.ask(
        "select title, source_id, isrc, release_date::varchar, release_precision from raw.tracks order by row_no"
    ) == [
        ("One", None, None, None, "year"),
        ("Two", None, None, None, "day"),
        ("Three", None, "USRC17607839", "2020-03-04", "day"),
        ("Four", None, None, "2020-03-04", "day"),
    ]
    assert door.ask("select energy, valence from raw.audio_features order by row_no") == [
        (0.5, 0.5),
        (0.5, 0.01),
        (0.5, None),
        (0.5, None),
    ]
    assert door.ask("select label from raw.genre_labels") == [("pop",)]
    assert door.ask('select distinct "field", raw_value from raw.quarantine where "field" is not null order by all') == [
        ("isrc", "not one"),
        ("release_date", "0000"),
        ("release_date", "0001-01-01"),
    ]


def test_a_chart_as_archives_write_it(door: Door, write: Write) -> None:
    week = {"date": "2020-01-04", "data": [{"song": "A", "artist": "B", "this_week": 1, "last_week": None}]}
    door.take(write("all.json", json.dumps([week])), "chart", "nested", chart="n")
    text = "WeekID,Pos,LW,Song,Performer\n7/17/1965,1,NEW,A,B\n7/4/1965,2,5,C,D\n7/4/1965,2,6,E,F\n7/4/1965,2147483647,6,Far,F\n7/4/2999,1,1,Late,G\n"
    assert door.take(write("us.csv", text), "chart", "us", chart="us").dates == "mdy"
    assert door.ask("select chart, chart_date::varchar, rank, title, reported_last_week from raw.chart_entries order by all") == [
        ("n", "2020-01-04", 1, "A", None),
        ("us", "1965-07-04", 2, "C", 5),
        ("us", "1965-07-04", 2, "E", 6),
        ("us", "1965-07-17", 1, "A", None),
    ]
    assert [(r["n"], r["field"], r["example"]) for r in refusals(door.con, "us") if r["field"]] == [
        (1, "chart_date", "7/4/2999"),
        (1, "rank", "2147483647"),
        (1, "rank", "2"),
    ]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_a_file_that_was_cut_short_is_refused(door: Door, write: Write, name: str) -> None:
    file = write(name, CSV + "".join(f"{ID[:-5]}{i:05},T{i},Ann,pop,0.{i},-5,70,2019\n" for i in range(5000)))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(BadInput, match="cut short"):
        door.take(file)
    assert not list(door.settings.paths.landing.rglob("*"))


def test_hostile_titles_pass_unchanged(door: Door, write: Write) -> None:
    titles = [
        "Robert'); drop table raw.tracks;--",
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "\x1b[31mred",
        "א‮abc",
        "😀" * 500,
    ]
    rows = [{"id": str(n), "title": title, "artist": "A"} for n, title in enumerate(titles)]
    door.take(write("hostile.ndjson", "\n".join(json.dumps(row) for row in rows)))
    assert [row[0] for row in door.ask("select title from raw.tracks order by source_id")] == titles


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["long.ndjson", "long.json", "long.csv", "long.parquet"])
def test_a_title_of_ten_megabytes_goes_to_quarantine_and_the_others_stay(
    door: Door, write: Write, tmp_path: Path, name: str
) -> None:
    door.con.execute("set memory_limit = '1GB'")
    titles = {"a": "One", "b": "x" * (10 << 20), "c": "Two", "d": "y" * 100_000, "e": "z" * 10_000}
    rows = [{"id": key, "title": title, "artist": "A", "energy": "0.5"} for key, title in titles.items()]
    if name.endswith("parquet"):
        file = tmp_path / name
        texts = write("long.ndjson", "\n".join(map(json.dumps, rows)))
        duckdb.sql(f"copy (from read_json('{texts}', maximum_object_size = 33554432)) to '{file}'")
    elif name.endswith("json"):
        file = write(name, "\n".join(map(json.dumps, rows)) if "nd" in name else json.dumps(rows))
    else:
        file = write(name, "id,title,artist,energy\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    door.take(file)
    whole = "json" not in name
    held = dict(door.ask("select source_id, title from raw.tracks"))
    assert held == {key: titles[key] if key in "ace" else None for key in ("abcde" if whole else "acde")}
    found = door.ask(
        "select field, row_key, reason, length(raw_value), length(raw_line) from raw.quarantine where table_name <> 'audio_features'"
    )
    long = [entry for entry in found if entry[0] == "title"]
    assert [entry[2] for entry in long] == ["longer than 10,000 characters"] * (1 + whole)
    assert all(n <= 2000 for *_, value, line in found for n in (value or 0, line))
    if not whole:
        rest = [entry for entry in found if entry[0] is None]
        assert [entry[1] for entry in rest] == ["line 2"]
    before = raw_counts(door.con)
    replay(door.con, door.settings.paths.landing)
    assert raw_counts(door.con) == before


def test_the_same_bytes_do_nothing_and_changed_bytes_replace_the_dataset(door: Door, write: Write) -> None:
    file = write("a.csv", CSV)
    assert door.take(file).is_new
    assert not door.take(file).is_new
    file.write_text(CSV.replace("One", "Uno") + "z2,Due,Ann,rock,0.1,-9,1,2000\n")
    assert door.take(file).is_new
    assert door.ask("select title from raw.tracks order by 1") == [("Due",), ("Uno",)]
    assert door.ask("select label from raw.genre_labels order by 1") == [("pop",), ("rock",)]
    before = raw_counts(door.con)
    replay(door.con, door.settings.paths.landing)
    assert raw_counts(door.con) == before, "replay gives the same tables"


def test_a_chart_with_ids_and_features(door: Door, write: Write) -> None:
    rows = [{"rank": 1, "artistName": "A", "trackName": "T", "trackDanceability": 617, "trackAnalysisURL": f"https://api/v1/audio-analysis/{ID}",
             "artistGenre": "soul, motown"}]  # fmt: skip
    door.take(write("top.json", json.dumps(rows)), "chart", chart="top_1", date="2021-09-15")
    assert door.ask("select chart, chart_date::varchar, rank, title, spotify_id from raw.chart_entries") == [
        ("top_1", "2021-09-15", 1, "T", ID)
    ]
    assert door.ask("select spotify_id from raw.tracks") == [(ID,)]
    assert door.ask("select label from raw.genre_labels order by 1") == [("motown",), ("soul",)]
    assert door.ask("select raw_value from raw.quarantine") == [("617",)]


def test_chart_titles_that_look_like_nothing_or_numbers_stay(door: Door, write: Write) -> None:
    door.take(
        write("c.csv", "chart_week,current_week,title,performer,last_week\n2022-01-01,1,23,NA,-\n2022-01-01,2,1985,Bo,1\n"),
        "chart",
        chart="x",
    )
    assert door.ask("select title, artist, reported_last_week from raw.chart_entries order by rank") == [
        ("23", "NA", None),
        ("1985", "Bo", 1),
    ]
    assert door.ask("select count(*) from raw.quarantine")[0][0] == 0


def test_decisions_come_in_as_overrides(door: Door, write: Write) -> None:
    door.take(
        write("m.csv", f"title,artist,track_id,decided_by,reason\nOne,Ann,{ID},kim,heard it\nTwo,Ann,,kim,not there\n"), "matches"
    )
    assert door.ask("select title, track_id, status, decided_by, run_no from raw.track_links order by 1") == [
        ("One", f"spotify:{ID}", "overridden", "kim", 1),
        ("Two", None, "overridden", "kim", 1),
    ]


@pytest.mark.parametrize(
    ("name", "content", "kind", "said", "expect"),
    [
        ("a.xlsx", "x", "tracks", {}, "no kind of file"),
        ("a.csv", "title,artist,energy\n", "tracks", {}, "holds no rows"),
        ("a.csv", "<!DOCTYPE html><html>", "tracks", {}, "a web page"),
        ("a.csv", "a,title,artist\nx,y\n", "tracks", {}, "none of its 1 lines"),
        ("a.csv", CSV, "tracks", {"encoding": "klingon"}, "no encoding 'klingon'"),
        ("a.csv", "week,rank,title,artist\n1/2/2020,1,x,y\n", "chart", {"chart": "c"}, "--dates mdy"),
        ("a.json", '{"title": {"0": "x", "1": "y"}, "artist": {"0": "x", "1": "y"}}', "tracks", {}, "column by column"),
        ("a.zip", _zip({"a.csv": CSV, "b.csv": CSV}), "tracks", {}, "holds 2 files"),
        ("a.csv", "colour,size\nred,1\n", "tracks", {}, "--map COLUMN=title"),
        ("a.csv", "title,artist\nx,y\n", "features", {}, "danceability"),
        ("a.csv", "rank,title\n1,x\n", "chart", {"chart": "c", "date": "2020-01-01"}, "artist"),
        ("a.csv", "rank,title,artist\n1,x,y\n", "chart", {"chart": "c"}, "--date"),
        ("a.csv", CSV, "tracks", {"given": {"nope": "title"}}, "no column 'nope'"),
        ("a.csv", CSV, "tracks", {"given": {"track_name": "colour"}}, "no field 'colour'"),
        ("a.csv", CSV, "tracks", {"date": "01.02.2020"}, "YYYY-MM-DD"),
        ("a.csv", "", "tracks", {}, "a.csv"),
        ("a.json", "{broken", "tracks", {}, "cannot be read as json"),
        ("a.parquet", "no parquet", "tracks", {}, "cannot be read as parquet"),
        ("a.csv", CSV, "songs", {}, "--as songs"),
    ],
)  # fmt: skip
def test_bad_input_is_named_and_leaves_nothing(door: Door, write: Write, name: str, content: str | bytes, kind: str, said: dict[str, Any],
                                               expect: str) -> None:  # fmt: skip
    with pytest.raises(BadInput) as caught:
        door.take(write(name, content), kind, **said)
    assert expect in str(caught.value)
    assert caught.value.exit_status == 2
    assert [path for path in door.settings.paths.landing.rglob("*") if path.is_file()] == []


def test_bytes_that_are_no_utf_8_go_to_quarantine_with_their_line(door: Door, write: Write) -> None:
    door.take(write("a.csv", "id,title,artist\n1,Caf\xe9,A\n2,Plain,B\n".encode("latin-1")))
    assert door.ask("select title from raw.tracks") == [("Plain",)]
    assert "utf-8" in door.ask("select lower(reason) from raw.quarantine")[0][0]


def test_latin_1_when_said(door: Door, write: Write) -> None:
    door.take(write("a.csv", "id,title,artist\n1,Café,A\n".encode("latin-1")), encoding="latin-1")
    assert door.ask("select title from raw.tracks") == [("Café",)]


def test_names_that_a_program_wrote_as_objects_or_lists_are_taken_out(door: Door, write: Write) -> None:
    album = "{'album_type': 'album', 'artists': [{'name': 'Ed Sheeran'}], 'images': [], 'name': '\u00f7 (Deluxe)'}"
    rows = [
        ("t1", "Shape of You", "['Ed Sheeran']", album),
        ("t2", "Survivor", """["Destiny's Child", 'Wyclef Jean']""", '{"name": "Survivor"}'),
        ("t3", "[Untitled]", '[{"name": "A"}, {"name": "B"}]', "[1, 2]"),
        ("t4", "{Curly}", "[Bracket] Band", "{'album_type': 'cut off"),
        ("t5", "['Heroes']", "[]", "{}"),
    ]
    head = ["id", "name", "artists", "album"]
    text = "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [head, *rows])
    door.take(write("t.csv", text))
    assert door.ask("select title, artist, artists, album from raw.tracks order by source_id") == [
        ("Shape of You", "Ed Sheeran", "Ed Sheeran", "\u00f7 (Deluxe)"),
        ("Survivor", "Destiny's Child", "Destiny's Child; Wyclef Jean", "Survivor"),
        ("[Untitled]", "A", "A; B", "[1, 2]"),
        ("{Curly}", "[Bracket] Band", "[Bracket] Band", "{'album_type': 'cut off"),
        ("Heroes", None, None, "{}"),
    ]


@pytest.mark.parametrize("depth", [3, 300, 100_000])
def test_a_value_nested_too_deeply_is_no_list_of_names(depth: int) -> None:
    assert names_in("[" * depth + "]" * depth) == []
    assert names_in("{'name': " * depth + "}" * depth) == []


def test_a_dataset_name_cannot_leave_the_landing_folder(door: Door, write: Write) -> None:
    with pytest.raises(BadInput, match="dataset name"):
        door.take(write("a.csv", CSV), name="../../etc")


@pytest.mark.parametrize(("period", "count"), [("weekly", "weeks_on_chart"), ("daily", "days_on_chart")])
def test_a_spotify_charts_file_says_chart_and_date_in_its_name(door: Door, write: Write, period: str, count: str) -> None:
    header = f"rank,uri,artist_names,track_name,source,peak_rank,previous_rank,{count},streams\n"
    line = f'"1","spotify:track:{ID}","Ann, Bob","Song, One","Label","1","-1","3","1234567"\n2,spotify:track:{ID[::-1]},Cé,Two,L,1,5,9,1000\n'
    file = write(f"regional-us-{period}-2026-11-19.csv", "\ufeff" + header + line)
    door.take(file, "chart", f"spotify_us_{period}")
    weeks = [(3,), (9,)] if period == "weekly" else [(None,), (None,)]
    assert door.ask("select chart, chart_date::varchar, rank, title, artist, reported_last_week, reported_peak, spotify_id from raw.chart_entries order by rank") == [
        (f"spotify_us_{period}", "2026-11-19", 1, "Song, One", "Ann, Bob", None, 1, ID),
        (f"spotify_us_{period}", "2026-11-19", 2, "Two", "Cé", 5, 1, ID[::-1]),
    ]  # fmt: skip
    assert door.ask("select reported_weeks from raw.chart_entries order by rank") == weeks, "days are no weeks"
    assert door.ask("select count(*) from raw.quarantine") == [(0,)]
    assert licences(door.settings.paths.landing)[f"import:spotify_us_{period}"] == ("Spotify content (charts.spotify.com)", False)


def test_ids_of_tracks_are_told_from_words_and_from_other_ids(door: Door, write: Write) -> None:
    """An id is trimmed and taken out of what leads to a track; what is no id of a track is refused and told of."""
    text = f"title,artist,spotify_id\n1,A, {ID} \n2,A,https://open.spotify.com/intl-de/track/{ID}?si=1\n3,A,spotify:track:{ID}\n"
    text += f"4,A,https://open.spotify.com/artist/{ID}\n5,A,spotify:album:{ID}\n6,A,short\n7,A,{ID}1\n8,A,NA\n"
    door.take(write("ids.csv", text), "tracks", "ids")
    assert door.ask(f"select title from raw.tracks where spotify_id = '{ID}' order by 1") == [("1",), ("2",), ("3",)]
    assert door.ask("""select raw_value from raw.quarantine where "field" = 'spotify_id' order by row_no""") == [
        (f"https://open.spotify.com/artist/{ID}",), (f"spotify:album:{ID}",), ("short",), (f"{ID}1",),
    ]  # fmt: skip
    door.take(write("words.csv", f"id,title,artist\nTubthumpingChucklebutt,1,A\n{ID},2,A\n"), "tracks", "words")
    assert door.ask("select title, spotify_id from raw.tracks where provider = 'import:words' order by 1") == [
        ("1", None),
        ("2", ID),
    ]


def test_lists_of_a_parquet_file_are_lists(door: Door, tmp_path: Path) -> None:
    rows = [
        {"title": "One", "artists": ["A, B", "O'Neil"], "genres": ["pop", "dance pop"], "energy": 0.5},
        {"title": "Two", "artists": ["C"], "genres": [], "energy": 0.6},
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "lists.parquet")
    door.take(tmp_path / "lists.parquet", "tracks", "lists")
    assert door.ask("select artist, artists from raw.tracks order by row_no") == [("A, B", "A, B; O'Neil"), ("C", "C")]
    assert door.ask("select title, label from raw.genre_labels order by all") == [("One", "dance pop"), ("One", "pop")]
    pd.DataFrame([{"title": "One", "artist": "A", "genre": "[pop, rock]"}]).to_csv(tmp_path / "bare.csv", index=False)
    door.take(tmp_path / "bare.csv", "tracks", "bare")
    assert door.ask("select label from raw.genre_labels where provider = 'import:bare' order by 1") == [("pop",), ("rock",)]
    mixed = ["['Children\\'s Music', R&B]", "[rock, 'a, b']", "[Children's Music, Pop]"]
    pd.DataFrame([{"title": f"{n}", "artist": "A", "genre": one} for n, one in enumerate(mixed)]).to_csv(
        tmp_path / "mixed.csv", index=False
    )
    door.take(tmp_path / "mixed.csv", "tracks", "mixed")
    assert door.ask("select title, label from raw.genre_labels where provider = 'import:mixed' order by all") == [
        ("0", "Children's Music"), ("0", "R&B"), ("1", "a, b"), ("1", "rock"), ("2", "Children's Music"), ("2", "Pop"),
    ]  # fmt: skip
    old = pa.table({"title": pa.array(["Halo"]), "artist": pa.array(["Beyoncé".encode()], pa.binary()), "energy": [0.5]})
    pq.write_table(old, tmp_path / "old.parquet")
    door.take(tmp_path / "old.parquet", "tracks", "old")
    assert door.ask("select artist from raw.tracks where provider = 'import:old'") == [("Beyoncé",)]


def test_values_that_nobody_can_mean_are_refused_as_they_were_written(door: Door, write: Write) -> None:
    head = "title,artist,energy,tempo,popularity,mood,era,release_date,isrc\n"
    text = (
        head
        + "1,A,150%,120045,5_0,HAPPY ,2010S,2020-05-06T12:30:00Z,\n2,A,1_0,499,50,Melancholic,2015,2099,ISRC US-RC1-76-07842\n"
    )
    door.take(write("odd.csv", text), "tracks", "odd")
    assert door.ask("select energy, tempo from raw.audio_features order by row_no") == [(None, None), (None, 499.0)]
    assert door.ask("select popularity from raw.popularity") == [(50.0,)]
    shown = "select mood, era, release_date::varchar, release_precision from raw.tracks order by row_no"
    assert door.ask(shown) == [("Happy", "2010s", "2020-05-06", "day"), (None, None, None, "year")]
    assert door.ask('select distinct "field", raw_value from raw.quarantine where "field" is not null order by all') == [
        ("energy", "150%"), ("energy", "1_0"), ("era", "2015"), ("isrc", "ISRC US-RC1-76-07842"), ("mood", "Melancholic"),
        ("popularity", "5_0"), ("release_date", "2099"), ("tempo", "120045"),
    ]  # fmt: skip


def test_a_track_given_twice_with_other_features_is_told_of(door: Door, write: Write) -> None:
    text = "id,title,artist,energy,valence\na,1,A,0.5,0.1\na,1,A,0.5,0.1\nb,2,A,0.5,0.2\nb,2,A,0.6,0.2\nb,2,A,,0.2\n,3,A,0.1,\n,3,A,0.2,\n"
    door.take(write("twice.csv", text), "features", "twice")
    told = "select row_no, row_key from raw.quarantine where reason like 'the file gives other features%' order by row_no"
    assert door.ask(told) == [(3, "b | 2 | A"), (4, "b | 2 | A"), (6, "3 | A")]
    assert door.ask("select count(*) from raw.audio_features") == [(7,)]


def test_json_that_is_no_object_is_told_of_as_it_stood(door: Door, write: Write) -> None:
    door.take(write("odd.ndjson", '{"title": "One", "artist": "A", "energy": 0.5}\n[1, 2]\n"text"\n{broken\n'), "tracks", "odd")
    assert door.ask("select title from raw.tracks") == [("One",)]
    assert door.ask("select raw_line, reason from raw.quarantine order by row_no desc") == [
        ("[1, 2]", "the line cannot be read: no JSON object"),
        ('"text"', "the line cannot be read: no JSON object"),
        ("{broken", "the line cannot be read: no JSON"),
    ]


def test_an_imported_chart_grows_not_stale(door: Door, write: Write) -> None:
    door.take(write("c.csv", "rank,title,artist\n1,A,B\n"), "chart", "top", chart="top_500", date="2003-11-18")
    shown = freshness(door.ledger, door.con).frame.set_index("subject").loc["top_500"]
    assert (shown["age_days"] > 8_000, bool(shown["is_stale"])) == (True, False)
    door.con.execute("update raw.chart_entries set provider = 'billboard_hot_100'")
    assert freshness(door.ledger, door.con).frame.set_index("subject").loc["top_500", "is_stale"]


def test_bad_use_that_would_lose_values_is_refused(door: Door, write: Write) -> None:
    file = write("two.csv", "a,b,artist\n1,2,A\n")
    with pytest.raises(BadInput, match="--map gives title to several columns: a, b"):
        door.take(file, "tracks", "two", given={"a": "title", "b": "title"})
    with pytest.raises(BadInput, match="has a column called @row"):
        door.take(write("row.csv", "title,artist,@row\n1,A,B\n"), "tracks", "row")
    with pytest.raises(BadInput, match="2999-01-01 is before 1860-01-01, or more than a year ahead"):
        door.take(write("c.csv", "rank,title,artist\n1,A,B\n"), "chart", "late", chart="late", date="2999-01-01")
