"""Whether an answer holds a chart at all: one whose entries lost a key is asked for again, not taken for a week without songs."""

from __future__ import annotations


def names_songs(entries: object, title: str, artist: str, rank: str | None) -> bool:
    """Whether most entries of a published chart have the keys that make an entry: a list without them holds a chart in no form that is known.

    Args:
        entries: the list as it came.
        title, artist, rank: keys of an entry; no rank where the place in the list is the rank.
    """
    if not isinstance(entries, list) or not entries:
        return False
    rows = [entry for entry in entries if isinstance(entry, dict)]
    whole = sum(
        all(isinstance(row.get(key), str) and row[key].strip() for key in (title, artist))
        and (rank is None or str(row.get(rank, "")).strip().isdigit())
        for row in rows
    )
    return whole * 2 >= len(entries)
