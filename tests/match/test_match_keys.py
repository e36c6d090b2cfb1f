"""Decisions, identifiers, names, versions, dates: which of several candidates is taken, and how sure the answer is."""

from __future__ import annotations

import random

import duckdb
import pandas as pd
import pytest

from soundscope.errors import BadInput
from soundscope.match import RULES_VERSION, match_keys
from soundscope.match.resolve import COLUMNS


def decision(
    title: str, artist: str, track_id: str | None, run_no: int = 1, decided_at: str = "2026-01-02T03:04:05Z"
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "title": title,
                "artist": artist,
                "run_no": run_no,
                "track_id": track_id,
                "decided_by": "ana",
                "decided_at": decided_at,
                "reason": "heard it",
            }
        ]
    )


def test_one_row_per_key_in_order_with_the_columns_of_the_contract(keys, tracks) -> None:
    found = match_keys(keys(("B", "Bee"), ("A", "Ay"), ("C", "Cee")), tracks(("t:a", "A", "Ay"), ("t:b", "B", "Bee")))
    assert list(found.columns) == COLUMNS
    assert found["title"].tolist() == ["B", "A", "C"]
    assert found["track_id"].tolist()[:2] == ["t:b", "t:a"]
    assert found["status"].tolist() == ["matched", "matched", "unmatched"]
    assert pd.isna(found["track_id"].iloc[2])
    assert found["score"].between(0, 1).all()
    assert set(found["decided_by"]) == {f"soundscope:{RULES_VERSION}"}


def test_empty_tables_give_empty_or_unmatched_answers(keys, tracks) -> None:
    nothing = tracks(("t:a", "A", "Ay")).iloc[:0]
    assert match_keys(keys(("A", "Ay")), nothing)["status"].tolist() == ["unmatched"]
    assert match_keys(keys(("A", "Ay")).iloc[:0], tracks(("t:a", "A", "Ay"))).empty


def test_a_missing_column_or_a_double_key_is_said(keys, tracks) -> None:
    with pytest.raises(BadInput, match="keys has no column run_no"):
        match_keys(keys(("A", "Ay")).drop(columns="run_no"), tracks(("t:a", "A", "Ay")))
    with pytest.raises(BadInput, match="appears twice"):
        match_keys(keys(("A", "Ay"), ("A", "Ay")), tracks(("t:a", "A", "Ay")))


def test_the_order_of_tracks_does_not_matter(keys, tracks) -> None:
    charted = keys(("Song", "Act"), ("Other Song", "Act & Friend"))
    rows = tracks(
        ("t:1", "Song", "Act"), ("t:2", "Song - Remastered 2009", "Act"), ("t:3", "Song", "Act; Guest"), ("t:4", "Other Song", "Friend; Act"),
        ("t:5", "Other Songs", "Act"),
    )  # fmt: skip
    first = match_keys(charted, rows)
    for seed in range(4):
        pd.testing.assert_frame_equal(first, match_keys(charted, rows.sample(frac=1, random_state=seed)))


def test_decisions_win_over_everything(keys, tracks) -> None:
    charted = keys({"title": "Song", "artist": "Act", "spotify_id": "x1"})
    rows = tracks(
        {"track_id": "t:1", "title": "Song", "artists": "Act", "spotify_id": "x1"},
        {"track_id": "t:2", "title": "Else", "artists": "B"},
    )
    found = match_keys(charted, rows, decision("Song", "Act", "t:2")).iloc[0]
    assert (found["track_id"], found["status"], found["decided_by"], found["score"]) == ("t:2", "overridden", "ana", 1.0)
    absent = match_keys(charted, rows, decision("Song", "Act", None)).iloc[0]
    assert pd.isna(absent["track_id"])
    assert absent["status"] == "overridden"


def test_a_decision_for_a_track_that_left_goes_to_review_and_is_not_replaced(keys, tracks) -> None:
    found = match_keys(keys(("Song", "Act")), tracks(("t:1", "Song", "Act")), decision("Song", "Act", "t:9")).iloc[0]
    assert found["status"] == "review"
    assert pd.isna(found["track_id"])
    assert "t:9" in found["reason"]
    assert found["decided_by"] == "ana"


def test_an_id_on_the_chart_comes_before_names(keys, tracks) -> None:
    charted = keys({"title": "Song", "artist": "Act", "spotify_id": "x2"})
    rows = tracks(
        {"track_id": "t:1", "title": "Song", "artists": "Act", "spotify_id": "x1"},
        {"track_id": "t:2", "title": "Song - Radio Edit", "artists": "Act", "spotify_id": "x2"},
    )
    found = match_keys(charted, rows).iloc[0]
    assert (found["track_id"], found["method"], found["status"]) == ("t:2", "spotify_id", "matched")
    unknown = match_keys(charted.assign(spotify_id="x9"), rows).iloc[0]
    assert (unknown["track_id"], unknown["method"]) == ("t:1", "exact")


