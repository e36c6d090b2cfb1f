"""Recall, confirmation, calibration and time on a real archive against a real catalogue; figures and protocol: docs/matching.md."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from soundscope.match import match_keys
from soundscope.settings import PROJECT

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matching_benchmark", PROJECT / "benchmarks" / "matching.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def judged(benchmark: ModuleType, realdata: Path) -> pd.DataFrame:
    keys, tracks, truth = benchmark.load(realdata)
    start = time.process_time()
    links = match_keys(keys, tracks)
    frame = benchmark.judge(links, tracks, truth)
    frame.attrs["seconds"] = time.process_time() - start
    return frame


def test_recall_and_confirmed_share(judged: pd.DataFrame) -> None:
    matched = judged[judged["status"] == "matched"]
    assert (judged.loc[judged["in_catalogue"], "status"] == "matched").mean() >= 0.93
    assert matched.loc[matched["verifiable"], "confirmed"].mean() >= 0.93
    assert matched.loc[matched["agree"], "confirmed"].mean() >= 0.95


def test_confidence_is_calibrated_on_the_half_it_was_not_fitted_on(judged: pd.DataFrame, benchmark: ModuleType) -> None:
    mine = pd.Series(
        [benchmark.half(t, a) == 1 for t, a in zip(judged["title"], judged["artist"], strict=True)], index=judged.index
    )
    held_out = judged[mine & judged["confirmed"].notna()]
    for part in (held_out[held_out["agree"]], held_out[held_out["verifiable"]]):
        score, right = part["score"].to_numpy(), part["confirmed"].to_numpy(dtype=float)
        assert benchmark.calibration_error(score, right) < 0.03
        assert benchmark.calibration_error(score, right, equal_count=True) < 0.035


def test_time(judged: pd.DataFrame) -> None:
    assert judged.attrs["seconds"] < 40, "CPU seconds, generous because other work may share the machine"
