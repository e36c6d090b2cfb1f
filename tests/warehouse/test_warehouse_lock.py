"""One writer at a time: who is refused, what they are told, and when the lock is free again."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest
from small_warehouse import hold_lock

from soundscope.errors import Busy
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import holds_lock, lock_owner, writer_lock
from soundscope.warehouse.releases import rollback


@pytest.fixture
def holder(settings: Settings, child):
    ours, theirs = multiprocessing.Pipe()
    process = child(hold_lock, settings.home, theirs)
    assert ours.recv() == "ready"
    return process


def test_second_process_is_refused_and_told_by_whom(settings: Settings, holder) -> None:
    with (
        pytest.raises(Busy, match=rf"process {holder.pid} \(soundscope run\) has been writing since 20") as refused,
        writer_lock(settings),
    ):
        pass
    assert f"kill {holder.pid}" in refused.value.next_step
    assert refused.value.exit_status == 1
    owner = lock_owner(settings)
    assert owner is not None
    assert owner.pid == holder.pid
    with pytest.raises(Busy, match=str(holder.pid)):
        open_writer(settings)
    with pytest.raises(Busy, match=str(holder.pid)):
        rollback(settings)
    assert not holds_lock(settings)


def test_looking_at_the_owner_does_not_free_the_lock(settings: Settings, child) -> None:
    with writer_lock(settings):
        for _ in range(3):
            assert lock_owner(settings).pid == os.getpid()
            settings.paths.lock.read_bytes()
        _, theirs = multiprocessing.Pipe()
        refused = child(hold_lock, settings.home, theirs)
        refused.join(10)
        assert refused.exitcode == 1


def test_waiting_gets_it_when_the_holder_dies(settings: Settings, holder) -> None:
    threading.Timer(0.3, holder.kill).start()
    began = time.monotonic()
    with writer_lock(settings, wait_s=20):
        assert 0.2 < time.monotonic() - began < 15
        assert lock_owner(settings).pid == os.getpid()


def test_waiting_has_an_end(settings: Settings, holder) -> None:
    with pytest.raises(Busy, match=r"Waited 0\.2 s"), writer_lock(settings, wait_s=0.2):
        pass


def test_kill_frees_it_and_the_stale_text_does_no_harm(settings: Settings, holder) -> None:
    holder.kill()
    holder.join(10)
    assert str(holder.pid) in settings.paths.lock.read_text()
    assert lock_owner(settings) is None
    with writer_lock(settings):
        assert lock_owner(settings).pid == os.getpid()
    assert settings.paths.lock.read_text() == ""


def test_reentrant_and_shared_by_the_threads_of_a_process(settings: Settings) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with writer_lock(settings):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with writer_lock(settings):
        with writer_lock(settings):
            thread.start()
            assert inside.wait(10)
        assert holds_lock(settings)
    assert holds_lock(settings), "the other thread is still inside"
    leave.set()
    thread.join(10)
    assert not holds_lock(settings)


def test_an_error_inside_frees_it(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError), writer_lock(settings):
        raise ZeroDivisionError
    assert not holds_lock(settings)
    assert lock_owner(settings) is None


def test_forked_child_neither_has_nor_frees_the_lock_of_its_parent(settings: Settings) -> None:
    # The child leaves the very block that its parent entered, so the order of the two contexts is the point.
    status = None
    with writer_lock(settings):
        pid = os.fork()
        if pid == 0:
            code = 1 if holds_lock(settings) else 0
            try:
                with writer_lock(settings):
                    code = 2
            except Busy:
                code += 10
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 10
        assert lock_owner(settings).pid == os.getpid()


def test_forked_child_that_outlives_its_parent_does_not_keep_the_lock(settings: Settings) -> None:
    running, leave = os.pipe(), os.pipe()
    with writer_lock(settings):
        pid = os.fork()
        if pid == 0:
            os.write(running[1], b"x")
            os.read(leave[0], 1)
            os._exit(0)
        assert os.read(running[0], 1) == b"x"
    owner = lock_owner(settings)
    os.write(leave[1], b"x")
    os.waitpid(pid, 0)
    assert owner is None


def test_deleted_lock_file_is_made_anew(settings: Settings) -> None:
    with writer_lock(settings):
        settings.paths.lock.unlink()
    with writer_lock(settings):
        assert settings.paths.lock.exists()
        assert lock_owner(settings).pid == os.getpid()


def test_writer_is_not_opened_without_the_lock(settings: Settings) -> None:
    with pytest.raises(Busy, match="may only be written by the holder"):
        open_writer(settings)
