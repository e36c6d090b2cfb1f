"""Fixtures of the warehouse tests."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from small_warehouse import fill_writer, publish_small

from soundscope.settings import Settings, load_settings
from soundscope.warehouse.releases import Release


@pytest.fixture
def published(settings: Settings) -> Release:
    """A first release, counter 1."""
    fill_writer(settings, 1)
    return publish_small(settings)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., BaseProcess]]:
    """Start a function of `small_warehouse` in a process of its own; all are killed at the end."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])))
    # Forked from a server that has everything imported already: a fresh interpreter would take a second each time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["small_warehouse"])
    started: list[BaseProcess] = []

    def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
        process = context.Process(target=target, args=arguments, daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join(10)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home on a disk of 120 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(disk)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    monkeypatch.setenv("SOUNDSCOPE_HOME", str(disk))
    settings = load_settings()
    settings.paths.create()
    yield settings
    # Lazily: the log of this process is still open on it.
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
