"""Songs of which it is known whether they charted soon after their release: what models learn from and what the back-test is made of.

Protocol: songs released on a known day (the first of January is a default date and does not count), no live takes, remixes or other
versions, one row per song at its earliest release. A song is positive if it enters the chart from 7 days before to 91 days after its
release, negative if it does not in that time; what charted earlier is a reissue and left out. Whose entry is whose song is said in
`songs.py`. All are described by one and the same
provider: files of chart songs describe hits alone, and any oddity of theirs would tell hits from other songs without listening.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.match.columns import text_column
from soundscope.match.plain import plain_title_keys
from soundscope.match.titles import parse_title
from soundscope.trends.catalogue import Catalogue, Days, days, harmony
from soundscope.trends.profile import ChartWeeks, Profile, Releases, make_profile
from soundscope.trends.songs import days_on_chart
from soundscope.trends.sound import INPUTS, MIN_KNOWN, points

EARLY, LATE = np.timedelta64(7, "D"), np.timedelta64(91, "D")
# Profiles are refreshed every 28 days, always from chart dates before the first release they are used for.
STEP_DAYS = 28
_HOLE = np.timedelta64(14, "D")
# Of candidates that charted in time: what an artist's own share is drawn to while little is known of it.
_USUAL_SHARE = 0.07


@dataclass(frozen=True)
class Candidates:
    """n songs and what became of them on one chart.

    Attributes:
        row: (n,) rows in the catalogue. released: (n,) day of release. label: (n,) 1 if it charted in time, else 0.
        charted_later: (n,) negatives that entered the chart after the 91 days. left_out: counts by reason.
        provider: whose values describe them. points: (n, 10) as `sound.points` gives them. harmony: (n, 3). train_ok: (n,).
    """

    chart: str
    row: NDArray[np.intp]
    released: Days
    label: NDArray[np.int64]
    charted_later: NDArray[np.bool_]
    left_out: dict[str, int]
    provider: str
    points: NDArray[np.float64]
    harmony: NDArray[np.float64]
    train_ok: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)


def find_candidates(catalogue: Catalogue, chart: str, known_until: np.datetime64 | None = None) -> Candidates:
    """The candidates of a chart, by day of release.

    Args:
        known_until: use chart dates up to then only, and songs whose 91 days had passed; None for all that is held.
    """
    entries = catalogue.entries_of(chart)
    if known_until is not None:
        entries = entries[catalogue.day[entries] <= known_until]
    day = catalogue.day[entries]
    frame, sound, left_out = _songs(catalogue)
    first, later = _entered(frame, days_on_chart(catalogue, entries, frame["row"].to_numpy()))
    released: Days = frame["released"].to_numpy().astype("datetime64[D]")
    watched = _watched(np.unique(day), released)
    reissue = watched & (first < np.subtract(released, EARLY))
    left_out |= {"chart not held after release": int((~watched).sum()), "charted before release": int(reissue.sum())}
    kept = watched & ~reissue
    entered = ~np.isnat(later)
    label = (entered & (later <= np.add(released, LATE))).astype(np.int64)
    at = frame["place"].to_numpy()[kept]
    return Candidates(
        chart,
        frame["row"].to_numpy()[kept],
        released[kept],
        label[kept],
        (entered & (label == 0))[kept],
        left_out,
        sound.provider,
        sound.points[at],
        sound.harmony[at],
        sound.train_ok[at],
    )


@dataclass(frozen=True)
class _Sound:
    """What one provider says of some rows of the catalogue."""

    provider: str
    row: NDArray[np.intp]
    points: NDArray[np.float64]
    harmony: NDArray[np.float64]
    train_ok: NDArray[np.bool_]


def _sound_by_one(catalogue: Catalogue, usable: NDArray[np.bool_]) -> _Sound:
    """The sound of the usable tracks by the provider that knows most of them; rows in order."""
    place = pd.Series(np.arange(len(usable)), index=catalogue.tracks["track_id"].to_numpy())
    chosen = catalogue.tracks["feature_provider"].astype("object").to_numpy()
    other = catalogue.other_sound if catalogue.other_sound is not None else pd.DataFrame({"track_id": [], "provider": []})
    other_row = place.reindex(other["track_id"]).to_numpy()
    counts = pd.concat([pd.Series(chosen[usable]), other["provider"][usable[other_row.astype(np.intp)]]]).value_counts()
    if not len(counts):
        return _Sound("", np.empty(0, dtype=np.intp), np.empty((0, len(INPUTS))), np.empty((0, 3)), np.empty(0, dtype=bool))
    provider = min(counts.index[counts == counts.max()])
    own = np.flatnonzero(usable & (chosen == provider))
    theirs = (other["provider"] == provider).to_numpy() & usable[other_row.astype(np.intp)]
    row = np.concatenate([own, other_row[theirs].astype(np.intp)])
    order = np.argsort(row, kind="stable")
    if not theirs.any():
        return _Sound(provider, row, catalogue.points[own], catalogue.harmony[own], catalogue.train_ok[own])
    more = other[theirs]
    allowed = np.concatenate([catalogue.train_ok[own], more["train_ok"].fillna(False).to_numpy(dtype=bool)])
    return _Sound(
        provider,
        row[order],
        np.concatenate([catalogue.points[own], points(more)])[order],
        np.concatenate([catalogue.harmony[own], harmony(more)])[order],
        allowed[order],
    )


def _songs(catalogue: Catalogue) -> tuple[pd.DataFrame, _Sound, dict[str, int]]:
    tracks = catalogue.tracks
    released = days(tracks["release_date"])
    is_day = (tracks["release_precision"].astype("string").fillna("day") == "day").to_numpy() & ~np.isnat(released)
    is_default = np.zeros(len(tracks), dtype=bool)
    is_default[is_day] = released[is_day] == released[is_day].astype("datetime64[Y]").astype("datetime64[D]")
    plain = _names_no_version(tracks)
    sound = _sound_by_one(catalogue, is_day & plain & catalogue.is_scorable)
    known = (~np.isnan(sound.points)).sum(axis=1) >= MIN_KNOWN
    row = sound.row[known]
    frame = pd.DataFrame(
        {
            "row": row,
            "place": np.flatnonzero(known),
            "song": catalogue.song[row],
            "released": released[row],
            "default": is_default[row],
        }
    )
    frame = frame.sort_values(["released", "row"]).drop_duplicates("song")
    left_out = {
        "no day of release": int((~is_day).sum()),
        "other version": int((is_day & ~plain).sum()),
        "sound not known": int((is_day & plain & ~catalogue.is_scorable).sum()),
        "sound from another provider": int((is_day & plain & catalogue.is_scorable).sum()) - len(row),
        "default date": int(frame["default"].sum()),
    }
    return frame[~frame["default"]].reset_index(drop=True), sound, left_out


def _names_no_version(tracks: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether titles (n,) name no live take, remix or other version; false without a title."""
    titles = text_column(tracks, "title").dictionary_encode()
    found = plain_title_keys(titles.dictionary)[0]
    others = np.flatnonzero(~found)
    found[others] = [not parse_title(titles.dictionary[place].as_py()).kinds for place in others.tolist()]
    return found[titles.indices.to_numpy()] & tracks["title"].notna().to_numpy()


