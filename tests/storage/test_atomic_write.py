"""Files are there with all of their new content, or as they were."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.storage.atomic_write import flush_to_disk, is_temporary, write_atomically


def test_content_is_written_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for content in (b"first", b"", b"\0" * 10**5):
        write_atomically(file, content)
        assert file.read_bytes() == content
        assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no room"):
        write_atomically(file, b"new")
    monkeypatch.undo()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_readers_get_one_content_of_several_writers(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    contents = [bytes([number]) * 10**5 for number in range(8)]
    write_atomically(file, contents[0])
    with ThreadPoolExecutor(4) as executor:
        writes = [executor.submit(write_atomically, file, content) for content in contents]
        while not all(write.done() for write in writes):
            assert file.read_bytes() in contents
    assert [write.result() for write in writes] == [None] * 8
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_leaves_is_known(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    assert is_temporary(tmp_path / f".a.json.{os.getpid()}{get_ident()}", file)
    # As bayou 0.1.0 named it.
    assert is_temporary(tmp_path / ".a.json.123", file)
    assert not is_temporary(tmp_path / "other" / ".a.json.123", file)


@given(name=st.sampled_from([".a.json.", ".a.json.x", ".a.json.1.2", "a.json", ".b.json.12", "12"]))
def test_other_names_are_not_temporary(name: str) -> None:
    assert not is_temporary(Path("folder") / name, Path("folder/a.json"))


def test_files_and_folders_are_flushed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    flush_to_disk(tmp_path / "file")
    flush_to_disk(tmp_path)
    with pytest.raises(FileNotFoundError):
        flush_to_disk(tmp_path / "none")
