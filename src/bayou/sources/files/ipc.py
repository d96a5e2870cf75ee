"""Arrow IPC files (Feather version 2) and streams: a block is a record batch, or several of them.

A stream, which has no table of its record batches, is one block, read from front to back.

A local file is mapped into memory, so that a batch that is not compressed is read in slices. What
is yielded is a copy, which stays when the file changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import ipc

from bayou.errors import SourceError
from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# Small record batches are one block up to so many rows, as many as a block of arrays in memory has.
BLOCK_ROWS = 2**16
# The first bytes of a file, of a stream, and of a file of the first version of Feather.
FILE_MARK = b"ARROW1"
STREAM_MARK = b"\xff\xff\xff\xff"
FEATHER_1_MARK = b"FEA1"


@dataclass(frozen=True)
class IpcData(DataFile):
    """An Arrow IPC file: its schema, and the number of rows of each of its record batches."""

    file: File
    schema: pa.Schema
    batch_sizes: tuple[int, ...]

    @cached_property
    def _starts(self) -> list[int]:
        """The index of the first record batch of each block, and the number of record batches."""
        starts, rows = [0], 0
        for number, size in enumerate(self.batch_sizes):
            if rows and rows + size > BLOCK_ROWS:
                starts.append(number)
                rows = 0
            rows += size
        return [*starts, len(self.batch_sizes)]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each block."""
        pairs = zip(self._starts, self._starts[1:], strict=False)
        return tuple(sum(self.batch_sizes[first:last]) for first, last in pairs)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Read record batches in slices. A compressed one is decompressed as a whole."""
        with _handle(self.file) as handle:
            reader = _reader(handle, self.schema, names)
            for number in range(*self._starts[block : block + 2]):
                batch = reader.get_batch(number)
                for start in range(0, batch.num_rows, num_rows):
                    # Reading beyond the end of a mapped file that became shorter kills the process,
                    # and a view would change with the file. So: check the file, then copy.
                    self.file.check()
                    part = batch.slice(start, num_rows)
                    yield pa.concat_batches([part, part.slice(0, 0)])

    def describe_block(self, block: int) -> str:
        """Return the numbers of the record batches."""
        first, last = self._starts[block], self._starts[block + 1] - 1
        return f"record batch {first}" if first == last else f"record batches {first} to {last}"


@dataclass(frozen=True)
class IpcStream(DataFile):
    """An Arrow IPC stream in a file: its schema, and its number of rows."""

    file: File
    schema: pa.Schema
    num_rows: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows, as one block."""
        return (self.num_rows,)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Read the record batches one after another, in slices."""
        with self.file.open() as handle, _stream(handle, self.schema, names) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, num_rows):
                    yield batch.slice(start, num_rows)

    def describe_block(self, block: int) -> str:
        """Return the name of all of it."""
        return "stream"


def open_ipc(file: File) -> IpcData | IpcStream:
    """Read the schema, and count the rows of the record batches.

    The footer of a file does not hold the number of rows: of a remote file or a compressed one, the
    first column is read for it.
    """
    with reading(file, "metadata"), file.open() as handle:
        start = handle.read(len(FILE_MARK))
    if start.startswith(FEATHER_1_MARK):
        raise SourceError(
            f"`{file.path}` must be of version 2 of Feather, got version 1.\n"
            "Hint: write it again, with pyarrow.feather.write_feather(pyarrow.feather.read_table("
            "path), path)."
        )
    if start.startswith(STREAM_MARK):
        return _open_stream(file)
    with reading(file, "metadata"), _handle(file) as handle:
        schema = ipc.open_file(handle).schema
        reader = _reader(handle, schema, schema.names[:1])
        sizes = (reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        return IpcData(file, schema, tuple(sizes))


def _open_stream(file: File) -> IpcStream:
    """Read the schema and the first column, to count its rows."""
    with reading(file, "metadata"), file.open() as handle:
        schema = ipc.open_stream(handle).schema
    with (
        reading(file, "metadata"),
        file.open() as handle,
        _stream(handle, schema, schema.names[:1]) as reader,
    ):
        return IpcStream(file, schema, sum(batch.num_rows for batch in reader))


def _stream(
    handle: pa.NativeFile, schema: pa.Schema, names: Sequence[str]
) -> ipc.RecordBatchStreamReader:
    fields = [schema.get_field_index(name) for name in names]
    return ipc.open_stream(handle, options=ipc.IpcReadOptions(included_fields=fields))


def _handle(file: File) -> pa.NativeFile:
    """Open a file. A local one is mapped, so that no record batch is read as a whole."""
    return pa.memory_map(file.path) if file.is_local else file.open()


def _reader(
    handle: pa.NativeFile, schema: pa.Schema, names: Sequence[str]
) -> ipc.RecordBatchFileReader:
    fields = [schema.get_field_index(name) for name in names]
    return ipc.open_file(handle, options=ipc.IpcReadOptions(included_fields=fields))
