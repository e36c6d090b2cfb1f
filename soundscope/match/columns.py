"""Columns of a frame as arrays, whatever type they arrive in. Nothing about names or matching belongs here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def text_column(frame: pd.DataFrame, column: str) -> pa.Array:
    """A text column without NULLs (they become empty); Arrow, because a million Python strings would not fit beside each other."""
    array = pa.array(frame[column], pa.string(), from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return pc.fill_null(array, "")


def number_column(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A numeric column as float64, NaN where unknown or absent; shape (n,)."""
    if column not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column]).to_numpy(dtype=float, na_value=np.nan)


def date_column(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column of dates (or of ISO texts: year, month or day) as datetime64, NaT where unknown, absent or unreadable; shape (n,)."""
    if column not in frame:
        return np.full(len(frame), np.datetime64("NaT", "us"))
    values = frame[column]
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.to_numpy(dtype="datetime64[us]")
    return pd.to_datetime(values.astype("str"), errors="coerce", format="ISO8601").to_numpy(dtype="datetime64[us]")
