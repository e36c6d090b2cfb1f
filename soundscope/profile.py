"""The overview of the data that the project's first notebook opened with, read from the published marts.

Nothing is computed here that a mart already holds; this file reads, puts in order, and draws for the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from soundscope.errors import BadInput

FEATURES = (
    "tempo",
    "danceability",
    "energy",
    "valence",
    "loudness",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
    "popularity",
)
CATEGORIES = ("genre", "mood", "era")
CORRELATED = ("danceability", "energy", "valence", "popularity")
_BAR = 30


@dataclass(frozen=True)
class Profile:
    """The overview of one release.

    numeric: index feature (ten), columns n, missing, mean, median, min, max, std (population). categories: field -> counts, most
    frequent first. missing: NULLs of each column of marts.track_features. energy_by_genre, danceability_by_era: columns mean, n.
    correlation: Pearson, 4 x 4, NaN where a column is constant. The standardisation reference is numeric[['mean', 'std']].
    """

    n_tracks: int
    n_columns: int
    numeric: pd.DataFrame
    categories: dict[str, pd.Series]
    missing: pd.Series
    energy_by_genre: pd.DataFrame
    danceability_by_era: pd.DataFrame
    correlation: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """The overview as JSON values; what is unknown is None."""
        return {
            "tracks": self.n_tracks,
            "columns": self.n_columns,
            "numeric": _plain(self.numeric),
            "categories": {field: {str(v): int(n) for v, n in counts.items()} for field, counts in self.categories.items()},
            "missing": {str(column): int(n) for column, n in self.missing.items()},
            "energy_by_genre": _plain(self.energy_by_genre),
            "danceability_by_era": _plain(self.danceability_by_era),
            "correlation": _plain(self.correlation),
        }


def profile(con: duckdb.DuckDBPyConnection) -> Profile:
    """Read the overview from a release.

    Raises:
        BadInput: the marts are not there, so nothing was published yet.
    """
    try:
        columns = [str(row[0]) for row in con.execute("describe marts.track_features").fetchall()]
        counts = ", ".join(f'count(*) - count("{name}")' for name in columns)
        found = con.execute(f"select count(*), {counts} from marts.track_features").fetchone()
        numeric = con.execute("select feature, n, missing, mean, median, min, max, std from marts.feature_summary").df()
        values = con.execute("select field, value, n from marts.category_counts order by field, n desc, value").df()
        pairs = con.execute("select feature_x, feature_y, r from marts.feature_correlation").df()
        energy, dance = _means(con, "genre", "energy"), _means(con, "era", "danceability")
    except duckdb.CatalogException as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"The overview needs the marts of a release: {reason}", next_step="publish one with: soundscope run"
        ) from error
    return Profile(
        n_tracks=int(found[0]) if found else 0,
        n_columns=len(columns),
        numeric=numeric.set_index("feature").reindex(list(FEATURES)),
        categories={field: values[values["field"] == field].set_index("value")["n"] for field in CATEGORIES},
        missing=pd.Series(list(found[1:]) if found else [], index=columns, name="missing"),
        energy_by_genre=energy.sort_values(["mean", "genre"], ascending=[False, True]).set_index("genre"),
        danceability_by_era=dance.sort_values("era").set_index("era"),
        correlation=pairs.pivot(index="feature_x", columns="feature_y", values="r").reindex(
            index=list(CORRELATED), columns=list(CORRELATED)
        ),
    )


def _means(con: duckdb.DuckDBPyConnection, by: str, feature: str) -> pd.DataFrame:
    return con.execute(f"select {by}, mean, n from marts.{by}_profile where feature = ? and mean is not null", [feature]).df()


def render(overview: Profile, top: int = 15) -> RenderableType:
    """The overview for the terminal.

    Args:
        overview: what `profile` read.
        top: values shown per category, and bars per chart; the rest is counted.
    """
    parts: list[RenderableType] = [
        Text(f"{overview.n_tracks:,} tracks, {overview.n_columns} columns in marts.track_features", style="bold"),
        _numeric(overview),
        *(_category(field, counts, overview.n_tracks, top) for field, counts in overview.categories.items()),
        _missing(overview),
        _bars("Mean energy by genre", overview.energy_by_genre, top),
        _bars("Mean danceability by era", overview.danceability_by_era, top),
        _correlation(overview.correlation),
        _reference(overview),
    ]
    return Group(*(piece for part in parts for piece in (part, Text())))


def _numeric(overview: Profile) -> Table:
    table = Table("feature", title="Numeric features", title_justify="left")
    for name in ("n", "missing", "mean", "median", "min", "max", "std"):
        table.add_column(name, justify="right")
    for feature, row in overview.numeric.iterrows():
        counts = [f"{_whole(row[name]):,}" for name in ("n", "missing")]
        table.add_row(str(feature), *counts, *(_number(row[name]) for name in ("mean", "median", "min", "max", "std")))
    return table


def _category(field: str, counts: pd.Series, n_tracks: int, top: int) -> Table:
    table = Table(field, title=f"Tracks by {field}", title_justify="left")
    table.add_column("n", justify="right")
    table.add_column("share", justify="right")
    for value, n in counts.head(top).items():
        table.add_row(str(value), f"{n:,}", f"{n / max(n_tracks, 1):.1%}")
    if len(counts) > top:
        rest = int(counts.iloc[top:].sum())
        table.add_row(f"{len(counts) - top} others", f"{rest:,}", f"{rest / max(n_tracks, 1):.1%}")
    unknown = n_tracks - int(counts.sum())
    if unknown:
        table.add_row("unknown", f"{unknown:,}", f"{unknown / max(n_tracks, 1):.1%}")
    return table


def _missing(overview: Profile) -> RenderableType:
    some = overview.missing[overview.missing > 0]
    if some.empty:
        return Text("No missing values.")
    table = Table("column", title="Missing values", title_justify="left")
    table.add_column("n", justify="right")
    for name, n in some.items():
        table.add_row(str(name), f"{n:,}")
    return table


def _bars(title: str, means: pd.DataFrame, top: int) -> RenderableType:
    if means.empty:
        return Text(f"{title}: no values.")
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for label, row in means.head(top).iterrows():
        length = round(max(min(float(row["mean"]), 1.0), 0.0) * _BAR)
        table.add_row(str(label), Text("█" * length, style="cyan"), _number(row["mean"]), f"n {int(row['n']):,}")
    if len(means) > top:
        table.add_row(f"{len(means) - top} others", "", "", "")
    return table


def _correlation(correlation: pd.DataFrame) -> Table:
    table = Table("", title="Pearson correlation", title_justify="left")
    for name in correlation.columns:
        table.add_column(str(name), justify="right")
    for feature, row in correlation.iterrows():
        table.add_row(str(feature), *(_number(value, "+.2f") for value in row))
    return table


def _reference(overview: Profile) -> Text:
    parts = [f"{name} {_number(row['mean'])} ± {_number(row['std'])}" for name, row in overview.numeric.iterrows()]
    return Text("Standardisation reference (mean ± population standard deviation): " + ", ".join(parts))


def _whole(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)


def _number(value: Any, how: str = ".3f") -> str:
    return "-" if pd.isna(value) else format(float(value), how)


def _plain(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    return {
        str(name): {str(column): None if pd.isna(value) else float(value) for column, value in row.items()}
        for name, row in table.iterrows()
    }
