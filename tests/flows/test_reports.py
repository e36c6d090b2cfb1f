"""What a run leaves to be read: nothing from outside is read as markup, every part of the report is there, parameters are a form with words."""

from __future__ import annotations

import importlib
from collections import Counter
from datetime import datetime
from types import SimpleNamespace

import pytest

from flows.schedules import read_deployments
from soundscope.ingest.load import LoadResult
from soundscope.ingest.tables import check_results
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.cards import model_card, quality_report
from soundscope.pipeline.loading import check_row
from soundscope.pipeline.markdown import code, plain, table
from soundscope.pipeline.report import run_report
from soundscope.pipeline.run import open_run
from soundscope.settings import PROJECT, Settings, load_settings

HOSTILE = "<img src=x onerror=alert(1)>`code`|cell| [link](javascript:alert(1))\x1b[31m\u202e" + "x" * 500


@pytest.mark.parametrize("shown", [code(HOSTILE), table(["a"], [[code(HOSTILE)]])])
def test_text_from_outside_is_inline_code_in_one_cell(shown: str) -> None:
    line = shown.splitlines()[-1]
    assert line.count("`") == 2, "no backquote of its own ends the code"
    assert not any(character in line for character in "\x1b\u202e")
    assert line.replace("\\|", "").count("|") in (0, 2)
    assert len(line) < 100


def test_sentences_that_quote_are_escaped() -> None:
    said = plain(HOSTILE)
    assert "\\<img" in said
    assert "\\[link\\]" in said
    assert "\n" not in plain("one\ntwo")
    assert len(said) < 600


def test_the_report_says_what_waits_what_is_left_and_what_was_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSCOPE_PROVIDERS__DEEZER__DAILY_BUDGET", "10")
    with open_run(load_settings(), "run") as run:
        fetched = SimpleNamespace(
            provider="deezer",
            kind="search",
            outcomes=Counter(ok=3, quota=2),
            message="the budget is spent",
            retry_at=datetime(2026, 1, 2, 3, 4),
        )
        run.facts |= {
            "fetched": [fetched],
            "loaded": [LoadResult(rows={"tracks": 3}, quarantined=1)],
            "training_due": None,
            "scored": 7,
        }
        with run.writer() as con:
            create_raw(con)
            con.execute(
                "insert into raw.quarantine (table_name, field, raw_value, reason, row_key) values ('tracks', 'tempo', ?, 'not a number', '1')",
                [HOSTILE],
            )
        said = run_report(run, None, {"app": "http://127.0.0.1:8501"})
    assert "| deezer | search | 3 | 0 | 2 | 0 | 0 |" in said
    assert "the budget is spent (deferred until 2026-01-02 03:04 UTC)" in said
    assert "### Budget left" in said
    assert "| deezer | 0 | 10 of 10 | 24 h |" in said
    assert "not a number" in said, "quarantine by reason"
    assert said.count("<img") == said.count("`<img"), "a sample is inline code"
    assert "7 tracks scored" in said
    assert "[app](http://127.0.0.1:8501)" in said


def test_quality_and_card_of_a_home_without_data_say_so(settings: Settings) -> None:
    with open_run(settings, "run") as run:
        run.ledger.insert(check_results, [check_row(run, "archives_agree", "raw.chart_entries", "warn", 2, f"differ: {HOSTILE}")])
        quality, card = quality_report(run), model_card(run)
    assert "No chart is held." in quality
    assert "Nothing is in quarantine." in quality
    assert "warn: `raw.chart_entries` archives\\_agree: differ: \\<img" in quality
    assert "No model is in use for genre" in card


def test_every_parameter_of_a_deployed_flow_is_described_and_typed() -> None:
    from prefect.utilities.callables import parameter_schema

    for entry in read_deployments(PROJECT / "prefect.yaml"):
        path, _, name = entry["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
        for parameter, shown in parameter_schema(flow.fn).properties.items():
            assert shown.get("description"), f"{name}: {parameter} has no description"
            assert {"type", "anyOf", "allOf", "$ref"} & set(shown), f"{name}: {parameter} has no type"
        assert set(entry.get("parameters", {})) <= set(parameter_schema(flow.fn).properties)
        assert entry["description"]
        assert flow.flow_run_name, "a run says what it is"
