"""The generated world through the real models, alignment, back-test and publishing; then the commands, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from trends_world import CHART, Parts, world
from typer.testing import CliRunner, Result

from soundscope.cli import app
from soundscope.errors import BadInput, SoundScopeError
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.typed import create_raw
from soundscope.pipeline import steps
from soundscope.pipeline.align import ALIGN_MODELS, align_step, backtest_due, backtest_step
from soundscope.pipeline.purge import purge
from soundscope.pipeline.run import Run, open_run
from soundscope.settings import Settings
from soundscope.trends.words import plot

pytestmark = pytest.mark.slow
COMMON = "timestamp '2024-01-01' as fetched_at, 'run-1' as run_id, 'a.ndjson.zst' as landing_file, row_number() over () as row_no"


def fill(con: duckdb.DuckDBPyConnection, parts: Parts) -> None:
    """Raw rows of the world, its links, and editions and karaoke of some songs."""
    songs, charted, _ = parts
    more = songs.iloc[:3].assign(title=lambda f: f["title"] + " (Karaoke Version)", artist="Sing Along")
    again = songs.iloc[:60].assign(release_date=lambda f: f["release_date"] + pd.Timedelta(days=30))
    for number, part in enumerate((more, again)):
        part["track_id"] = [f"import:town:x{number}{i:03d}" for i in range(len(part))]
    every = pd.concat([songs, more, again], ignore_index=True)
    every["source_id"] = every["track_id"].str.rsplit(":", n=1).str[-1]
    every["recording_id"] = [*songs["recording_id"], *more["track_id"], *again["recording_id"]]
    every["observed_at"], every["known"] = pd.Timestamp("2014-12-20"), np.arange(len(every)) % 90.0

    def insert(table: str, select: str) -> None:
        con.execute(f"insert into raw.{table} by name select *, {COMMON} from ({select})")

    con.register("songs", every)
    con.register("charted", charted)
    ids = "'import:town' as provider, source_id"
    insert(
        "tracks",
        f"select {ids}, title, artist, album, duration_ms::bigint as duration_ms, release_date::date as release_date, release_precision from songs",
    )
    sound = "tempo, danceability, energy, valence, loudness, acousticness, instrumentalness, speechiness, liveness, key, mode, time_signature"
    insert("audio_features", f"select {ids}, {sound} from songs")
    insert("genre_labels", f"select {ids}, 'track' as subject, genre as label, 'import:town' as source from songs")
    insert("popularity", f"select {ids}, known as popularity, observed_at from songs")
    insert(
        "chart_entries", f"select '{CHART}' as provider, chart, chart_date::date as chart_date, rank, title, artist from charted"
    )
    insert("recordings", "select 'soundscope' as provider, track_id, recording_id from songs")
    insert(
        "track_links",
        "select distinct 'soundscope' as provider, title, artist, 1 as run_no, 'matched' as status, 'exact' as method, 1.0 as score, track_id, "
        "'soundscope:1' as decided_by from charted",
    )


def build(run: Run) -> None:
    """The tables without what asks providers; the world's own source may be trained on."""
    with run.writer() as con:
        con.execute("delete from raw.providers")
        con.execute(
            "insert into raw.providers (provider, licence, train_ok, feature_priority, popularity_scale) values ('import:town', 'own', true, 1, '0..100')"
        )
    steps.run_build(run.settings)


@pytest.fixture(scope="module")
def town_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, list[int]]]:
    """A home with a published, aligned, back-tested release; and how many batches the first and second alignment landed."""
    home = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDSCOPE_HOME", str(home))
        settings = Settings(home=home)
        settings.paths.create()
        with open_run(settings, "test") as run:
            with run.writer() as con:
                create_raw(con)
                fill(con, world())
            build(run)
            assert backtest_due(run) == "it was never done"
            landed = [align_step(run), align_step(run)]
            assert backtest_step(run) == 1
            assert backtest_step(run) == 0
            assert backtest_due(run) is None
            steps.run_build(settings, select=list(ALIGN_MODELS))
            steps.publish_step(run)
        yield settings, landed


