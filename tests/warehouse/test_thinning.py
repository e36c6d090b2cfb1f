"""Landing forgets results that newer ones have replaced, and only those: every table made from it stays as it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from soundscope.ingest import landing
from soundscope.ingest import tables as t
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.load import replay
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_step
from soundscope.pipeline.ops import ledger_table
from soundscope.pipeline.run import Run, open_run
from soundscope.pipeline.thinning import thin_landing
from soundscope.settings import PROJECT, Settings

LATER = timedelta(days=401)
# Each asks as the models of the same name do.
QUESTIONS = (
    "select track_id, model_id, genre, scored_at from raw.predictions "
    "qualify scored_at = max(scored_at) over (partition by track_id, model_id) order by all",
    "select track_id, model_id, feature, explained_at from raw.explanations "
    "qualify explained_at = max(explained_at) over (partition by track_id, model_id) order by all",
    "select title, track_id from raw.track_links order by all",
)


def _batch(batch: str, kind: str, as_of: str, hour: int, tracks: int = 2) -> list[tuple[str, pd.DataFrame]]:
    rows = [{"batch_id": batch, "track_id": f"x:{n}", "chart": "c", "as_of": as_of, "score": hour + n} for n in range(tracks)]
    head = {"batch_id": batch, "chart": "c", "kind": kind, "as_of": as_of, "input_hash": batch, "n_rows": tracks}
    return [
        ("alignment", pd.DataFrame(rows)),
        ("alignment_contributions", pd.DataFrame([{"batch_id": batch, "track_id": row["track_id"]} for row in rows])),
        ("alignment_batches", pd.DataFrame([{**head, "scored_at": datetime(2026, 1, 1, hour)}])),
    ]


def _scores(tracks: str, hour: int) -> list[tuple[str, pd.DataFrame]]:
    at = datetime(2026, 1, 1, hour)
    said = [
        {"track_id": f"x:{name}", "model_id": "m", "genre": "pop", "probability": 0.9, "rank": 1, "scored_at": at}
        for name in tracks
    ]
    told = {"model_id": "m", "genre": "pop", "feature": "energy", "value": 0.5, "contribution": 0.1, "explained_at": at}
    why = [{"track_id": f"x:{name}", **told} for name in tracks]
    return [("predictions", pd.DataFrame(said)), ("explanations", pd.DataFrame(why))]


def _land(run: Run, name: str, frames: list[tuple[str, pd.DataFrame]], notes: dict[str, str] | None = None) -> str:
    file = land_frames(run.settings, run.ledger, run.run_id, name, frames, notes)
    assert file is not None
    return file


def _answers(run: Run) -> list[Any]:
    """What the tables say: the questions above, and the model that chooses the batches, from its own file."""
    model = (PROJECT / "sql/models/marts/prepare/alignment_newest.sql").read_text()
    chosen = model.split("}}", 1)[1].replace("{{ source('raw', 'alignment_batches') }}", "raw.alignment_batches")
    with run.writer() as con:
        con.execute(f"create or replace temp view chosen as {chosen}")
        batches = con.execute(
            "select chosen.*, a.track_id, a.score, c.track_id from chosen inner join raw.alignment a using (batch_id) "
            "inner join raw.alignment_contributions c on c.batch_id = a.batch_id and c.track_id = a.track_id order by all"
        ).fetchall()
        return [batches, *(con.execute(question).fetchall() for question in QUESTIONS)]


def test_replaced_results_go_and_nothing_that_counts(settings: Settings) -> None:
    files: dict[str, str] = {}
    with open_run(settings, "maintenance") as run:
        link = {"title": "a", "artist": "b", "run_no": 1, "track_id": "x:0", "status": "matched"}
        files["old link"] = _land(run, "match", [("track_links", pd.DataFrame([link]))], {"inputs": "1"})
        files["old link again"] = _land(run, "match", [("track_links", pd.DataFrame([link]))], {"inputs": "2"})
        files["replaced"] = _land(run, "align", _batch("b1", "charting", "2026-01-03", 1))
        files["current, old"] = _land(run, "align", _batch("c1", "current", "2026-01-03", 1))
        files["mixed"] = _land(
            run, "align", [*_batch("b2", "charting", "2026-01-03", 2), *_batch("b3", "charting", "2026-01-10", 2)]
        )
        files["current"] = _land(run, "align", _batch("c2", "current", "2026-01-10", 3))
        files["replaced in part"] = _land(run, "align", _batch("b4", "charting", "2026-01-03", 4))
        files["scored twice"] = _land(run, "score", _scores("ab", 1))
        files["still the newest of one"] = _land(run, "score", _scores("bc", 2))
        files["scores"] = _land(run, "score", _scores("ab", 3))
        files["noted"] = _land(run, "score", _scores("a", 0), {"unit": "1"})
        load_step(run)
        before = _answers(run)
        assert thin_landing(run) == (0, 0), "nothing is old yet"
        n, size = thin_landing(run, utcnow() + LATER)
        left = {name for name, file in files.items() if (settings.paths.landing / file).exists()}
        assert set(files) - left == {"replaced", "current, old", "scored twice"}
        assert n == 3
        assert size > 0
        assert _answers(run) == before
        assert set(ledger_table(run.ledger, t.landing_files).frame["landing_file"]) == {files[name] for name in left}
        assert thin_landing(run, utcnow() + LATER) == (0, 0)
        with run.writer() as con:
            replay(con, settings.paths.landing)
        assert _answers(run) == before, "landing alone gives the same"


def test_a_kill_before_the_files_are_gone_loses_nothing(settings: Settings, monkeypatch: Any) -> None:
    with open_run(settings, "maintenance") as run:
        for hour in (1, 2):
            _land(run, "score", _scores("ab", hour))
        load_step(run)
        before = _answers(run)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", _killed)
            try:
                thin_landing(run, utcnow() + LATER)
            except KeyboardInterrupt:
                assert len(landing.files(settings.paths.landing)) == 2
        load_step(run)
        assert _answers(run) == before
        assert thin_landing(run, utcnow() + LATER)[0] == 1
        assert _answers(run) == before


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
