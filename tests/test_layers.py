"""Imports follow the order in which data flows; nothing downstream is imported upstream."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from soundscope.settings import PROJECT

# A package may import those before it, and itself.
ORDER = [
    "errors", "processes", "settings", "sources", "ingest", "match", "trends", "genre", "profile", "warehouse", "pipeline", "output", "cli", "app",
]  # fmt: skip


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _files(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def _layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "soundscope" and len(parts) > 1 else None


@pytest.mark.parametrize("file", _files("soundscope"), ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_library_imports_only_what_stands_before_it(file: Path) -> None:
    layer = file.relative_to(PROJECT / "soundscope").with_suffix("").parts[0]
    for module in _imports(file):
        root = module.split(".")[0]
        assert root not in ("prefect", "flows"), f"{file.name} imports {module}: only flows/ knows Prefect"
        assert root != "streamlit" or layer == "app", f"{file.name} imports {module}: only soundscope/app knows Streamlit"
        other = _layer(module)
        if layer == "sandbox":
            assert other in (None, "sandbox", "errors"), f"the sandbox imports {module}: it shares no code with what it tests"
        elif layer in ORDER and other in ORDER:
            assert ORDER.index(other) <= ORDER.index(layer), f"{file.name} ({layer}) imports {module}: that is downstream"


def test_the_command_line_imports_nothing_heavy_at_the_top() -> None:
    heavy = {"pandas", "duckdb", "sklearn", "spotipy", "sqlalchemy", "dbt", "prefect", "streamlit", "requests", "lightgbm"}
    for name in ("__init__", "cli", "settings", "errors"):
        tree = ast.parse((PROJECT / "soundscope" / f"{name}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & heavy, f"soundscope/{name}.py imports {names}"


def test_only_the_sandbox_itself_is_served_by_nobody_else() -> None:
    """Library modules import the sandbox only where a run starts it or the command line serves it."""
    users = {
        file.relative_to(PROJECT).as_posix()
        for file in _files("soundscope")
        if any(_layer(m) == "sandbox" for m in _imports(file))
    }
    assert {user for user in users if not user.startswith("soundscope/sandbox/")} == {
        "soundscope/cli.py",
        "soundscope/pipeline/run.py",
    }
