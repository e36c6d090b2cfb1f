"""The process of the app: everything is imported before it answers, so that the first view does not wait for it; then Streamlit serves."""

from __future__ import annotations

import inspect
import sys

from streamlit.web.cli import main

from soundscope.app import site  # noqa: F401

if __name__ == "__main__":
    # Streamlit looks at the stack once; the first look at it reads where each module lies, which takes a fifth of a second.
    inspect.stack()
    sys.argv[0] = "streamlit"
    main(prog_name="streamlit")
