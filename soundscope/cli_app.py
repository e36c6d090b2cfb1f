"""`soundscope app`: the app alone. Imports are inside the command, as in `cli`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("app")(serve)


def serve(
    port: Annotated[int | None, typer.Option(help="Where to listen on 127.0.0.1; the next free port if taken.")] = None,
) -> None:
    """Open the app in a browser: charts, tracks, the model, data quality. Reads the current release; Ctrl-C ends it."""
    from importlib.util import find_spec

    from soundscope.app.serve import LOOPBACK, command, free_port
    from soundscope.errors import BadInput
    from soundscope.settings import PROJECT, load_settings

    if find_spec("streamlit") is None:
        raise BadInput("Streamlit is not installed.", next_step="install the extra: pip install -c constraints.txt -e '.[app]'")
    settings = load_settings()
    chosen = free_port(settings.server.app_port if port is None else port)
    print(f"The app is at http://{LOOPBACK}:{chosen}; Ctrl-C ends it.", flush=True)
    os.environ["SOUNDSCOPE_HOME"] = str(settings.home)
    arguments = command(chosen)
    os.chdir(PROJECT)
    os.execv(sys.executable, arguments)  # noqa: S606
