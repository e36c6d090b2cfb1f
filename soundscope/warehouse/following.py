"""Following a run of dbt model by model: what is selected, which test counts for which model, and when a model is done.

Reads dbt's manifest and events; runs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Literal

from soundscope.warehouse.bring_back import Definition

_PASSED = ("success", "pass", "warn", "no-op", "partial success")


@dataclass(frozen=True)
class ModelPlan:
    """A model or seed that will be built: `schema.table`, dbt's id, and the names of what it reads within the selection."""

    name: str
    unique_id: str
    parents: list[str]


@dataclass(frozen=True)
class CheckResult:
    """What a test found: its name, the model it counts for, and how many rows spoke against it."""

    check: str
    model: str
    status: Literal["pass", "warn", "fail"]
    failures: int
    message: str


@dataclass(frozen=True)
class ModelResult:
    """What came of a model and its tests.

    Attributes:
        name: `schema.table`.
        status: `success`; `failed` if the model or one of its tests failed; `skipped` if something before it did.
        seconds: time for the model and its tests, without waiting.
        rows: rows of the table; None for a view, and where it was not built.
        messages: errors and warnings, one line each.
        checks: its tests.
    """

    name: str
    status: Literal["success", "failed", "skipped"]
    seconds: float
    rows: int | None
    tests_passed: int
    tests_warned: int
    tests_failed: int
    messages: list[str] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)


class Graph:
    """The selected part of the project.

    Args:
        manifest: dbt's manifest.
        selected: dbt's ids of the selected models, seeds and tests.
    """

    def __init__(self, manifest: Any, selected: Iterable[str]) -> None:
        self._nodes = {**manifest.nodes, **manifest.unit_tests}
        chosen = [unique_id for unique_id in selected if unique_id in self._nodes]
        built = [i for i in chosen if i.startswith(("model.", "seed."))]
        parents = {i: sorted(p for p in _read_by(self._nodes[i]) if p in set(built)) for i in built}
        # Sorted first, so that the order is the same in every run.
        self.models: list[str] = list(TopologicalSorter({i: parents[i] for i in sorted(built)}).static_order())
        self._parents = parents
        order = {unique_id: place for place, unique_id in enumerate(self.models)}
        self.model_of: dict[str, str] = {}
        for test in set(chosen) - set(built):
            read = [p for p in _read_by(self._nodes[test]) if p in order]
            if read:
                self.model_of[test] = max(read, key=order.__getitem__)

    def name(self, unique_id: str) -> str:
        """`schema.table` of a model or seed, the plain name of a test."""
        node = self._nodes[unique_id]
        return f"{node.schema}.{node.name}" if unique_id.startswith(("model.", "seed.")) else str(node.name)

    def is_view(self, unique_id: str) -> bool:
        """Whether the model has no rows of its own."""
        return self._nodes[unique_id].config.get("materialized") in ("view", "ephemeral")

    def is_weekly(self, unique_id: str) -> bool:
        """Whether the model is brought forward week by week."""
        return self._nodes[unique_id].config.get("materialized") == "incremental"

    def is_by_track(self, unique_id: str) -> bool:
        """Whether the model is brought forward track by track."""
        return self._nodes[unique_id].config.get("materialized") == "by_track"

    def definition(self, unique_id: str, sql: str | None) -> Definition:
        """A model or seed as DuckDB is to have it; `sql` is its own, compiled for DuckDB."""
        node = self._nodes[unique_id]
        columns = {name: " ".join(column.description.split()) for name, column in node.columns.items()}
        return Definition(node.schema, node.alias, sql, self.is_view(unique_id), " ".join(node.description.split()), columns)

    def outside(self) -> set[str]:
        """Names of the models and seeds that the selected models and tests read and that are not selected."""
        built = set(self.models)
        read = {parent for node in (*self.models, *self.model_of) for parent in _read_by(self._nodes[node])}
        return {self.name(parent) for parent in read - built if parent.startswith(("model.", "seed."))}

    def relation(self, unique_id: str) -> tuple[str, str]:
        """Schema and table."""
        node = self._nodes[unique_id]
        return node.schema, node.alias

    def tests_of(self, unique_id: str) -> list[str]:
        """Ids of the tests that count for a model."""
        return [test for test, model in self.model_of.items() if model == unique_id]

    def plan(self) -> list[ModelPlan]:
        """Every model, each after everything it reads."""
        return [ModelPlan(self.name(i), i, [self.name(p) for p in self._parents[i]]) for i in self.models]


