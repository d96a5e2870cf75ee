"""Arrow IPC files (Feather version 2): a block is a record batch, or several small ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import ipc

from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# Record batches are read together until they have so many rows.
BLOCK_ROWS = 2**16


@dataclass(frozen=True)
class IpcData(DataFile):
    """An Arrow IPC file: its schema, the rows of its record batches, and the nulls in them."""

    file: File
    schema: Any
    batch_sizes: tuple[int, ...]

    @cached_property
    def _starts(self) -> list[int]:
        """The first record batch of each block, and where the last one ends."""
        starts, rows = [0], 0
        for number, size in enumerate(self.batch_sizes):
            if rows and rows + size > BLOCK_ROWS:
                starts.append(number)
                rows = 0
            rows += size
        return [*starts, len(self.batch_sizes)]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The rows of each block."""
        pairs = zip(self._starts, self._starts[1:], strict=False)
        return tuple(sum(self.batch_sizes[first:last]) for first, last in pairs)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[Any]:
        """Read record batches in slices; a compressed one is decompressed whole."""
        with _handle(self.file) as handle:
            reader = _reader(handle, self.schema, names)
            for number in range(*self._starts[block : block + 2]):
                batch = reader.get_batch(number)
                for start in range(0, batch.num_rows, num_rows):
                    # A mapped file that was cut off kills the process that looks beyond its end;
                    # and what is handed out must not change with it. So: check, then copy.
                    self.file.check()
                    part = batch.slice(start, num_rows)
                    yield pa.concat_batches([part, part.slice(0, 0)])

    def describe_block(self, block: int) -> str:
        """Name the record batches."""
        first, last = self._starts[block], self._starts[block + 1] - 1
        return f"record batch {first}" if first == last else f"record batches {first} to {last}"


def open_ipc(file: File) -> IpcData:
    """Read the schema and count the rows of the record batches.

    Their number of rows is told with their data alone: of a file far away or a compressed one, this
    reads a column.
    """
    with reading(file, "metadata"), _handle(file) as handle:
        schema = ipc.open_file(handle).schema
        reader = _reader(handle, schema, schema.names[:1])
        sizes = (reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        return IpcData(file, schema, tuple(sizes))


def _handle(file: File) -> Any:
    """Open a file; one of this machine is mapped, so that no record batch is read whole."""
    return pa.memory_map(file.path) if file.is_local else file.open()


def _reader(handle: Any, schema: Any, names: Sequence[str]) -> Any:
    fields = [schema.get_field_index(name) for name in names]
    return ipc.open_file(handle, options=ipc.IpcReadOptions(included_fields=fields))
