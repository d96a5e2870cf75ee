"""A listed file is opened as it was, and said to have gone, changed or been damaged."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import fs

import bayou.sources.files as package
from bayou.errors import SourceError
from bayou.sources.files.listed_file import File, damage_error, reading
from bayou.sources.files.paths import find_files


@pytest.fixture
def file(tmp_path: Path) -> File:
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    [file] = find_files(tmp_path / "a.csv")[1]
    return file


def test_a_file_is_opened_and_pickled(file: File) -> None:
    assert file.is_local
    for same in (file, pickle.loads(pickle.dumps(file))):
        same.check()
        with same.open() as handle:
            assert handle.read() == b"x\n1\n"


def test_old_pickles_find_the_class_in_the_package() -> None:
    assert package.File is File
    assert package.SourceError is SourceError


def test_files_of_other_filesystems_are_not_local() -> None:
    memory = fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem("memory")))
    assert not File(memory, "/a.csv", 3, None).is_local


def test_a_file_that_changed_is_refused(file: File) -> None:
    path = Path(file.path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    with pytest.raises(SourceError, match=r"must not change while it is read, got 4 bytes changed"):
        file.check()
    path.write_bytes(b"x\n1\n2\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(SourceError, match=r"got 6 bytes changed at .*; it was opened with 4\.\nHi"):
        file.check()
    path.write_bytes(b"x\n1\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    file.check()


def test_a_file_that_is_gone_is_refused(file: File) -> None:
    Path(file.path).unlink()
    with pytest.raises(SourceError, match=r"must stay while it is read, got no such file any more"):
        file.check()
    Path(file.path).mkdir()
    with pytest.raises(SourceError, match=r"must stay while it is read"):
        file.check()


@pytest.mark.parametrize(
    "error", [pa.ArrowInvalid("bad\n  page."), OSError("bad page"), EOFError("bad page")]
)
def test_errors_of_reading_name_the_file_and_the_part(file: File, error: Exception) -> None:
    message = (
        rf"^`{file.path}` must be readable, got an error in its row group 3: bad page\.\n"
        r"Hint: the file is damaged or has another format; write it again\.$"
    )
    with pytest.raises(SourceError, match=message) as caught, reading(file, "row group 3"):
        raise error
    assert caught.value.__cause__ is error


def test_a_fault_of_a_file_that_changed_is_the_change(file: File) -> None:
    def read() -> None:
        Path(file.path).write_bytes(b"")
        raise pa.ArrowInvalid("too short")

    with pytest.raises(SourceError, match=r"must not change while it is r"), reading(file, "row"):
        read()


def test_other_errors_are_left_as_they_are(file: File) -> None:
    known = SourceError("known")
    with pytest.raises(SourceError) as caught, reading(file, "metadata"):
        raise known
    assert caught.value is known
    with pytest.raises(ZeroDivisionError), reading(file, "metadata"):
        raise ZeroDivisionError


def test_damage_is_said_in_one_line() -> None:
    error = damage_error("s3://a", "metadata", ValueError("two\nlines. "), "write it again.")
    assert str(error) == (
        "`s3://a` must be readable, got an error in its metadata: two lines.\nHint: write it again."
    )
