"""Alignment and trends in words and small pictures for a terminal. Everything is computed from a release; nothing is decided here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import BadInput
from soundscope.match.credits import parse_credit
from soundscope.match.titles import parse_title
from soundscope.trends import alignment as al
from soundscope.trends.batches import Aligner
from soundscope.trends.catalogue import Catalogue, first_artist, song_keys
from soundscope.trends.momentum import History, artist_history, song_history
from soundscope.trends.popularity import popularity_as_of
from soundscope.trends.sound import INPUTS

_MORE = {
    "tempo": ("faster", "slower"), "danceability": ("more danceable", "less danceable"), "energy": ("more energetic", "calmer"),
    "valence": ("happier", "sadder"), "loudness": ("louder", "quieter"), "acousticness": ("more acoustic", "less acoustic"),
    "instrumentalness": ("more instrumental", "more vocal"), "speechiness": ("more spoken", "less spoken"),
    "liveness": ("more live", "less live"), "duration_ms": ("longer", "shorter"),
}  # fmt: skip
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Alignment:
    """How one track fits one chart, with reasons; z and contribution per feature."""

    chart: str
    as_of: str
    alignment: float
    alignment_in_genre: float | None
    score: float
    confidence: float
    coverage: float
    n_reference: int
    chart_likelihood: float | None
    likelihood_reason: str | None
    artist_momentum: float
    popularity: float | None
    popularity_source: str | None
    popularity_gap: float | None
    features: list[dict[str, Any]] = field(default_factory=list)
    nearest: list[dict[str, Any]] = field(default_factory=list)
    temporal: dict[str, Any] = field(default_factory=dict)


def find_track(catalogue: Catalogue, wanted: str) -> int:
    """Row of a track given by its id, its Spotify id, or words of its title and artist.

    Raises:
        BadInput: nothing fits, or several songs do; the message lists some.
    """
    tracks = catalogue.tracks
    ids = tracks["track_id"].to_numpy()
    exact = np.flatnonzero((ids == wanted) | (ids == f"spotify:{wanted}"))
    if len(exact):
        return int(exact[0])
    names = (tracks["title"].fillna("") + " " + tracks["artist"].fillna("")).str.casefold()
    fits = np.ones(len(names), dtype=bool)
    for word in wanted.casefold().split():
        fits &= names.str.contains(word, regex=False).to_numpy()
    rows = np.flatnonzero(fits)
    songs = set(song_keys(tracks["title"].iloc[rows], tracks["artist"].iloc[rows]))
    if len(songs) == 1:
        # Of several editions the one whose sound is known.
        return int(rows[np.argmax(catalogue.is_scorable[rows])])
    if not len(rows):
        raise BadInput(f"No track is called {wanted!r}.", next_step="give its id, or words of its title and artist.")
    shown = "; ".join(f"{tracks['title'].iloc[r]} by {tracks['artist'].iloc[r]} ({ids[r]})" for r in rows[:5])
    raise BadInput(f"{len(rows)} tracks fit {wanted!r}: {shown}.", next_step="give one of the ids.")


def _entries_by(catalogue: Catalogue, artists: tuple[str, ...]) -> Catalogue:
    """The catalogue with the chart entries alone that credit one of these artists: what the history of one song is made from."""
    wanted = set(artists)
    is_theirs = {credit: not wanted.isdisjoint(parse_credit(credit).parts) for credit in catalogue.entries["artist"].unique()}
    entries = catalogue.entries[catalogue.entries["artist"].map(is_theirs).to_numpy(dtype=bool)].reset_index(drop=True)
    return Catalogue(catalogue.tracks, entries, catalogue.popularity)


def explain(aligner: Aligner, row: int, chart: str, likelihood: tuple[float | None, str | None]) -> Alignment | None:
    """How a track fits a chart's newest profile, beside its newest known popularity; None where the chart has none, or too few of the track's features are known.

    Args:
        likelihood: chart_likelihood as last scored, and why there is none; no model is fitted here.
    """
    c = aligner.catalogue
    as_of = aligner.current_date(chart)
    profile = aligner.profile(chart, as_of)
    if profile is None or not c.is_scorable[row]:
        return None
    among = al.population(c, as_of, is_current=True)
    among_scores = profile.score(c.points[among], c.recording[among])
    one = np.array([row])
    some = c.points[among[:: max(len(among) // 200, 1)]]
    values, scores = al.contributions(profile, c.points[one], c.recording[one], some, float(among_scores.mean()))
    # Of one and the same track the digits that single precision leaves are the same, too.
    scores = among_scores[among == row] if row in among else scores
    z = profile.deviation(c.points[one])[0]
    in_genre = al.percentile_in_genre(scores, c.genre[one], among_scores, c.genre[among])[0]
    seen = popularity_as_of(c, aligner.weeks(chart), as_of, one, newest=True).iloc[0]
    fit = float(al.percentile(scores, among_scores)[0])
    artists = aligner.artists(one)
    history = artist_history(c, [chart], of=set(artists[0]))
    features = [{"feature": name, "z": _known(z[i]), "contribution": float(values[0, i])} for i, name in enumerate(INPUTS)]
    return Alignment(
        chart=chart,
        as_of=str(as_of),
        alignment=fit,
        alignment_in_genre=_known(in_genre),
        score=float(scores[0]),
        confidence=float(al.confidence(profile, c.points[one])[0]),
        coverage=profile.coverage,
        n_reference=profile.n_reference,
        chart_likelihood=likelihood[0],
        likelihood_reason=likelihood[1],
        artist_momentum=float(history.as_of(artists, np.array([as_of]))["momentum"].iloc[0]),
        popularity=_known(seen["popularity"]),
        popularity_source=None if pd.isna(seen["source"]) else str(seen["source"]),
        popularity_gap=_known(fit - seen["percentile"]),
        features=sorted(features, key=lambda f: -abs(f["contribution"])),
        nearest=[{str(k): v for k, v in near.items()} for near in al.nearest(c, profile, row).to_dict("records")],
        temporal=temporal(_entries_by(c, artists[0]), row, chart, as_of, history),
    )


def temporal(catalogue: Catalogue, row: int, chart: str, as_of: np.datetime64, artists: History | None = None) -> dict[str, Any]:
    """What time says of a track and its artist as of a date: weeks since release, season, history of song and artist, popularity's trend.

    Args:
        artists: artists' history on the chart, where it is at hand.

    trend_of_popularity is in points per four weeks, from the observations of one provider up to the date; None with fewer than two.
    """
    tracks = catalogue.tracks.iloc[[row]]
    when = np.array([as_of])
    song = song_history(catalogue, [chart]).as_of([tuple(song_keys(tracks["title"], tracks["artist"]))], when).iloc[0]
    credit = tracks["artist"].iloc[0]
    history = artists or artist_history(catalogue, [chart])
    artist = history.as_of([(first_artist(credit),) if isinstance(credit, str) else ()], when).iloc[0]
    released = catalogue.released[row]
    is_out = not np.isnat(released) and released <= as_of
    month = int(str(as_of)[5:7])
    return {
        "weeks_since_release": int((as_of - released).astype(int) // 7) if is_out else None,
        "season": ("winter", "spring", "summer", "autumn")[month % 12 // 3],
        "song": {name: _known(value) for name, value in song.items()},
        "artist": {name: _known(value) for name, value in artist.items()},
        "trend_of_popularity": _trend(catalogue, row, as_of),
    }


def _trend(catalogue: Catalogue, row: int, as_of: np.datetime64) -> float | None:
    seen = catalogue.popularity
    seen = seen[(seen["track_id"] == catalogue.tracks["track_id"].iloc[row]) & (seen["valid_from"] <= pd.Timestamp(as_of))]
    if seen.empty:
        return None
    seen = seen[seen["provider"] == seen["provider"].value_counts().index[0]].sort_values("valid_from")
    weeks = (seen["valid_from"] - seen["valid_from"].iloc[0]).dt.total_seconds().to_numpy() / (28 * 86_400)
    if len(seen) < 2 or weeks[-1] <= 0:
        return None
    return float(np.polyfit(weeks, seen["popularity"].to_numpy(dtype=float), 1)[0])


def in_words(track: str, found: Alignment, auc: float | None) -> str:
    """The reasons in sentences, with what the figures are worth."""
    lines = [f"{track} and {found.chart} as of {found.as_of}"]
    genre = f"; within its genre, {found.alignment_in_genre:.0f} %" if found.alignment_in_genre is not None else ""
    lines.append(f"  Closer to what charts now than {found.alignment:.0f} % of the catalogue{genre}.")
    worth = "sure" if found.confidence >= 0.7 else "fair" if found.confidence >= 0.4 else "weak"
    lines.append(
        f"  Confidence {worth} ({found.confidence:.2f}): {found.n_reference} charting songs, {found.coverage:.0%} of the chart's points known."
    )
    for title, sign in (("For it", 1), ("Against it", -1)):
        parts = [f for f in found.features if sign * f["contribution"] > 0.02][:3]
        if parts:
            lines.append(f"  {title}: " + ", ".join(_reason(part) for part in parts) + ".")
    if found.nearest:
        lines.append("  Nearest in the charts: " + "; ".join(f"{n['title']} by {n['artist']}" for n in found.nearest[:3]) + ".")
    if found.chart_likelihood is not None:
        lines.append(
            f"  chart_likelihood {found.chart_likelihood:.1%}: how often such a sound charted within 91 days of release, among songs like those held."
        )
    else:
        lines.append(f"  chart_likelihood is not known: {found.likelihood_reason or 'this track has not been scored yet'}.")
    lines.append(
        f"  artist_momentum {found.artist_momentum:.1f}: fame foretells charting far better than sound does, so it stands apart."
    )
    if found.popularity is not None:
        gap = f", gap {found.popularity_gap:+.0f}" if found.popularity_gap is not None else ""
        lines.append(f"  Popularity {found.popularity:.0f} by {found.popularity_source}{gap}.")
    lines.append(
        f"  In the back-test alignment told later hits from other songs with an AUC of {auc:.2f} (0.5 is chance)."
        if auc is not None
        else "  It has not been back-tested here yet: soundscope backtest."
    )
    lines.append(
        "  It says what does not sound like the charts better than which song will be a hit, least of all within a genre: among r&b songs"
        " it is near chance. A profile a year old does nearly as well, so do not read it as news of this week."
    )
    return "\n".join(lines)


def _reason(part: dict[str, Any]) -> str:
    if part["z"] is None:
        return f"{part['feature']} unknown"
    more, less = _MORE[part["feature"]]
    if abs(part["z"]) < 0.35:
        return f"{part['feature']} as in the charts ({part['contribution']:+.2f})"
    return f"{more if part['z'] > 0 else less} than the charts by {abs(part['z']):.1f} sd ({part['contribution']:+.2f})"


def as_dict(found: Alignment) -> dict[str, Any]:
    """For JSON."""
    return asdict(found)


TRENDS = """
select chart_date, mean, coverage, is_low_coverage, change_1y, is_change_1y_beyond_noise, change_5y, is_change_5y_beyond_noise, n_tracks
from marts.chart_trends where chart = ? and feature = ? and window_weeks = ? and mean is not null
and (cast(? as date) is null or chart_date >= cast(? as date)) order by chart_date
"""
# Both ways round: what fits and is not known, what charts and does not fit. The newest popularity that is known, since a person asks
# today; the table keeps what was known by the chart's date, which for a chart that ended long ago is nothing.
SLEEPERS = """
with known as (
    select track_id, popularity, popularity_provider,
        100.0 * (rank() over (partition by popularity_provider order by popularity) - 1
            + count(*) over (partition by popularity_provider, popularity) / 2.0)
        / count(*) over (partition by popularity_provider) as percentile
    from marts.track_features where popularity is not null
),
since as (
    select track_id, provider, cast(max(valid_from) as date) as popularity_since
    from core.popularity_history where valid_to is null group by track_id, provider
)
select a.chart, a.as_of, t.title, t.artist, f.genre, a.alignment, a.alignment_in_genre as in_genre,
    coalesce(k.popularity, a.popularity) as popularity, coalesce(k.popularity_provider, a.popularity_source) as popularity_source,
    s.popularity_since, coalesce(a.alignment - k.percentile, a.popularity_gap) as gap, a.artist_momentum, a.confidence, a.track_id,
    f.recording_id, a.is_charting
