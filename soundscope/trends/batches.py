"""What is landed of alignment: one batch per chart, kind and date, made anew only when something it was made from has changed.

Kind `current`: every track against the chart's newest profile; only the newest such batch of a chart counts. Kind `charting`: the tracks
that charted in the four weeks after a date, against the profile as of that date, so that no week has a say in its own figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.trends import alignment as al
from soundscope.trends import likelihood as lk
from soundscope.trends.candidates import Candidates, find_candidates, score_at_release, slots
from soundscope.trends.catalogue import Catalogue
from soundscope.trends.momentum import History, artist_history, artist_keys
from soundscope.trends.popularity import newest_observation, popularity_as_of
from soundscope.trends.profile import VERSION, ChartWeeks, Profile, Releases, make_profile

Array = NDArray[np.float64]
Key = tuple[str, str, str]
# Observations of popularity may be so much younger than the newest chart and still be shown beside it.
_SLACK = np.timedelta64(28, "D")
NOT_ALLOWED = "the source of its sound may not be used for models"


@dataclass(frozen=True)
class Batch:
    """One batch to be made: which chart, kind and date, and which rows of the catalogue."""

    chart: str
    kind: str
    as_of: np.datetime64
    rows: NDArray[np.intp]

    @property
    def key(self) -> Key:
        """Chart, kind, date."""
        return self.chart, self.kind, str(self.as_of)


class Aligner:
    """Makes batches for all charts of a catalogue; what several batches need is made once.

    Args:
        catalogue: what is known.
        seed: of everything random in the models.
    """

    def __init__(self, catalogue: Catalogue, seed: int = 0) -> None:
        self.catalogue = catalogue
        self.seed = seed
        self.releases = Releases(catalogue)
        self._weeks: dict[str, ChartWeeks] = {}
        self._history: dict[str, History] = {}
        self._candidates: dict[str, Candidates] = {}
        self._release_scores: dict[str, tuple[Array, Array, NDArray[np.bool_]]] = {}
        self._models: dict[tuple[str, int], lk.Likelihood] = {}
        self._training: dict[tuple[str, int], bytes] = {}
        self._artists: dict[int, tuple[str, ...]] = {}
        self._last: tuple[Key, tuple[Array, pd.DataFrame]] | None = None

    def artists(self, rows: NDArray[np.intp]) -> list[tuple[str, ...]]:
        """Artist keys of tracks given by their rows (n,)."""
        missing = [row for row in rows.tolist() if row not in self._artists]
        self._artists.update(zip(missing, artist_keys(self.catalogue.tracks.iloc[missing]), strict=True))
        return [self._artists[row] for row in rows.tolist()]

    def weeks(self, chart: str) -> ChartWeeks:
        """The chart's entries by date."""
        if chart not in self._weeks:
            self._weeks[chart] = ChartWeeks(self.catalogue, chart)
        return self._weeks[chart]

    def history(self, chart: str) -> History:
        """Artists' history on the chart."""
        if chart not in self._history:
            self._history[chart] = artist_history(self.catalogue, [chart])
        return self._history[chart]

    def batches(self) -> Iterator[Batch]:
        """Every batch that there should be, charts by name, dates in order, the current one last."""
        for chart in self.catalogue.charts:
            weeks = self.weeks(chart)
            yield from self._charting(weeks)
            as_of = self.current_date(chart)
            yield Batch(chart, "current", as_of, al.population(self.catalogue, as_of, is_current=True))

    def current_date(self, chart: str) -> np.datetime64:
        """The newest chart date, or that of newer popularity observations up to four weeks after it."""
        newest = self.weeks(chart).day.max()
        seen = newest_observation(self.catalogue)
        return seen if not np.isnat(seen) and newest < seen <= newest + _SLACK else newest

    def _charting(self, weeks: ChartWeeks) -> Iterator[Batch]:
        slot = slots(weeks.day)
        # All at once, which is quicker than for each batch.
        self.artists(np.unique(weeks.row[weeks.known]))
        last = {int(number): weeks.day[np.flatnonzero(slot == number)[-1]] for number in np.unique(slot)}
        for number in sorted(last):
            if number - 1 in last:
                inside = (slot == number) & weeks.known
                yield Batch(weeks.chart, "charting", last[number - 1], np.unique(weeks.row[inside]))

    def profile(self, chart: str, as_of: np.datetime64) -> Profile | None:
        """The chart's profile as of a date; None where too little is known."""
        return make_profile(self.catalogue, self.weeks(chart), self.releases, as_of)

    # --- what a batch is made from ---

    def input_hash(self, batch: Batch, profile: Profile) -> str:
        """16 hex digits of everything the figures of a batch depend on."""
        c = self.catalogue
        digest = hashlib.sha256(f"{VERSION}|{lk.VERSION}|{batch.key}|{self.seed}".encode())
        among = al.population(c, batch.as_of, is_current=batch.kind == "current")
        for rows in (profile.charting_rows, profile.released_rows, batch.rows, among):
            digest.update(c.fingerprint[rows].tobytes())
        weights = profile.charting_weights / profile.charting_weights.sum()
        digest.update(weights.tobytes() + np.float64(profile.coverage).tobytes())
        momentum, seen = self._known(batch)
        digest.update(momentum.tobytes())
        digest.update(seen[["popularity", "percentile"]].to_numpy(dtype=float).round(9).tobytes())
        digest.update("\n".join(source if isinstance(source, str) else "" for source in seen["source"]).encode())
        digest.update(self._training_hash(batch.chart, int(lk.year_of(batch.as_of))))
        return digest.hexdigest()[:16]

    def _training_hash(self, chart: str, year: int) -> bytes:
        if (chart, year) not in self._training:
            found = self.candidates(chart)
            known = lk.training_rows(found, year)
            digest = hashlib.sha256("\n".join(self.catalogue.track_id[found.row[known]]).encode())
            for values in (found.released.astype(np.int64), found.points, found.harmony, found.label, found.train_ok):
                digest.update(values[known].tobytes())
            self._training[chart, year] = digest.digest()
        return self._training[chart, year]

    def _known(self, batch: Batch) -> tuple[Array, pd.DataFrame]:
        """Momentum and popularity of a batch's tracks; asked for twice, for the hash and for the rows."""
        if self._last is None or self._last[0] != batch.key:
            seen = popularity_as_of(self.catalogue, self.weeks(batch.chart), batch.as_of, batch.rows)
            self._last = (batch.key, (self._momentum(batch), seen))
        return self._last[1]

    def _momentum(self, batch: Batch) -> Array:
        keys = self.artists(batch.rows)
        return self.history(batch.chart).as_of(keys, np.full(len(keys), batch.as_of))["momentum"].to_numpy()

    # --- the supervised model ---

    def candidates(self, chart: str) -> Candidates:
        """Songs with known fate on the chart."""
        if chart not in self._candidates:
            self._candidates[chart] = find_candidates(self.catalogue, chart)
        return self._candidates[chart]

    def model(self, chart: str, year: int) -> lk.Likelihood:
        """The model of a year; fitted when first asked for."""
        if (chart, year) not in self._models:
            found = self.candidates(chart)
            known = lk.training_rows(found, year)
            allowed = found.train_ok[known]
            enough = allowed.sum() >= lk.MIN_ROWS and found.label[known][allowed].sum() >= lk.MIN_POSITIVE
            scores, density = self._scores_at_release(found, known) if enough else (np.zeros(len(found)), np.zeros(len(found)))
            inputs = lk.sound_inputs(found.points[known], found.harmony[known], scores[known], density[known])
            self._models[chart, year] = lk.fit(year, inputs, found.label[known], allowed, self.seed)
        return self._models[chart, year]

    def _scores_at_release(self, found: Candidates, known: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Scores and densities (n,) of candidates as of their release, of those in `known` (n,) at least; a new week needs ten years of them."""
        n = len(found)
        scores, density, is_made = self._release_scores.setdefault(
            found.chart, (np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, dtype=bool))
        )
        wanted = known & ~is_made
        if wanted.any():
            made = np.isin(slots(found.released), np.unique(slots(found.released[wanted])))
            more = score_at_release(self.catalogue, self.weeks(found.chart), self.releases, found, wanted=wanted)
            scores[made], density[made], is_made[made] = more[0][made], more[1][made], True
        return scores, density

    def likelihood(
        self, chart: str, as_of: np.datetime64, rows: NDArray[np.intp], scores: Array, density: Array
    ) -> tuple[Array, NDArray[np.object_]]:
        """Likelihoods (n,) of rows of the catalogue with their scores and log densities (n,), and why there is none (n,)."""
        model = self.model(chart, int(lk.year_of(as_of)))
        reason = np.full(len(rows), model.reason, dtype=object)
        out = np.full(len(rows), np.nan)
        if model.reason is None:
            c = self.catalogue
            allowed = c.train_ok[rows]
            inputs = lk.sound_inputs(c.points[rows], c.harmony[rows], scores, density)
            out[allowed] = model.predict(inputs[allowed])
            reason[~allowed] = NOT_ALLOWED
        return out, reason

    # --- a batch ---

    def make(self, batch: Batch, profile: Profile) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows for raw.alignment and raw.alignment_contributions, without batch and hash."""
        c, is_current = self.catalogue, batch.kind == "current"
        among = al.population(c, batch.as_of, is_current=is_current)
        among_scores, density = profile.score_and_density(c.points[among], c.recording[among])
        points, scores = c.points[batch.rows], among_scores
        if not is_current:
            scores, density = profile.score_and_density(points, c.recording[batch.rows])
        likelihood, reason = self.likelihood(batch.chart, batch.as_of, batch.rows, scores, density)
        momentum, seen = self._known(batch)
        frame = pd.DataFrame(
            {
                "track_id": c.track_id[batch.rows],
                "alignment": al.percentile(scores, among_scores),
                "alignment_in_genre": al.percentile_in_genre(scores, c.genre[batch.rows], among_scores, c.genre[among]),
                "score": scores,
                "distance": al.distance(profile, points),
                "chart_likelihood": likelihood,
                "likelihood_reason": reason,
                "artist_momentum": momentum,
                "popularity": seen["popularity"].to_numpy(),
                "popularity_source": seen["source"].to_numpy(),
                "n_reference": profile.n_reference,
                "coverage": profile.coverage,
                "confidence": al.confidence(profile, points),
                "is_charting": np.isin(c.recording[batch.rows], profile.charting_recording) if is_current else True,
            }
        )
        frame["popularity_gap"] = frame["alignment"] - seen["percentile"].to_numpy()
        explained = frame["is_charting"].to_numpy(dtype=bool)
        some = among[:: max(len(among) // 200, 1)]
        values, _ = al.contributions(
            profile, points[explained], c.recording[batch.rows[explained]], c.points[some], float(among_scores.mean())
        )
        parts = al.contribution_rows(frame["track_id"].to_numpy()[explained], profile.deviation(points[explained]), values)
        return frame, parts


def due(aligner: Aligner, known: Mapping[Key, str], now: datetime) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows to land: what is new or changed, and an empty batch for each that should be no more.

    Args:
        known: chart, kind, date -> input hash of the batches landed before.
        now: naive UTC, written into the rows.

    Yields:
        Raw table and rows: alignment, alignment_contributions, alignment_batches.
    """
    wanted: set[Key] = set()
    for batch in aligner.batches():
        profile = aligner.profile(batch.chart, batch.as_of) if len(batch.rows) else None
        if profile is None:
            continue
        wanted.add(batch.key)
        tag = aligner.input_hash(batch, profile)
        if known.get(batch.key) == tag:
            continue
        frame, parts = aligner.make(batch, profile)
        name = {"batch_id": f"{'|'.join(batch.key)}|{tag}", "chart": batch.chart, "as_of": str(batch.as_of)}
        yield "alignment", frame.assign(**name)
        if len(parts):
            yield "alignment_contributions", parts.assign(batch_id=name["batch_id"])
        yield "alignment_batches", _manifest(batch.key, tag, len(frame), now)
    for key in sorted(set(known) - wanted):
        if known[key] and key[1] == "charting":
            yield "alignment_batches", _manifest(key, "", 0, now)


def _manifest(key: Key, tag: str, n_rows: int, now: datetime) -> pd.DataFrame:
    chart, kind, as_of = key
    row = {"batch_id": f"{chart}|{kind}|{as_of}|{tag}", "chart": chart, "kind": kind, "as_of": as_of, "input_hash": tag,
           "n_rows": n_rows, "scored_at": now}  # fmt: skip
    return pd.DataFrame([row])
