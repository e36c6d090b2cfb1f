"""Every page on a generated release, in this process: what it says when all is there, when little is, and when nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from soundscope.app import genres, text, upload
from soundscope.app import source as src
from soundscope.app.nearest import nearest
from soundscope.app.search import find
from soundscope.ingest.ledger import Ledger, utcnow
from soundscope.settings import load_settings
from tests.app.made_release import HOSTILE, make_release

pytestmark = pytest.mark.slow
Open = Callable[..., AppTest]
PAGES = {
    "overview": "What is charting now", "trends": "How the sound moves", "track": "A track", "fits": "Fits and sleepers", "model": "The genre model",
    "playground": "Playground", "quality": "Data quality",
}  # fmt: skip
VIEWS = [
    ("trends", {"view": "Two periods"}), ("trends", {"view": "Genres"}), ("trends", {"view": "Diversity and turnover"}), ("trends", {"genre": "pop", "feature": "Tempo"}),
    ("fits", {"kind": "Hits that defy the trend"}), ("playground", {"mode": "Your own file"}), ("track", {"q": "marble"}),
]  # fmt: skip


def words(test: AppTest) -> str:
    """All that a page says."""
    return "\n".join(
        str(element.value)
        for kind in ("title", "header", "subheader", "markdown", "info", "caption", "warning", "error")
        for element in getattr(test, kind)
    )


def is_whole(test: AppTest) -> None:
    assert not test.exception, [e.value for e in test.exception]
    assert not test.error, [e.value for e in test.error]
    assert "Release " in words(test)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws(whole: tuple[Path, str], open_page: Open, page: str) -> None:
    test = open_page(whole[0], page)
    is_whole(test)
    assert test.title[0].value == PAGES[page]
    assert "Synthetic data" in words(test)


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_every_view_has_an_address(whole: tuple[Path, str], open_page: Open, page: str, query: dict[str, str]) -> None:
    test = open_page(whole[0], page, **query)
    is_whole(test)
    for name, value in query.items():
        assert str(test.query_params[name]).strip("[]'") == value or value in str(test.query_params[name])


def test_a_track_says_how_it_fits_and_why(whole: tuple[Path, str], open_page: Open) -> None:
    test = open_page(whole[0], "track", id=whole[1], why="true")
    is_whole(test)
    said = words(test)
    for part in (
        "How it sounds",
        "In the charts",
        "best rank",
        "Fit with" if "Fit with" in said else "closer to what charts",
        "Which genre the model hears",
        "sound most like it",
    ):
        assert part in said


def test_an_unknown_track_is_a_sentence(whole: tuple[Path, str], open_page: Open) -> None:
    test = open_page(whole[0], "track", id="spotify:'; drop table x; --")
    is_whole(test)
    assert "no track of that id" in words(test)


def test_search_finds_parts_of_words_of_title_and_artist(whole: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _source(whole[0], monkeypatch)
    found = find(shown, "marb wind")
    assert len(found)
    both = found["title"] + " " + found["artist"]
    assert (both.str.contains("Marb") & both.str.contains("Wind")).all()
    by_artist = find(shown, f"{found['artist'].iloc[0].split()[1]} marble".upper())
    assert len(by_artist)
    assert find(shown, "m").empty
    assert find(shown, "  %_'\";--  ").empty
    assert find(shown, "zzzzqqqq").empty
    assert set(find(shown, "script window hurt")["title"]) == {HOSTILE[0], HOSTILE[2]}
    assert find(shown, whole[1])["track_id"].tolist() == [whole[1]]


def test_the_nearest_tracks_are_those_of_a_plain_calculation(whole: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _source(whole[0], monkeypatch)
    names = [
        "tempo",
        "danceability",
        "energy",
        "valence",
        "loudness",
        "acousticness",
        "instrumentalness",
        "speechiness",
        "liveness",
    ]
    tracks = shown.ask(f"select track_id, {', '.join(names)} from marts.track_features where feature_provider is not null")
    own = tracks[tracks["track_id"] == whole[1]].iloc[0]
    spread = tracks[names].std(ddof=0)
    apart = (((tracks[names] - own[names].astype(float)) / spread) ** 2).mean(axis=1) ** 0.5
    expected = apart[tracks["track_id"] != whole[1]].nsmallest(8)
    found = nearest(shown, {n: float(own[n]) for n in names}, without=whole[1])
    assert found["track_id"].tolist() == tracks.loc[expected.index, "track_id"].tolist()
    assert found["distance"].tolist() == pytest.approx(expected.tolist())


def test_a_genre_has_the_colour_of_its_family_and_further_kinds_have_shades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(tmp_path, tracks=200, weeks=3, model=False)
    with duckdb.connect(str(next((tmp_path / "warehouse" / "releases").glob("*.duckdb")))) as con:
        con.execute("update marts.track_features set family = 'rock' where genre in ('rock', 'punk', 'metal')")
        con.execute("update marts.track_features set family = null where genre = 'disco'")
    shown = _source(tmp_path, monkeypatch)
    known = genres.genres_of(shown)
    assert known.family["punk"] == known.family["metal"] == "rock"
    assert known.family["disco"] == "disco"
    assert len({known.colour[name] for name in ("rock", "punk", "metal")}) == 3
    assert len({known.colour[name] for name in known.families[:12]}) == 12
    assert known.colour_of("never heard of") == known.colour_of(None) == genres.GREY
    assert genres.choices(shown)[: len(known.families)] == known.families
    assert not {"punk", "metal"} & set(known.families)


def test_old_charts_are_compared_with_the_newest_popularity(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=300, weeks=3, model=False)
    with duckdb.connect(str(next((tmp_path / "warehouse" / "releases").glob("*.duckdb")))) as con:
        con.execute("update marts.popularity_alignment set popularity = null, popularity_gap = null")
        con.execute("update marts.track_features set popularity = 3 + hash(track_id) % 7 * 10")
        expected = con.execute(
            "select title from (select f.*, a.*, 100 * (select (count(*) filter (o.popularity < f.popularity) "
            "+ count(*) filter (o.popularity = f.popularity) / 2.0) / count(*) from marts.track_features o "
            "join marts.popularity_alignment b on b.track_id = o.track_id where b.is_current) as share "
            "from marts.popularity_alignment a join marts.track_features f on f.track_id = a.track_id "
            "where a.is_current and not a.is_charting) order by alignment - share desc, track_id limit 1"
        ).fetchone()
    test = open_page(tmp_path, "fits")
    is_whole(test)
    assert expected is not None
    assert text.escape(expected[0]) in words(test)
    assert "the newest one that is known stands for it" in words(test)
    # The same song as a live take is listed only when versions are asked for.
    st.cache_data.clear()
    st.cache_resource.clear()
    with duckdb.connect(str(next((tmp_path / "warehouse" / "releases").glob("*.duckdb")))) as con:
        con.execute("update marts.track_features set title = title || ' - Live' where title = ?", [expected[0]])
    live = text.escape(f"{expected[0]} - Live")
    assert live not in words(open_page(tmp_path, "fits"))
    assert live in words(open_page(tmp_path, "fits", versions="true"))


def test_a_file_of_tracks_is_answered(whole: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _source(whole[0], monkeypatch)
    content = (
        "title,artist,tempo,danceability,energy,valence,loudness,acousticness,liveness\n"
        + "One,A,120,0.5,0.6,0.7,-6,0.2,0.1\nTwo,B,,,,,,,\n"
    )
    answered = upload.answer(shown, upload.read(content.encode(), "x.csv").rows, "billboard_hot_100")
    assert answered["title"].tolist() == ["One", "Two"]
    assert 0 <= answered["fit"].iloc[0] <= 100
    assert answered["probability_1"].iloc[0] >= answered["probability_2"].iloc[0] > 0
    assert answered[["genre_1", "fit"]].iloc[1].isna().all()


def test_without_a_release_the_command_is_named(tmp_path: Path, open_page: Open) -> None:
    test = open_page(tmp_path)
    assert not test.exception
    assert "Nothing is published" in words(test)
    assert "soundscope run" in words(test)


def test_a_damaged_release_is_a_sentence(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=60, weeks=3, model=False)
    file = next((tmp_path / "warehouse" / "releases").glob("*.duckdb"))
    file.write_bytes(b"no database")
    test = open_page(tmp_path)
    assert not test.exception
    assert "cannot be opened" in words(test)
    assert "rollback" in words(test)


def test_a_release_of_a_later_version_is_a_sentence(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=60, weeks=3, model=False)
    manifest = next((tmp_path / "warehouse" / "releases").glob("*.json"))
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 999}))
    test = open_page(tmp_path)
    assert not test.exception
    assert "schema version 999" in words(test)


@pytest.mark.parametrize("kind", ["empty", "without", "one week"])
def test_little_data_is_a_sentence_on_every_page(tmp_path: Path, open_page: Open, kind: str) -> None:
    make_release(tmp_path, tracks=120, weeks=1 if kind == "one week" else 3, model=False)
    file = next((tmp_path / "warehouse" / "releases").glob("*.duckdb"))
    with duckdb.connect(str(file)) as con:
        tables = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_schema in ('core', 'marts', 'ml', 'ops')"
        ).fetchall()
        for (table,) in tables if kind == "empty" else ():
            con.execute(f"delete from {table}")
        for table in (
            (
                "marts.popularity_alignment",
                "marts.alignment_contributions",
                "marts.alignment_backtest",
                "ml.drift",
                "ml.explanations",
            )
            if kind == "without"
            else ()
        ):
            con.execute(f"drop table {table}")
    for page in PAGES:
        test = open_page(tmp_path, page)
        is_whole(test)
        assert len(test.info) or kind == "one week" or page in ("track", "overview", "trends", "quality"), page


def test_a_release_that_lacks_a_table_is_said_to(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=120, weeks=3, model=False)
    with duckdb.connect(str(next((tmp_path / "warehouse" / "releases").glob("*.duckdb")))) as con:
        con.execute("drop table ops.quarantine")
    test = open_page(tmp_path, "quality")
    assert not test.exception
    assert "lacks something" in test.error[0].value


def test_the_next_click_shows_a_new_release(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=120, weeks=3, model=False, now=utcnow() - timedelta(hours=1))
    test = open_page(tmp_path)
    first = test.markdown[-1].value
    make_release(tmp_path, tracks=150, weeks=4, model=False)
    test.run()
    is_whole(test)
    assert test.markdown[-1].value.split(",")[0] != first.split(",")[0]


def test_a_failed_newest_run_is_shown_from_the_ledger(tmp_path: Path, open_page: Open) -> None:
    make_release(tmp_path, tracks=120, weeks=3, model=False, now=utcnow() - timedelta(hours=1))
    ledger = Ledger.open(load_settings(home=str(tmp_path)))
    run_id = ledger.start_run("run <b>bold</b>", "sandbox")
    ledger.end_run(run_id, "failed", "the archive *refused*")
    ledger.close()
    test = open_page(tmp_path)
    is_whole(test)
    assert r"did not succeed: the archive \*refused\*" in test.warning[0].value
    assert r"\<b\>" in test.warning[0].value


def test_reading_leaves_the_home_as_it_was(whole: tuple[Path, str], open_page: Open) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(p): (p.stat().st_size, p.stat().st_mtime_ns)
            for p in whole[0].rglob("*")
            if p.is_file() and "ledger.sqlite-" not in p.name
        }

    before = state()
    for page in PAGES:
        open_page(whole[0], page)
    assert state() == before


def _source(home: Path, monkeypatch: pytest.MonkeyPatch) -> src.Source:
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(home))
    st.cache_resource.clear()
    said = src.settings()
    return src.Source(said, src.newest(said))


def test_answers_keep_types(whole: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    row = _source(whole[0], monkeypatch).one("select 1 as n, null as nothing, date '2020-01-02' as day, 'x' as word")
    assert row == {"n": 1, "nothing": None, "day": pd.Timestamp("2020-01-02"), "word": "x"}
