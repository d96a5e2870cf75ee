"""Arrow IPC files: record batches as blocks, mapped without being changed by the file."""

from pathlib import Path
from typing import Any

import pytest

from bayou.errors import SourceError
from bayou.sources.files import arrow, ipc
from bayou.sources.files.arrow import ArrowSource
from tests.sources.files.tables import NUMBERS, write


def test_small_record_batches_are_one_block(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(ipc, "BLOCK_ROWS", 6)
    assert ArrowSource(write(tmp_path / "a.arrow", NUMBERS, 3)).blocks == (6, 4)


def test_mapped_values_are_the_readers_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arrow", NUMBERS)
    [*tables] = ArrowSource(path).read(0, ["y"])
    path.write_bytes(b"")
    assert [value for table in tables for value in table["y"]] == list(range(10))


def test_a_mapped_file_that_is_cut_off_between_pieces(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(arrow, "PIECE_BYTES", 16)
    path = write(tmp_path / "a.arrow", NUMBERS, 10)
    pieces = ArrowSource(path).read(0, ["x"])
    next(pieces)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"must not change while it is read, got 0 bytes"):
        next(pieces)
