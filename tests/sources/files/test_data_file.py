"""The contract of a file of rows, over all formats; and a format with no more than it needs."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from bayou.sources.files.arrow import _open
from bayou.sources.files.data_file import DataFile
from bayou.sources.files.delimited.csv_options import CsvOptions
from bayou.sources.files.paths import find_files
from tests.sources.files.tables import NUMBERS, write

type Open = Callable[[str], DataFile]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Write ten rows in a format and open the file, on this machine or in another filesystem."""
    memory = fsspec.filesystem("memory")

    def open_file(name: str, *, remote: bool = False) -> DataFile:
        path = write(tmp_path / name, NUMBERS)
        if remote:
            memory.pipe(f"/rows/{name}", path.read_bytes())
            format_name, files = find_files(f"memory://rows/{name}")
        else:
            format_name, files = find_files(path)
        [data] = _open(format_name, files, CsvOptions())
        return data

    yield open_file
    if memory.exists("/rows"):
        memory.rm("/rows", recursive=True)


FILES = ["a.parquet", "a.arrow", "a.feather", "a.csv"]


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_batches_are_the_rows_of_each_block(name: str, remote: bool, opened: Open) -> None:
    data = opened(name, remote=remote)
    assert data.file.is_local != remote
    assert data.schema.names == ["x", "y"]
    assert sum(data.sizes) == 10
    start = 0
    for same in (data, pickle.loads(pickle.dumps(data)) if not remote else data):
        start = 0
        for block, size in enumerate(same.sizes):
            for num_rows in (1, 3, size):
                batches = list(same.batches(block, ["y"], num_rows))
                rows = np.concatenate([batch["y"].to_numpy() for batch in batches])
                np.testing.assert_array_equal(rows, np.arange(start, start + size))
            start += size


@pytest.mark.parametrize("name", FILES)
def test_batches_keep_their_values(name: str, opened: Open) -> None:
    data = opened(name)
    batches = list(data.batches(0, ["x", "y"], 2))
    again = list(data.batches(0, ["x", "y"], 2))
    assert all(one.equals(other) for one, other in zip(batches, again, strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.parquet", "row group 0"),
        ("a.arrow", "record batches 0 to 2"),
        ("a.csv", "bytes 8 to 66"),
    ],
)
def test_blocks_have_names_of_the_format(name: str, text: str, opened: Open) -> None:
    assert opened(name).describe_block(0) == text


class InMemory(DataFile):
    """The members that a format needs."""

    schema = pa.schema([("n", pa.int64())])
    sizes = (2,)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1, 2]})

    def describe_block(self, block: int) -> str:
        return "table"


def test_a_format_need_not_have_statistics() -> None:
    data = InMemory()
    assert data.null_count(0, "n") is None
    assert data.bounds(0, "n") is None


def test_a_format_needs_all_of_the_contract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        DataFile()  # type: ignore[abstract]
