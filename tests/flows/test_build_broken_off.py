"""A build that is broken off before dbt begins does not leave tasks waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from flows import build
from soundscope.errors import CheckFailed
from soundscope.warehouse.build import ModelPlan


def _ends_with_a_failure(work: Callable[[], Any]) -> None:
    with pytest.raises(CheckFailed):
        work()


def test_tasks_end_when_a_signal_comes_while_they_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[threading.Thread] = []

    def submit(_key: str, name: str, work: Callable[[], Any], **_more: Any) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(threading.Thread(target=_ends_with_a_failure, args=(work,), name=name, daemon=True))
        waiting[0].start()

    monkeypatch.setattr(build, "submit", submit)
    monkeypatch.setattr(build, "plan", lambda *_, **__: [ModelPlan(n, f"model.{n}", []) for n in ("core.one", "core.two")])
    run: Any = SimpleNamespace(settings=None)
    with pytest.raises(KeyboardInterrupt):
        build.build_models(run)
    waiting[0].join(5)
    assert not waiting[0].is_alive()