def _read_by(node: Any) -> list[str]:
    return list(getattr(node.depends_on, "nodes", []))


@dataclass
class _Node:
    status: str
    seconds: float
    failures: int
    message: str
    rows: int | None = None


class Follower:
    """Collects dbt's results and delivers each model once it and its tests are done.

    Args:
        graph: what is being built.
        deliver: called with each result, in one of dbt's threads.
        count_rows: rows of a table by schema and name.
    """

    def __init__(
        self, graph: Graph, deliver: Callable[[ModelResult], None], count_rows: Callable[[str, str], int | None]
    ) -> None:
        self._graph = graph
        self._deliver = deliver
        self._count_rows = count_rows
        self._seen: dict[str, _Node] = {}
        self._delivered: set[str] = set()
        self._lock = threading.Lock()

    def event(self, event: Any) -> None:
        """Take one of dbt's events."""
        if event.info.name != "NodeFinished":
            return
        unique_id = event.data.node_info.unique_id
        result = event.data.run_result
        self.note(unique_id, str(result.status), float(result.execution_time), result.num_failures, result.message)

    def take(self, outcome: Any) -> None:
        """Take what dbt said at the end of a command: of models that were skipped there was no event."""
        for result in getattr(outcome.result, "results", None) or []:
            self.note(result.node.unique_id, str(result.status), result.execution_time, result.failures, result.message)

    def complete(self) -> None:
        """Deliver what is left, at the end: models that were skipped, or that dbt told nothing about."""
        for model in self._graph.models:
            self._complete(model, at_end=True)

    def note(self, unique_id: str, status: str, seconds: float, failures: int | None, message: str | None) -> None:
        """Take one result in dbt's own words; what was taken before stays."""
        model = self._graph.model_of.get(unique_id, unique_id)
        if model not in self._graph.models or unique_id in self._seen:
            return
        rows = None
        if unique_id == model and status in _PASSED and not self._graph.is_view(model):
            rows = self._count_rows(*self._graph.relation(model))
        with self._lock:
            self._seen[unique_id] = _Node(status, seconds, failures or 0, (message or "").strip(), rows)
        self._complete(model)

    def _complete(self, model: str, *, at_end: bool = False) -> None:
        with self._lock:
            tests = self._graph.tests_of(model)
            waiting = [i for i in (model, *tests) if i not in self._seen]
            if model in self._delivered or (waiting and not at_end):
                return
            self._delivered.add(model)
            result = self._result(model, [test for test in tests if test in self._seen])
        self._deliver(result)

    def _result(self, model: str, tests: Sequence[str]) -> ModelResult:
        name = self._graph.name(model)
        own = self._seen.get(model, _Node("skipped", 0.0, 0, "not built, because something before it failed"))
        checks = [
            CheckResult(self._graph.name(test), name, _verdict(node), node.failures, node.message)
            for test in sorted(tests)
            if (node := self._seen[test]).status != "skipped"
        ]
        count = {status: sum(check.status == status for check in checks) for status in ("pass", "warn", "fail")}
        status: Literal["success", "failed", "skipped"] = "success"
        messages = [f"{check.check}: {_found(check)}" for check in checks if check.status != "pass"]
        if own.status == "skipped":
            status = "skipped"
            messages.insert(0, own.message or "not built, because something before it failed")
        elif own.status not in _PASSED:
            status = "failed"
            messages.insert(0, " ".join(own.message.split()))
        elif count["fail"]:
            status = "failed"
        seconds = own.seconds + sum(self._seen[test].seconds for test in tests)
        return ModelResult(
            name, status, round(seconds, 3), own.rows, count["pass"], count["warn"], count["fail"], messages, checks
        )


def _verdict(node: _Node) -> Literal["pass", "warn", "fail"]:
    if node.status in ("pass", "success"):
        return "pass"
    return "warn" if node.status == "warn" else "fail"


def _found(check: CheckResult) -> str:
    if check.failures:
        return f"{check.failures} row(s) {'speak against it' if check.status == 'fail' else 'are odd'}"
    return " ".join(check.message.split()) or check.status
