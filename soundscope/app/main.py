"""What Streamlit runs at every view and click; the site itself is `site.py`, which is imported once."""

from __future__ import annotations

from soundscope.app.site import draw

draw()
