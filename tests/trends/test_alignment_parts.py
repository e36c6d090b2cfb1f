"""Densities, profiles, alignment, momentum, popularity and measures against their definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gaussian_kde, spearmanr
from sklearn.metrics import roc_auc_score
from trends_world import CHART, tracks

from soundscope.trends import alignment as al
from soundscope.trends import measure
from soundscope.trends.catalogue import Catalogue
from soundscope.trends.kernel import kernel_density, leave_one_out, prototype_density
from soundscope.trends.momentum import artist_history, artist_keys, credited_keys
from soundscope.trends.popularity import popularity_as_of
from soundscope.trends.profile import BANDWIDTH, ChartWeeks, Profile, Releases, make_profile
from soundscope.trends.sound import as_published, points

AS_OF = np.datetime64("2013-09-02", "D")


@pytest.fixture(scope="module")
def profile(town: Catalogue) -> Profile:
    found = make_profile(town, ChartWeeks(town, CHART), Releases(town), AS_OF)
    assert found is not None
    return found


# --- densities ---


def test_kernel_density_is_the_weighted_sum_of_gaussians() -> None:
    rng = np.random.default_rng(1)
    sample, weights, at = rng.normal(size=(40, 3)), rng.random(40), rng.normal(size=(9, 3))
    squares = ((at[:, None, :] - sample[None]) ** 2).sum(axis=2)
    expected = np.log((weights / weights.sum() * np.exp(-squares / (2 * 0.7**2))).sum(axis=1)) - 3 * np.log(0.7)
    np.testing.assert_allclose(kernel_density(sample, weights, 0.7).log_density(at), expected, atol=1e-4)


def test_kernel_density_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    sample = rng.normal(size=(200, 1))
    theirs = gaussian_kde(sample[:, 0], bw_method=lambda _: 0.5 / sample.std(ddof=1))
    found = kernel_density(sample, np.ones(200), 0.5).log_density(sample[:20]) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, theirs.logpdf(sample[:20, 0]), atol=1e-4)


def test_gradient_is_the_slope_of_the_log_density() -> None:
    rng = np.random.default_rng(3)
    for density in (
        kernel_density(rng.normal(size=(30, 4)), rng.random(30), 0.8),
        prototype_density(rng.normal(size=(300, 4)), rng.random(300), 0.8, 20),
    ):
        at, step = rng.normal(size=(6, 4)), 0.02
        for axis in range(4):
            aside = np.zeros(4)
            aside[axis] = step
            slope = (density.log_density(at + aside) - density.log_density(at - aside)) / (2 * step)
            np.testing.assert_allclose(density.gradient(at)[:, axis], slope, atol=2e-3)


def test_leaving_one_out_equals_a_density_of_the_others() -> None:
    rng = np.random.default_rng(4)
    sample, weights = rng.normal(size=(25, 3)), rng.random(25)
    whole = kernel_density(sample, weights, 0.6)
    others = np.arange(25) != 7
    expected = kernel_density(sample[others], weights[others], 0.6).log_density(sample[[7]])
    np.testing.assert_allclose(leave_one_out(whole, sample, np.array([7]), 0.6), expected, atol=1e-4)


def test_far_points_have_finite_densities() -> None:
    density = kernel_density(np.zeros((5, 2)), np.ones(5), 0.1)
    assert np.isfinite(density.log_density(np.array([[1e3, 1e3], [0.0, 0.0]]))).all()


def test_prototypes_rank_twenty_thousand_tracks_as_the_exact_kernel_does() -> None:
    rng = np.random.default_rng(5)
    kinds = rng.normal(size=(6, 10)) * 1.2
    reference = kinds[rng.integers(6, size=3_500)] + rng.normal(size=(3_500, 10)) * 0.8
    charting = kinds[rng.integers(3, size=700)] + rng.normal(size=(700, 10)) * 0.7
    tracks_ = kinds[rng.integers(6, size=20_000)] + rng.normal(size=(20_000, 10))
    weights = rng.integers(1, 900, 700).astype(float)
    exact = kernel_density(charting, weights, BANDWIDTH).log_density(tracks_)
    exact -= kernel_density(reference, np.ones(3_500), BANDWIDTH).log_density(tracks_)
    near = prototype_density(charting, weights, BANDWIDTH, 512).log_density(tracks_)
    near -= prototype_density(reference, np.ones(3_500), BANDWIDTH, 256).log_density(tracks_)
    assert spearmanr(exact, near).statistic >= 0.99


# --- profile and alignment ---


def test_a_profile_sees_its_window_and_nothing_later(town: Catalogue, profile: Profile) -> None:
    inside = (town.day > AS_OF - np.timedelta64(84, "D")) & (town.day <= AS_OF)
    seen = town.entries[inside]
    points_of = seen.groupby("row")["points"].sum()
    assert profile.charting_rows.tolist() == points_of.index.tolist()
    np.testing.assert_allclose(profile.charting.weights, points_of / points_of.sum())
    assert profile.coverage == 1.0
    assert (town.released[profile.released_rows] <= AS_OF).all()


def test_no_profile_before_there_is_a_chart(town: Catalogue) -> None:
    assert make_profile(town, ChartWeeks(town, CHART), Releases(town), np.datetime64("2010-01-01", "D")) is None
    assert make_profile(town, ChartWeeks(town, "none such"), Releases(town), AS_OF) is None


def test_percentiles_count_ties_half_and_need_a_population() -> None:
    among = np.arange(100.0)
    assert al.percentile(np.array([-1.0, 0.0, 50.0, 99.0, 200.0]), among).tolist() == [0.0, 0.5, 50.5, 99.5, 100.0]
    assert al.percentile(np.array([3.0]), np.zeros(100) + 3).tolist() == [50.0]
    assert np.isnan(al.percentile(np.array([3.0]), among[:49])).all()


def test_percentiles_within_genre_compare_with_the_genre_alone() -> None:
    among, numbers = np.concatenate([np.arange(30.0), 1_000 + np.arange(30.0), np.arange(5.0)]), np.repeat([0, 1, 2], [30, 30, 5])
    found = al.percentile_in_genre(np.array([29.5, 29.5, 2.0, 2.0]), np.array([0, 1, 2, -1]), among, numbers)
    assert found[:2].tolist() == [100.0, 0.0]
    assert np.isnan(found[2:]).all()


def test_contributions_add_up_to_the_score_minus_its_mean(town: Catalogue, profile: Profile) -> None:
    among = al.population(town, AS_OF, is_current=False)
    scores = profile.score(town.points[among], town.recording[among])
    some = among[:40]
    values, own = al.contributions(profile, town.points[some], town.recording[some], town.points[among], float(scores.mean()))
    np.testing.assert_allclose(own, scores[:40], atol=1e-4)
    np.testing.assert_allclose(values.sum(axis=1), own - scores.mean(), atol=1e-9)
    # The chart likes danceability and energy; nothing else tells songs apart.
    strength = np.abs(values).mean(axis=0)
    assert set(np.argsort(-strength)[:2]) == {1, 2}


def test_the_songs_a_chart_likes_are_aligned_with_it(town: Catalogue, profile: Profile) -> None:
    among = al.population(town, AS_OF, is_current=False)
    scores = profile.score(town.points[among], town.recording[among])
    assert spearmanr(scores, town.tracks["fit"].to_numpy()[among]).statistic > 0.4


def test_a_song_is_compared_with_the_others_only(town: Catalogue, profile: Profile) -> None:
    row = profile.charting_rows[:1]
    own = profile.score(town.points[row], town.recording[row])
    stranger = profile.score(town.points[row], np.array([-1]))
    assert own[0] < stranger[0]


def test_nearest_songs_are_charting_ones_and_never_the_song_itself(town: Catalogue, profile: Profile) -> None:
    row = int(profile.charting_rows[0])
    found = al.nearest(town, profile, row)
    assert len(found) == 5
    assert found["distance"].is_monotonic_increasing
    assert town.tracks["title"].iloc[row] not in set(found["title"])


def test_confidence_falls_with_what_is_not_known(town: Catalogue, profile: Profile) -> None:
    full = town.points[:1].copy()
    part = full.copy()
    part[0, :3] = np.nan
    sure, less = al.confidence(profile, full)[0], al.confidence(profile, part)[0]
    assert 0 < less < sure < 1
    assert less == pytest.approx(0.7 * sure)


def test_unknown_features_lie_at_the_centre() -> None:
    frame = tracks(5)
    frame.loc[0, "tempo"] = np.nan
    frame.loc[1, "acousticness"] = 0.0
    found = points(frame)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[1]).all()
    np.testing.assert_allclose(as_published(found)[1:, 5], frame["acousticness"][1:], atol=1e-12)


# --- history and popularity ---


def test_momentum_is_weeks_worth_their_points_and_forgotten_by_half_every_two_years(town: Catalogue) -> None:
    artist = town.entries["artist"].iloc[len(town.entries) // 2]
    mine = town.entries[(town.entries["artist"] == artist) & (town.day <= AS_OF)]
    age = (AS_OF - mine["chart_date"].to_numpy().astype("datetime64[D]")).astype(float)
    keys = artist_keys(pd.DataFrame({"artist": [artist], "artists": [artist], "title": ["x"]}))
    found = artist_history(town, [CHART]).as_of(keys, np.array([AS_OF])).iloc[0]
    assert found["momentum"] == pytest.approx((mine["points"] / mine["size"] * 0.5 ** (age / 730)).sum())
    assert (found["chart_weeks"], found["songs_5y"]) == (len(mine), mine["title"].nunique())
    assert found["days_since_charted"] == age.min()
    assert found["best_points"] == pytest.approx((mine["points"] / mine["size"]).max())


def test_nobody_has_a_history_before_charting(town: Catalogue) -> None:
    early = artist_history(town, [CHART]).as_of(artist_keys(town.tracks), np.full(len(town.tracks), np.datetime64("2010-01-01")))
    assert (early[["momentum", "chart_weeks", "best_points"]] == 0).all().all()
    assert early["days_since_charted"].isna().all()


def test_guests_named_in_titles_count_for_momentum() -> None:
    row = pd.DataFrame({"artist": ["Bo"], "artists": ["Bo; Al"], "title": ["Go (feat. Cy)"]})
    assert set(artist_keys(row)[0]) == {"bo", "al", "cy"}


def test_names_side_by_side_count_once_both_have_charted() -> None:
    """`Jay Z Kanye West` is two names, and no later chart date may say so."""
    credits = pd.Series(
        ["Jay Z Kanye West", "Jay Z", "Kanye West Featuring Nobody", "Jay Z Kanye West", "Robin Luke", "Robin", "Luke"]
    )
    day = np.array(["2011-01-01", "2011-01-08", "2011-01-15", "2011-01-15", "2011-01-22", "2011-01-01", "2011-01-01"], "M8[D]")
    together = "jayzkanyewest"
    found = credited_keys(credits, day)
    assert found[0] == (together,)
    assert found[3] == (together, "jayz", "kanyewest")
    assert found[4] == ("robinluke",)
    # Names of a later day that would cut it elsewhere change nothing.
    both = pd.Series(["Aa Bb Cc", "Dd Ee", "Aa Bb Cc Dd Ee", "Aa Bb", "Cc Dd Ee"])
    years = np.array(["1990-01-06", "1990-01-06", "1995-01-07", "2030-01-05", "2031-01-04"], "M8[D]")
    assert credited_keys(both, years)[2] == credited_keys(both[:3], years[:3])[2] == ("aabbccddee", "aabbcc", "ddee")


def test_popularity_is_what_was_observed_by_then_and_from_the_chart_where_nobody_observes_any(town: Catalogue) -> None:
    weeks, rows = ChartWeeks(town, CHART), np.arange(len(town.tracks))
    before = popularity_as_of(town, weeks, np.datetime64("2013-05-31"), rows)
    after = popularity_as_of(town, weeks, np.datetime64("2013-06-01"), rows)
    assert before.isna().all(axis=None)
    unobserved = Catalogue(town.tracks, town.entries, town.popularity.iloc[:0])
    charted = popularity_as_of(unobserved, ChartWeeks(unobserved, CHART), np.datetime64("2013-05-31"), rows)
    assert set(charted["source"].dropna()) == {f"chart:{CHART}"}
    assert charted["popularity"].dropna().between(0, 100).all()
    assert (after["source"] == "deezer").sum() == len(town.popularity)
    assert (after["source"] == "deezer")[::3].all()
    assert after["percentile"].dropna().between(0, 100).all()
    one = popularity_as_of(town, weeks, np.datetime64("2013-06-01"), rows[5:6])
    pd.testing.assert_frame_equal(one, after.iloc[5:6].reset_index(drop=True))
    # Who asks today hears what is known today, though the date is an earlier one.
    today = popularity_as_of(town, weeks, np.datetime64("2013-05-31"), rows, newest=True)
    pd.testing.assert_frame_equal(today[::3], after[::3])


# --- measures ---


def test_auc_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    rng = np.random.default_rng(6)
    label, score, weight = rng.integers(0, 2, 300), rng.integers(0, 20, 300).astype(float), rng.integers(0, 4, (300, 3)) * 1.0
    assert measure.auc(label, score)[0] == pytest.approx(roc_auc_score(label, score))
    expected = [roc_auc_score(label, score, sample_weight=w) for w in weight.T]
    np.testing.assert_allclose(measure.auc(label, score, weight), expected)
    assert np.isnan(measure.auc(np.ones(4, dtype=int), np.arange(4.0))).all()


def test_lift_is_the_rate_in_the_best_tenth_over_that_of_all() -> None:
    label = np.array([1] * 5 + [0] * 45)
    assert measure.lift(label, np.arange(50.0)[::-1]) == pytest.approx(10.0)
    assert measure.lift(label, np.zeros(50)) == pytest.approx(1.0)
    assert np.isnan(measure.lift(np.zeros(5, dtype=int), np.zeros(5)))


def test_bootstrap_draws_whole_groups() -> None:
    groups = np.repeat(["a", "b", "c"], [3, 1, 5])
    weights = measure.group_weights(groups, 50)
    assert weights.shape == (9, 50)
    assert (weights[:3] == weights[0]).all()
    assert (weights[[0, 3, 4]].sum(axis=0) == 3).all()


def test_intervals_are_wider_when_groups_are_few() -> None:
    rng = np.random.default_rng(7)
    label, score = rng.integers(0, 2, 400), rng.normal(size=400)
    width = []
    for groups in (np.arange(400), np.arange(400) % 20):
        low, high = measure.interval(measure.auc(label, score, measure.group_weights(groups, 300)))
        assert low < measure.auc(label, score)[0] < high
        width.append(high - low)
    assert min(width) > 0
    assert np.isnan(measure.interval(np.array([0.5] * 10))).all()


def test_within_strata_only_pairs_of_one_stratum_count() -> None:
    label, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1])
    assert measure.within(label, score, np.array(["x", "x", "y", "y"])) == 1.0
    assert measure.auc(label, score)[0] == 0.75
