"""The lock of a path: one holder at a time, in threads and processes; free after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bayou.storage import lock
from bayou.storage.lock import lock_file, locked

BUSY = BlockingIOError("somebody writes there")
# The module by its file: importing all of bayou takes seconds.
HOLD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

spec = spec_from_file_location("lock", sys.argv[2])
lock = module_from_spec(spec)
spec.loader.exec_module(lock)
with lock.locked(Path(sys.argv[1]), BlockingIOError("busy")):
    print("locked", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock of a path until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), lock.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_lock_excludes_a_second_holder(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with (
        locked(path, BUSY),
        pytest.raises(BlockingIOError, match="somebody writes there"),
        locked(path, BUSY),
    ):
        pytest.fail("both hold the lock")
    with locked(path, BUSY), locked(tmp_path / "other", BUSY):
        pass


def test_lock_excludes_another_thread(tmp_path: Path) -> None:
    raised: list[Exception] = []

    def enter() -> None:
        try:
            with locked(tmp_path / "rows", BUSY):
                pass
        except BlockingIOError as error:
            raised.append(error)

    with locked(tmp_path / "rows", BUSY):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert raised == [BUSY]


def test_lock_leaves_no_file(tmp_path: Path) -> None:
    for fails in (False, True):
        try:
            with locked(tmp_path / "rows", BUSY):
                assert lock_file(tmp_path / "rows").exists()
                assert not fails or 1 / 0
        except ZeroDivisionError:
            pass
        assert list(tmp_path.iterdir()) == []


def test_links_to_a_path_share_its_lock(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "rows")
    with (
        locked(tmp_path / "rows", BUSY),
        pytest.raises(BlockingIOError),
        locked(tmp_path / "link", BUSY),
    ):
        pytest.fail("both hold the lock")


def test_lock_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    process = hold(path)
    with pytest.raises(BlockingIOError), locked(path, BUSY):
        pytest.fail("both hold the lock")
    process.communicate("")
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with locked(path, BUSY):
        pass


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    process = hold(path)
    process.kill()
    process.communicate()
    assert lock_file(path).exists()
    with locked(path, BUSY):
        pass
    assert list(tmp_path.iterdir()) == []


def test_lock_that_was_opened_before_its_release_is_not_taken(tmp_path: Path) -> None:
    # The file that a second process opened lost its name: a third would lock a new file instead.
    path = tmp_path / "rows"
    with locked(path, BUSY):
        opened = os.open(lock_file(path), os.O_RDWR)
    try:
        assert os.fstat(opened).st_nlink == 0
    finally:
        os.close(opened)
