"""The whole way on real charts and tracks: archive over HTTP, imports, build, train, score, publish, and known facts in the result."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from soundscope.settings import PROJECT
from tests.app.browsing import CHROMIUM
from tests.app.real_pages import look_at_every_page
from tests.archive import serve_archive

pytestmark = [pytest.mark.realdata, pytest.mark.timeout(2400)]


# No live provider is asked but the archive that this test serves.
ELSEWHERE = ("RECCOBEATS", "DEEZER", "APPLE", "MUSICBRAINZ", "BILLBOARD_CSV")


class RealHome:
    """A home filled from the real data by the command line alone, as a user would."""

    def __init__(self, path: Path, archive: str) -> None:
        self.path = path
        self.seconds: dict[str, float] = {}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
        self.environment = kept | {
            "SOUNDSCOPE_HOME": str(path),
            "SOUNDSCOPE_PROFILE": "live",
            "SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__URL": archive,
            "SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__RATE": "10000",
            **{f"SOUNDSCOPE_PROVIDERS__{name}__ENABLED": "false" for name in ELSEWHERE},
            # Two genres have so many tracks: enough to train for real. Models of all six or of hundreds take many minutes.
            "SOUNDSCOPE_TRAIN__MIN_CLASS_ROWS": "5000",
        }

    def soundscope(self, *arguments: str) -> str:
        began = time.monotonic()
        command = [sys.executable, "-m", "soundscope.cli", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=900, cwd=PROJECT)
        assert done.returncode == 0, done.stdout + done.stderr
        self.seconds[" ".join(arguments[:2])] = time.monotonic() - began
        return done.stdout

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(str(self.path / "warehouse" / "soundscope.duckdb"), read_only=True)) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def real(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHome]:
    weeks = json.loads(gzip.decompress((realdata / "billboard_hot_100_all.json.gz").read_bytes()))
    with serve_archive(weeks) as archive:
        home = RealHome(tmp_path_factory.mktemp("real"), archive)
        home.soundscope("ingest", "charts")
        home.soundscope("import", str(realdata / "spotify_songs.csv.gz"), "--as", "tracks", "--name", "spotify_songs")
        home.soundscope(
            "import", str(realdata / "hot_100_audio_features.parquet"), "--as", "features", "--name", "hot_100_features"
        )
        home.soundscope("build")
        home.soundscope("train")
        home.soundscope("score")
        home.soundscope("publish")
        yield home


def test_no_entry_is_lost(real: RealHome) -> None:
    assert real.ask(
        "select count(*), count(distinct chart_date), min(chart_date)::text, max(chart_date)::text from core.chart_entries"
    ) == [(320_487, 3_205, "1958-08-04", "2022-12-31")]
    assert real.ask("select count(*) from (select count(*) n from core.chart_entries group by chart_date) where n = 99") == [
        (13,)
    ]


def test_tracks_and_their_several_genres_arrive(real: RealHome) -> None:
    songs = "select distinct track_id from core.track_genres where source = 'import:spotify_songs'"
    assert real.ask("select count(*) from core.audio_features where provider = 'import:spotify_songs'") == [(28_356,)]
    assert real.ask(
        "select count(*) from (select track_id from core.track_genres where source = 'import:spotify_songs' group by 1 having count(*) > 1)"
    ) == [(1_687,)]
    assert real.ask(f"select count(*) from ({songs})") == [(28_356,)]


def test_oddities_are_flagged_and_do_not_fail(real: RealHome) -> None:
    results = real.ask(
        "select \"check\", status, failures from ops.check_results where table_name like '%chart%' and status <> 'pass'"
    )
    assert results, "the archive's known oddities are not reported"
    assert {status for _, status, _ in results} == {"warn"}
    assert 13 in [failures for _, _, failures in results], "weeks of 99 rows"
    refused = dict(real.ask("select reason, count(*) from ops.quarantine where field = 'loudness' group by 1"))
    assert refused == {"outside -60..0": 8}


def test_nothing_is_carried_across_the_hole(real: RealHome) -> None:
    first = "select min(chart_date) from core.chart_entries where chart_date > '2018-12-29'"
    assert real.ask(first)[0][0].isoformat() == "2022-01-01"
    assert real.ask("select count(*) from core.chart_entries where chart_date = '2022-01-01' and previous_rank is not null") == [
        (0,)
    ]
    assert real.ask("select count(*) from core.chart_entries where chart_date >= '2022-01-01' and is_complete_history") == [(0,)]
    assert real.ask("select count(*) from marts.chart_trends where chart_date >= '2022-01-01' and change_1y is not null") == [
        (0,)
    ]


def test_two_recordings_of_one_name_are_two_runs(real: RealHome) -> None:
    rows = real.ask(
        "select count(*), count(distinct run_no) from core.chart_entries where title = 'Unchained Melody' and artist = 'The Righteous Brothers' "
        "and chart_date in (select chart_date from core.chart_entries where title = 'Unchained Melody' and artist = 'The Righteous Brothers' "
        "group by 1 having count(*) = 2)"
    )
    assert rows == [(26, 2)]


def test_known_facts_of_the_charts_come_out(real: RealHome) -> None:
    decade = "cast(floor(year(chart_date) / 10) * 10 as int)"
    query = f"select {decade}, avg(mean) from marts.chart_trends where window_weeks = 12 and feature = '{{}}' group by 1"
    loudness, valence = dict(real.ask(query.format("loudness"))), dict(real.ask(query.format("valence")))
    assert loudness[1980] < loudness[1990] < loudness[2000], "charts get louder from the 1980s to the 2000s"
    assert valence[1980] > valence[2000] > valence[2010], "and less happy since the 1980s"
    profile = dict(
        real.ask("select genre, mean from marts.genre_profile where feature = 'speechiness' and genre in ('rap', 'rock', 'edm')")
    )
    assert profile["rap"] > 2 * profile["rock"]


def test_it_was_trained_scored_and_explained_where_it_came_from(real: RealHome) -> None:
    verdict, n_train, mix = real.ask("select verdict, n_train, provider_mix from ml.model_runs where is_champion")[0]
    assert verdict == "promoted"
    assert n_train > 8_000
    assert set(json.loads(mix)) <= {"import:spotify_songs", "import:hot_100_features"}
    assert real.ask("select count(distinct track_id) > 28000 from ml.predictions") == [(True,)]


def test_a_second_ingest_finds_nothing_new_and_the_same_import_does_nothing(real: RealHome, realdata: Path) -> None:
    said = json.loads(real.soundscope("ingest", "charts", "--json"))
    assert said["outcomes"]["charts"] == {}
    again = real.soundscope("import", str(realdata / "spotify_songs.csv.gz"), "--as", "tracks", "--name", "spotify_songs")
    assert "nothing to do" in again


def test_it_is_quick_and_small_enough_to_look_at(real: RealHome) -> None:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print({name: round(seconds, 1) for name, seconds in real.seconds.items()}, f"peak {peak:.2f} GB")
    assert peak < 3.0, "far above anything measured: something holds whole tables in Python"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium")
def test_the_app_shows_it_on_every_page(real: RealHome) -> None:
    pytest.importorskip("playwright.sync_api", reason="needs playwright (the extra dev)")
    look_at_every_page(real.path, lambda: real.soundscope("publish"))
