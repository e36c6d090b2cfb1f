"""Which models a build may leave as they are: those whose inputs, table and SQL are what they were when it was last built.

A model is a function of what it reads, so it is rebuilt only if that differs: `tracks` stays when a chart week arrives. Differences are found
by content (a sum of row hashes; it does not depend on the order of rows), not by time, so whatever else wrote a table is noticed. What is
remembered is a file beside the private one; without it everything is built. Building is `build.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from soundscope.settings import Settings
from soundscope.warehouse.content import Content, content_of, digest
from soundscope.warehouse.dbt_session import project_hash
from soundscope.warehouse.following import CheckResult, Graph, ModelResult


@dataclass(frozen=True)
class Verdict:
    """What was remembered of a test: `pass` or `warn`, how many rows were odd, and dbt's words."""

    status: str
    failures: int
    message: str


class Unchanged:
    """What of a selection can stay, and what is remembered of what was built.

    Args:
        settings: whose warehouse.
        manifest: dbt's manifest.
        graph: the selected models and tests.
    """

    def __init__(self, settings: Settings, manifest: Any, graph: Graph) -> None:
        self._file = settings.paths.private / "built.json"
        self._graph = graph
        self._nodes: dict[str, Any] = {**manifest.nodes, **manifest.sources, **manifest.unit_tests}
        self._project = project_hash()
        self._memory = self._read()
        self._contents: dict[str, Content | None] = {}
        self.models: set[str] = set()
        self.consistent: set[str] = set()
        self.intact: set[str] = set()
        self.tests: dict[str, Verdict] = {}

    def find(self, con: duckdb.DuckDBPyConnection, among: Collection[str] | None = None) -> None:
        """Look at the tables as they are.

        Fills `models` (ids of models and seeds that stay), `tests` (tests whose result still stands, with it), `consistent`: weekly
        models that fit the tables they read as these are now, whether those are built anew or not; and `intact`: models looked at whose
        tables hold what they were last built to hold.

        Args:
            con: a connection to the private file.
            among: look at these alone, everything else having been built: what they read may hold what it did.
        """
        everything = set(self._graph.models)
        asked = everything | set(self._graph.model_of) if among is None else set(among)
        self._contents = {node: content for node, content in self._contents.items() if node not in everything - self.models}
        settled = self.models | (everything - asked)
        for model in self._graph.models:
            known = self._memory["models"].get(model)
            reads = self.reads(model)
            stay = set(reads) & everything <= settled
            looked_at = stay or self._graph.is_weekly(model) or self._graph.is_by_track(model)
            if model not in asked or known is None or not looked_at:
                continue
            content = self._token(con, model)
            if content is not None and known[1] == self._itself(model):
                self.intact.add(model)
            if content is not None and known == [self._inputs(con, reads), self._itself(model)]:
                self.consistent.add(model)
                if stay:
                    self.models.add(model)
                    settled.add(model)
        for test in asked & set(self._graph.model_of):
            known, reads = self._memory["tests"].get(test), self.reads(test)
            stay = set(reads) & everything <= settled
            if known is not None and stay and known[0] == self._inputs(con, reads):
                self.tests[test] = Verdict(*known[1:])

    def rows(self, schema: str, table: str) -> int | None:
        """Rows of a table that stays; None for any other."""
        for model in self.models:
            content = self._contents.get(model)
            if content is not None and self._graph.relation(model) == (schema, table):
                return content.rows
        return None

    def tell(self, note: Callable[[str, str, float, int | None, str | None], None]) -> None:
        """Say of everything that stays what was found when it was last built: id, status, seconds, failures, message."""
        for model in self.models:
            note(model, "success", 0.0, 0, "")
        for test, found in self.tests.items():
            note(test, found.status, 0.0, found.failures, found.message)

    def left(self) -> list[str]:
        """Ids of the models and tests that do not stay."""
        everything = [*self._graph.models, *self._graph.model_of]
        return [one for one in everything if one not in self.models and one not in self.tests]

    def names(self, ids: Iterable[str]) -> list[str]:
        """What dbt calls them in a selection."""
        return [str(self._nodes[one].name) for one in ids]

    def remember(self, con: duckdb.DuckDBPyConnection, results: Iterable[ModelResult], *, weekly: bool) -> None:
        """Note what was built and found, from the finished build.

        Args:
            con: a connection to the private file.
            results: of the build.
            weekly: weekly models were brought forward from a week that the caller named. Whether they are whole is the caller's word,
                so the next build makes them anew.
        """
        by_name = {result.name: result for result in results}
        built = set(self._graph.models) - self.models
        self._contents = {node: content for node, content in self._contents.items() if node not in built}
        for model in self._graph.models:
            result = by_name.get(self._graph.name(model))
            checks = {check.check: check for check in result.checks} if result else {}
            self._remember_model(con, model, result, weekly)
            for test in self._graph.tests_of(model):
                self._remember_test(con, test, checks.get(self._graph.name(test)))
        text = json.dumps(self._memory)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self._file)

    def _remember_model(self, con: duckdb.DuckDBPyConnection, model: str, result: ModelResult | None, weekly: bool) -> None:
        content = self._token(con, model)
        is_whole = not (weekly and self._nodes[model].config.get("materialized") == "incremental")
        if model in self.models:
            return
        if result is None or result.status != "success" or content is None or not is_whole:
            self._memory["models"].pop(model, None)
        else:
            inputs = self._inputs(con, self.reads(model))
            self._memory["models"][model] = [inputs, self._itself(model)]

    def _remember_test(self, con: duckdb.DuckDBPyConnection, test: str, found: CheckResult | None) -> None:
        if test in self.tests:
            return
        inputs = self._inputs(con, self.reads(test))
        if found is None or found.status == "fail" or inputs is None:
            self._memory["tests"].pop(test, None)
        else:
            self._memory["tests"][test] = [inputs, found.status, found.failures, found.message]

    def _itself(self, model: str) -> str | None:
        """Content of a table that was looked at, definition of a view."""
        content = self._contents.get(model)
        return content.digest if content else None

    def reads(self, node: str) -> list[str]:
        """Ids of the models, seeds and raw tables that a model or test reads."""
        return sorted(getattr(self._nodes[node].depends_on, "nodes", []))

    def _is_view(self, node: str) -> bool:
        return not node.startswith("source.") and self._nodes[node].config.get("materialized") in ("view", "ephemeral")

    def _inputs(self, con: duckdb.DuckDBPyConnection, reads: Iterable[str]) -> str | None:
        """One hash for the contents of several tables; None if one of them is missing."""
        tokens = [self._token(con, node) for node in reads]
        return None if None in tokens else digest(tokens)

    def _token(self, con: duckdb.DuckDBPyConnection, node: str) -> str | None:
        """The content of a table; of a view, which holds nothing, that of what it reads. None where it does not exist."""
        if node not in self._contents:
            self._contents[node] = content_of(
                con, self._nodes[node].schema, _table(self._nodes[node]), look=not self._is_view(node)
            )
        content = self._contents[node]
        if content is None:
            return None
        return self._inputs(con, self.reads(node)) if self._is_view(node) else content.digest

    def _read(self) -> dict[str, Any]:
        try:
            memory = json.loads(self._file.read_text(encoding="utf-8"))
            if memory["project"] == self._project and all(isinstance(memory[part], dict) for part in ("models", "tests")):
                return dict(memory)
        except (OSError, ValueError, KeyError, TypeError):
            # Missing, or from another version: everything is built, and the file is written anew.
            pass
        return {"project": self._project, "models": {}, "tests": {}}


def _table(node: Any) -> str:
    return str(getattr(node, "alias", None) or node.identifier)