@pytest.fixture
def db(town_home: tuple[Settings, list[int]]) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect(str(town_home[0].paths.published), read_only=True)) as con:
        yield con


@pytest.fixture
def say(town_home: tuple[Settings, list[int]], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(town_home[0].home))

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


def test_nothing_changed_lands_nothing(town_home: tuple[Settings, list[int]]) -> None:
    first, second = town_home[1]
    assert first > 40
    assert second == 0


def test_alignment_table_is_whole(db: duckdb.DuckDBPyConnection) -> None:
    n, low, high, known, charting = db.execute(
        "select count(*), min(alignment), max(alignment), count(chart_likelihood), count(*) filter (not is_current) from marts.popularity_alignment"
    ).fetchall()[0]
    assert n > 1_000
    assert 0 <= low < high <= 100
    assert known > 0
    assert charting > 0
    assert db.execute(
        "select count(*) from marts.popularity_alignment where chart_likelihood is null and likelihood_reason is null"
    ).fetchall() == [(0,)]
    off = db.execute(
        "select max(abs(s - (a.score - m.mean))) from (select track_id, as_of, sum(contribution) as s from marts.alignment_contributions group by all) c "
        "join marts.popularity_alignment a using (track_id, as_of) join (select avg(score) as mean, as_of from marts.popularity_alignment "
        "where is_current group by as_of) m using (as_of) where a.is_current"
    ).fetchall()[0][0]
    assert off < 1e-6


def test_backtest_table_has_every_score_and_rival(db: duckdb.DuckDBPyConnection) -> None:
    rows = dict(
        db.execute("select score, auc from marts.alignment_backtest where quarter = 'all' and segment = 'all'").fetchall()
    )
    assert {"alignment", "chart_likelihood", "likelihood_with_momentum", "random", "profile_1y_old", "artist_momentum"} <= set(
        rows
    )
    assert rows["alignment"] > 0.6
    assert 0.4 < rows["random"] < 0.6
    assert db.execute("select count(distinct quarter) from marts.alignment_backtest").fetchall()[0][0] > 5


def test_align_in_words_and_as_json(say, db: duckdb.DuckDBPyConnection) -> None:
    [(track_id,)] = db.execute(
        "select track_id from marts.popularity_alignment where is_charting and is_current order by 1 limit 1"
    ).fetchall()
    told = say("align", track_id)
    assert told.exit_code == 0, told.output
    for words in (
        "Closer to what charts now than",
        "Confidence",
        "Nearest in the charts",
        "artist_momentum",
        "AUC",
        "near chance",
    ):
        assert words in told.output
    [found] = json.loads(say("align", track_id, "--json").stdout)["alignment"]
    assert 0 <= found["alignment"] <= 100
    assert len(found["features"]) == 10
    held = db.execute(
        "select alignment from marts.popularity_alignment where track_id = ? and is_current", [track_id]
    ).fetchall()[0][0]
    assert found["alignment"] == pytest.approx(held, abs=1e-6)


def test_bad_input_is_named(say) -> None:
    for words, hint in [
        (("align", "no such song at all"), "no such song at all"),
        (("align", "Song"), "tracks fit"),
        (("align", "import:town:00001", "--chart", "nowhere"), CHART),
        (("trends", "--chart", "nowhere"), CHART),
        (("trends", "--feature", "colour"), "energy"),
        (("trends", "--from", "soon"), "YYYY-MM-DD"),
        (("trends", "--window", "5"), "4, 12, 52"),
        (("sleepers", "--chart", "nowhere"), CHART),
        (("backtest", "--chart", "nowhere"), CHART),
    ]:
        result = say(*words)
        text = result.output + str(result.exception or "") + str(getattr(result.exception, "next_step", ""))
        assert result.exit_code != 0, words
        assert hint in text, (words, text)


