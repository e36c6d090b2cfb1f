"""How the app is started: the command line of its process, with what must hold wherever it runs. Imports no Streamlit."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from soundscope.errors import BadInput

LOOPBACK = "127.0.0.1"
UPLOAD_MB = 2
_MAIN = Path(__file__).with_name("main.py")
# Contrast of the secondary texts and links is checked by tests/app with axe, in both themes.
_THEME = {
    "theme.light.primaryColor": "#00659e",
    "theme.light.linkColor": "#00659e",
    "theme.light.textColor": "#0b1220",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f1f4f7",
    "theme.dark.primaryColor": "#6cc0f0",
    "theme.dark.linkColor": "#6cc0f0",
    "theme.dark.backgroundColor": "#10151c",
    "theme.dark.secondaryBackgroundColor": "#1b232e",
    "theme.baseRadius": "8px",
    "theme.showWidgetBorder": "true",
}


def command(port: int) -> list[str]:
    """The command that serves the app on loopback, without telemetry, watching no files, with small uploads only.

    Args:
        port: where to listen on 127.0.0.1.
    """
    options = {
        "server.address": LOOPBACK,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "server.maxUploadSize": str(UPLOAD_MB),
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": LOOPBACK,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        **_THEME,
    }
    return [sys.executable, "-m", "soundscope.app", "run", str(_MAIN), *(f"--{name}={value}" for name, value in options.items())]


def free_port(first: int) -> int:
    """`first`, or the next free port on loopback (any if `first` is 0).

    Raises:
        BadInput: none of the next fifty is free.
    """
    for port in range(first, min(first + 50 if first else 1, 65_536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise BadInput(f"No free port for the app from {first} on.", next_step="choose another with --port, or 0 for any free one.")