from marts.popularity_alignment a
inner join core.tracks t on t.track_id = a.track_id
inner join marts.track_features f on f.track_id = a.track_id
left join known k on k.track_id = a.track_id
left join since s on s.track_id = k.track_id and s.provider = k.popularity_provider
where a.is_current and coalesce(k.percentile, a.popularity_gap) is not null and (cast(? as varchar) is null or a.chart = ?)
"""
CHARTED = "select distinct title from core.chart_entries where (cast(? as varchar) is null or chart = ?) and title is not null"
_ROUNDED = {"alignment": 1, "in_genre": 1, "popularity": 1, "gap": 1, "artist_momentum": 2, "confidence": 2}
# Made after the song of somebody else; a live take or a remaster is the artist's own.
_COPIES = frozenset({"karaoke", "cover", "instrumental", "remix"})


def read_sleepers(con: duckdb.DuckDBPyConnection, chart: str | None, *, misfits: bool, limit: int) -> pd.DataFrame:
    """Songs that fit a chart and are hardly known, widest gap first; with `misfits`, charting songs that do not fit.

    Popularity and gap are by the newest popularity known (`popularity_since` says from when it holds), so charts that ended before
    anybody observed popularity have sleepers too; where no provider says it of any
    track, by the place on the chart.
    One row per chart and song: editions share their title and first artist, or their recording, and the best known one speaks for them.
    Karaoke, tributes, remixes and the like of songs that charted are left out: they sound like hits because they are copies of hits.

    Raises:
        BadInput: there is no such chart.
    """
    if (
        chart is not None
        and con.execute("select 1 from marts.popularity_alignment where chart = ? limit 1", [chart]).fetchone() is None
    ):
        known = [row[0] for row in con.execute("select distinct chart from marts.popularity_alignment order by 1").fetchall()]
        raise BadInput(f"There is no alignment for a chart {chart!r}.", next_step=f"say one of {', '.join(known) or 'none yet'}.")
    found = con.execute(SLEEPERS, [chart, chart]).df()
    found["song"] = song_keys(found["title"], found["artist"])
    # A song charts if any of its editions does, and is as popular as the most popular of them.
    for key in ("recording_id", "song"):
        of_one = found.groupby(["chart", key])
        found["is_charting"] = of_one["is_charting"].transform("max")
    found = found[found["is_charting"] == misfits]
    found = found.sort_values(["popularity", "gap", "track_id"], ascending=[False, not misfits, True], kind="stable")
    for key in ("recording_id", "song"):
        found = found.drop_duplicates(["chart", key])
    found = found.sort_values(["gap", "track_id"], ascending=[misfits, True], kind="stable")
    if not misfits:
        found = found[~_is_copy(con, chart, found["title"])]
    columns = [name for name in found.columns if name not in ("recording_id", "song", "is_charting")]
    return found[columns].head(limit).round(_ROUNDED).reset_index(drop=True)


def _is_copy(con: duckdb.DuckDBPyConnection, chart: str | None, titles: pd.Series) -> NDArray[np.bool_]:
    """(n,) whether titles are those of songs that charted, with a note that it is somebody's version of them."""
    parsed = [parse_title(title) if isinstance(title, str) else None for title in titles]
    if not any(title and title.kinds & _COPIES for title in parsed):
        return np.zeros(len(parsed), dtype=bool)
    charted = {parse_title(row[0]).core for row in con.execute(CHARTED, [chart, chart]).fetchall()}
    return np.array([bool(title and title.kinds & _COPIES and title.core in charted) for title in parsed], dtype=bool)


