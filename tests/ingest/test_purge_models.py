"""A purge takes back the models that were trained on a provider's rows, and all they said; other models stay."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from soundscope.genre import registry
from soundscope.genre.softmax import SoftmaxRegression
from soundscope.ingest import landing
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import raw_counts, replay
from soundscope.ingest.typed import create_raw
from soundscope.pipeline import steps
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.purge import purge
from soundscope.pipeline.run import open_run
from soundscope.settings import Settings

# model -> providers of its features, and the tracks it saw
MODELS = {
    "genre-by-features": ({"import:mine": 40, "reccobeats": 20}, ["spotify:a"]),
    "genre-by-labels": ({"reccobeats": 60}, ["spotify:b", "spotify:c"]),
    "genre-clean": ({"reccobeats": 60}, ["spotify:a", "spotify:c"]),
}


def _stored(settings: Settings) -> None:
    rng = np.random.default_rng(1)
    model = SoftmaxRegression().fit(rng.normal(size=(40, 3)), np.array(["x", "y"] * 20))
    for name, (providers, seen) in MODELS.items():
        registry.save(settings.paths.models, name, model, {"providers": providers}, registry.keys(pd.Series(seen)))


def _rows(name: str) -> dict[str, pd.DataFrame]:
    said = {"model_id": name, "target": "genre", "algorithm": "softmax_regression", "is_champion": name == "genre-by-labels",
            "trained_at": utcnow(), "verdict": "promoted", "provider_mix": json.dumps(MODELS[name][0]), "n_train": 60}  # fmt: skip
    guess = {"track_id": "spotify:c", "model_id": name, "genre": "x", "probability": 0.9, "rank": 1, "scored_at": utcnow()}
    return {"model_runs": pd.DataFrame([said]), "predictions": pd.DataFrame([guess])}


@pytest.mark.slow
def test_models_trained_on_purged_rows_go_and_others_stay(settings: Settings, tmp_path: Any) -> None:
    _stored(settings)
    with open_run(settings, "purge") as run:
        for name in MODELS:
            land_frames(settings, run.ledger, run.run_id, "train", _rows(name).items())
        steps.load_step(run)
        with run.writer() as con:
            # What a build leaves: who said what of which track.
            con.execute("create schema core")
            con.execute("create table core.track_genres as select 'spotify:b' as track_id, 'import:mine' as provider")
        result = purge(run, "import:mine")
        with run.writer() as con:
            assert steps.champion(con, "genre") is None, "nothing is scored with it any more"
            assert con.execute("select model_id from raw.predictions").fetchall() == [("genre-clean",)]
            told = con.execute("select model_id, reason from raw.model_runs where verdict = 'retired' order by 1").fetchall()
            before = raw_counts(con)
            replay(con, settings.paths.landing)
            assert raw_counts(con) == before, "landing holds no more than the tables do"
            create_raw(con)
    assert [name for name, _ in told] == ["genre-by-features", "genre-by-labels"]
    assert all("import:mine, which were purged" in reason for _, reason in told)
    assert [path.name for path in settings.paths.models.iterdir()] == ["genre-clean"]
    assert (result.before["models trained on it"], result.before["rows said by those models"]) == (2, 2)
    assert result.after.get("models trained on it", 0) == result.after.get("rows said by those models", 0) == 0
    texts = " ".join(
        str(line)
        for path in landing.files(settings.paths.landing)
        for line in landing.read_lines(path)
        if line["kind"] == "predictions"
    )
    assert "genre-clean" in texts
    assert "genre-by" not in texts
