"""What `test_spread.py` runs in a process of its own, with a Prefect server: the same work one after another and on Dask, results as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow

from flows.spread import spreading
from flows.tasks import submit
from soundscope.genre import registry
from soundscope.genre.data import load_training
from soundscope.genre.train import train
from soundscope.match import candidates, match_keys
from soundscope.settings import Settings, load_settings
from soundscope.spread import IN_TURN, Spread

NAMES = ("softmax_regression", "lightgbm")


def keys_and_tracks(n: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Chart keys and a catalogue in which each has its track, some spelled otherwise, and guests named in titles."""
    tracks = [
        {
            "track_id": f"t:{i}",
            "title": f"Song Number {i}" + (f" (feat. Band {i + 1})" if i % 5 == 0 else ""),
            "artist": f"Band {i}",
        }
        for i in range(n)
    ]
    keys = [(f"Song Numbr {i}" if i % 7 == 0 else f"Song Number {i}", f"Band {i + (i % 11 == 0)}") for i in range(0, n, 2)]
    given = pd.DataFrame(keys, columns=["title", "artist"]).assign(run_no=1)
    return given, pd.DataFrame(tracks).assign(artists=lambda frame: frame["artist"])


def pid(_: int) -> int:
    return os.getpid()


def work(settings: Settings, spread: Spread) -> dict[str, Any]:
    """Everything that is spread, as JSON values."""
    from genre_world import warehouse

    keys, tracks = keys_and_tracks()
    candidates.BLOCK_ROWS = 100
    links = match_keys(keys, tracks, spread=spread)
    with warehouse() as con:
        outcome = train(con, settings, "r1", datetime(2026, 1, 1), None, names=NAMES, spread=spread)
        data = load_training(con, settings.train.target, settings.train.min_class_rows)
    stored = {model_id: registry.load(settings.paths.models, model_id) for model_id in outcome.rows["model_runs"]["model_id"]}
    metrics = (
        outcome.rows["model_metrics"]
        .drop(columns=["seconds"], errors="ignore")
        .sort_values(["model_id", "split", "metric", "class"])
    )
    return {
        "pids": spread("pid", pid, {"a": 1, "b": 2}),
        "links": json.loads(links.to_json(orient="records", double_precision=15)),
        "metrics": json.loads(metrics.to_json(orient="records", double_precision=15)),
        "said": {name: hashlib.sha256(one.model.predict_proba(data.frame).tobytes()).hexdigest() for name, one in stored.items()},
    }


def compare(settings: Settings, spread: Spread) -> dict[str, Any]:
    """As in a run: the step is a task in a thread, and spreads from there."""

    @flow(name="compare")
    def around() -> dict[str, Any]:
        # A run holds what cannot be sent anywhere; so does what is around the work here.
        _lock = threading.Lock()
        return submit("work", "match and train", lambda: (_lock, work(settings, spread))[1]).result()

    return around()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "genre"))
    found = {}
    for name, home in (("in_turn", sys.argv[2]), ("dask", sys.argv[3])):
        own = load_settings(home=Path(home))
        own.paths.create()
        with nullcontext(IN_TURN) if name == "in_turn" else spreading(load_settings()) as spread:
            found[name] = compare(own, spread)
    Path(sys.argv[1]).write_text(json.dumps({"main": os.getpid(), **found}), encoding="utf-8")
