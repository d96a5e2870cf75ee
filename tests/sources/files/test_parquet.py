"""Parquet files: row groups in pieces, in bounded memory, with what their metadata tell."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from bayou.errors import SourceError
from bayou.sources.files import arrow, parquet
from bayou.sources.files.arrow import ArrowSource
from bayou.sources.files.paths import find_files
from tests.sources.files.tables import NUMBERS, values, write


def test_blocks_are_row_groups_in_pieces(tmp_path: Path, monkeypatch: Any) -> None:
    source = ArrowSource(write(tmp_path / "a.parquet", NUMBERS))
    assert source.blocks == (4, 4, 2)
    assert not source.random_access
    monkeypatch.setattr(arrow, "PIECE_BYTES", 3 * 8)
    assert [len(table["y"]) for table in source.read(0, ["y"])] == [2, 2]
    assert [table["y"].tolist() for table in source.read(2, ["y"])] == [[8, 9]]


def test_a_large_row_group_is_not_held_whole(tmp_path: Path, monkeypatch: Any) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=10**6)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10**6, use_dictionary=False)
    monkeypatch.setattr(arrow, "PIECE_BYTES", 2**16)
    before = pa.total_allocated_bytes()
    most = max(
        pa.total_allocated_bytes() - before
        for _ in ArrowSource(tmp_path / "a.parquet").read(0, ["x"])
    )
    assert most < table.nbytes / 2


def test_a_row_group_of_one_piece_takes_no_more_than_its_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2 * 10**4, 50))
    table = pa.table({f"x{number}": column for number, column in enumerate(values.T)})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    source = ArrowSource(tmp_path / "a.parquet")
    allocator = parquet._allocator() or pa.default_memory_pool()
    before = allocator.bytes_allocated()
    most = max(allocator.bytes_allocated() for _ in source.read(0, list(source.fields)))
    assert table.nbytes <= most - before < 1.1 * table.nbytes


def test_numbers_are_not_copied(tmp_path: Path) -> None:
    [table] = ArrowSource(write(tmp_path / "a.parquet", NUMBERS)).read(0, ["x"])
    assert not table["x"].flags.owndata


def test_dots_and_lookalikes_in_names(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "a.b": [2.5], "a.b.c": [3]})
    source = ArrowSource(write(tmp_path / "a.parquet", table), nulls="drop")
    assert {name: array.tolist() for name, array in values(source).items()} == {
        "a": [1],
        "a.b": [2.5],
        "a.b.c": [3],
    }


def spoil(path: Path, start: int, count: int) -> None:
    """Overwrite bytes, and leave size and time of change as they were."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[start : start + count] = bytes(255 - byte for byte in data[start : start + count])
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_damaged_row_group(tmp_path: Path) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=300)})
    path = tmp_path / "a.parquet"
    plain = {"use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, path, row_group_size=100, **plain)
    source = ArrowSource(path)
    spoil(path, pq.read_metadata(path).row_group(1).column(0).data_page_offset + 400, 40)
    message = (
        r"a.parquet` must be readable, got an error in its row group 1 \(rows 100 to 199\): .*CRC"
    )
    with pytest.raises(SourceError, match=message):
        list(source.read(1, ["x"]))
    assert len(next(source.read(2, ["x"]))["x"]) == 100


def data_of(path: Path, table: pa.Table, **options: Any) -> parquet.ParquetData:
    pq.write_table(table, path, row_group_size=2, **options)
    [file] = find_files(path)[1]
    return parquet.open_parquet(file)


STATISTICS = pa.table(
    {
        "n": pa.array([3, None, -2, 7], pa.int16()),
        "x": [0.5, 1.5, None, None],
        "pair": pa.array([[1, 2], [None, 3], [4, 5], [6, 7]], pa.list_(pa.int64(), 2)),
        "word": ["a", "b", None, "d"],
    }
)


def test_nulls_are_those_of_the_statistics(tmp_path: Path) -> None:
    data = data_of(tmp_path / "a.parquet", STATISTICS)
    assert data.sizes == (2, 2)
    counts = [[data.null_count(block, name) for name in data.schema.names] for block in (0, 1)]
    assert counts == [[1, 0, None, 0], [0, 2, 0, 1]]


def test_bounds_are_those_of_integers(tmp_path: Path) -> None:
    data = data_of(tmp_path / "a.parquet", STATISTICS)
    bounds = [[data.bounds(block, name) for name in data.schema.names] for block in (0, 1)]
    assert bounds == [[(3, 3), None, None, None], [(-2, 7), None, None, None]]


def test_without_statistics_nothing_is_known(tmp_path: Path) -> None:
    data = data_of(tmp_path / "a.parquet", STATISTICS, write_statistics=False)
    assert data.null_count(0, "x") is None
    assert data.bounds(0, "n") is None


def test_the_internal_reader_of_pyarrow_is_there() -> None:
    # If this fails, pyarrow has changed what `ParquetData.batches` uses.
    reader = pq.ParquetFile.__init__.__globals__["ParquetReader"]
    assert reader is parquet.ParquetReader
