"""`soundscope export`. Imports are inside the command, as in `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soundscope.errors import BadInput

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(export)


def export(
    to: Annotated[Path, typer.Option(help="A new folder.")],
    tables: Annotated[list[str] | None, typer.Argument(help="As marts.track_features; every table, if left out.")] = None,
    fmt: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    raw: Annotated[bool, typer.Option("--raw", help="The raw layer as partitioned Parquet, for another engine.")] = False,
    json: Json = False,
) -> None:
    """Write tables of the current release as files, or the raw layer with --raw."""
    from soundscope.output import show_table
    from soundscope.settings import load_settings
    from soundscope.warehouse.export import export_raw, export_release

    if raw and (tables or fmt != "parquet"):
        raise BadInput("--raw writes the whole raw layer as Parquet.", next_step="leave table names and --format out.")
    settings = load_settings()
    done = export_raw(settings, to) if raw else export_release(settings, to, tables or (), fmt)
    show_table(["table", "rows", "path"], [(one.table, one.rows, str(one.path)) for one in done], json)
