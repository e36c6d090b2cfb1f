"""The whole product, as a newcomer meets it: `make run` in an empty home, its published tables, its trace in the dashboard, a second run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from soundscope.settings import PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# Every table that others rely on and that is built so far, with columns that they name.
CONTRACT = {
    "core.tracks": "track_id, spotify_id, isrc, title, artist, artists, album, release_date, release_precision, era, duration_ms, explicit, recording_id",
    "core.chart_entries": "chart, chart_date, rank, title, artist, previous_rank, peak_rank, weeks_on_chart, is_complete_history, reported_last_week, "
    "reported_peak, reported_weeks, track_id, match_method, match_score",
    "core.track_matches": "title, artist, run_no, track_id, status, is_other_version, method, score, runner_up_track_id, runner_up_score, decided_by, decided_at",
    "core.audio_features": "track_id, provider, licence, train_ok, fetched_at, tempo, danceability, energy, valence, loudness",
    "core.track_genres": "track_id, genre, family, source, raw_label",
    "core.popularity_history": "track_id, provider, popularity, valid_from, valid_to",
    "marts.track_features": "track_id, title, artist, tempo, danceability, energy, valence, loudness, acousticness, instrumentalness, speechiness, liveness, "
    "popularity, key, mode, time_signature, duration_ms, genre, mood, era, feature_provider, popularity_provider, mood_source, train_ok",
    "marts.feature_summary": "feature, n, missing, mean, median, min, max, std",
    "marts.category_counts": "field, value, n",
    "marts.feature_correlation": "feature_x, feature_y, r, n",
    "marts.genre_profile": "genre, feature, mean, std, n",
    "marts.era_profile": "era, feature, mean, std, n",
    "marts.chart_trends": "chart, chart_date, feature, window_weeks, mean, std, n_tracks, coverage, change_1y",
    "marts.genre_share": "chart, chart_date, genre, share, n_entries",
    "marts.popularity_alignment": "track_id, chart, as_of, alignment, alignment_in_genre, distance, chart_likelihood, artist_momentum, popularity, "
    "popularity_gap, n_reference, confidence",
    "marts.alignment_contributions": "track_id, chart, as_of, feature, z, contribution",
    "marts.alignment_backtest": "quarter, score, auc, lift_10, n, n_positive, ci_low, ci_high",
    "ml.model_runs": "model_id, trained_at, target, algorithm, is_champion, verdict, reason, release_id, n_train, n_classes, provider_mix, artefact_sha256",
    "ml.model_metrics": "model_id, split, metric, class, value, ci_low, ci_high",
    "ml.confusion": "model_id, split, true_genre, predicted_genre, n",
    "ml.predictions": "track_id, model_id, genre, probability, rank, release_id, scored_at",
    "ml.explanations": "track_id, model_id, genre, feature, value, contribution",
    "ml.drift": "model_id, feature, as_of, psi, level",
    "ops.releases": "release_id, run_id",
    "ops.runs": "run_id, status",
    "ops.fetch_attempts": "run_id, provider, key, outcome",
    "ops.freshness": "subject, is_stale",
    "ops.check_results": "run_id, status",
    "ops.capabilities": "provider, capability, is_allowed",
    "ops.request_budget": "provider, used, remaining",
    "ops.quarantine": "table_name, field, raw_value, reason, raw_line",
}


@dataclass
class Home:
    """A home in which `make run` has been done once, with readers looking on the whole time."""

    path: Path
    seconds: float
    output: str
    reads: list[str] = field(default_factory=list)
    read_errors: list[str] = field(default_factory=list)

    @property
    def published(self) -> Path:
        return self.path / "warehouse" / "soundscope.duckdb"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
        return kept | {"SOUNDSCOPE_HOME": str(self.path)}

    def soundscope(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "soundscope.cli", *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=300, cwd=PROJECT)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(str(self.published), read_only=True)) as con:
            return con.execute(sql).fetchall()


def _look_on(home: Home, stop: threading.Event) -> None:
    """Open the published file again and again; every look must see one complete release."""
    while not stop.wait(0.2):
        if home.published.exists():
            try:
                home.reads.append(
                    home.ask(
                        "select r.release_id || (select count(*) from ops.releases o where o.release_id = r.release_id) from main.release r"
                    )[0][0]
                )
            except duckdb.Error as error:
                home.read_errors.append(str(error))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("home"), 0.0, "")
    stop = threading.Event()
    reader = threading.Thread(target=_look_on, args=(made, stop))
    reader.start()
    try:
        began = time.monotonic()
        done = subprocess.run(["make", "run"], cwd=PROJECT, env=made.environment(), capture_output=True, text=True, timeout=600)
        made.seconds, made.output = time.monotonic() - began, done.stdout + done.stderr
        assert done.returncode == 0, made.output
        yield made
    finally:
        stop.set()
        reader.join()


def test_every_table_of_the_contract_has_its_columns_and_comments(home: Home) -> None:
    for table, columns in CONTRACT.items():
        home.ask(f"select {columns} from {table} limit 1")
        if table != "ops.quarantine":
            assert home.ask(f"select count(*) from {table}")[0][0] > 0, f"{table} is empty"
    assert home.ask("select count(*) from main.dictionary where comment is null or comment = ''")[0][0] == 0
    listed = {row[0] for row in home.ask('select distinct "table" from main.dictionary')}
    assert set(CONTRACT) <= listed


def test_the_numbers_hold_together(home: Home) -> None:
    assert home.ask("select min(n), max(n) from (select count(*) n from core.chart_entries group by chart, chart_date)") == [
        (100, 100)
    ]
    assert (
        home.ask("select count(*) from core.chart_entries where is_complete_history and weeks_on_chart <> reported_weeks")[0][0]
        == 0
    )
    assert home.ask("select count(*) from (select count(*) n from core.tracks group by track_id having n > 1)")[0][0] == 0
    assert (
        home.ask(
            "select count(*) from (select sum(share) s from marts.genre_share group by chart, chart_date) where abs(s - 1) > 1e-9"
        )[0][0]
        == 0
    )
    assert home.ask("select count(distinct track_id) = count(*) / 3, max(rank) from ml.predictions") == [(True, 3)]
    champion = home.ask("select model_id from ml.model_runs where is_champion")
    assert champion == home.ask("select distinct model_id from ml.predictions")
    assert home.ask("select distinct licence, train_ok from core.audio_features") == [("synthetic", True)]


def test_the_summary_equals_pandas(home: Home) -> None:
    with closing(duckdb.connect(str(home.published), read_only=True)) as con:
        tracks = con.execute("select * from marts.track_features").df()
        summary = con.execute("select * from marts.feature_summary").df().set_index("feature")
        pairs = con.execute("select * from marts.feature_correlation").df()
    for name, row in summary.iterrows():
        values = tracks[str(name)]
        expected = [
            values.count(),
            values.isna().sum(),
            values.mean(),
            values.median(),
            values.min(),
            values.max(),
            values.std(ddof=0),
        ]
        assert [row[c] for c in ("n", "missing", "mean", "median", "min", "max", "std")] == pytest.approx(
            [float(v) for v in expected], rel=1e-9
        )
    for pair in pairs.itertuples():
        both = tracks[[pair.feature_x, pair.feature_y]].astype(float) if pair.feature_x != pair.feature_y else None
        assert pair.r == pytest.approx(both.corr().iloc[0, 1] if both is not None else 1.0, rel=1e-9)


def test_the_questions_of_the_documentation_have_answers(home: Home) -> None:
    # These may well have none in a small world.
    may_be_empty = ("HAVING count(*) > 1", "is_change_1y_beyond_noise", "ops.quarantine", "e.track_id IS NULL")
    asked = 0
    for page in ("docs/questions.md", "warehouse/README.md"):
        for query in re.findall(r"```sql\n(.*?)```", (PROJECT / page).read_text(), re.DOTALL):
            asked += 1
            assert home.ask(query) or any(words in query for words in may_be_empty), f"{page}: no rows from\n{query}"
    assert asked > 15


def test_readers_never_failed_while_it_ran(home: Home) -> None:
    assert home.read_errors == []
    assert all(seen.endswith("1") for seen in home.reads), "a release without its own row: a mixture"


def test_the_shell_of_the_documentation_opens_it(home: Home) -> None:
    done = home.soundscope("shell", "-json", "-c", "select count(*) as n from core.tracks")
    assert json.loads(done.stdout)[0]["n"] == home.ask("select count(*) from core.tracks")[0][0]


def test_the_run_can_be_seen_in_the_dashboard_afterwards(home: Home) -> None:
    script = (
        "import json, sys\nfrom soundscope.settings import load_settings\nfrom flows.server import ensure_server\n"
        "with ensure_server(load_settings()):\n"
        "    from prefect.client.orchestration import get_client\n"
        "    with get_client(sync_client=True) as client:\n"
        "        runs = client.read_flow_runs()\n"
        "        tasks = client.read_task_runs(limit=200)\n"
        "        artifacts = client.request('POST', '/artifacts/filter', json={}).json()\n"
        "        wanted = {'filter': {'event': {'name': ['prefect.asset.materialization.succeeded']}}, 'limit': 50}\n"
        "        events = client.request('POST', '/events/filter', json=wanted).json()['events']\n"
        "print(json.dumps({'runs': {r.name: r.state_name for r in runs}, 'tasks': [t.name for t in tasks],"
        " 'states': sorted({t.state_name for t in tasks}), 'artifacts': sorted({a['key'] for a in artifacts}),"
        " 'assets': {e['resource']['prefect.resource.id']: e['payload'] for e in events}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=home.environment(), capture_output=True, text=True, timeout=120, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert set(seen["runs"].values()) == {"Completed"}
    assert any(name.startswith("pipeline 20") for name in seen["runs"])
    assert {
        "ingest everything new",
        "build the tables",
        "align tracks with the charts",
        "train the genre classifier",
        "score tracks",
    } <= set(seen["runs"])
    assert "sql core.chart_entries" in seen["tasks"]
    assert "match chart entries to tracks" in seen["tasks"]
    assert not [name for name in seen["tasks"] if "not_null" in name or "unique" in name], (
        "tests are counted in their model's task"
    )
    assert seen["states"] == ["Completed"]
    assert {"pipeline-report", "row-counts", "model-report", "data-quality", "model-card"} <= set(seen["artifacts"])
    assert seen["assets"]["duckdb://soundscope/core/tracks"]["rows"] == home.ask("select count(*) from core.tracks")[0][0]


def test_commands_answer_from_the_release(home: Home) -> None:
    assert "danceability" in home.soundscope("profile").stdout
    assert json.loads(home.soundscope("sql", "select 1 as one", "--json").stdout) == [{"one": 1}]
    assert "weeks" in home.soundscope("describe", "chart_entries").stdout
    assert json.loads(home.soundscope("match", "status", "--json").stdout)[0]["chart_keys"] > 0
    assert [m["is_champion"] for m in json.loads(home.soundscope("models", "--json").stdout)].count(True) == 1
    missing = home.soundscope("sql", "select * from core.trackz", check=False)
    assert (missing.returncode, "core.tracks" in missing.stderr) == (2, True)
    assert home.soundscope("describe", "nothing_like_it", check=False).returncode == 2


def test_a_second_run_with_nothing_new_does_next_to_nothing(home: Home) -> None:
    before = home.ask("select release_id from main.release")
    began = time.monotonic()
    done = home.soundscope("run", "--json")
    seconds = time.monotonic() - began
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["outcome"] == "nothing new"
    assert home.ask("select release_id from main.release") == before
    assert "built" not in done.stderr
    assert "scored" not in done.stderr
    print(f"second run: {seconds:.1f} s of wall time")


def test_rollback_and_a_new_release(home: Home) -> None:
    first = home.ask("select release_id from main.release")[0][0]
    home.soundscope("publish")
    second = home.ask("select release_id from main.release")[0][0]
    assert second != first
    assert [release["is_current"] for release in json.loads(home.soundscope("releases", "--json").stdout)] == [True, False]
    home.soundscope("rollback")
    assert home.ask("select release_id from main.release")[0][0] == first
    assert home.soundscope("rollback", "20000101T000000Z-0000", check=False).returncode == 2


def test_a_person_may_overrule_the_gate_and_go_back(home: Home) -> None:
    def in_use() -> tuple[str, int]:
        """The one champion, and how many tracks it has scored."""
        (champion,) = home.ask("select model_id from ml.model_runs where is_champion")
        return champion[0], home.ask(f"select count(distinct track_id) from ml.predictions where model_id = '{champion[0]}'")[0][
            0
        ]

    before, n = in_use()
    models = json.loads(home.soundscope("models", "--json").stdout)
    other = next(model["model_id"] for model in models if not model["is_champion"])
    home.soundscope("models", "promote", other, "--reason", "it is simpler", "--by", "Ada")
    assert in_use() == (other, n)
    verdicts = dict(home.ask("select model_id, verdict || ', ' || decided_by || ', ' || reason from ml.model_runs"))
    assert verdicts[other] == "promoted, Ada, by hand: it is simpler"
    assert verdicts[before] == f"retired, Ada, by hand: replaced by {other}: it is simpler"
    home.soundscope("models", "rollback", "--by", "Ada")
    assert in_use() == (before, n)
    refused = home.soundscope(
        "models", "promote", "genre-nobody-20200101T000000", "--reason", "why not", "--by", "Ada", check=False
    )
    assert refused.returncode == 2
    assert "no model genre-nobody" in refused.stderr


def test_a_failed_check_publishes_nothing(home: Home) -> None:
    before = home.ask("select release_id from main.release")
    poison = (
        "from soundscope.settings import load_settings\nfrom soundscope.pipeline.run import open_run\nimport sys\n"
        "with open_run(load_settings(), 'poison') as run, run.writer() as con:\n    con.execute(sys.argv[1])\n"
    )

    def private(statement: str) -> None:
        subprocess.run([sys.executable, "-c", poison, statement], env=home.environment(), check=True, timeout=60, cwd=PROJECT)

    one = "where track_id = (select min(track_id) from raw.predictions) and rank = 1"
    private(f"update raw.predictions set probability = probability + 5 {one}")
    done = home.soundscope("run", "--rebuild", check=False)
    private(f"update raw.predictions set probability = probability - 5 {one}")
    assert done.returncode == 1
    assert "ml.predictions" in done.stderr
    assert "Traceback" not in done.stderr
    assert home.ask("select release_id from main.release") == before
    failed = json.loads(home.soundscope("runs", "--json").stdout)
    assert "failed" in [run["status"] for run in failed[:3]]
    assert home.soundscope("build").returncode == 0
    assert home.soundscope("publish").returncode == 0
    assert home.ask("select release_id from main.release") != before
    assert home.ask("select count(*) from ops.check_results where status = 'fail'")[0][0] >= 1


def test_what_came_since_the_build_stays_new_after_it_is_published(home: Home, tmp_path: Path) -> None:
    asked = (
        "from soundscope.settings import load_settings\nfrom soundscope.pipeline.run import open_run\nfrom soundscope.pipeline.steps import news_step\n"
        "with open_run(load_settings(), 'look') as run:\n    print(news_step(run).is_new)\n"
    )

    def is_new() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", asked],
            env=home.environment(),
            check=True,
            timeout=60,
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()[-1] == "True"

    assert not is_new()
    file = tmp_path / "late.csv"
    file.write_text("id,title,artist,energy\nlate,Late,Ann,0.5\n")
    home.soundscope("import", str(file), "--as", "features")
    assert is_new()
    assert "is not in it" in home.soundscope("publish").stdout
    assert home.ask("select count(*) from core.tracks where title = 'Late'") == [(0,)]
    assert is_new()
    home.soundscope("build")
    assert "is not in it" not in home.soundscope("publish").stdout
    assert home.ask("select count(*) from core.tracks where title = 'Late'") == [(1,)]
    assert not is_new()
