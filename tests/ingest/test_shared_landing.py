"""Landing shared by several machines through a store, here a folder: nothing is lost, nothing comes back, all machines load the same."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from soundscope.errors import BadInput
from soundscope.genre import registry
from soundscope.ingest import store, tables
from soundscope.ingest.claims import asked_so_far, claim
from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.ingest.store import StoreUnreachable
from soundscope.pipeline.purge import purge
from soundscope.pipeline.repairs import repair
from soundscope.pipeline.shared_models import bring_model, remove_models, send_models
from soundscope.pipeline.store_checks import check_store
from soundscope.settings import load_settings
from soundscope.sources.base import Outcome, Reply
from tests.ingest.machines import Machine

pytestmark = pytest.mark.e2e

CSV = "title,artist,energy,tempo\nOne,A,0.5,120\nTwo,B,0.7,99\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The shared store's folder."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def machines(home: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, Machine]]:
    """Two machines with one ledger."""
    monkeypatch.delenv("SOUNDSCOPE_HOME")
    monkeypatch.setattr(store, "PATIENCE_S", (0.0, 0.0))
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return Machine(tmp_path / "one", f"file://{place}", url), Machine(tmp_path / "two", f"file://{place}", url)


def _noted(machine: Machine) -> set[str]:
    with closing(Ledger.open(machine.settings)) as ledger, ledger.read() as connection:
        return set(connection.execute(sa.select(tables.landing_files.c.landing_file)).scalars())


def _trouble(machine: Machine) -> list[str]:
    return [finding.what for finding in check_store(machine.settings) if finding.state == "trouble"]


def _answer(machine: Machine, run_id: str, title: str) -> dict[str, object]:
    """One landed answer that the ledger does not know yet."""
    body = f'{{"rows":[{{"track_id":"x:{title}","recording_id":"r"}}]}}'.encode()
    with LandingWriter(machine.root, "soundscope", "match", run_id, title) as writer:
        writer.add("recordings", [title], Reply("GET", "soundscope:match", 200, {}, body, utcnow()), {title: Outcome.OK})
    assert writer.landed
    return writer.landed.row


@pytest.mark.e2e
def test_each_machine_loads_what_the_others_landed(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    imported, matched = one.import_csv(CSV), two.land({"spotify:a": "r1"})
    assert _noted(one) == {imported, matched}
    rows = one.rows()
    assert rows == two.rows()
    assert (len(rows["tracks"]), len(rows["recordings"])) == (2, 1)
    assert all((place / name).read_bytes() == (two.root / name).read_bytes() for name in (imported, matched) if name)
    assert _trouble(one) == []


@pytest.mark.e2e
def test_a_file_copied_and_not_acknowledged_is_taken_up(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    with one.run() as run:
        name = str(_answer(one, run.run_id, "killed")["landing_file"])
        run.ledger.shared.send(name)  # type: ignore[union-attr]
    assert name not in _noted(two)
    assert [finding.state for finding in check_store(two.settings)] == ["leftover", "ok"]
    rows = one.rows()
    assert len(rows["recordings"]) == 1
    assert rows == two.rows()


@pytest.mark.e2e
def test_a_store_that_is_away_for_a_moment_costs_nothing(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    away = place.rename(place.with_name("away"))
    with pytest.raises(StoreUnreachable, match="there is no folder"), one.run() as run:
        run.ledger.record(run.run_id, [], _answer(one, run.run_id, "waits"))
    assert _noted(one) == set()
    assert _trouble(one) == [f"file://{place}"]
    away.rename(place)
    assert one.rows()["recordings"] == two.rows()["recordings"] != []
    assert len(_noted(one)) == 1


@pytest.mark.slow
def test_what_the_store_lacks_is_copied_again_by_whoever_has_it(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    lost, changed = one.land({"spotify:a": "r1"}), one.land({"spotify:b": "r2"})
    (place / lost).unlink()
    data = bytearray((place / changed).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (place / changed).write_bytes(bytes(data))
    assert two.rows()["recordings"] == [], "the run goes on without them"
    assert set(_trouble(two)) == {lost, changed}
    assert not list(two.root.rglob("*.incoming"))
    assert len(one.rows()["recordings"]) == 2
    assert _trouble(two) == []
    assert two.rows() == one.rows()


@pytest.mark.slow
def test_a_damaged_copy_is_mended_from_the_store(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    name = one.land({"spotify:a": "r1"})
    (one.root / name).write_bytes(b"no longer what it was")
    assert len(one.rows()["recordings"]) == 1
    (one.root / name).write_bytes(b"no longer what it was")
    done = [(finding.subject, finding.detail) for finding in repair(one.settings)]
    assert ("landing", "1 files were brought from the shared store") in done
    assert one.rows() == two.rows()
    assert name in _noted(one)


@pytest.mark.slow
def test_a_purge_reaches_the_store_and_the_other_machines(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    one.import_csv(CSV)
    with one.run() as run, run.writer() as con:
        from soundscope.ingest.load import load_new

        load_new(con, one.root)
        (track_id,) = con.execute("select provider || ':' || source_id from raw.tracks limit 1").fetchall()[0]
    links = one.land({str(track_id or "import:mine:1"): "r1", "spotify:b": "r2"})
    before = two.rows()
    assert (len(before["tracks"]), len(before["recordings"])) == (2, 2)
    with one.run() as run:
        purged = purge(run, "import:mine")
    assert purged.before["files in the shared store"] == 2
    assert "files in the shared store" not in purged.after
    assert not [path for path in (place / "import").rglob("*") if path.is_file()]
    after = two.rows()
    assert after["tracks"] == []
    assert after == one.rows()
    assert not [path for path in (two.root / "import").rglob("*") if path.is_file()]
    assert (two.root / links).read_bytes() == (one.root / links).read_bytes() == (place / links).read_bytes()
    one.import_csv(CSV)
    assert len(two.rows()["tracks"]) == 2, "what was purged may come again"
    assert two.rows() == one.rows()


@pytest.mark.slow
def test_a_store_said_later_gets_what_there_is(machines: tuple[Machine, Machine], tmp_path: Path, place: Path) -> None:
    one, _two = machines
    name = one.land({"spotify:a": "r1"})
    other = tmp_path / "other"
    other.mkdir()
    moved = Machine(tmp_path / "one", f"file://{other}", one.settings.ledger_url or "")
    moved.rows()
    assert (other / name).read_bytes() == (place / name).read_bytes()


@pytest.mark.e2e
def test_a_model_of_one_machine_comes_to_the_other(machines: tuple[Machine, Machine], place: Path) -> None:
    one, two = machines
    folder = one.settings.paths.models / "genre-x-1"
    folder.mkdir()
    (folder / "model.skops").write_bytes(b"bytes of a model")
    (folder / "card.json").write_text(json.dumps({"sha256": hashlib.sha256(b"bytes of a model").hexdigest()}))
    with one.run() as run:
        send_models(run, ["genre-x-1", "never-stored"])
    with two.run() as run:
        bring_model(run, "genre-x-1")
        assert registry.trouble(two.settings.paths.models, "genre-x-1") is None
        bring_model(run, "never-stored")
        assert not (two.settings.paths.models / "never-stored").exists()
        assert _trouble(two) == []
        remove_models(run, ["genre-x-1"])
    assert not [path for path in place.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_everything_comes_back_from_the_store_alone(machines: tuple[Machine, Machine], tmp_path: Path, place: Path) -> None:
    one, _ = machines
    one.import_csv(CSV)
    one.land({"spotify:a": "r1"})
    fresh = Machine(tmp_path / "three", f"file://{place}", f"sqlite:///{tmp_path / 'new.sqlite'}")
    repair(fresh.settings)
    assert fresh.rows() == one.rows()
    assert _noted(fresh) == _noted(one)


@pytest.mark.slow
def test_the_newest_import_counts_whenever_it_comes(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    first = str(one.import_csv(CSV))
    with one.run() as run:
        run.ledger.forget_files([first])
    (one.root / first).rename(one.root / "kept")
    one.import_csv(CSV.replace("Two", "Three"))
    assert {row[3] for row in two.rows()["tracks"]} == {row[3] for row in one.rows()["tracks"]}
    (one.root / "kept").rename(one.root / first)
    rows = one.rows()
    assert rows == two.rows()
    assert "Three" in str(rows["tracks"])
    assert "Two" not in str(rows["tracks"])


def test_no_unit_is_asked_for_by_two_runs(machines: tuple[Machine, Machine]) -> None:
    with closing(Ledger.open(machines[0].settings)) as ledger:
        runs = [ledger.start_run("ingest", "sandbox") for _ in range(2)]
        mark = asked_so_far(ledger)
        keys = dict.fromkeys("abcd", "k")
        assert claim(ledger, runs[0], "p", {"a": "k", "b": "k"}, mark) == {"a", "b"}
        assert claim(ledger, runs[1], "p", keys, mark) == {"c", "d"}
        ledger.record(runs[0], [{"provider": "p", "kind": "k", "key": "a", "outcome": Outcome.OK}])
        assert claim(ledger, runs[1], "p", keys, mark) == {"c", "d"}, "settled since it was planned"
        assert claim(ledger, runs[1], "p", keys, asked_so_far(ledger)) == {"a", "c", "d"}, "planned anew"
        ledger.end_run(runs[0], "failed")
        assert claim(ledger, runs[1], "p", keys, mark) == {"b", "c", "d"}


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/x", "memory://x", "bucket/prefix", "s3://"])
def test_an_address_that_cannot_be_shared_is_refused(home: Path, address: str) -> None:
    with pytest.raises(BadInput, match=r"landing\.store") as refused:
        load_settings(landing={"store": address})
    assert "secret" not in str(refused.value)


def test_an_address_nobody_knows_is_said_before_anything_is_asked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOUNDSCOPE_HOME")
    machine = Machine(tmp_path / "one", "nowhere://x/y", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with pytest.raises(BadInput, match="nowhere"), machine.run():
        pytest.fail("it began")


@pytest.mark.slow
def test_without_the_setting_no_store_is_imported(home: Path) -> None:
    code = "import sys, soundscope.ingest.fetch, soundscope.ingest.ledger; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
