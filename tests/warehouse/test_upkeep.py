"""The ledger forgets old notes and nothing that is needed; the private file gives back space and loses nothing."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
import sqlalchemy as sa
from small_warehouse import consistent_counter, fill_writer, publish_small

from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.loading import check_row
from soundscope.pipeline.run import Run, open_run
from soundscope.pipeline.upkeep import compact_writer, trim_ledger
from soundscope.settings import Settings
from soundscope.sources.base import Outcome, Unit


def _leave_a_hole(run: Run) -> None:
    """Free blocks that lie before used ones; DuckDB itself gives back those at the end."""
    with run.writer() as con:
        for name, rows in (("bulky", 400_000), ("behind", 50_000)):
            con.execute(f"create table main.{name} as select range as i, md5(range::varchar) as text from range({rows})")
            con.execute("checkpoint")
        con.execute("drop table main.bulky")


def test_old_notes_go_and_what_is_held_wanted_or_decided_stays(settings: Settings) -> None:
    long_ago = utcnow() - timedelta(days=401)
    with open_run(settings, "older") as run:
        older = run.run_id
        run.ledger.plan_units([Unit("deezer", "search", "held")])
        run.ledger.record(older, [{"provider": "deezer", "kind": "search", "key": "held", "outcome": Outcome.OK}])
        checks = [
            check_row(run, name, "core.tracks", status, 1, "")
            for name, status in (("a", "pass"), ("b", "overridden"), ("c", "fail"))
        ]
        run.ledger.insert(t.check_results, [*({**row, "checked_at": long_ago} for row in checks[:2]), checks[2]])
        spent = {"provider": "deezer", "account": "none", "run_id": older, "kind": "search", "http_status": 200}
        run.ledger.insert(
            t.requests, [{**spent, "sent_at": when} for when in (utcnow().timestamp() - 40 * 86_400, utcnow().timestamp())]
        )
    with open_run(settings, "maintenance") as run:
        with run.ledger.begin() as connection:
            connection.execute(sa.update(t.runs).where(t.runs.c.run_id == older).values(ended_at=long_ago))
            connection.execute(sa.update(t.fetch_attempts).values(attempted_at=long_ago))
        assert trim_ledger(run) == {"fetch_attempts": 1, "check_results": 1, "runs": 1, "requests": 1}
        assert trim_ledger(run) == {}
        with run.ledger.read() as connection:
            assert connection.execute(sa.select(t.check_results.c.check).order_by("check")).scalars().all() == ["b", "c"]
            assert connection.execute(sa.select(t.runs.c.run_id)).scalars().all() == [run.run_id]
        assert run.ledger.unit_status("deezer", "search") == {"held": "done"}


def test_free_space_is_given_back_and_nothing_is_lost(settings: Settings) -> None:
    fill_writer(settings, 1)
    with open_run(settings, "maintenance") as run:
        _leave_a_hole(run)
        assert compact_writer(run) is None, "a small file is left alone"
        assert compact_writer(run, small=0, share=0.99) is None, "so is one that is used"
        sizes = compact_writer(run, small=0)
        assert sizes is not None
        assert sizes[1] < sizes[0] / 2
        assert settings.paths.writer.stat().st_size == sizes[1]
        assert compact_writer(run, small=0) is None, "there is nothing more to give back"
        assert [file.name for file in settings.paths.private.glob("*compact*")] == []
    publish_small(settings)
    assert consistent_counter(settings.paths.published) == 1


def test_a_full_disk_leaves_the_file_as_it_is(settings: Settings, small_disk: Settings) -> None:
    fill_writer(small_disk, 1)
    with open_run(small_disk, "maintenance") as run:
        _leave_a_hole(run)
        ballast = small_disk.home / "ballast"
        ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk.home).free - 2_000_000))
        with pytest.raises(Exception, match="a smaller copy of the private warehouse"):
            compact_writer(run, small=0)
    ballast.unlink()
    publish_small(small_disk)
    assert consistent_counter(small_disk.paths.published) == 1