def read_trend(con: duckdb.DuckDBPyConnection, chart: str, feature: str, window: int, since: str | None) -> pd.DataFrame:
    """One trend by date.

    Raises:
        BadInput: there is no such trend; the message says which there are.
    """
    found = con.execute(TRENDS, [chart, feature, window, since, since]).df()
    if len(found):
        return found
    charts = [row[0] for row in con.execute("select distinct chart from marts.chart_trends order by 1").fetchall()]
    features = [row[0] for row in con.execute("select distinct feature from marts.chart_trends order by 1").fetchall()]
    raise BadInput(
        f"There is no trend of {feature!r} over {window} weeks for {chart!r}" + (f" since {since}" if since else "") + ".",
        next_step=f"charts: {', '.join(charts) or 'none yet'}; features: {', '.join(features)}; windows: 4, 12, 52.",
    )


def plot(trend: pd.DataFrame, width: int = 72) -> str:
    """A line of blocks over time, dots where coverage is low, with both ends of the scale; and the newest value in words."""
    edges = np.linspace(0, len(trend), min(width, len(trend)) + 1).astype(int)
    mean, low = trend["mean"].to_numpy(dtype=float), trend["is_low_coverage"].to_numpy(dtype=bool)
    values = np.array([mean[a:b].mean() for a, b in pairwise(edges)])
    doubtful = [low[a:b].mean() > 0.5 for a, b in pairwise(edges)]
    span = values.max() - values.min()
    level = np.zeros(len(values), dtype=int) if span == 0 else ((values - values.min()) / span * 7.999).astype(int)
    line = "".join("·" if d else _BLOCKS[v] for d, v in zip(doubtful, level, strict=True))
    last = trend.iloc[-1]
    first_day, last_day = (str(trend["chart_date"].iloc[i])[:10] for i in (0, -1))
    out = [line, f"{first_day}{' ' * max(len(line) - 20, 1)}{last_day}", f"from {values.min():.4g} to {values.max():.4g}"]
    if any(doubtful):
        out[-1] += "; a dot stands where too little of the chart is known"
    said = [f"now {last['mean']:.4g}", f"{int(last['n_tracks'])} songs, {last['coverage']:.0%} of the chart's points known"]
    for span_name, words in (("1y", "a year"), ("5y", "five years")):
        if pd.notna(last[f"change_{span_name}"]):
            noise = "" if bool(last[f"is_change_{span_name}_beyond_noise"]) else " (within noise)"
            said.append(f"{last[f'change_{span_name}']:+.3g} in {words}{noise}")
    return "\n".join([*out, "; ".join(said)])


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
