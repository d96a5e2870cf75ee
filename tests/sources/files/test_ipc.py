"""Arrow IPC files: record batches as blocks, mapped without being changed by the file."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from bayou.errors import SourceError
from bayou.sources.files import arrow, ipc
from bayou.sources.files.arrow import ArrowSource
from bayou.sources.files.listed_file import File
from bayou.sources.files.paths import find_files
from tests.sources.files.tables import NUMBERS, values, write


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


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12), block_rows=st.integers(1, 20))
def test_blocks_are_as_many_record_batches_as_fit(sizes: list[int], block_rows: int) -> None:
    file = File(fs.LocalFileSystem(), "a.arrow", 0, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipc, "BLOCK_ROWS", block_rows)
        data = ipc.IpcData(file, pa.schema([("x", pa.int8())]), tuple(sizes))
        assert sum(data.sizes) == sum(sizes)
        # A block has more rows only if it is one record batch, with empty ones around it.
        assert all(size <= max(block_rows, *sizes, 0) for size in data.sizes)
        # Two blocks in turn would be one if they fitted.
        pairs = list(zip(data.sizes, data.sizes[1:], strict=False))
        starts = data._starts
        firsts = [next((n for n in sizes[start:] if n), 0) for start in starts[1:-1]]
        assert all(
            size + first > block_rows for (size, _), first in zip(pairs, firsts, strict=True)
        )


@pytest.mark.parametrize("compression", ["uncompressed", "zstd", "lz4"])
def test_rows_are_counted_without_the_footer(compression: str, tmp_path: Path) -> None:
    pyarrow.feather.write_feather(
        NUMBERS, tmp_path / "a.arrow", chunksize=3, compression=compression
    )
    [file] = find_files(tmp_path / "a.arrow")[1]
    data = ipc.open_ipc(file)
    assert data.batch_sizes == (3, 3, 3, 1)
    assert data.sizes == (10,)
    assert data.describe_block(0) == "record batches 0 to 3"
    [*batches] = data.batches(0, ["y"], 2)
    assert [batch["y"].to_pylist() for batch in batches] == [
        [0, 1],
        [2],
        [3, 4],
        [5],
        [6, 7],
        [8],
        [9],
    ]


@pytest.mark.parametrize("name", ["a.arrows", "a.arrow"])
def test_a_stream_is_one_block(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(arrow, "PIECE_BYTES", 16)
    words = pa.array(["a", None] * 5).dictionary_encode()
    table = NUMBERS.append_column("word", words)
    with pa.ipc.new_stream(tmp_path / name, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    source = ArrowSource(tmp_path / name)
    assert source.blocks == (10,)
    assert values(source, "y", "x")["y"].tolist() == list(range(10))
    assert ArrowSource(tmp_path / name, nulls="drop").num_dropped == 5
    cut = (tmp_path / name).read_bytes()[:-200]
    (tmp_path / name).write_bytes(cut)
    with pytest.raises(SourceError, match=r"must be readable, got an error in its metadata"):
        ArrowSource(tmp_path / name)


def test_the_first_version_of_feather(tmp_path: Path) -> None:
    (tmp_path / "a.feather").write_bytes(b"FEA1" + bytes(20))
    with pytest.raises(SourceError, match=r"must be of version 2 of Feather, got version 1"):
        ArrowSource(tmp_path / "a.feather")
