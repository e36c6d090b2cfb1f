"""The back-test: songs that charted after their release against songs that did not, everything as of release.

Who the candidates are is said in `candidates.py`. Rows of the result are for `raw.alignment_backtest`; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends import likelihood as lk
from soundscope.trends.candidates import Candidates, earlier_songs, find_candidates, score_at_release
from soundscope.trends.catalogue import Catalogue, first_artist
from soundscope.trends.measure import auc, group_weights, interval, lift, within
from soundscope.trends.momentum import artist_history, artist_keys
from soundscope.trends.profile import VERSION, ChartWeeks, Releases
from soundscope.trends.sound import as_published

Array = NDArray[np.float64]
FIRST_YEAR = 1990
SCORES = ("alignment", "chart_likelihood", "likelihood_with_momentum")
SHIFTS = {"profile_1y_old": 364, "profile_5y_old": 1_820, "profile_20y_old": 7_280}
RIVALS = ("random", "timeless_centroid", "timeless_centroid_same_inputs", "density_of_charting", *SHIFTS, "artist_charted_before",
          "artist_momentum")  # fmt: skip
COLUMNS = (
    "chart", "quarter", "segment", "score", "is_rival", "auc", "ci_low", "ci_high", "lift_10", "n", "n_positive",
    "margin", "margin_low", "margin_high",
)  # fmt: skip
_RESAMPLES, _RESAMPLES_QUARTER = 400, 100
MIN_SEGMENT = 10


@dataclass(frozen=True)
class Scored:
    """Candidates with every score and rival (n,), NaN where there is none; `artist` (n,) and `genre` (n,) are for grouping."""

    found: Candidates
    values: dict[str, Array]
    artist: NDArray[np.object_]
    genre: NDArray[np.object_]
    is_new_artist: NDArray[np.bool_]


def score_candidates(catalogue: Catalogue, chart: str, tell: Callable[[str], None] | None = None, seed: int = 0) -> Scored:
    """All candidates of a chart with all scores, each made of what was known before the song came out.

    Momentum and "artist charted before" count chart dates up to eight days before release, so that the song itself has no say. The
    timeless centroid is the mean of all songs that charted before 2011 or, for songs released before 2011, of those that charted
    before their quarter: the first as in a yardstick fixed once, the second because the future is not known. The likelihood with momentum
    sees sound, the history of the lead and the best of everybody credited (a famous guest makes no hit by himself), whether the song is
    a single, how many songs of the artist came out the same day, and what became of those that came out before.
    """
    say = tell or (lambda _: None)
    weeks, releases = ChartWeeks(catalogue, chart), Releases(catalogue)
    found = find_candidates(catalogue, chart)
    say(f"{chart}: {len(found):,} candidates, {int(found.label.sum()):,} charted in time")
    values: dict[str, Array] = {}
    values["alignment"], values["density_of_charting"] = score_at_release(catalogue, weeks, releases, found)
    for name, shift in SHIFTS.items():
        say(f"{chart}: {name}")
        values[name] = score_at_release(catalogue, weeks, releases, found, shift)[0]
    for name, untransformed in (("timeless_centroid", True), ("timeless_centroid_same_inputs", False)):
        values[name] = _centroid(catalogue, weeks, found, untransformed)
    credited, before = artist_keys(catalogue.tracks.iloc[found.row]), found.released - np.timedelta64(8, "D")
    artists = artist_history(catalogue, [chart])
    history, of_lead = artists.as_of(credited, before), artists.as_of([names[:1] for names in credited], before)
    values["artist_momentum"] = history["momentum"].to_numpy()
    values["artist_charted_before"] = history["chart_weeks"].to_numpy()
    values["random"] = np.random.default_rng(seed).random(len(found))
    tracks = catalogue.tracks.iloc[found.row]
    artist = np.array([first_artist(name) if isinstance(name, str) else "" for name in tracks["artist"]], dtype=object)
    say(f"{chart}: models of the years")
    sound = lk.sound_inputs(found.points, found.harmony, values["alignment"], values["density_of_charting"])
    own = [catalogue.is_single[found.row], _same_day(artist, found), earlier_songs(artist, found)]
    known = np.column_stack([*own, lk.history_inputs(history), lk.history_inputs(of_lead)])
    both = np.column_stack([known, sound])
    allowed = found.train_ok
    values["chart_likelihood"] = _rolling(found, sound, allowed, seed)
    # Of sound, the linear part sees the two scores alone.
    linear = (*range(known.shape[1]), both.shape[1] - 2, both.shape[1] - 1)
    values["likelihood_with_momentum"] = _rolling(found, both, allowed, seed, linear)
    genre = tracks["genre"].astype("object").to_numpy()
    return Scored(found, values, artist, genre, (history["chart_weeks"] == 0).to_numpy())


def _same_day(artist: NDArray[np.object_], found: Candidates) -> Array:
    """log(1 + n) (n,) of the artist's songs that came out on the same day: albums enter charts whole since streaming counts."""
    keys = pd.DataFrame({"artist": artist, "day": found.released})
    return np.log1p(keys.groupby(["artist", "day"])["artist"].transform("size").to_numpy(dtype=float))


def _rolling(found: Candidates, inputs: Array, allowed: NDArray[np.bool_], seed: int, linear: tuple[int, ...] = ()) -> Array:
    out = np.full(len(found), np.nan)
    year = lk.year_of(found.released)
    for number in np.unique(year[year >= FIRST_YEAR]):
        known = lk.training_rows(found, int(number))
        model = lk.fit(int(number), inputs[known], found.label[known], allowed[known], seed, linear)
        rows = np.flatnonzero((year == number) & allowed & np.isfinite(inputs[:, -2:]).all(axis=1))
        if model.reason is None and len(rows):
            out[rows] = model.predict(inputs[rows])
    return out


