"""Coarse parallel work: one function on several things, wherever whoever started the run wants it done.

Here one after another, in this process. `flows/spread.py` has the one that gives them to Dask; the library only asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Spread:
    """One after another.

    Attributes:
        width: into how many parts work is worth cutting that is one piece otherwise.
    """

    width = 1

    def __call__(self, kind: str, work: Callable[[T], R], parts: Mapping[str, T]) -> list[R]:
        """Do the work on every part.

        Args:
            kind: what sort of work it is, as shown to a person.
            work: a function that changes nothing but what it returns; it, its argument and its result can be pickled.
            parts: label -> argument.
        Returns:
            Results in the order of the parts.
        """
        return [work(part) for part in parts.values()]


IN_TURN = Spread()