def _entered(frame: pd.DataFrame, charted: pd.DataFrame) -> tuple[Days, Days]:
    """First date on the chart, and first date from 7 days before release on; NaT where there is none."""
    number = np.arange(len(frame))
    released = frame["released"].to_numpy().astype("datetime64[D]")[charted["place"].to_numpy()]
    after = charted[days(charted["day"]) >= np.subtract(released, EARLY)]
    first, later = (part.groupby("place")["day"].min().reindex(number) for part in (charted, after))
    return days(first), days(later)


def _watched(dates: Days, released: Days) -> NDArray[np.bool_]:
    """Whether the chart is held without a hole from 84 days before release to 91 days after."""
    if not len(dates):
        return np.zeros(len(released), dtype=bool)
    stretch = np.concatenate([[0], np.cumsum(np.diff(dates) > _HOLE)])
    begin = np.searchsorted(dates, released - np.timedelta64(84, "D"))
    end = np.searchsorted(dates, released + LATE)
    inside = (begin > 0) & (end < len(dates))
    begin, end = np.minimum(begin, len(dates) - 1), np.minimum(end, len(dates) - 1)
    return inside & (stretch[np.maximum(begin - 1, 0)] == stretch[end])


def earlier_songs(artist: NDArray[np.object_], found: Candidates) -> NDArray[np.float64]:
    """What became of the artist's candidates of the five years before (n, 3), as far as it was known by the day of release.

    Log-odds that one of them charted in time (with two songs of the usual share added), log(1 + those that did not), and
    log(1 + songs of the last year). Outcomes are known once their 91 days have passed.
    """
    day = found.released.astype(np.int64)
    settled, earlier, recent = LATE.astype(np.int64) + 1, 1_826, 365
    out = np.empty((len(found), 3))
    # Candidates are in the order of release.
    for places in pd.Series(artist).groupby(artist).indices.values():
        own = day[places]
        charted = np.concatenate([[0], np.cumsum(found.label[places])])
        begin, end = np.searchsorted(own, own - earlier, side="right"), np.searchsorted(own, own - settled, side="right")
        end = np.maximum(begin, end)
        hits, songs = charted[end] - charted[begin], end - begin
        share = (hits + 2 * _USUAL_SHARE) / (songs + 2)
        out[places, 0] = np.log(share / (1 - share))
        out[places, 1] = np.log1p(songs - hits)
        out[places, 2] = np.log1p(np.searchsorted(own, own) - np.searchsorted(own, own - recent, side="right"))
    return out


def slots(released: Days) -> NDArray[np.int64]:
    """Numbers (n,) of 28-day periods, Mondays to Sundays."""
    return (released.astype("datetime64[D]").astype(np.int64) - 4) // STEP_DAYS


def slot_date(slot: int, shift_days: int = 0) -> np.datetime64:
    """The last day before a period begins, or so many days earlier: the date its profile is made as of."""
    return np.datetime64(int(slot * STEP_DAYS + 3 - shift_days), "D")


def score_at_release(
    catalogue: Catalogue,
    weeks: ChartWeeks,
    releases: Releases,
    found: Candidates,
    shift_days: int = 0,
    wanted: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Alignment scores and log densities of charting songs (n,), as of release; NaN where there is no profile.

    Args:
        shift_days: use the profile of so many days earlier.
        wanted: (n,) only these are scored, and what came out in the same 28 days; all if left out.
    """
    scores, density = np.full(len(found), np.nan), np.full(len(found), np.nan)
    slot = slots(found.released)
    for number in np.unique(slot if wanted is None else slot[wanted]):
        profile: Profile | None = make_profile(catalogue, weeks, releases, slot_date(int(number), shift_days))
        if profile is None:
            continue
        rows = np.flatnonzero(slot == number)
        scores[rows], density[rows] = profile.score_and_density(found.points[rows], catalogue.recording[found.row[rows]])
    return scores, density
