"""Parquet files: a block is a row group; its columns are decoded side by side, in pieces if large.

The reader that ``pyarrow.parquet.ParquetFile`` wraps is used as it is, since it takes an allocator:
an internal of pyarrow, which is touched in this file alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types
from pyarrow._parquet import ParquetReader

from bayou.sources.files.data_file import DataFile
from bayou.sources.files.listed_file import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.files.listed_file import File

# Column chunks of a local file are read in steps of this size, so that none is held whole.
BUFFER_BYTES = 2**16


@dataclass(frozen=True)
class ParquetData(DataFile):
    """A Parquet file, with its metadata."""

    file: File
    metadata: Any

    @cached_property
    def schema(self) -> Any:
        """The columns, as Arrow reads them."""
        return self.metadata.schema.to_arrow_schema()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The rows of each row group."""
        groups = range(self.metadata.num_row_groups)
        return tuple(self.metadata.row_group(group).num_rows for group in groups)

    def batches(self, block: int, names: Sequence[str], num_rows: int) -> Iterator[Any]:
        """Decode a row group, its columns on pyarrow's threads."""
        with self.file.open() as handle:
            # Far away, few large requests count, and a row group is fetched whole.
            near = self.file.is_local
            reader = ParquetReader(memory_pool=_allocator())
            reader.open(
                handle,
                metadata=self.metadata,
                pre_buffer=not near,
                buffer_size=BUFFER_BYTES if near else 0,
                page_checksum_verification=True,
            )
            leaves = [leaf for name in names for leaf in self._leaves[name]]
            if num_rows >= self.sizes[block]:
                # At once, each column lets go of its pages before the next one is decoded.
                yield from reader.read_row_group(block, column_indices=leaves).to_batches()
            else:
                yield from reader.iter_batches(num_rows, row_groups=[block], column_indices=leaves)

    def null_count(self, block: int, name: str) -> int | None:
        """Add up the statistics of all leaves of a column."""
        known = self._statistics(block, name)
        if not all(leaf is not None and leaf.has_null_count for leaf in known):
            return None
        total = sum(leaf.null_count for leaf in known)
        # Of several numbers a row, it is not told how many rows they are in.
        plain = len(known) == 1 and not types.is_nested(self.schema.field(name).type)
        return int(total) if plain or not total else None

    def bounds(self, block: int, name: str) -> tuple[int, int] | None:
        """Look at the statistics of a column of integers."""
        known = self._statistics(block, name)[0]
        if known is None or not known.has_min_max:
            return None
        if not types.is_integer(self.schema.field(name).type):
            return None
        return int(known.min), int(known.max)

    def _statistics(self, block: int, name: str) -> list[Any]:
        group = self.metadata.row_group(block)
        return [group.column(leaf).statistics for leaf in self._leaves[name]]

    @cached_property
    def _leaves(self) -> dict[str, list[int]]:
        """The numbers of the column chunks of each column."""
        leaves: dict[str, list[int]] = {name: [] for name in self.schema.names}
        for number in range(self.metadata.num_columns):
            path = self.metadata.schema.column(number).path
            name = path if path in leaves else path.partition(".")[0]
            leaves[name].append(number)
        return leaves

    def describe_block(self, block: int) -> str:
        """Name the row group."""
        return f"row group {block}"


def open_parquet(file: File) -> ParquetData:
    """Read the metadata of a file."""
    with reading(file, "metadata"), file.open() as handle:
        return ParquetData(file, pq.read_metadata(handle))


@cache
def _allocator() -> Any:
    """Return what memory is decoded into; None stands for pyarrow's default.

    That keeps twice of what is in use, where other threads let go of it than have asked for it.
    """
    try:
        return pa.jemalloc_memory_pool()
    except NotImplementedError:
        return None