def test_sleepers_are_songs_once_each_and_no_copies(say, db: duckdb.DuckDBPyConnection) -> None:
    rows = json.loads(say("sleepers", "--limit", "2000", "--json").stdout)
    assert len(rows) > 100
    names = [(row["title"].casefold(), row["artist"]) for row in rows]
    assert len(set(names)) == len(names)
    charted = {title for (title,) in db.execute("select distinct title from core.chart_entries").fetchall()}
    assert not [title for title, _ in names if "karaoke" in title and title.split(" (")[0].title() in charted]
    assert [row["gap"] for row in rows] == sorted((row["gap"] for row in rows), reverse=True)
    # Where the chart is as new as the observations, today's gap is that of the table.
    stored = dict(
        db.execute(
            "select track_id, popularity_gap from marts.popularity_alignment where is_current and popularity_source = 'import:town'"
        ).fetchall()
    )
    shown = {row["track_id"]: row["gap"] for row in rows if row["track_id"] in stored}
    assert shown
    assert all(gap == pytest.approx(stored[name], abs=0.051) for name, gap in shown.items())
    charting = {
        name
        for (name,) in db.execute("select track_id from marts.popularity_alignment where is_charting and is_current").fetchall()
    }
    assert not charting & {row["track_id"] for row in rows}
    misfits = json.loads(say("sleepers", "--misfits", "--json").stdout)
    assert {row["track_id"] for row in misfits} <= charting


def test_trends_are_plotted(say) -> None:
    told = say("trends", "--feature", "energy", "--window", "12")
    assert told.exit_code == 0
    assert "█" in told.output
    assert "songs" in told.output
    rows = json.loads(say("trends", "--feature", "energy", "--from", "2014-01-01", "--json").stdout)["trends"]["energy"]
    assert rows[0]["chart_date"] >= "2014-01-01"


def test_backtest_command_shows_the_figures(say) -> None:
    rows = json.loads(say("backtest", "--no-publish", "--json").stdout)
    assert {row["score"] for row in rows} >= {"alignment", "random"}


def test_a_plot_marks_what_is_doubtful() -> None:
    frame = pd.DataFrame(
        {"chart_date": pd.date_range("2020-01-01", periods=4), "mean": [1.0, 2.0, 3.0, 4.0], "coverage": 0.2, "n_tracks": 9}
    )
    frame["is_low_coverage"] = [True, False, False, False]
    frame[["change_1y", "change_5y"]] = np.nan
    assert plot(frame).startswith("·")
    assert utcnow() > frame["chart_date"].max()


def test_without_licence_there_is_a_reason_in_place_of_a_likelihood(
    town_home: tuple[Settings, list[int]], tmp_path: Path
) -> None:
    from soundscope.trends.batches import Aligner
    from soundscope.trends.catalogue import read_catalogue

    with closing(duckdb.connect(str(town_home[0].paths.published), read_only=True)) as con:
        catalogue = read_catalogue(con, for_models=True)
    catalogue.tracks["train_ok"] = False
    aligner = Aligner(catalogue)
    [batch] = [b for b in aligner.batches() if b.kind == "current"]
    profile = aligner.profile(CHART, batch.as_of)
    assert profile is not None
    frame, _ = aligner.make(batch, profile)
    assert frame["chart_likelihood"].isna().all()
    assert frame["likelihood_reason"].str.contains("may not be trained on").all()
    assert frame["alignment"].notna().all()


def test_where_nothing_is_built_the_back_test_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(tmp_path))
    settings = Settings()
    settings.paths.create()
    with pytest.raises(SoundScopeError, match="No table is built yet"), open_run(settings, "test") as run:
        backtest_step(run)


def test_what_was_never_had_cannot_be_purged(town_home: tuple[Settings, list[int]]) -> None:
    """A slip of the pen takes neither tables nor releases away."""
    settings, _ = town_home
    before = sorted(settings.paths.releases.iterdir())
    with pytest.raises(BadInput, match="Nothing was ever had of import:twon"), open_run(settings, "test") as run:
        purge(run, "import:twon")
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        assert con.execute("select count(*) > 0 from marts.track_features").fetchone() == (True,)
    assert sorted(settings.paths.releases.iterdir()) == before
