"""Which column of a user's file means which field: synonyms of the usual column names, and what each kind of import needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from soundscope.errors import BadInput
from soundscope.ingest.raw_schema import FEATURES

# Field -> column names that mean it, without case and punctuation, likeliest first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "spotify_id": ("spotifyid", "spotifytrackid", "spotifyuri", "trackuri", "uri", "spotifyurl", "trackurl", "trackanalysisurl"),
    "source_id": ("sourceid", "trackid", "songid", "id"),
    "track_id": (),
    "isrc": ("isrc", "trackisrc"),
    "title": ("title", "trackname", "tracktitle", "songname", "songtitle", "song", "track", "name"),
    "artist": ("artist", "artistname", "trackartist", "performer"),
    "artists": ("artists", "artistnames", "artistsname", "allartists"),
    "album": ("album", "albumname", "albumtitle", "trackalbumname", "spotifytrackalbum"),
    "release_date": (
        "releasedate", "albumreleasedate", "trackalbumreleasedate", "trackreleasedate", "releaseyear", "releasedyear", "albumreleaseyear", "year",
    ),
    "duration_ms": ("durationms", "trackdurationms", "spotifytrackdurationms"),
    "explicit": ("explicit", "isexplicit", "trackisexplicit", "spotifytrackexplicit"),
    "popularity": ("popularity", "trackpopularity", "spotifytrackpopularity"),
    "genre": ("genre", "playlistgenre", "trackgenre", "spotifygenre", "genres", "artistgenre", "artistgenres"),
    "mood": ("mood",),
    "era": ("era", "decade"),
    "chart": ("chart", "chartname"),
    "chart_date": ("chartdate", "chartweek", "date", "week", "weekid"),
    "rank": ("rank", "position", "currentweek", "thisweek", "weekposition", "currentposition", "pos"),
    "reported_last_week": ("lastweek", "previousrank", "lastpos", "previousweekposition", "lastweekposition", "lw"),
    "reported_peak": ("peakpos", "peakposition", "peakrank", "peak"),
    "reported_weeks": ("wksonchart", "weeksonchart", "weeksonboard", "woc"),
    "run_no": ("runno",),
    "decided_by": ("decidedby",),
    "reason": ("reason",),
    **{name: (name.replace("_", ""), "track" + name.replace("_", "")) for name in FEATURES if name != "duration_ms"},
    "tempo": ("tempo", "tracktempo", "bpm", "tempobpm"),
}  # fmt: skip

# Chart files as charts.spotify.com gives them; the name says which chart and which day it is.
_SPOTIFY_CHART = re.compile(r"regional-(global|[a-z]{2})-(weekly|daily)-(\d{4}-\d{2}-\d{2})\.csv(?:\.gz|\.zst)?")


def named_chart(file_name: str) -> tuple[str, str] | None:
    """Chart and date of a Spotify charts file, from its name; None for any other file."""
    found = _SPOTIFY_CHART.fullmatch(file_name)
    return (f"spotify_{found[1]}_{found[2]}", found[3]) if found else None


_IDENTITY = ("spotify_id", "source_id", "isrc")


def guess(columns: Sequence[str]) -> dict[str, str]:
    """Field -> column, for every field one of the columns clearly means."""
    plain: dict[str, str] = {}
    for column in columns:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", column.lower()), column)
    found = {}
    taken: set[str] = set()
    for field, names in SYNONYMS.items():
        named = next((plain[name] for name in names if name in plain and plain[name] not in taken), None)
        if named is not None:
            found[field] = named
            taken.add(named)
    return found


def mapping_of(columns: Sequence[str], given: Mapping[str, str], kind: str, file: str) -> dict[str, str]:
    """The mapping of an import: what the user said, and guesses for the rest.

    Args:
        columns: the file's columns.
        given: column -> field, as said with `--map column=field`.
        kind: tracks, chart, features or matches.
        file: its name, for messages.
    Raises:
        BadInput: a named column or field does not exist.
    """
    for column, field in given.items():
        if column not in columns:
            raise BadInput(
                f"{file} has no column {column!r}.",
                next_step=f"its columns are: {', '.join(columns)}; correct --map {column}={field}.",
            )
        if field not in SYNONYMS:
            raise BadInput(
                f"There is no field {field!r} to map {column!r} to.", next_step=f"fields are: {', '.join(sorted(SYNONYMS))}."
            )
    twice = [field for field, n in Counter(given.values()).items() if n > 1]
    if twice:
        named = ", ".join(column for column, field in given.items() if field == twice[0])
        raise BadInput(f"--map gives {twice[0]} to several columns: {named}.", next_step="give it to one of them.")
    free = [column for column in columns if column not in given]
    mapping = {field: column for field, column in guess(free).items() if field not in given.values()}
    mapping |= {field: column for column, field in given.items()}
    if kind == "matches" and "source_id" in mapping and "track_id" not in mapping:
        # In a file of decisions the column track_id is our own id, not some dataset's.
        mapping["track_id"] = mapping.pop("source_id")
    return mapping


def check_needed(
    mapping: Mapping[str, str], kind: str, file: str, columns: Sequence[str], *, chart: str | None, date: str | None
) -> None:
    """Whether the file says enough to be imported.

    Raises:
        BadInput: a needed field is in no column; names it, the columns there are, and the `--map` to give.
    """
    named = ("title" in mapping) and ("artist" in mapping or "artists" in mapping)
    missing: list[str] = []
    if kind in ("tracks", "features") and not named and not any(field in mapping for field in _IDENTITY):
        missing = ["title", "artist"] if "title" not in mapping else ["artist"]
    if kind == "features" and not any(name in mapping for name in FEATURES if name != "duration_ms"):
        missing.append("danceability (or another feature)")
    if kind == "chart":
        missing = [field for field in ("rank", "title") if field not in mapping]
        missing += [] if "artist" in mapping or "artists" in mapping else ["artist"]
        missing += [] if chart or "chart" in mapping else ["chart (or say it with --chart NAME)"]
        missing += [] if date or "chart_date" in mapping else ["chart_date (or say it with --date YYYY-MM-DD)"]
    if kind == "matches":
        missing = [field for field in ("title", "artist") if field not in mapping]
        missing += [] if "track_id" in mapping or "spotify_id" in mapping else ["track_id"]
    if missing:
        raise BadInput(
            f"{file} has no column for {', '.join(missing)}.",
            next_step=f"its columns are: {', '.join(columns)}. Say which one it is with --map COLUMN={missing[0].split(' ')[0]}.",
        )
