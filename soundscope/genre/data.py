"""The training set: trainable, labelled tracks with everything a model may see, and a count of what was left out and why.

Reads the built tables and decides nothing about models or splits.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import BadInput
from soundscope.genre import features, splits
from soundscope.genre.context import add_context

TARGETS = ("genre", "family", "mood")

# Every column a candidate may read, for training and scoring alike. One row per track.
TRACKS_SQL = f"""
select
    f.track_id, f.title, f.artist, t.artists, t.album, t.release_date, t.explicit,
    coalesce(t.recording_id, f.track_id) as recording_id, f.feature_provider,
    coalesce(f.train_ok, false) as train_ok, case when f.popularity_train_ok then f.popularity end as popularity,
    {", ".join(f"f.{name}" for name in features.AUDIO)}
from marts.track_features f
left join core.tracks t on t.track_id = f.track_id
where f.feature_provider is not null
"""

# The label, and whether its source lets it train. A mood by rule on energy and valence is no label: a model would only learn the rule
# back from its own inputs.
_LABELS_SQL = {
    "genre": "select track_id, genre as label, genre_train_ok as label_ok from marts.track_features where genre is not null",
    "family": "select track_id, family as label, genre_train_ok as label_ok from marts.track_features where family is not null",
    "mood": "select track_id, mood as label, true as label_ok from marts.track_features where mood_source = 'imported'",
}


@dataclass(frozen=True)
class TrainingSet:
    """Labelled rows, n of them, and what was left out.

    frame: the columns of `features.COLUMNS` and the context columns (n rows, fresh index); missing values are NaN or None.
    label (n,): the target. labels: n frozensets of every label the track carries, the target among them.
    recording, artist (n,): group names for the splits. track_id (n,).
    providers: rows per feature provider. left_out: {'<reason>: <provider or class>': tracks}.
    """

    target: str
    frame: pd.DataFrame
    label: NDArray[np.object_]
    labels: list[frozenset[str]]
    recording: pd.Series
    artist: pd.Series
    track_id: pd.Series
    providers: dict[str, int]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def classes(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted(set(self.label))

    def folds(self, scheme: splits.Scheme = "recording", seed: str = splits.SPLIT_SEED) -> NDArray[np.int64]:
        """Fold (n,) of each row under a scheme."""
        return splits.folds_for(scheme, self.recording, self.artist, self.frame["release_date"], seed)


def load_training(con: duckdb.DuckDBPyConnection, target: str = "genre", min_class_rows: int = 5) -> TrainingSet:
    """Read the trainable, labelled tracks of a built warehouse.

    Licences are kept: features, popularity and labels whose source may not train are left out, and the tracks counted per provider.

    Args:
        con: a connection to a build or a release.
        target: genre, family or mood. A track with several genres keeps the one `marts.track_features` chose; the others count for
            any-label credit. Moods that only restate energy and valence are not used.
        min_class_rows: a label on fewer tracks is left out, and counted.

    Raises:
        BadInput: the target is unknown.
    """
    if target not in TARGETS:
        raise BadInput(f"Unknown training target {target!r}.", next_step=f"use one of {', '.join(TARGETS)}.")
    tracks = con.execute(TRACKS_SQL + " order by f.track_id").df()
    labels = con.execute(_LABELS_SQL[target]).df()
    spelling = _one_spelling(labels["label"])
    labels = labels.assign(label=labels["label"].map(_key).map(spelling)).dropna(subset=["label"])
    tracks = tracks.merge(labels, on="track_id", how="left")
    left_out: dict[str, int] = {}
    trainable = tracks["train_ok"].astype(bool)
    _count(left_out, "not trainable", tracks.loc[~trainable, "feature_provider"])
    tracks = add_context(tracks[trainable].reset_index(drop=True))
    unlabelled = tracks["label"].isna()
    _count(left_out, f"no {target}", tracks.loc[unlabelled, "feature_provider"])
    forbidden = ~unlabelled & ~tracks["label_ok"].astype("boolean").fillna(False).astype(bool)
    _count(left_out, f"{target} not trainable", tracks.loc[forbidden, "feature_provider"])
    tracks = tracks[~unlabelled & ~forbidden]
    sizes = tracks["label"].value_counts()
    rare = tracks["label"].isin(sizes.index[sizes < min_class_rows])
    _count(left_out, f"fewer than {min_class_rows} tracks", tracks.loc[rare, "label"])
    tracks = tracks[~rare].reset_index(drop=True)
    return TrainingSet(
        target=target,
        frame=tracks.drop(columns=["label", "label_ok", "train_ok", "feature_provider", "track_id", "recording_id"]),
        label=tracks["label"].astype(str).to_numpy(dtype=object),
        labels=_all_labels(con, target, tracks, spelling),
        recording=tracks["recording_id"].astype(str),
        artist=splits.artist_groups(tracks["artist"].str.strip().str.casefold(), tracks["recording_id"]),
        track_id=tracks["track_id"].astype(str),
        providers={str(name): int(n) for name, n in tracks["feature_provider"].value_counts().sort_index().items()},
        left_out=left_out,
    )


def count_labelled(con: duckdb.DuckDBPyConnection, target: str) -> int:
    """Labelled tracks that may train, of whatever label; what `load_training` reads before it leaves out rare labels."""
    row = con.execute(
        f"select count(*) from ({TRACKS_SQL}) tracks join ({_LABELS_SQL[target]}) labels on labels.track_id = tracks.track_id "
        "where tracks.train_ok and labels.label_ok"
    ).fetchone()
    return int(row[0]) if row else 0


def _count(left_out: dict[str, int], reason: str, values: pd.Series) -> None:
    for value, n in values.fillna("none").value_counts().sort_index().items():
        left_out[f"{reason}: {value}"] = int(n)


def _key(label: object) -> str:
    return " ".join(str(label).split()).casefold()


def _one_spelling(labels: pd.Series) -> dict[str, str]:
    """{label without case and spacing: its most frequent spelling}; blank labels are none. Sources that were built clean are kept as they are."""
    tidy = labels.dropna().astype(str).str.split().str.join(" ")
    counts = tidy[tidy != ""].value_counts().rename_axis("label").reset_index(name="n")
    counts = counts.sort_values(["n", "label"], ascending=[False, True], kind="stable")
    return dict(counts.assign(key=counts["label"].str.casefold()).drop_duplicates("key")[["key", "label"]].to_numpy().tolist())


def _all_labels(
    con: duckdb.DuckDBPyConnection, target: str, tracks: pd.DataFrame, spelling: dict[str, str]
) -> list[frozenset[str]]:
    own = tracks[["track_id", "label"]]
    if target in ("genre", "family"):
        several = con.execute(
            f"select distinct track_id, {target} as label from core.track_genres where {target} is not null"
        ).df()
        several = several.assign(label=several["label"].map(lambda label: spelling.get(_key(label), label)))
        own = pd.concat([own, several[several["track_id"].isin(own["track_id"])]])
    together = own.groupby("track_id")["label"].agg(frozenset)
    return list(together.reindex(tracks["track_id"]))