@pytest.mark.parametrize(
    "trap",
    ["Song - Live", "Song (Karaoke Version)", "Song - Club Remix", "Song - Sped Up", "Song (Re-Recorded)", "Song - Instrumental",
     "Song (Spanish Version)", "Song - Demo", "Song (Acoustic)"],
)  # fmt: skip
def test_the_original_beats_other_versions_whatever_their_popularity(trap: str, keys, tracks) -> None:
    rows = tracks(
        {"track_id": "t:0", "title": trap, "artists": "Act", "popularity": 100},
        {"track_id": "t:1", "title": "Song", "artists": "Act", "popularity": 1},
    )
    found = match_keys(keys(("Song", "Act")), rows).iloc[0]
    assert (found["track_id"], found["is_other_version"]) == ("t:1", False)
    alone = match_keys(keys(("Song", "Act")), rows.iloc[:1]).iloc[0]
    assert alone["is_other_version"] or alone["status"] == "unmatched"
    assert alone["score"] < found["score"] - 0.05


def test_imitations_are_never_matched(keys, tracks) -> None:
    for title, artists, album in (
        ("Song (In the Style of Act) [Karaoke Version]", "Act", None),
        ("Song", "Act; Party Karaoke", None),
        ("Song", "Act", "A Karaoke Tribute to Act"),
        ("Song - Nightcore", "Act", None),
    ):
        rows = tracks({"track_id": "t:1", "title": title, "artists": artists, "album": album})
        assert match_keys(keys(("Song", "Act")), rows)["status"].tolist() != ["matched"], (title, artists, album)


def test_the_chart_may_ask_for_a_version(keys, tracks) -> None:
    rows = tracks(("t:1", "Song", "Act"), ("t:2", "Song - Remix", "Act"), ("t:3", "Song (Act's Version)", "Act"))
    found = match_keys(keys(("Song (Remix)", "Act"), ("Song (Act's Version)", "Act")), rows)
    assert found["track_id"].tolist() == ["t:2", "t:3"]
    assert not found["is_other_version"].any()


def test_release_after_the_chart_run_counts_against(keys, tracks) -> None:
    rows = tracks(
        {"track_id": "t:1", "title": "Song", "artists": "Act", "release_date": "2019-05-01", "popularity": 90},
        {"track_id": "t:2", "title": "Song", "artists": "Act", "release_date": "2014-12-01", "duration_ms": 200_000},
    )
    both = match_keys(keys(("Song", "Act")), rows).iloc[0]
    assert both["track_id"] == "t:2"
    late = match_keys(keys(("Song", "Act")), rows.iloc[:1]).iloc[0]
    assert late["status"] == "matched", "a reissue may be the only copy"
    assert late["score"] < both["score"]


def test_two_runs_of_one_name_are_two_recordings(keys, tracks) -> None:
    charted = keys({"title": "Song", "artist": "Act", "run_no": 1}, {"title": "Song", "artist": "Act", "run_no": 2})
    rows = tracks(
        {"track_id": "t:1", "title": "Song", "artists": "Act", "duration_ms": 216_000},
        {"track_id": "t:2", "title": "Song - Remastered", "artists": "Act", "duration_ms": 216_500},
        {"track_id": "t:3", "title": "Song", "artists": "Act", "duration_ms": 228_000},
    )
    found = match_keys(charted, rows)
    assert found["track_id"].tolist() == ["t:1", "t:3"]
    assert found["runner_up_track_id"].iloc[0] == "t:3"
    only = match_keys(charted, rows.iloc[:2])
    assert set(only["track_id"]) == {"t:1", "t:2"}


def test_other_songs_are_not_close_spellings(keys, tracks) -> None:
    rows = tracks(("t:1", "Song For You, Pt. 3", "Act"), ("t:2", "Golden Popcorn", "Band"), ("t:3", "Reunited", "Pair"))
    found = match_keys(keys(("Song For You, Pt. 2", "Act"), ("The Popcorn", "Band"), ("United", "Pair")), rows)
    assert "matched" not in set(found["status"])


