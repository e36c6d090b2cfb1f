"""The explanation shows every candidate and adds up to the score."""

from __future__ import annotations

import numpy as np
import pytest

from soundscope.errors import BadInput
from soundscope.match import explain, match_keys
from soundscope.match.confidence import FEATURES, INTERCEPT, MATCHED_AT, REVIEW_AT, WEIGHTS


def test_candidates_evidence_and_words(keys, tracks) -> None:
    charted = keys(("Song", "Act Featuring Guest"), ("Else", "Else"))
    rows = tracks(
        {
            "track_id": "t:1",
            "title": "Song (feat. Guest)",
            "artists": "Act; Guest",
            "duration_ms": 200_000,
            "release_date": "2014-12-01",
        },
        {"track_id": "t:2", "title": "Song - Live", "artists": "Act", "duration_ms": 260_000, "release_date": "2019-01-01"},
        {"track_id": "t:3", "title": "Nothing Alike", "artists": "Act"},
    )
    told = explain("SONG", "act featuring guest", charted, rows)
    assert told.candidates["track_id"].tolist() == ["t:1", "t:2"]
    assert told.candidates["is_chosen"].tolist() == [True, False]
    assert "live" in told.candidates["version_evidence"].iloc[1]
    assert "after the chart run" in told.candidates["date_evidence"].iloc[1]
    assert told.links["track_id"].tolist() == match_keys(charted.iloc[:1], rows)["track_id"].tolist()
    assert "t:1" in told.words
    assert "Song - Live" in told.words


def test_the_pieces_add_up_to_the_score(keys, tracks) -> None:
    told = explain("Song", "Act", keys(("Song", "Act")), tracks(("t:1", "Song - Live", "Act"), ("t:2", "Song", "Act; Guest")))
    logit = INTERCEPT + told.candidates[list(FEATURES)].sum(axis=1)
    np.testing.assert_allclose(told.candidates["score"], 1 / (1 + np.exp(-logit)), atol=2e-3)


def test_no_candidate_is_said(keys, tracks) -> None:
    told = explain("Song", "Act", keys(("Song", "Act")), tracks(("t:1", "Other", "Other")))
    assert told.candidates.empty
    assert "No track shares" in told.words


def test_an_unknown_key_names_the_nearest(keys, tracks) -> None:
    with pytest.raises(BadInput, match="No chart holds") as error:
        explain("Sonk", "Act", keys(("Song", "Act")), tracks(("t:1", "Song", "Act")))
    assert "Song by Act" in error.value.next_step


def test_every_piece_of_evidence_speaks_against(keys) -> None:
    assert all(weight < 0 for weight in WEIGHTS.values()), "a plain, exact, unrivalled match must be the surest"
    assert 0 < REVIEW_AT < MATCHED_AT < 1
