"""Parquet files: a block is a row group, decoded on pyarrow's threads, in pieces if it is large.

``pyarrow.parquet.ParquetFile`` wraps a reader that is used here directly, since only that takes an
allocator. It is an internal of pyarrow, and no other file uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types
from pyarrow._parquet import ParquetReader

from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# Column chunks of a local file are read in steps of 64 KiB, so that none is in memory as a whole.
BUFFER_BYTES = 2**16
# Spark's old timestamps have 96 bits, and hold microseconds. In nanoseconds, which is Arrow's
# default, the year 9999 of warehouses overflows to 1816 without a word.
INT96_UNIT = "us"


@dataclass(frozen=True)
class ParquetData(DataFile):
    """A Parquet file, with its metadata."""

    file: File
    metadata: pq.FileMetaData

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, by the types that they are read as."""
        schema = self.metadata.schema.to_arrow_schema()
        for at in range(self.metadata.num_columns):
            column = self.metadata.schema.column(at)
            if column.physical_type == "INT96" and column.path in schema.names:
                position = schema.get_field_index(column.path)
                schema = schema.set(position, pa.field(column.path, pa.timestamp(INT96_UNIT)))
        return schema

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each row group."""
        groups = range(self.metadata.num_row_groups)
        return tuple(self.metadata.row_group(group).num_rows for group in groups)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[pa.RecordBatch]:
        """Decode a row group, each column on one of pyarrow's threads."""
        with self.file.open() as handle:
            # A remote row group is fetched at once, since each request costs a round trip.
            local = self.file.is_local
            reader = ParquetReader(memory_pool=_allocator())
            reader.open(
                handle,
                metadata=self.metadata,
                pre_buffer=not local,
                buffer_size=BUFFER_BYTES if local else 0,
                page_checksum_verification=True,
                coerce_int96_timestamp_unit=INT96_UNIT,
            )
            leaves = [leaf for name in names for leaf in self._leaves[name]]
            if num_rows >= self.sizes[block]:
                # As one batch: each column frees its pages before the next one is decoded.
                yield from reader.read_row_group(block, column_indices=leaves).to_batches()
            else:
                yield from reader.iter_batches(num_rows, row_groups=[block], column_indices=leaves)

    def null_count(self, block: int, name: str) -> int | None:
        """Return the sum of the statistics of all column chunks of a column."""
        statistics = self._statistics(block, name)
        known = [chunk for chunk in statistics if chunk is not None and chunk.has_null_count]
        if len(known) < len(statistics):
            return None
        total = sum(chunk.null_count for chunk in known)
        # Of several values a row, the statistics count values, and do not say in how many rows.
        one_value = len(statistics) == 1 and not types.is_nested(self.schema.field(name).type)
        return int(total) if one_value or not total else None

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Return the least and the largest value of integers by the statistics."""
        statistics = self._statistics(block, name)[0]
        if statistics is None or not statistics.has_min_max:
            return None
        # The bounds of floats leave out NaN, and those of text may be cut off.
        if not types.is_integer(self.schema.field(name).type):
            return None
        return int(statistics.min), int(statistics.max)

    def _statistics(self, block: int, name: str) -> list[pq.Statistics | None]:
        group = self.metadata.row_group(block)
        return [group.column(leaf).statistics for leaf in self._leaves[name]]

    @cached_property
    def _leaves(self) -> dict[str, list[int]]:
        """The numbers of the column chunks of each column, several for nested types."""
        leaves: dict[str, list[int]] = {name: [] for name in self.schema.names}
        for number in range(self.metadata.num_columns):
            path = self.metadata.schema.column(number).path
            # A dot separates the names of nested columns, and may be in the name of a plain one.
            name = path if path in leaves else path.partition(".")[0]
            leaves[name].append(number)
        return leaves

    def describe_block(self, block: int) -> str:
        """Return the number of the row group."""
        return f"row group {block}"


def open_parquet(file: File) -> ParquetData:
    """Read the metadata of a file."""
    with reading(file, "metadata"), file.open() as handle:
        return ParquetData(file, pq.read_metadata(handle))


@cache
def _allocator() -> pa.MemoryPool | None:
    """Return the allocator of decoded columns: jemalloc if pyarrow has it, None for its default.

    The default keeps about twice the memory in use when other threads free it than have
    allocated it, as those do that read ahead.
    """
    try:
        return pa.jemalloc_memory_pool()
    except NotImplementedError:
        return None
