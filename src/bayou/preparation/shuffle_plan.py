"""The plan of a shuffle on disk, which divides its memory, and its progress, which is saved."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.sources.files.store import array_header, field_entry

if TYPE_CHECKING:
    from pathlib import Path

    from bayou.sources.base.field import Field

# Each bucket is a file in one folder. More of them would slow down some filesystems, and a stage of
# rows would be appended to them in pieces that are too small for a disk.
MAX_BUCKETS = 10_000
# Memory for a row while it is distributed, beside its record: its place, the number of its bucket
# and its index in the order of buckets, 8 bytes each.
DISTRIBUTION_BYTES = 24


@dataclass(frozen=True)
class Plan:
    """The rows of a shuffle, their order, and the memory for it.

    Attributes
    ----------
    fields : tuple of Field
        The fields of the source.
    num_rows : int
        The number of rows of the source.
    key : uint64
        Decides the place of each row in the store.
    memory : int
        The most bytes of memory to use.
    """

    fields: tuple[Field, ...]
    num_rows: int
    key: np.uint64
    memory: int

    @property
    def row_bytes(self) -> int:
        """The size of a row in the store."""
        return sum(field.row_bytes for field in self.fields)

    @property
    def record(self) -> np.dtype:
        """The dtype of a row in a bucket: its place, and the value of field i under the name i."""
        values = [(str(index), field.dtype, field.shape) for index, field in enumerate(self.fields)]
        return np.dtype([("place", np.int64), *values])

    @property
    def stage_rows(self) -> int:
        """The number of rows that are distributed at a time, in half of the memory.

        The other half is for the tables that the source yields.
        """
        row_bytes = self.record.itemsize + DISTRIBUTION_BYTES
        return min(self.num_rows, max(1, self.memory // 2 // row_bytes))

    @property
    def bucket_rows(self) -> int:
        """The number of rows of a bucket, in half of the memory; the last one may have fewer.

        The other half is for the piece of the bucket's file that is read.
        """
        return min(self.num_rows, max(1, self.memory // 2 // max(1, self.row_bytes)))

    @property
    def num_buckets(self) -> int:
        """The number of buckets."""
        return -(-self.num_rows // self.bucket_rows)

    @property
    def least_memory(self) -> int:
        """The least memory with which there are at most `MAX_BUCKETS` buckets."""
        return 2 * max(1, self.row_bytes) * -(-self.num_rows // MAX_BUCKETS)

    def files(self, folder: Path) -> list[Path]:
        """Return the files of the store, one a field."""
        return [
            folder / field_entry(index, field)["file"] for index, field in enumerate(self.fields)
        ]


@dataclass
class Progress:
    """The saved progress of a shuffle: the part of its files that is certain to be complete.

    Attributes
    ----------
    block, row : int
        The rows of the source before this row of this block are in buckets.
    rows_read : int
        The number of these rows.
    bucket_rows : list of int
        How many of them each bucket has.
    buckets_done : int
        The number of buckets whose rows are in the store.
    checksums : list of int
        The CRC-32 of each file of the store, as far as it is written.
    """

    block: int
    row: int
    rows_read: int
    bucket_rows: list[int]
    buckets_done: int
    checksums: list[int]


def start_progress(plan: Plan) -> Progress:
    """Return the progress of a shuffle that has not begun."""
    headers = [zlib.crc32(array_header(field, plan.num_rows)) for field in plan.fields]
    return Progress(0, 0, 0, [0] * plan.num_buckets, 0, headers)


def disk_bytes(plan: Plan, progress: Progress) -> int:
    """Return the most bytes that the rest of a shuffle adds to its files."""
    unread = plan.num_rows - progress.rows_read
    unwritten = plan.num_rows - progress.buckets_done * plan.bucket_rows
    bucket = min(plan.bucket_rows, max(0, unwritten))
    # The file of a bucket is removed once its rows are in the store, so that the rows of one bucket
    # at most are there twice. 1 MiB is for headers and JSON.
    return unread * plan.record.itemsize + bucket * plan.row_bytes + 2**20
