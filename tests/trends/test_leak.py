"""No figure as of a date knows what came later: a future week, release, popularity observation and correction leave no trace."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from trends_world import CHART, catalogue, entries, sized, tracks

from soundscope.trends import words
from soundscope.trends.backtest import Scored, score_candidates
from soundscope.trends.batches import Aligner, due
from soundscope.trends.catalogue import Catalogue

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
Landed = dict[tuple[str, str, str], tuple[str, pd.DataFrame, pd.DataFrame]]
pytestmark = pytest.mark.e2e
NOW = datetime(2024, 1, 1)
FUTURE = pd.Timestamp("2014-12-29")


def future(parts: Parts) -> Parts:
    """The same world some weeks later, in every kind of news there is."""
    songs, charted, seen = (part.copy() for part in parts)
    # Releases, among them one that sounds like nothing before; another edition of an old song; an old one's sound is the same.
    new = tracks(40, seed=77).assign(release_date=FUTURE, release_precision="day")
    new["track_id"] = new["recording_id"] = [f"import:aaa:{i}" for i in range(40)]
    new["title"], new["artist"] = (
        [f"Novelty {chr(65 + i % 26)}{i // 26 * 'x'}" for i in range(40)],
        songs["artist"].iloc[:40].to_numpy(),
    )
    new["tempo"], new["loudness"] = 40.0, -40.0
    edition = songs.iloc[[10]].assign(track_id="import:aaa:edition", release_date=FUTURE)
    songs = pd.concat([songs, new, edition], ignore_index=True)
    # Weeks with songs old and new, more of them than ever, some by artists of old.
    weeks = []
    for number in range(6):
        day = FUTURE + pd.Timedelta(days=7 * number)
        for rank, row in enumerate([*range(number, 60, 2), *range(len(songs) - 41, len(songs) - 1)], 1):
            song = songs.iloc[row]
            weeks.append((CHART, day, rank, song["title"], song["artist"], song["track_id"]))
    charted = pd.concat([charted[["chart", "chart_date", "rank", "title", "artist", "track_id"]],
                         pd.DataFrame(weeks, columns=["chart", "chart_date", "rank", "title", "artist", "track_id"])])  # fmt: skip
    # An observation that replaces one, and one of a song that had none.
    seen.loc[0, "valid_to"] = FUTURE
    news = pd.DataFrame({"track_id": songs["track_id"].iloc[[0, 1]], "provider": "deezer", "popularity": 99.0, "valid_from": FUTURE,
                         "valid_to": pd.NaT, "is_native_scale": True})  # fmt: skip
    return songs, sized(charted), pd.concat([seen, news], ignore_index=True)


def corrected(parts: Parts) -> Parts:
    """The future, its first week corrected afterwards: ranks turned round."""
    songs, charted, seen = future(parts)
    first = charted["chart_date"] == FUTURE
    charted.loc[first, "rank"] = charted.loc[first, "size"] + 1 - charted.loc[first, "rank"]
    return songs, sized(charted[["chart", "chart_date", "rank", "title", "artist", "track_id"]]), seen


def landed(c: Catalogue, known: dict[tuple[str, str, str], str] | None = None) -> Landed:
    found: Landed = {}
    rows: dict[str, pd.DataFrame] = {"alignment_contributions": pd.DataFrame()}
    for table, frame in due(Aligner(c), known or {}, NOW):
        rows[table] = frame
        if table == "alignment_batches":
            one = frame.iloc[0]
            found[one["chart"], one["kind"], one["as_of"]] = (
                one["input_hash"],
                rows["alignment"],
                rows["alignment_contributions"],
            )
    return found


@pytest.fixture(scope="module")
def as_it_was(town: Catalogue) -> Landed:
    return landed(town)


@pytest.fixture(scope="module")
def scored(town: Catalogue) -> Scored:
    return score_candidates(town, CHART)


@pytest.mark.parametrize("news", [future, corrected])
def test_no_batch_knows_the_future(parts: Parts, as_it_was: Landed, news: object) -> None:
    later = landed(catalogue(news(parts)))  # type: ignore[operator]
    past = {key: value for key, value in as_it_was.items() if key[1] == "charting" and key[2] < "2014-12-01"}
    assert len(past) > 40
    assert any(frame["chart_likelihood"].notna().any() for _, frame, _ in past.values())
    assert any((frame["popularity_source"] == "deezer").any() for _, frame, _ in past.values())
    for key, (tag, frame, explained) in past.items():
        assert later[key][0] == tag
        pd.testing.assert_frame_equal(later[key][1], frame, check_exact=True)
        pd.testing.assert_frame_equal(later[key][2], explained, check_exact=True)


def test_no_score_of_the_backtest_knows_the_future(parts: Parts, scored: Scored) -> None:
    later = score_candidates(catalogue(future(parts)), CHART)
    ids = {row: name for name, row in later_rows(catalogue(future(parts))).items()}
    place = {ids[row]: number for number, row in enumerate(later.found.row.tolist())}
    was = catalogue(parts).tracks["track_id"].to_numpy()[scored.found.row]
    assert set(was) <= set(place)
    at = np.array([place[name] for name in was])
    for name in scored.values.keys() - {"random"}:
        np.testing.assert_array_equal(later.values[name][at], scored.values[name], err_msg=name)
    np.testing.assert_array_equal(later.found.label[at], scored.found.label)


def later_rows(c: Catalogue) -> dict[str, int]:
    return {str(name): row for row, name in enumerate(c.tracks["track_id"])}


def test_temporal_features_know_nothing_later(parts: Parts) -> None:
    as_of = np.datetime64("2014-06-02")
    one, two = catalogue(parts), catalogue(future(parts))
    for name in one.tracks["track_id"].iloc[:30]:
        found = [words.temporal(c, later_rows(c)[name], CHART, as_of) for c in (one, two)]
        assert found[0] == found[1]


def test_a_plain_change_of_the_past_is_seen(parts: Parts, as_it_was: Landed) -> None:
    """The comparison above can fail: a week within the window turned round changes what depends on it, and nothing earlier."""
    songs, charted, seen = parts
    turned = charted.copy()
    week = turned["chart_date"] == pd.Timestamp("2013-06-03")
    turned.loc[week, "points"] = turned.loc[week, "size"] + 1 - turned.loc[week, "points"]
    found = landed(catalogue((songs, turned, seen)))
    changed = sorted(key[2] for key in as_it_was if key[1] == "charting" and found[key][0] != as_it_was[key][0])
    assert changed
    assert changed[0] >= "2013-06-03"


def test_only_what_has_changed_is_made_again(parts: Parts, as_it_was: Landed) -> None:
    known = {key: tag for key, (tag, _, _) in as_it_was.items()}
    assert not landed(catalogue(parts), known)
    songs, _, seen = parts
    again = landed(catalogue((songs, entries(songs, weeks=209), seen)), known)
    assert {key[1] for key in again} == {"current", "charting"}
    assert len(again) <= 3


def test_a_batch_that_should_be_no_more_is_emptied(town: Catalogue, as_it_was: Landed) -> None:
    known = {key: tag for key, (tag, _, _) in as_it_was.items()} | {(CHART, "charting", "1999-01-01"): "abc"}
    [(table, frame)] = list(due(Aligner(town), known, NOW))
    assert table == "alignment_batches"
    assert frame[["as_of", "n_rows"]].to_numpy().tolist() == [["1999-01-01", 0]]
