"""The typed raw tables: columns, types, documented ranges, comments. Loading and quarantine are generated from this.

A table is one kind of row, whoever provides it; `provider` tells them apart. Nothing here knows a provider's protocol (that is in
`soundscope/sources`) and nothing decides between providers (that is in `sql/models`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from soundscope.sources.internal import ALIGNED

# Characters. The longest titles that were ever printed have some hundreds; one of megabytes would be copied a dozen times on its way.
LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Column:
    """One column: DuckDB type, comment, inclusive range of documented values, whether a row without it is useless, longest text in characters, form of it."""

    type: str
    comment: str
    low: float | None = None
    high: float | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    longest: int | None = LONGEST_TEXT
    pattern: str | None = None


@dataclass(frozen=True)
class RawTable:
    """One raw table: what a row is, and its columns (those of `COMMON` come on top)."""

    comment: str
    columns: dict[str, Column] = field(default_factory=dict)
    # At least one of these groups of columns must be complete, else the row says nothing about anything.
    identity: tuple[tuple[str, ...], ...] = ()


COMMON = {
    "provider": Column("VARCHAR", "Who gave the row: spotify, reccobeats, billboard_hot_100, import:<dataset>, soundscope."),
    "fetched_at": Column("TIMESTAMP", "When the answer arrived, or the file was imported (UTC)."),
    "run_id": Column("VARCHAR", "The run that fetched it."),
    "landing_file": Column("VARCHAR", "The landed file the row was read from, relative to warehouse/landing."),
    "row_no": Column("BIGINT", "Position of the row in that file; unique with landing_file within a table."),
}

_IDENTITY = {
    "source_id": Column("VARCHAR", "The provider's own id of the track."),
    "spotify_id": Column(
        "VARCHAR",
        "Spotify id of the track, 22 base62 characters; the requested id where Spotify relinks.",
        pattern="[0-9A-Za-z]{22}",
    ),
    "isrc": Column(
        "VARCHAR", "International Standard Recording Code, upper case without hyphens.", pattern="[A-Z]{2}[A-Z0-9]{3}[0-9]{7}"
    ),
    "title": Column("VARCHAR", "Title as the provider spells it."),
    "artist": Column("VARCHAR", "First credited artist."),
    "artists": Column("VARCHAR", "All credited artists, joined by '; '."),
}


_ANY_ID = (("spotify_id",), ("isrc",), ("source_id",), ("title", "artist"))


def _named(**changes: Column) -> dict[str, Column]:
    return {**_IDENTITY, **changes}


def _share(comment: str) -> Column:
    return Column("DOUBLE", comment, 0.0, 1.0)


FEATURES = {
    "tempo": Column("DOUBLE", "Beats per minute, up to 500; 0 means not detected.", 0.0, 500.0),
    "danceability": _share("How suitable for dancing, 0..1."),
    "energy": _share("Perceived intensity, 0..1."),
    "valence": _share("Musical positiveness, 0..1."),
    "loudness": Column("DOUBLE", "Average loudness in dB, -60..0.", -60.0, 0.0),
    "acousticness": _share("Confidence that it is acoustic, 0..1."),
    "instrumentalness": _share("Confidence that there are no vocals, 0..1."),
    "speechiness": _share("Presence of spoken words, 0..1."),
    "liveness": _share("Presence of an audience, 0..1."),
    "key": Column("INTEGER", "Pitch class, 0 = C .. 11 = B; -1 means not detected.", -1, 11),
    "mode": Column("INTEGER", "1 major, 0 minor.", 0, 1),
    "time_signature": Column("INTEGER", "Beats per bar, 3..7; 0 means not detected.", 3, 7),
    "duration_ms": Column("BIGINT", "Length in milliseconds.", 1, None),
}
SHARES = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")
# Values by which providers say "not detected": kept by the load, turned into NULL in staging, no matter for quarantine.
UNDETECTED = {"tempo": "0", "key": "-1", "time_signature": "0"}

RAW: dict[str, RawTable] = {
    "tracks": RawTable(
        "Track metadata as observed; one row per track and answer.",
        _named(
            artist_ids=Column("VARCHAR", "Spotify ids of the credited artists, joined by ';'."),
            album=Column("VARCHAR", "Album title."),
            release_date=Column("DATE", "Release date of the album; first day of the year or month where only that is known."),
            release_precision=Column("VARCHAR", "year, month or day.", choices=("year", "month", "day")),
            duration_ms=FEATURES["duration_ms"],
            explicit=Column("BOOLEAN", "Marked explicit."),
            mood=Column("VARCHAR", "Mood given by an import: Happy, Energetic, Calm or Sad.", pattern="Happy|Energetic|Calm|Sad"),
            era=Column("VARCHAR", "Decade given by an import, as 2010s.", pattern="[0-9]{3}0s"),
        ),
        identity=_ANY_ID,
    ),
    "audio_features": RawTable(
        "Audio features as observed; one row per track and answer.",
        {**_IDENTITY, **FEATURES},
        identity=_ANY_ID,
    ),
    "descriptors": RawTable(
        "What is known of how a track sounds on a scale of its own, compared with no other provider's; one row per track, descriptor and answer.",
        {
            **_IDENTITY,
            "descriptor": Column("VARCHAR", "Name of the value.", required=True),
            "value": Column("DOUBLE", "The value, on that scale.", required=True),
            "scale": Column("VARCHAR", "What the scale is, in words.", required=True),
        },
        identity=_ANY_ID,
    ),
    "chart_entries": RawTable(
        "Chart positions as published; one row per chart, date, rank and answer.",
        {
            "chart": Column("VARCHAR", "Name of the chart.", required=True),
            "chart_date": Column("DATE", "Date of the published chart.", required=True),
            "rank": Column("INTEGER", "Position, 1 is the top.", 1, 1_000_000, required=True),
            "title": Column("VARCHAR", "Title as printed.", required=True),
            "artist": Column("VARCHAR", "Credit as printed.", required=True),
            "reported_last_week": Column("INTEGER", "Last week's rank as the archive reports it.", 1, 1_000_000),
            "reported_peak": Column("INTEGER", "Best rank so far as the archive reports it.", 1, 1_000_000),
            "reported_weeks": Column("INTEGER", "Weeks on the chart so far as the archive reports it.", 1, 1_000_000),
            "source_id": Column("VARCHAR", "The source's own id of the entry or track."),
            "spotify_id": Column("VARCHAR", "Spotify id, where the source carries one.", pattern="[0-9A-Za-z]{22}"),
        },
    ),
    "genre_labels": RawTable(
        "Genre labels as observed; one row per track or artist, label and answer.",
        {
            "subject": Column(
                "VARCHAR",
                "What the label is said of: track or artist.",
                required=True,
                choices=("track", "artist"),
            ),
            **_IDENTITY,
            "artist_id": Column("VARCHAR", "Spotify id of the artist, where the subject is an artist."),
            "label": Column("VARCHAR", "The label as the source spells it.", required=True),
            "source": Column("VARCHAR", "spotify:artist, spotify:playlist:<id>, import:<dataset>.", required=True),
        },
    ),
    "popularity": RawTable(
        "Popularity as observed; one row per track and observation.",
        _named(
            popularity=Column("DOUBLE", "Popularity on the provider's scale (Spotify 0..100).", 0.0, None, required=True),
            observed_at=Column("TIMESTAMP", "When it was so (UTC).", required=True),
        ),
        identity=_ANY_ID,
    ),
    "track_links": RawTable(
        "Chart keys and the tracks they were matched to; one row per key and change of its link.",
        {
            "title": Column("VARCHAR", "Title as charted.", required=True),
            "artist": Column("VARCHAR", "Credit as charted.", required=True),
            "run_no": Column("INTEGER", "Which of several simultaneous runs.", 1, None, required=True),
            "track_id": Column("VARCHAR", "The chosen track, NULL if none."),
            "status": Column(
                "VARCHAR",
                "matched, review, unmatched or overridden.",
                required=True,
                choices=("matched", "review", "unmatched", "overridden"),
            ),
            "is_other_version": Column("BOOLEAN", "The link is another version than the chart means."),
            "method": Column("VARCHAR", "The rule that found it."),
            "score": Column("DOUBLE", "Confidence 0..1.", 0.0, 1.0),
            "runner_up_track_id": Column("VARCHAR", "The next best track of another recording."),
            "runner_up_score": Column("DOUBLE", "Its confidence 0..1.", 0.0, 1.0),
            "decided_by": Column("VARCHAR", "soundscope:<rules version>, or the person."),
            "decided_at": Column("TIMESTAMP", "When (UTC)."),
            "reason": Column("VARCHAR", "Why, in words."),
        },
    ),
    "recordings": RawTable(
        "Which tracks are one recording; one row per track and change of its group.",
        {
            "track_id": Column("VARCHAR", "The track.", required=True),
            "recording_id": Column("VARCHAR", "The recording it belongs to: the track_id that represents it.", required=True),
        },
    ),
    "model_runs": RawTable(
        "Trained models and the verdict on each; one row per model and verdict.",
        {
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "trained_at": Column("TIMESTAMP", "When (UTC).", required=True),
            "target": Column("VARCHAR", "What it predicts: genre, family or mood.", required=True),
            "algorithm": Column("VARCHAR", "softmax_regression, random_forest, ... or none.", required=True),
            "is_champion": Column("BOOLEAN", "Scores are made with it.", required=True),
            "verdict": Column("VARCHAR", "promoted, refused, candidate, retired or not_trained.", required=True),
            "reason": Column("VARCHAR", "Why, in words with figures."),
            "decided_by": Column("VARCHAR", "Who gave the verdict: gate, or the name of a person; NULL means gate."),
            "release_id": Column("VARCHAR", "The release it was trained from."),
            "n_train": Column("BIGINT", "Rows it was trained on.", 0, None),
            "n_classes": Column("INTEGER", "Classes it knows.", 0, None),
            "provider_mix": Column("VARCHAR", "Training rows per provider, as JSON.", longest=None),
            "artefact_sha256": Column("VARCHAR", "Hash of the stored model file."),
            "seed": Column("BIGINT", "Seed of everything random in it."),
        },
    ),
    "model_metrics": RawTable(
        "Figures of trained models; one row per model, split, metric and class.",
        {
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "split": Column("VARCHAR", "Which rows it was measured on.", required=True),
            "metric": Column("VARCHAR", "Name of the figure.", required=True),
            "class": Column("VARCHAR", "Class it is about; 'all' for the whole.", required=True),
            "value": Column("DOUBLE", "The figure."),
            "ci_low": Column("DOUBLE", "Lower end of its 95 % interval, where computed."),
            "ci_high": Column("DOUBLE", "Upper end of its 95 % interval, where computed."),
        },
    ),
    "confusion": RawTable(
        "Confusion counts; one row per model, split, true and predicted class.",
        {
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "split": Column("VARCHAR", "Which rows it was measured on.", required=True),
            "true_genre": Column("VARCHAR", "The label.", required=True),
            "predicted_genre": Column("VARCHAR", "The prediction.", required=True),
            "n": Column("BIGINT", "How many.", 0, None, required=True),
        },
    ),
    "predictions": RawTable(
        "Predictions; one row per track, model, rank and scoring.",
        {
            "track_id": Column("VARCHAR", "The track.", required=True),
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "genre": Column("VARCHAR", "Predicted label.", required=True),
            "probability": Column("DOUBLE", "Probability 0..1.", 0.0, 1.0, required=True),
            "rank": Column("INTEGER", "1 the likeliest .. 3.", 1, 3, required=True),
            "is_unsure": Column("BOOLEAN", "Not sure: the likeliest label is less likely than not; the same for all ranks."),
            "release_id": Column("VARCHAR", "The release it was scored from."),
            "scored_at": Column("TIMESTAMP", "When (UTC).", required=True),
            "input_hash": Column("VARCHAR", "Hash of what the model saw of the track; an unchanged one is not scored again."),
        },
    ),
    "explanations": RawTable(
        "Why a model says what it says; one row per track, model, feature and explanation.",
        {
            "track_id": Column("VARCHAR", "The track.", required=True),
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "genre": Column("VARCHAR", "The label that is explained: the likeliest.", required=True),
            "feature": Column(
                "VARCHAR", "What the model saw; '(all tracks)' and '(calibration)' are parts of their own.", required=True
            ),
            "value": Column("DOUBLE", "Its value, where it is one number."),
            "contribution": Column("DOUBLE", "What it adds to the probability.", -10.0, 10.0, required=True),
            "input_hash": Column("VARCHAR", "Hash of what the model saw of the track, as in predictions."),
            "explained_at": Column("TIMESTAMP", "When (UTC).", required=True),
        },
    ),
    "drift": RawTable(
        "Stability of what a model meets against what it was trained on; one row per model, feature, week and measuring.",
        {
            "model_id": Column("VARCHAR", "Id of the model.", required=True),
            "feature": Column("VARCHAR", "Feature, or prediction, or confidence.", required=True),
            "as_of": Column("DATE", "Monday of the week.", required=True),
            "psi": Column("DOUBLE", "Population stability index.", 0.0, None, required=True),
            "level": Column("VARCHAR", "none, watch or alarm.", required=True, choices=("none", "watch", "alarm")),
            "n": Column("BIGINT", "Tracks of the point.", 0, None, required=True),
            "n_effective": Column("DOUBLE", "How many independent tracks they are worth.", 0.0, None),
            "n_weeks": Column("INTEGER", "Weeks the point looks back over, this one included.", 1, None),
            "noise": Column("DOUBLE", "What chance alone reaches once in 50,000 points.", 0.0, None),
            "is_held_back": Column("BOOLEAN", "Too few tracks for a level.", required=True),
            "measured_at": Column("TIMESTAMP", "When (UTC).", required=True),
        },
    ),
    "alignment_batches": RawTable(
        "Batches of alignment: the newest of a chart, kind and date counts; one row per landing of a batch.",
        {
            "batch_id": Column("VARCHAR", "Chart, kind, date and input hash; empty batches take older ones back.", required=True),
            "chart": Column("VARCHAR", "Name of the chart.", required=True),
            "kind": Column("VARCHAR", "current or charting.", required=True, choices=("current", "charting")),
            "as_of": Column("DATE", "Date of the profile.", required=True),
            "input_hash": Column("VARCHAR", "Hash of everything the batch was made from."),
            "n_rows": Column("BIGINT", "Tracks in it.", 0, None, required=True),
            "scored_at": Column("TIMESTAMP", "When (UTC).", required=True),
        },
    ),
    "alignment": RawTable(
        "Alignment of tracks with a chart's profile; one row per batch and track.",
        {
            "batch_id": Column("VARCHAR", "The batch.", required=True),
            "track_id": Column("VARCHAR", "The track.", required=True),
            "chart": Column("VARCHAR", "Name of the chart.", required=True),
            "as_of": Column("DATE", "Date of the profile.", required=True),
            "alignment": Column("DOUBLE", "Percentile of the score.", 0.0, 100.0),
            "alignment_in_genre": Column("DOUBLE", "Percentile within the genre.", 0.0, 100.0),
            "score": Column("DOUBLE", "Log density of charting less that of recently released songs."),
            "distance": Column("DOUBLE", "Distance from the mean of the charting songs.", 0.0, None),
            "chart_likelihood": Column("DOUBLE", "Calibrated probability.", 0.0, 1.0),
            "likelihood_reason": Column("VARCHAR", "Why there is no likelihood."),
            "artist_momentum": Column("DOUBLE", "Weighted chart weeks of the artist.", 0.0, None),
            "popularity": Column("DOUBLE", "Popularity as of the date.", 0.0, 100.0),
            "popularity_source": Column("VARCHAR", "Provider, or chart:<name> where no provider says it of any track."),
            "popularity_gap": Column("DOUBLE", "Alignment less the percentile of popularity.", -100.0, 100.0),
            "n_reference": Column("BIGINT", "Charting songs of the profile.", 0, None),
            "coverage": Column("DOUBLE", "Share of chart points with known sound.", 0.0, 1.0),
            "confidence": Column("DOUBLE", "0..1.", 0.0, 1.0),
            "is_charting": Column("BOOLEAN", "The recording charts."),
        },
    ),
    "alignment_contributions": RawTable(
        "What each feature adds to an alignment score; one row per batch and track, two columns per feature.",
        {
            "batch_id": Column("VARCHAR", "The batch, which says chart and date.", required=True),
            "track_id": Column("VARCHAR", "The track.", required=True),
            **{
                f"z_{name}": Column("DOUBLE", f"Deviation of {name} from the charting songs' mean in their standard deviations.")
                for name in ALIGNED
            },
            **{f"adds_{name}": Column("DOUBLE", f"What {name} adds to the score less its mean.") for name in ALIGNED},
        },
    ),
    "alignment_backtest": RawTable(
        "Figures of the back-test; one row per chart, quarter, segment, score and test.",
        {
            "chart": Column("VARCHAR", "Name of the chart.", required=True),
            "quarter": Column("VARCHAR", "Quarter of release as 2011Q3, or all.", required=True),
            "segment": Column("VARCHAR", "Which songs.", required=True),
            "score": Column("VARCHAR", "The score or rival.", required=True),
            "is_rival": Column("BOOLEAN", "A yardstick, not one of our scores.", required=True),
            "auc": Column("DOUBLE", "Area under the ROC curve.", 0.0, 1.0),
            "ci_low": Column("DOUBLE", "Lower end of its 95 % interval.", 0.0, 1.0),
            "ci_high": Column("DOUBLE", "Upper end of its 95 % interval.", 0.0, 1.0),
            "lift_10": Column("DOUBLE", "Lift in the top tenth.", 0.0, None),
            "n": Column("BIGINT", "Songs.", 0, None, required=True),
            "n_positive": Column("BIGINT", "Of which charted in time.", 0, None, required=True),
            "margin": Column("DOUBLE", "auc less that of the timeless centroid."),
            "margin_low": Column("DOUBLE", "Lower end of its paired 95 % interval."),
            "margin_high": Column("DOUBLE", "Upper end of its paired 95 % interval."),
            "input_hash": Column("VARCHAR", "Hash of what was tested."),
            "tested_at": Column("TIMESTAMP", "When (UTC).", required=True),
        },
    ),
}

# Not loaded from landing but written before each build: what is known of every provider, and every refused value.
PROVIDERS_TABLE = RawTable(
    "What each provider's values may be used for, as configured now; one row per provider.",
    {
        "provider": Column("VARCHAR", "Name of the provider.", required=True),
        "licence": Column("VARCHAR", "Licence of its values."),
        "train_ok": Column("BOOLEAN", "May models be trained on its values."),
        "feature_priority": Column("INTEGER", "Order of preference for a track's features, 1 first."),
        "popularity_scale": Column("VARCHAR", "0..100, or rank for a scale that is turned into a percentile."),
        "ttl_days": Column("INTEGER", "Days its values may be kept; NULL for ever."),
    },
)
QUARANTINE_TABLE = RawTable(
    "Values and rows that could not be typed; one row per refused value or row.",
    {
        "table_name": Column("VARCHAR", "The raw table it was meant for."),
        "field": Column("VARCHAR", "The refused field; NULL where the whole row was refused."),
        "raw_value": Column("VARCHAR", "The value as it came, cut at 200 characters."),
        "reason": Column("VARCHAR", "Why it was refused."),
        "row_key": Column("VARCHAR", "What identifies the row, as far as known."),
        "raw_line": Column("VARCHAR", "The row as it came, cut at 2,000 characters."),
    },
)
