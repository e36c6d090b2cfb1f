"""The process of the app: all is imported and prepared before it answers, so that the first view does not wait for it; then Streamlit serves."""

from __future__ import annotations

import inspect
import sys

from streamlit.web.cli import main

from soundscope.app import site, warm  # noqa: F401

# A view asks for dozens of small files while a thread draws it. By default each of them waits up to five milliseconds for the interpreter.
_SWITCH_S = 0.0005

if __name__ == "__main__":
    sys.setswitchinterval(_SWITCH_S)
    warm.before_serving()
    # Streamlit looks at the stack once; the first look at it reads where each module lies, which takes a fifth of a second.
    inspect.stack()
    sys.argv[0] = "streamlit"
    main(prog_name="streamlit")
