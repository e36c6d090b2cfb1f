"""A model file that would run something is refused, although its card carries the right hash: types are checked before anything is built."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from soundscope.errors import SoundScopeError
from soundscope.genre import registry


class _Runs:
    """Unpickled, it runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def _pickled(mark: Path) -> bytes:
    return pickle.dumps(_Runs(mark))


def _with_a_command(mark: Path) -> bytes:
    return skops.io.dumps(FunctionTransformer(func=os.system, kw_args={"command": f"touch {mark}"}))


@pytest.mark.parametrize("content", [_pickled, _with_a_command])
def test_a_model_that_would_run_something_is_refused(tmp_path: Path, content: object) -> None:
    mark = tmp_path / "it ran"
    data = content(mark)  # type: ignore[operator]
    folder = tmp_path / "models" / "genre-softmax_regression-20260101T000000"
    folder.mkdir(parents=True)
    (folder / "model.skops").write_bytes(data)
    (folder / "card.json").write_text(json.dumps({"sha256": hashlib.sha256(data).hexdigest()}))
    with pytest.raises(SoundScopeError) as refused:
        registry.load(tmp_path / "models", folder.name)
    assert folder.name in str(refused.value)
    assert not mark.exists()
