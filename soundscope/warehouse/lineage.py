"""Which table is made from which: a page with diagrams, and dbt's own documentation as one HTML file. Read from the SQL project, not from data."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soundscope.errors import SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.dbt_session import dbt_session
from soundscope.warehouse.lock import writer_lock

LAYERS = ("staging", "core", "prepare", "marts", "ml")
_HEAD = """# Lineage

Which table is made from which. Written from the SQL models by `soundscope docs --lineage docs/lineage.md`, and checked by a test; edit the models,
not this page. With columns, tests and SQL: `soundscope docs` writes dbt's documentation as one HTML file to open in a browser.

Raw tables are loaded from landing (`soundscope describe` lists what is published); matching, alignment and the classifier land their results
as raw tables too, so they come in by the same door: an arrow from `raw.track_links` or `raw.predictions` is one of those.
"""


@dataclass(frozen=True)
class Node:
    """A model or seed as `layer.name`, what it is made from (`raw.tracks` for a raw table), and the first sentence of its description."""

    name: str
    layer: str
    parents: tuple[str, ...]
    about: str


def nodes(settings: Settings) -> list[Node]:
    """Every model and seed of the project, parents first where the layers say so, else by name.

    Raises:
        SoundScopeError: dbt cannot read the project.
    """
    with dbt_session(settings) as dbt:
        manifest = dbt.invoke(["parse"]).result
    known = {**manifest.nodes, **manifest.sources}
    found = []
    for node in manifest.nodes.values():
        if str(node.resource_type) not in ("model", "seed"):
            continue
        parents = (
            sorted(_name(known[parent]) for parent in node.depends_on.nodes if parent in known)
            if hasattr(node.depends_on, "nodes")
            else []
        )
        about = " ".join(str(node.description).split()).split(". ")[0].rstrip(".")
        found.append(Node(_name(node), str(node.schema), tuple(parents), about))
    order = {layer: place for place, layer in enumerate(LAYERS)}
    return sorted(found, key=lambda node: (order.get(node.layer, -1), node.name))


def _name(node: object) -> str:
    return f"{getattr(node, 'schema')}.{getattr(node, 'name')}"  # noqa: B009 - dbt's own classes have no common type


def lineage_page(settings: Settings) -> str:
    """The page in Markdown: one Mermaid diagram and one table of models per layer."""
    by_layer: dict[str, list[Node]] = defaultdict(list)
    for node in nodes(settings):
        by_layer[node.layer].append(node)
    parts = [_HEAD, "## Overview\n", *_diagram(_overview(by_layer))]
    for layer, held in by_layer.items():
        edges = [(parent, node.name) for node in held for parent in node.parents]
        parts += [f"## {layer}\n", *(_diagram(edges) if edges else []), "| table | what |\n|---|---|"]
        parts += [f"| `{node.name}` | {node.about.replace('|', chr(92) + '|')} |" for node in held]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _overview(by_layer: dict[str, list[Node]]) -> list[tuple[str, str]]:
    edges = {(parent.split(".")[0], layer) for layer, held in by_layer.items() for node in held for parent in node.parents}
    return sorted(edge for edge in edges if edge[0] != edge[1])


def _diagram(edges: list[tuple[str, str]]) -> Iterator[str]:
    yield "```mermaid\nflowchart LR"
    for name in sorted({name for edge in edges for name in edge}):
        yield f'  {_id(name)}["{name}"]'
    yield from (f"  {_id(parent)} --> {_id(child)}" for parent, child in sorted(edges))
    yield "```\n"


def _id(name: str) -> str:
    return name.replace(".", "_")


def write_site(settings: Settings, file: Path) -> Path:
    """Write dbt's documentation (models, columns, tests, SQL, lineage graph) as one HTML file; returns it.

    Types and sizes are those of the private warehouse, so it needs the writer lock for some seconds.

    Raises:
        Busy: a run is writing.
        SoundScopeError: dbt failed.
    """
    with writer_lock(settings, wait_s=5.0), dbt_session(settings) as dbt:
        dbt.invoke(["docs", "generate", "--static"], write_files=True)
    made = settings.paths.dbt / "target" / "static_index.html"
    if not made.exists():
        raise SoundScopeError(f"dbt wrote no {made}.", next_step="look at the log in warehouse/.private/dbt/logs.")
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, file)
    return file