def _centroid(catalogue: Catalogue, weeks: ChartWeeks, found: Candidates, untransformed: bool) -> Array:
    points, own = catalogue.points, found.points
    if untransformed:
        points, own = as_published(points), as_published(own)
    first = pd.DataFrame(
        {"recording": weeks.recording[weeks.known], "row": weeks.row[weeks.known], "day": weeks.day[weeks.known]}
    )
    first = first.sort_values("day", kind="stable").drop_duplicates("recording")
    day, rows = first["day"].to_numpy().astype("datetime64[D]"), first["row"].to_numpy()
    fixed = np.datetime64("2011-01-01", "D")
    until = np.minimum(found.released.astype("datetime64[M]").astype("datetime64[D]"), fixed)
    out = np.full(len(found), np.nan)
    for date in np.unique(until):
        past = points[rows[: np.searchsorted(day, date)]]
        if len(past) < 100:
            continue
        mine = until == date
        z = (own[mine] - np.nanmean(past, axis=0)) / np.nanstd(past, axis=0)
        out[mine] = -np.sqrt(np.nansum(z * z, axis=1))
    return out


def quarters(released: NDArray[np.datetime64]) -> NDArray[np.object_]:
    """Names as 2011Q3 of the quarters of dates (n,)."""
    month = released.astype("datetime64[M]").astype(int)
    return np.array([f"{1970 + m // 12}Q{m % 12 // 3 + 1}" for m in month], dtype=object)


def figures(scored: Scored, since: str = "1990-01-01", until: str = "9999-01-01", quarterly: bool = True) -> pd.DataFrame:
    """Figures of every score and rival, with `COLUMNS`.

    quarter: 'all', or as 2011Q3. segment: all; within_quarter and within_genre (area within them, weighted by pairs); new_artists (never
    charted before); genre:<name>, where at least ten songs charted and ten did not; later_excluded (negatives that charted after the 91 days left out). margin: auc minus that of the
    timeless centroid on the same songs, with a paired interval. Intervals: bootstrap over first artists.
    """
    day, label = scored.found.released, scored.found.label
    # All are compared on the same songs: those with an alignment.
    inside = (day >= np.datetime64(since)) & (day < np.datetime64(until)) & np.isfinite(scored.values["alignment"])
    segments: dict[str, NDArray[np.bool_]] = {
        "all": inside,
        "new_artists": inside & scored.is_new_artist,
        "later_excluded": inside & ~scored.found.charted_later,
    }
    known = pd.Series(scored.genre[inside]).dropna()
    for genre in sorted(known.unique()):
        mask = inside & (scored.genre == genre)
        if MIN_SEGMENT <= label[mask].sum() <= mask.sum() - MIN_SEGMENT:
            segments[f"genre:{genre}"] = mask
    rows: list[dict[str, object]] = []
    quarter = quarters(day)
    for segment, mask in segments.items():
        rows += _figures_of(scored, mask, "all", segment, _RESAMPLES)
    for name in (*SCORES, *RIVALS):
        values = scored.values[name]
        mask = inside & np.isfinite(values)
        genre = np.where(pd.isna(scored.genre), "", scored.genre)
        for segment, strata in (("within_quarter", quarter), ("within_genre", genre)):
            rows.append(_row(scored, name, "all", segment, mask) | {"auc": within(label[mask], values[mask], strata[mask])})
    if quarterly:
        for one in sorted(set(quarter[inside])):
            rows += _figures_of(scored, inside & (quarter == one), str(one), "all", _RESAMPLES_QUARTER)
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=list(COLUMNS)) if len(frame) else pd.DataFrame(columns=list(COLUMNS))


def _figures_of(scored: Scored, mask: NDArray[np.bool_], quarter: str, segment: str, resamples: int) -> list[dict[str, object]]:
    label = scored.found.label[mask]
    if not 0 < label.sum() < len(label):
        return []
    weights = group_weights(scored.artist[mask], resamples)
    base = scored.values["timeless_centroid"][mask]
    out: list[dict[str, object]] = []
    for name in (*SCORES, *RIVALS):
        values = scored.values[name][mask]
        known = np.isfinite(values)
        if not 0 < label[known].sum() < known.sum():
            continue
        drawn = auc(label[known], values[known], weights[known])
        low, high = interval(drawn)
        row = _row(scored, name, quarter, segment, mask & np.isfinite(scored.values[name]))
        value = float(auc(label[known], values[known])[0])
        row |= {"auc": value, "ci_low": low, "ci_high": high, "lift_10": lift(label[known], values[known])}
        # A margin is one on the same songs.
        if np.isfinite(base[known]).all():
            row["margin"] = value - float(auc(label[known], base[known])[0])
            row["margin_low"], row["margin_high"] = interval(drawn - auc(label[known], base[known], weights[known]))
        out.append(row)
    return out


def _row(scored: Scored, name: str, quarter: str, segment: str, mask: NDArray[np.bool_]) -> dict[str, object]:
    return {
        "chart": scored.found.chart,
        "quarter": quarter,
        "segment": segment,
        "score": name,
        "is_rival": name in RIVALS,
        "n": int(mask.sum()),
        "n_positive": int(scored.found.label[mask].sum()),
    }


def tag() -> str:
    """Changes whenever the figures may change with unchanged data."""
    return f"{VERSION}/{lk.VERSION}"