def test_close_spellings_are_found(keys, tracks) -> None:
    rows = tracks(
        ("t:1", "Ramblin' Rose", "The Actors"),
        ("t:2", "Colour My World Tonight", "Band"),
        ("t:3", "Song Of Songs", "Jaynettes"),
        ("t:4", "A Long Title", "Maria Elena Rosa"),
    )
    charted = keys(
        ("Rambling Rose", "Actors"),
        ("Color My World Tonight", "Band"),
        ("Song Of Songs", "The Jaynetts"),
        ("A Long Title", "Maria Elena"),
    )
    found = match_keys(charted, rows)
    assert found["track_id"].tolist() == ["t:1", "t:2", "t:3", "t:4"]
    assert set(found["method"]) == {"fuzzy_title", "fuzzy_artist"}


def test_review_keeps_the_proposal_and_unmatched_has_none(keys, tracks) -> None:
    found = match_keys(
        keys(("Song Of Love", "Act")),
        tracks(("t:1", "Song (Karaoke Version)", "Act"), ("t:2", "Song Of Love (Karaoke Version)", "Act")),
    ).iloc[0]
    assert found["status"] == "review"
    assert found["track_id"] == "t:2"
    assert 0.2 <= found["score"] < 0.5
    nothing = match_keys(keys(("Nowhere", "Nobody")), tracks(("t:1", "Song", "Act"))).iloc[0]
    assert (nothing["status"], nothing["score"], nothing["method"]) == ("unmatched", 0.0, "none")


def test_few_keys_and_many_keys_give_the_same_answers(keys, tracks, monkeypatch: pytest.MonkeyPatch) -> None:
    from soundscope.match import candidates

    charted = keys(
        ("Halo", "Beyonce"), ("Song", "The Act"), ("Two Hearts", "Act"), ("R.E.M. Song", "R.E.M."), ("Good Day", "아이유"), ("Child", "Destiny's Child"),
        ("Sky", "Three Days Later"), ("Sea", "J. Cole"), ("Sun", "Puff Daddy"), ("Moon", "MØ"), ("Star", "A$AP Ferg"), ("Tide", "The Jaynetts"),
    )  # fmt: skip
    rows = tracks(
        ("t:1", "Halo", "Beyoncé"), ("t:2", "Song", "Act"), ("t:3", "2 Hearts", "Act"), ("t:4", "REM Song", "REM"), ("t:5", "Good Day", "IU"),
        ("t:6", "Child", "Destinys Child"), ("t:7", "Sky", "3 Days Later"), ("t:8", "Sea", "J.Cole"), ("t:9", "Sun", "Diddy"), ("t:a", "Moon", "Mo"),
        ("t:b", "Star", "ASAP Ferg"), ("t:c", "Tide", "Jaynettes"),
    )  # fmt: skip
    few = match_keys(charted, rows)
    monkeypatch.setattr(candidates, "FEW_NAMES", 0)
    pd.testing.assert_frame_equal(few, match_keys(charted, rows))
    assert (few["status"] == "matched").all(), few[["title", "artist", "status"]]


def test_tables_as_duckdb_gives_them() -> None:
    con = duckdb.connect()
    charted = con.sql(
        "select * from (values ('Song', 'Act', 1, date '2015-01-03', date '2015-02-07', null), ('Gone', 'Nobody', 1, date '2015-01-03', null, null)) "
        "as k(title, artist, run_no, first_date, last_date, spotify_id)"
    ).df()
    rows = con.sql(
        "select * from (values ('t:1', null, null, 'Song', 'Act', null, null, date '2014-12-01', 200000::bigint, 50::double), "
        "('t:2', 'x2', 'USABC1400001', 'Song', 'Act', 'Act; Guest', 'Album', null, null, null), (null::varchar, null, null, null, null, null, null, null, null, null)) "
        "as t(track_id, spotify_id, isrc, title, artist, artists, album, release_date, duration_ms, popularity)"
    ).df()
    found = match_keys(charted, rows)
    assert found["track_id"].iloc[0] == "t:1"
    assert found["status"].tolist() == ["matched", "unmatched"]
    con.register("links", found)
    assert con.sql("select count(*) from links where score between 0 and 1 and run_no = 1").fetchone() == (2,)


def test_odd_texts_never_break_it(keys, tracks) -> None:
    rng = random.Random(5)
    alphabet = "aB1 -()[]/&+,.'\"!?$*#~〜ー夜の좋은날Żяй́ø\u200b\u0301\x01🎵｢｣《》（）ﬁⅣ½ｘ"
    names = {
        ("".join(rng.choices(alphabet, k=rng.randint(0, 14))), "".join(rng.choices(alphabet, k=rng.randint(0, 10))))
        for _ in range(800)
    }
    pairs = sorted(names)
    found = match_keys(keys(*pairs), tracks(*[(f"t:{i:04d}", title, artist) for i, (title, artist) in enumerate(pairs)]))
    assert len(found) == len(pairs)
    assert (found["status"] == "matched").mean() > 0.7
