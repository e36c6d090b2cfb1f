"""Candidates of the back-test, the yearly models, and the figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from trends_world import CHART, SHARES, Parts, catalogue

from soundscope.trends import likelihood as lk
from soundscope.trends.backtest import Scored, figures, quarters
from soundscope.trends.candidates import earlier_songs, find_candidates, slot_date, slots
from soundscope.trends.catalogue import Catalogue

pytestmark = pytest.mark.e2e


def test_labels_follow_the_protocol(town: Catalogue) -> None:
    found = find_candidates(town, CHART)
    first = town.entries.groupby("row")["chart_date"].min().reindex(found.row).to_numpy().astype("datetime64[D]")
    age = (first - found.released).astype(float)
    assert found.label.sum() > 100
    assert (found.label == ((age >= -7) & (age <= 91))).all()
    assert (found.released >= town.day.min() + np.timedelta64(84, "D")).all()
    assert (found.released <= town.day.max() - np.timedelta64(91, "D")).all()


def test_default_dates_versions_and_reissues_are_no_candidates(parts: Parts) -> None:
    songs, charted, seen = parts
    songs = songs.copy()
    whole = find_candidates(catalogue(parts), CHART)
    rows = whole.row[whole.label == 1][:3]
    songs.loc[rows[0], "release_date"] = pd.Timestamp("2013-01-01")
    songs.loc[rows[1], "title"] = songs.loc[rows[1], "title"] + " (Live)"
    songs.loc[rows[2], "release_date"] = songs.loc[rows[2], "release_date"] + pd.Timedelta(days=150)
    left = find_candidates(catalogue((songs, charted, seen)), CHART)
    assert not set(rows.tolist()) & set(left.row.tolist())
    assert left.left_out["default date"] == whole.left_out["default date"] + 1
    assert left.left_out["other version"] == whole.left_out["other version"] + 1
    assert left.left_out["charted before release"] == whole.left_out["charted before release"] + 1


@pytest.mark.parametrize(
    ("title", "artist", "is_same"),
    [
        ("{title} [Somebody + {artist}]", "{artist}", True),
        ("{title} (A Subtitle)", "Somebody Featuring {artist}", True),
        ("{title} (Part 2)", "{artist}", False),
        ("{title}", "Somebody Else", False),
        ("Quite Another", "{artist}", False),
    ],
)
def test_a_song_is_known_by_its_title_and_anybody_credited(parts: Parts, title: str, artist: str, is_same: bool) -> None:
    """Charts put another of several artists first, and catalogues name guests in brackets."""
    songs, charted, seen = parts
    whole = find_candidates(catalogue(parts), CHART)
    row = int(whole.row[whole.label == 1][0])
    song = songs.iloc[row]
    charted = charted.copy()
    mine = charted["track_id"] == song["track_id"]
    charted.loc[mine, "title"] = title.format(title=song["title"], artist=song["artist"])
    charted.loc[mine, "artist"] = artist.format(artist=song["artist"])
    charted["track_id"] = charted["track_id"].where(~mine)
    found = find_candidates(catalogue((songs, charted, seen)), CHART)
    [place] = np.flatnonzero(found.row == row)
    assert found.label[place] == int(is_same)
    others = found.row != row
    np.testing.assert_array_equal(found.label[others], whole.label[whole.row != row])


def test_what_is_linked_to_a_recording_is_that_song(parts: Parts) -> None:
    songs, charted, seen = parts
    whole = find_candidates(catalogue(parts), CHART)
    row = int(whole.row[whole.label == 1][0])
    charted = charted.copy()
    mine = charted["track_id"] == songs.iloc[row]["track_id"]
    charted.loc[mine, ["title", "artist"]] = ["A Name in Another Script", "Nobody"]
    np.testing.assert_array_equal(find_candidates(catalogue((songs, charted, seen)), CHART).label, whole.label)


def test_one_provider_describes_all_candidates(parts: Parts) -> None:
    """A source that knows hits alone, oddities and all, must not be how hits are told from other songs."""
    songs, charted, seen = parts
    hits = songs["track_id"].isin(charted["track_id"])
    chosen, other = songs.copy(), songs[hits].copy()
    chosen.loc[hits, "feature_provider"] = "import:hits"
    chosen.loc[hits, "tempo"] = 1.0
    chosen.loc[~hits, "time_signature"] = np.nan
    other["provider"], other["time_signature"] = "import:town", np.nan
    c = catalogue((chosen, charted, seen))
    c.other_sound = other[
        ["track_id", "provider", "train_ok", "key", "mode", "time_signature", "tempo", "loudness", "duration_ms", *SHARES]
    ]
    plain = find_candidates(catalogue(parts), CHART)
    found = find_candidates(c, CHART)
    # Fewer songs that did not chart than did: the larger source is the one that knows both.
    assert found.provider == "import:town"
    assert np.isnan(found.harmony[:, 2]).all()
    np.testing.assert_array_equal(found.row, plain.row)
    np.testing.assert_array_equal(found.points, plain.points)


def test_a_chart_nobody_knows_has_no_candidates(town: Catalogue) -> None:
    assert len(find_candidates(town, "none such")) == 0


def test_profiles_end_before_the_releases_they_are_used_for() -> None:
    released = np.arange("2012-01-01", "2013-01-01", dtype="datetime64[D]")
    ends = np.array([slot_date(int(number)) for number in slots(released)])
    assert (ends < released).all()
    assert (released - ends).max() <= np.timedelta64(28, "D")


def drawn(n: int = 900, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 15))
    return x, (rng.random(n) < 1 / (1 + np.exp(-(x[:, 0] + x[:, 1] - 2)))).astype(np.int64)


def test_likelihoods_are_calibrated_and_rank() -> None:
    x, y = drawn(1_500)
    model = lk.fit(2020, x, y, np.ones(1_500, dtype=bool))
    fresh, truth = drawn(3_000, seed=2)
    p = model.predict(fresh)
    assert model.reason is None
    assert ((p > 0) & (p < 1)).all()
    assert p.mean() == pytest.approx(truth.mean(), abs=0.04)
    low, high = p < np.median(p), p >= np.median(p)
    for part in (low, high):
        assert p[part].mean() == pytest.approx(truth[part].mean(), abs=0.07)
    assert truth[high].mean() > 2 * truth[low].mean()
    np.testing.assert_array_equal(p, lk.fit(2020, x, y, np.ones(1_500, dtype=bool)).predict(fresh))


def test_the_licence_guard_says_why_there_is_no_model() -> None:
    x, y = drawn()
    allowed = np.zeros(len(y), dtype=bool)
    allowed[:200] = True
    model = lk.fit(2020, x, y, allowed)
    assert model.reason is not None
    assert "700 more may not be trained on" in model.reason
    assert np.isnan(model.predict(x[:5])).all()


def test_where_hardly_a_song_did_not_chart_there_is_no_model() -> None:
    x, y = drawn()
    y[:] = 1
    y[:3] = 0
    assert "of those that did not 20 each" in (lk.fit(2020, x, y, np.ones(len(y), dtype=bool), linear=(0, 1)).reason or "")


def test_forbidden_rows_teach_nothing() -> None:
    x, y = drawn()
    allowed = np.arange(len(y)) % 2 == 0
    other = y.copy()
    other[~allowed] = 1 - other[~allowed]
    one, two = (lk.fit(2020, x, labels, allowed).predict(x) for labels in (y, other))
    np.testing.assert_array_equal(one, two)


def test_a_year_learns_only_from_labels_known_when_it_began(town: Catalogue) -> None:
    found = find_candidates(town, CHART)
    known = lk.training_rows(found, 2014)
    assert known.any()
    assert found.released[known].max() + np.timedelta64(91, "D") < np.datetime64("2014-01-01")


def test_margins_are_those_on_the_same_songs(town: Catalogue) -> None:
    found = find_candidates(town, CHART)
    rng, n = np.random.default_rng(3), len(found)
    names = ("alignment", "chart_likelihood", "likelihood_with_momentum", "random", "timeless_centroid", "timeless_centroid_same_inputs",
             "density_of_charting", "profile_1y_old", "profile_5y_old", "profile_20y_old", "artist_charted_before", "artist_momentum")  # fmt: skip
    values = {name: rng.random(n) for name in names}
    values["alignment"] = found.label + rng.normal(size=n)
    part = rng.random(n) < 0.5
    values["chart_likelihood"] = np.where(part, values["alignment"], np.nan)
    groups = np.array([f"a{i % 50}" for i in range(n)], dtype=object)
    shown = figures(Scored(found, values, groups, np.full(n, None, dtype=object), part), quarterly=False)
    row = shown[(shown["segment"] == "all")].set_index("score")
    assert row.loc["alignment", "margin"] == pytest.approx(row.loc["alignment", "auc"] - row.loc["timeless_centroid", "auc"])
    assert row.loc["alignment", "ci_low"] < row.loc["alignment", "auc"] < row.loc["alignment", "ci_high"]
    assert row.loc["chart_likelihood", "n"] == part.sum()
    values["timeless_centroid"] = np.full(n, np.nan)
    none = figures(Scored(found, values, groups, np.full(n, None, dtype=object), part), quarterly=False)
    assert none["margin"].isna().all()


def test_quarters_are_named() -> None:
    assert quarters(np.array(["2011-01-31", "2011-12-01"], dtype="datetime64[D]")).tolist() == ["2011Q1", "2011Q4"]


def test_what_became_of_earlier_songs_is_what_was_known_by_release(town: Catalogue) -> None:
    """Compared with counting one by one; an outcome within its 91 days is nobody's knowledge yet."""
    found = find_candidates(town, CHART)
    artist = np.array([f"act {row % 7}" for row in found.row], dtype=object)
    got = earlier_songs(artist, found)
    day = found.released.astype(int)
    for place in range(0, len(found), 11):
        age = day[place] - day
        own = artist == artist[place]
        settled = own & (age > 91) & (age < 1_826)
        hits, songs = found.label[settled].sum(), settled.sum()
        share = (hits + 0.14) / (songs + 2)
        wanted = [np.log(share / (1 - share)), np.log1p(songs - hits), np.log1p((own & (age > 0) & (age < 365)).sum())]
        assert got[place] == pytest.approx(wanted)
    assert got[:, 0].std() > 0.1


def test_of_many_songs_a_sample_is_learnt_from_and_the_odds_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(12_000, 15))
    chance = 1 / (1 + np.exp(3.0 - inputs[:, 0]))
    label = (rng.random(12_000) < chance).astype(np.int64)
    allowed = np.ones(12_000, dtype=bool)
    whole = lk.fit(2000, inputs, label, allowed).predict(inputs)
    monkeypatch.setattr(lk, "MAX_ROWS", 3_000)
    sampled = lk.fit(2000, inputs, label, allowed)
    assert (sampled.n_train, sampled.n_positive) == (12_000, label.sum())
    assert sampled.predict(inputs).mean() == pytest.approx(label.mean(), rel=0.15)
    assert np.corrcoef(sampled.predict(inputs), whole)[0, 1] > 0.7
