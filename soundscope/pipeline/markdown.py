"""Text from outside inside Markdown: shown as it is, and never read as markup. What is said is decided by `report` and `cards`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 80
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def code(text: object, longest: int = _LONGEST) -> str:
    """A value as inline code on one line, cut to so many characters; backquotes become apostrophes, pipes stay inside a table's cell.

    HTML is inert in inline code; control characters and those that turn the direction of writing are replaced by spaces.
    """
    plain = _CONTROL.sub(" ", str(text)).replace("`", "'").replace("|", "\\|").strip()
    return f"`{plain[:longest]}{'...' if len(plain) > longest else ''}`" if plain else ""


def plain(text: object, longest: int = 400) -> str:
    """A sentence that may quote text from outside: on one line, its markup characters escaped."""
    one_line = _CONTROL.sub(" ", str(text)).strip()
    short = one_line if len(one_line) <= longest else one_line[:longest] + "..."
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", short)


def paragraphs(text: str, longest: int = 2000) -> str:
    """Lines of a text that may quote others (labels of a training, for instance), each escaped and a paragraph of its own."""
    return "\n\n".join(plain(line, longest) for line in text.splitlines() if line.strip())


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; cells are taken as they are, so that they may hold code or links. Empty without rows."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join('' if cell is None else str(cell) for cell in row)} |" for row in rows)])
