"""`soundscope docs`: the tables' documentation as a page to open in a browser. Imports are inside the command, as in `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("docs")(docs)


def docs(
    to: Annotated[Path | None, typer.Option(help="The HTML file to write; warehouse/docs.html if left out.")] = None,
    lineage: Annotated[
        Path | None, typer.Option(help="Write the lineage as Markdown with diagrams to this file instead.")
    ] = None,
) -> None:
    """Write what every table holds, how it is tested and what it is made from: dbt's documentation as one HTML file."""
    from soundscope.settings import load_settings
    from soundscope.warehouse.lineage import lineage_page, write_site

    settings = load_settings()
    if lineage is not None:
        lineage.write_text(lineage_page(settings), encoding="utf-8")
        print(f"Wrote {lineage}.")
        return
    file = write_site(settings, to or settings.paths.warehouse / "docs.html")
    print(f"Wrote {file} ({file.stat().st_size / 1e6:.1f} MB); open it in a browser.")
