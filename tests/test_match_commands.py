"""Links questioned and corrected as a person does it: the commands end to end, decisions that survive a rebuild, the gate."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from soundscope.cli import main
from soundscope.errors import CheckFailed
from soundscope.ingest import tables as t
from soundscope.match import RULES_VERSION
from soundscope.pipeline import steps
from soundscope.pipeline.gates import hold_back, newest_match_rates
from soundscope.pipeline.run import open_run
from soundscope.settings import Settings

FIRST = date(2024, 1, 6)
NAMES = "ABCDEFGHIJKL"
LIVE = "spotify:" + "x" * 22


@dataclass
class Home:
    """A home with twelve songs, a live version of one, another of which only an acoustic one is held, and a chart of ten ranks; a song nobody
    knows is always tenth."""

    path: Path

    def soundscope(self, *arguments: str, status: int = 0) -> str:
        """Run a command as `main` does, in this process: the libraries are loaded once."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name in [name for name in os.environ if name.startswith(("SOUNDSCOPE_", "SPOTIPY_"))]:
                patch.delenv(name)
            patch.setenv("SOUNDSCOPE_HOME", str(self.path))
            patch.setattr(sys, "argv", ["soundscope", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        assert (ended.value.code or 0) == status, said.getvalue()
        return said.getvalue()

    def build(self) -> None:
        """Staging, matching, and all that stands on them: less is no candidate, and would not be published."""
        with open_run(Settings(home=self.path), "build") as run:
            steps.build_step(run, ("staging",))
            steps.match_step(run)
            steps.build_step(run, exclude=("staging",))

    def json(self, *arguments: str) -> Any:
        return json.loads(self.soundscope(*arguments, "--json"))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(str(self.path / "warehouse" / "soundscope.duckdb"), read_only=True)) as con:
            return con.execute(sql).fetchall()

    def chart(self, weeks: int, unheard_in: int | None = None) -> None:
        """Import the chart; in one week the last four ranks may be songs that nobody knows."""
        with (self.path / "chart.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["chart_date", "rank", "title", "artist"])
            for week in range(weeks):
                for place in range(10):
                    name = NAMES[(place + week) % len(NAMES)]
                    title, artist = (f"Song {name}", f"Act {name}") if place < 9 else ("Nowhere", "Nobody")
                    if week == unheard_in and place > 5:
                        title, artist = f"Unheard {NAMES[place]}", "Ghost"
                    rows.writerow([FIRST + timedelta(weeks=week), place + 1, title, artist])
        self.soundscope("import", str(self.path / "chart.csv"), "--as", "chart", "--chart", "club", "--name", "club")

    def tracks(self) -> None:
        with (self.path / "tracks.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["spotify_id", "title", "artist", "duration_ms", "release_date"])
            titles = [f"Song {n}" if n != "L" else "Song L (Acoustic)" for n in NAMES]
            rows.writerows([f"{i:022d}", titles[i], f"Act {n}", 180_000 + 5_000 * i, "2023-01-01"] for i, n in enumerate(NAMES))
            rows.writerow(["x" * 22, "Song A - Live", "Act A", 200_000, "2022-01-01"])
        self.soundscope("import", str(self.path / "tracks.csv"), "--as", "tracks", "--name", "mine")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.tracks()
    home.chart(weeks=10)
    home.build()
    home.soundscope("publish")
    return home


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestCommands:
    """In this order: each test goes on where the one before ended."""

    def test_status_says_how_many_and_what_is_lost(self, published: Home) -> None:
        rows = {(row["breakdown"], row["value"]): row for row in published.json("match", "status")}
        whole = rows["all", "all"]
        assert [whole[name] for name in ("chart_keys", "matched", "unmatched", "weeks", "weeks_lost")] == [13, 12, 1, 100, 10]
        assert [row["other_version"] for row in rows.values() if row["breakdown"] in ("all", "decade", "chart")] == [1, 1, 1]
        for breakdown, value in (("decade", "2020s"), ("chart", "club")):
            assert (rows[breakdown, value]["match_rate"], rows[breakdown, value]["week_rate"]) == (0.923, 0.9)
        assert rows["method", "exact"]["matched"] == 12
        assert rows["lost", "Nowhere by Nobody"]["weeks_lost"] == 10
        assert "Nowhere" in published.soundscope("match", "status")

    def test_review_and_explain_show_evidence(self, published: Home) -> None:
        assert [(row["title"], row["candidates"]) for row in published.json("match", "review")] == [("Nowhere", [])]
        told = published.json("match", "explain", "song a", "ACT A")
        assert told["links"][0]["track_id"] == "spotify:" + "0" * 22
        assert [row["version_evidence"] for row in told["candidates"]] == ["same", "other version (live)"]
        assert [row["status"] for row in told["history"]] == ["matched"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("explain", "Sogn A", "Act A"), "Song A by Act A"),
            (("set", "Sogn A", "Act A", LIVE, "--by", "ann"), "Song A by Act A"),
            (("set", "Song A", "Act A", "spotify:none", "--by", "ann"), "spotify:none"),
            (("set", "Song A", "Act A", "--by", "ann"), "--absent"),
            (("set", "Song A", "Act A", LIVE, "--absent", "--by", "ann"), "--absent"),
            (("set", "Song A", "Act A", LIVE, "--by", f"soundscope:{RULES_VERSION}"), "--by"),
            (("set", "Song A", "Act A", LIVE, "--by", "ann", "--run", "2"), "no run 2"),
            (("unset", "Song A", "Act A", "--by", "ann"), "Nobody has decided"),
            (("import", "no_such_file.csv"), "no_such_file.csv"),
            (("export", "no/such/folder/file.csv"), "file.csv"),
        ],
    )
    def test_bad_use_changes_nothing_and_says_what_to_do(self, published: Home, arguments: tuple[str, ...], says: str) -> None:
        assert says in published.soundscope("match", *arguments, status=2)
        assert not list((published.path / "warehouse" / "landing").glob("soundscope/decision/**/*.zst"))

    def test_decisions_go_out_and_come_in_as_a_file(self, published: Home) -> None:
        published.soundscope("match", "set", "song a", "act a", "https://open.spotify.com/track/" + "x" * 22, "--by", "ann", "--reason", "they play it live")  # fmt: skip
        published.soundscope("match", "set", "Nowhere", "Nobody", "--absent", "--by", "bob")
        file = published.path / "decisions.csv"
        assert published.json("match", "export", str(file))["decisions"] == 2
        with file.open(newline="") as text:
            rows = {row["title"]: row for row in csv.DictReader(text)}
        assert (rows["Song A"]["track_id"], rows["Song A"]["decided_by"], rows["Song A"]["reason"]) == (
            LIVE,
            "ann",
            "they play it live",
        )
        assert rows["Nowhere"]["track_id"] == ""
        assert published.json("match", "import", str(file)) == {"read": 2, "changed": 0, "unknown": 0}
        file.write_text(file.read_text() + "Song B,Act B,1,spotify:none,ann,,typo\n")
        assert "row 3: there is no track 'spotify:none'" in published.soundscope("match", "import", str(file), status=2)
        file.write_text(file.read_text().replace("spotify:none,ann,,typo", f"{LIVE},cid,2026-01-01T00:00:00Z,odd"))
        assert published.json("match", "import", str(file))["changed"] == 1
        published.soundscope("match", "unset", "Song B", "Act B", "--by", "ann")
        assert published.json("match", "export", str(file))["decisions"] == 2

    def test_decisions_survive_a_rebuild_from_landing_and_the_gate_holds_bad_weeks_back(self, published: Home) -> None:
        published.chart(weeks=11, unheard_in=10)
        shutil.rmtree(published.path / "warehouse" / ".private")
        published.soundscope("replay")
        published.build()
        before = (published.path / "warehouse" / "soundscope.duckdb").stat().st_ino
        said = published.soundscope("publish", status=1)
        assert "club of 2024-03-16: match rate 60.0% (6 of 10 entries)" in said
        assert "median 90.0%" in said
        assert "Unheard G by Ghost" in said
        assert (published.path / "warehouse" / "soundscope.duckdb").stat().st_ino == before
        published.soundscope("publish", "--force")
        noted = "select status from ops.check_results where \"check\" = 'match_rate:club:2024-03-16' order by check_id"
        assert published.ask(noted)[-1] == ("overridden",)
        assert published.ask("select is_forced from ops.releases order by published_at desc limit 1") == [(True,)]
        decided = published.ask(
            "select title, status, track_id, decided_by from core.track_matches where decided_by not like 'soundscope%' order by 1"
        )
        assert decided == [("Nowhere", "overridden", None, "bob"), ("Song A", "overridden", LIVE, "ann")]
        assert published.ask("select distinct track_id from core.chart_entries where title = 'Song A'") == [(LIVE,)]
        published.soundscope("publish")

    def test_a_decision_taken_back_leaves_the_matcher_its_word(self, published: Home) -> None:
        published.soundscope("match", "unset", "Song A", "Act A", "--by", "zoe", "--reason", "not live after all")
        published.build()
        published.soundscope("publish")
        history = published.json("match", "explain", "Song A", "Act A")["history"]
        assert [(row["status"], row["track_id"], row["decided_by"]) for row in history] == [
            ("matched", "spotify:" + "0" * 22, f"soundscope:{RULES_VERSION}"),
            ("overridden", LIVE, "ann"),
            ("matched", "spotify:" + "0" * 22, f"soundscope:{RULES_VERSION}"),
        ]
        assert [row["valid_to"] for row in history] == [row["valid_from"] for row in history[1:]] + [None]


def fill(con: duckdb.DuckDBPyConnection, rates: dict[str, list[float]], step: int = 7) -> None:
    """Charts of a hundred entries whose dates have these match rates."""
    con.execute("create schema if not exists core")
    con.execute(
        "create or replace table core.chart_entries (chart text, chart_date date, rank int, title text, artist text, track_id text)"
    )
    for chart, weeks in rates.items():
        for number, rate in enumerate(weeks):
            con.execute(
                "insert into core.chart_entries select ?, ?, i, 'T' || i, 'A', case when i <= ? then 'spotify:x' end from range(1, 101) as r(i)",
                [chart, FIRST + timedelta(days=step * number), round(100 * rate)],
            )


@pytest.mark.parametrize(
    ("weeks", "fallen"),
    [
        ([0.9] * 9 + [0.8], []),  # exactly ten points
        ([0.9] * 9 + [0.79], [9]),
        ([0.9] * 8 + [0.79, 0.9], [8]),  # the newest but one counts too
        ([0.9] * 8 + [0.5, 0.9, 0.9], []),  # older ones were judged when they were new
        ([0.5] * 8 + [0.9] * 8 + [0.7], [16]),  # the median is that of eight weeks
        ([0.2] + [0.9] * 7 + [0.85], []),  # one bad week does not move a median
        ([0.9] * 2 + [0.1], []),  # nothing is usual yet
        ([0.9] * 3 + [0.1], [3]),
    ],
)
def test_a_fall_of_more_than_ten_points_below_the_median_is_seen(weeks: list[float], fallen: list[int]) -> None:
    with duckdb.connect() as con:
        fill(con, {"club": weeks, "steady": [0.3] * len(weeks)})
        found = [(rate.chart, (rate.chart_date - FIRST).days // 7) for rate in newest_match_rates(con) if rate.has_fallen]
    assert found == [("club", week) for week in fallen]


def test_a_daily_chart_is_compared_with_eight_weeks_of_days() -> None:
    with duckdb.connect() as con:
        fill(con, {"daily": [0.9] * 60 + [0.5] * 20}, step=1)
        assert not [rate for rate in newest_match_rates(con) if rate.usual != 0.9]


def results(settings: Settings) -> Iterator[tuple[str, int]]:
    with open_run(settings, "look") as run, run.ledger.read() as connection:
        c = t.check_results.c
        rows = connection.execute(
            sa.select(c.status, c.failures).where(c.check.like("match_rate:club:%03-09")).order_by(c.check_id)
        )
        yield from ((row.status, row.failures) for row in rows)


def test_what_a_person_let_through_stays_through_unless_it_gets_worse(settings: Settings) -> None:
    def judge(newest: float, *, force: bool = False) -> None:
        with open_run(settings, "publish") as run:
            with run.writer() as con:
                fill(con, {"club": [0.9] * 9 + [newest]})
            hold_back(run, force=force)

    with pytest.raises(CheckFailed, match=r"club of 2024-03-09: match rate 70\.0% .* median 90\.0%"):
        judge(0.7)
    judge(0.7, force=True)
    judge(0.7)
    with pytest.raises(CheckFailed, match=r"match rate 69\.0%"):
        judge(0.69)
    judge(0.85)
    assert list(results(settings)) == [("fail", 30), ("overridden", 30), ("overridden", 30), ("fail", 31), ("pass", 15)]
