"""What the pages read: one release, opened read-only under its own name, and the ledger as it is now.

A process keeps one DuckDB instance per release; each question gets a cursor of its own, so that pages never wait for each other.
Answers are kept per release, which never changes once it has its name. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd
import streamlit as st

from soundscope.errors import SoundScopeError
from soundscope.settings import Settings, load_settings
from soundscope.warehouse.releases import Release, current_release_id, list_releases, no_release_yet

Params = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """The release that is shown, and the settings it was found by."""

    settings: Settings
    release: Release

    @property
    def release_id(self) -> str:
        """Id of the release."""
        return self.release.release_id

    def ask(self, sql: str, params: Params = ()) -> Any:
        """Rows of a query on the release, as a DataFrame (what its columns hold only the query knows); do not change the frame."""
        return _ask(self.release_id, str(self.release.path), sql, dict(params) if isinstance(params, Mapping) else tuple(params))

    def one(self, sql: str, params: Params = ()) -> dict[str, Any] | None:
        """The first row as plain values (missing ones None), or None if there is no row."""
        rows = self.ask(sql, params)
        return None if rows.empty else {str(k): plain(v) for k, v in rows.iloc[0].items()}

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor whose default catalogue is the release, for library functions that ask by themselves; close it."""
        cursor = instance(self.release_id, str(self.release.path)).cursor()
        cursor.execute("use release")
        return cursor

    def has(self, table: str) -> bool:
        """Whether the release has the table, with at least one row. Names are of the code, never of a person."""
        return table in _tables(self.release_id, str(self.release.path)) and not self.ask(f"select 1 from {table} limit 1").empty

    def about(self, column: str) -> str:
        """The comment of `schema.table.column` or `schema.table`: what the help texts say."""
        return _comments(self.release_id, str(self.release.path)).get(column, "")


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings of this process."""
    return load_settings()


def newest(said: Settings) -> Release:
    """The current release.

    Raises:
        SoundScopeError: there is none, its manifest is gone or damaged, or this version cannot read its tables.
    """
    current = current_release_id(said)
    if current is None:
        if said.paths.published.exists():
            raise SoundScopeError(
                f"The file {said.paths.published.name} is no release of SoundScope, or its own file in releases/ is gone.",
                next_step="publish anew with `soundscope run --rebuild`, or go back with `soundscope rollback`.",
            )
        raise no_release_yet(said)
    release = next((one for one in list_releases(said) if one.release_id == current), None)
    if release is None:
        raise SoundScopeError(f"Release {current} has no manifest.", next_step="publish anew with `soundscope run --rebuild`.")
    if not release.is_readable:
        raise SoundScopeError(
            f"Release {current} has schema version {release.schema_version}, which this version of the app cannot show.",
            next_step="run `soundscope run` to publish it anew, or `soundscope rollback` to a release of this version.",
        )
    return release


@st.cache_resource(max_entries=3, show_spinner=False)
def instance(release_id: str, path: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance in memory with the release attached read-only as `release`; what pages derive lives beside it.

    Raises:
        SoundScopeError: the file is damaged or gone.
    """
    said = settings()
    connection = duckdb.connect(":memory:", config={"threads": said.engine.threads, "memory_limit": said.engine.memory_limit})
    try:
        connection.execute(f"attach '{path.replace(chr(39), chr(39) * 2)}' as release (read_only)")
        connection.execute("select count(*) from release.main.release").fetchone()
        # Values of the data never become statements, and no statement reaches the disk or the network.
        connection.execute("set enable_external_access = false")
    except duckdb.Error as error:
        connection.close()
        raise SoundScopeError(
            f"Release {release_id} cannot be opened: {str(error).splitlines()[0]}",
            next_step="go back to another one with `soundscope rollback`, or publish anew with `soundscope run --rebuild`.",
        ) from error
    return connection


@st.cache_data(max_entries=600, ttl=3600, show_spinner=False)
def _ask(release_id: str, path: str, sql: str, params: Any) -> pd.DataFrame:
    cursor = instance(release_id, path).cursor()
    try:
        cursor.execute("use release")
        return cursor.execute(sql, params or None).df()
    finally:
        cursor.close()


@st.cache_data(max_entries=3, show_spinner=False)
def _tables(release_id: str, path: str) -> frozenset[str]:
    rows = _ask(
        release_id,
        path,
        "select table_schema || '.' || table_name as name from information_schema.tables where table_catalog = 'release'",
        (),
    )
    return frozenset(rows["name"])


@st.cache_data(max_entries=3, show_spinner=False)
def _comments(release_id: str, path: str) -> dict[str, str]:
    rows = _ask(release_id, path, "select \"table\" || coalesce('.' || \"column\", '') as name, comment from main.dictionary", ())
    return {name: comment for name, comment in zip(rows["name"], rows["comment"], strict=True) if isinstance(comment, str)}


def plain(value: Any) -> Any:
    """A value of a frame as Python has it; None where it is missing."""
    if value is None or value is pd.NaT or (not isinstance(value, str | list | dict) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value
