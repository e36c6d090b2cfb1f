"""What SoundScope itself lands: links, recordings, models and scores come back through landing like any other source."""

from __future__ import annotations

from collections.abc import Mapping

from soundscope.sources.base import RowSpec
from soundscope.sources.json_sql import elements, text

PROVIDER = "soundscope"
# The features that alignment is made from.
ALIGNED = (
    "tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness", "liveness",
    "duration_ms",
)  # fmt: skip
_COLUMNS: dict[str, tuple[str, ...]] = {
    "track_links": (
        "title", "artist", "run_no", "track_id", "status", "is_other_version", "method", "score", "runner_up_track_id",
        "runner_up_score", "decided_by", "decided_at", "reason",
    ),
    "recordings": ("track_id", "recording_id"),
    "model_runs": (
        "model_id", "trained_at", "target", "algorithm", "is_champion", "verdict", "reason", "decided_by", "release_id", "n_train",
        "n_classes", "provider_mix", "artefact_sha256", "seed",
    ),
    "model_metrics": ("model_id", "split", "metric", "class", "value", "ci_low", "ci_high"),
    "confusion": ("model_id", "split", "true_genre", "predicted_genre", "n"),
    "predictions": ("track_id", "model_id", "genre", "probability", "rank", "is_unsure", "release_id", "scored_at", "input_hash"),
    "explanations": ("track_id", "model_id", "genre", "feature", "value", "contribution", "input_hash", "explained_at"),
    "drift": (
        "model_id", "feature", "as_of", "psi", "level", "n", "n_effective", "n_weeks", "noise", "is_held_back", "measured_at",
    ),
    "alignment_batches": ("batch_id", "chart", "kind", "as_of", "input_hash", "n_rows", "scored_at"),
    "alignment": (
        "batch_id", "track_id", "chart", "as_of", "alignment", "alignment_in_genre", "score", "distance", "chart_likelihood",
        "likelihood_reason", "artist_momentum", "popularity", "popularity_source", "popularity_gap", "n_reference", "coverage",
        "confidence", "is_charting",
    ),
    "alignment_contributions": ("batch_id", "track_id", *(f"{what}_{name}" for what in ("z", "adds") for name in ALIGNED)),
    "alignment_backtest": (
        "chart", "quarter", "segment", "score", "is_rival", "auc", "ci_low", "ci_high", "lift_10", "n", "n_positive", "margin",
        "margin_low", "margin_high", "input_hash", "tested_at",
    ),
}  # fmt: skip
INTERNAL_ROWS: Mapping[str, tuple[RowSpec, ...]] = {
    kind: (RowSpec(kind, elements("$.rows[*]"), {name: text(f"$.{name}") for name in columns}, "json_type(e) = 'OBJECT'"),)
    for kind, columns in _COLUMNS.items()
}
