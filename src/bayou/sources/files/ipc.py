"""Arrow IPC files (Feather version 2): a block is a record batch, or several small ones.

A local file is mapped into memory, so that a batch that is not compressed is read in slices. What
is yielded is a copy, which stays when the file changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import ipc

from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# Small record batches are one block up to so many rows, as many as a block of arrays in memory has.
BLOCK_ROWS = 2**16


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


def open_ipc(file: File) -> IpcData:
    """Read the schema, and count the rows of the record batches.

    The footer of a file does not hold the number of rows: of a remote file or a compressed one, the
    first column is read for it.
    """
    with reading(file, "metadata"), _handle(file) as handle:
        schema = ipc.open_file(handle).schema
        reader = _reader(handle, schema, schema.names[:1])
        sizes = (reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        return IpcData(file, schema, tuple(sizes))


def _handle(file: File) -> pa.NativeFile:
    """Open a file. A local one is mapped, so that no record batch is read as a whole."""
    return pa.memory_map(file.path) if file.is_local else file.open()


def _reader(
    handle: pa.NativeFile, schema: pa.Schema, names: Sequence[str]
) -> ipc.RecordBatchFileReader:
    fields = [schema.get_field_index(name) for name in names]
    return ipc.open_file(handle, options=ipc.IpcReadOptions(included_fields=fields))
