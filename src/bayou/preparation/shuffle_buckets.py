"""The two passes of an external shuffle: rows into bucket files, and buckets into their places.

A bucket is a stretch of places of the store, short enough for memory. The first pass appends the
rows of the source to the bucket files that their places are in; the second loads one bucket after
another, puts its rows in order and appends them to the store. Either pass can stop anywhere and go
on from the last progress that was kept.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sampling.permutation import permutation
from bayou.sources.files.store import PIECE_BYTES, array_header, field_entry
from bayou.storage.atomic_write import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Source

# Between two times that a first pass keeps its progress, which waits for the disk.
KEEP_SECONDS = 30.0
MAX_BUCKETS = 10_000
# Beside the record of a row that is spread: its bucket, and its number in order of buckets.
SPREAD_BYTES = 24
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Plan:
    """What a shuffle does, apart from where.

    Attributes
    ----------
    fields : tuple of Field
        Of the source.
    num_rows : int
        Of the source.
    key : uint64
        Decides the places of the rows.
    memory : int
        Bytes that may be held.
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
    def record(self) -> np.dtype[Any]:
        """A row in a bucket: its place, and its values, the field at index i named str(i)."""
        values = [(str(index), field.dtype, field.shape) for index, field in enumerate(self.fields)]
        return np.dtype([("place", np.int64), *values])

    @property
    def stage_rows(self) -> int:
        """The rows that are spread at a time; what is read from the source has the other half."""
        return min(self.num_rows, max(1, self.memory // 2 // (self.record.itemsize + SPREAD_BYTES)))

    @property
    def bucket_rows(self) -> int:
        """The rows of a bucket; the last may have fewer."""
        return min(self.num_rows, max(1, self.memory // 2 // max(1, self.row_bytes)))

    @property
    def num_buckets(self) -> int:
        """The number of buckets."""
        return -(-self.num_rows // self.bucket_rows)

    @property
    def least_memory(self) -> int:
        """The memory that makes buckets few enough to be files."""
        return 2 * max(1, self.row_bytes) * -(-self.num_rows // MAX_BUCKETS)

    def files(self, folder: Path) -> list[Path]:
        """Return the files of the store, one a field."""
        return [
            folder / field_entry(index, field)["file"] for index, field in enumerate(self.fields)
        ]


@dataclass
class Progress:
    """How far a shuffle is: what of its files is sure.

    Attributes
    ----------
    block, row : int
        The rows of the source before this row of this block are in buckets.
    rows_read : int
        How many those are.
    bucket_rows : list of int
        How many of them are in each bucket.
    buckets_done : int
        The buckets that are in the store.
    checksums : list of int
        Of the files of the store as far as they are written.
    """

    block: int
    row: int
    rows_read: int
    bucket_rows: list[int]
    buckets_done: int
    checksums: list[int]


def begin(plan: Plan) -> Progress:
    """Return the progress of a shuffle that has done nothing."""
    headers = [zlib.crc32(array_header(field, plan.num_rows)) for field in plan.fields]
    return Progress(0, 0, 0, [0] * plan.num_buckets, 0, headers)


def bytes_needed(plan: Plan, progress: Progress) -> int:
    """Return the most bytes of disk that the rest of a shuffle adds to what it has taken."""
    unread = plan.num_rows - progress.rows_read
    unwritten = plan.num_rows - progress.buckets_done * plan.bucket_rows
    bucket = min(plan.bucket_rows, max(0, unwritten))
    # A bucket is removed once it is in the store, so that there is never more than one twice.
    return unread * plan.record.itemsize + bucket * plan.row_bytes + 2**20


def settle(plan: Plan, progress: Progress, folder: Path) -> None:
    """Cut the files back to what the progress says, and see them onto the disk.

    Raises
    ------
    ValueError
        If a file holds less than that.
    """
    for bucket, rows in enumerate(progress.bucket_rows):
        file = _bucket_file(folder, bucket)
        if rows == 0 or bucket < progress.buckets_done:
            file.unlink(missing_ok=True)
        else:
            _cut(file, rows * plan.record.itemsize)
    if progress.rows_read < plan.num_rows:
        return
    written = min(progress.buckets_done * plan.bucket_rows, plan.num_rows)
    for file, field in zip(plan.files(folder), plan.fields, strict=True):
        header = array_header(field, plan.num_rows)
        if written == 0:
            file.unlink(missing_ok=True)
            _append(file, header)
        _cut(file, len(header) + written * field.row_bytes)


def spread(
    source: Source,
    plan: Plan,
    progress: Progress,
    folder: Path,
    keep: Callable[[], None],
    advance: Callable[[int], None],
) -> None:
    """Run the first pass: put the rows of the source into buckets.

    Parameters
    ----------
    source : Source
        What is read.
    plan, progress
        The progress is changed as it is made.
    folder : Path
        Where the buckets are.
    keep : callable
        Called when the progress is to be kept, its files being sure.
    advance : callable
        Told the rows that were spread.
    """
    kept = time.monotonic()
    for records, block, row in _stages(source, plan, progress):
        first = progress.rows_read
        if first + len(records) > plan.num_rows:
            raise _miscounted(plan, f"more than {plan.num_rows}")
        places = permutation(plan.key, plan.num_rows, first, len(records))
        records["place"] = places
        buckets = (places // plan.bucket_rows).astype(np.uint16)
        order = np.argsort(buckets, kind="stable")
        counts = np.bincount(buckets, minlength=plan.num_buckets)
        ends = np.cumsum(counts)
        for bucket in np.flatnonzero(counts).tolist():
            chosen = order[ends[bucket] - counts[bucket] : ends[bucket]]
            _append(_bucket_file(folder, bucket), records[chosen])
        progress.block, progress.row = block, row
        progress.rows_read += len(records)
        progress.bucket_rows = (np.array(progress.bucket_rows) + counts).tolist()
        advance(len(records))
        if time.monotonic() - kept >= KEEP_SECONDS:
            settle(plan, progress, folder)
            keep()
            kept = time.monotonic()
    if progress.rows_read < plan.num_rows:
        raise _miscounted(plan, f"{progress.rows_read}")
    settle(plan, progress, folder)
    keep()


def gather(
    plan: Plan,
    progress: Progress,
    folder: Path,
    keep: Callable[[], None],
    advance: Callable[[int], None],
) -> None:
    """Run the second pass: put the rows of the buckets in their places.

    Parameters
    ----------
    plan, progress, folder, keep, advance
        As :func:`spread` takes them.

    Raises
    ------
    ValueError
        If a bucket does not hold each of its places once.
    """
    files = plan.files(folder)
    for bucket in range(progress.buckets_done, plan.num_buckets):
        table = _placed(plan, folder, bucket)
        checksums = []
        for file, values, checksum in zip(files, table, progress.checksums, strict=True):
            checksums.append(_append(file, values, checksum))
            sync(file)
        progress.checksums = checksums
        progress.buckets_done = bucket + 1
        keep()
        _bucket_file(folder, bucket).unlink()
        advance(progress.bucket_rows[bucket])


@contextmanager
def told_of_a_full_disk(file: Path) -> Iterator[None]:
    """Say what a disk without room means for a shuffle."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(
            f"`path` must be on a disk with room for the shuffle, got {error.strerror!r} while "
            f"writing {file}.\nHint: nothing that was done is lost; make room and call by.shuffle "
            "again with the same arguments."
        ) from error


def _bucket_file(folder: Path, bucket: int) -> Path:
    return folder / f"bucket-{bucket:05d}"


def _pieces(
    source: Source, plan: Plan, block: int, row: int
) -> Iterator[tuple[Table, int, int, int]]:
    """Yield the tables of a source from a row of a block on: table, its rows, block, first row."""
    names = [field.name for field in plan.fields]
    for number in range(block, len(source.blocks)):
        skipped, first = (row if number == block else 0), 0
        if skipped and skipped == source.blocks[number]:
            continue
        for table in source.read(number, names):
            rows = _check_table(table, plan.fields, number)
            start = min(max(0, skipped - first), rows)
            rest = {name: table[name][start:] for name in names}
            yield rest, rows - start, number, first + start
            first += rows


def _stages(
    source: Source, plan: Plan, progress: Progress
) -> Iterator[tuple[NDArray[Any], int, int]]:
    """Yield the next rows as records, as many as are spread at a time, and where they end."""
    staged = np.empty(plan.stage_rows, plan.record)
    filled = block = row = 0
    for table, rows, number, first in _pieces(source, plan, progress.block, progress.row):
        block, start = number, 0
        while start < rows:
            count = min(rows - start, len(staged) - filled)
            for index, field in enumerate(plan.fields):
                values = table[field.name][start : start + count]
                staged[str(index)][filled : filled + count] = values
            start += count
            filled += count
            row = first + start
            if filled == len(staged):
                yield staged, block, row
                filled = 0
    if filled:
        yield staged[:filled], block, row


def _check_table(table: Table, fields: Sequence[Field], block: int) -> int:
    """Return the number of rows of a table, if it is one of these fields."""
    if any(field.name not in table for field in fields):
        raise ValueError(
            f"`source` must yield all its fields, got {list(table)} in block {block}.\n"
            "Hint: see what bayou.testing.check_source says of the source."
        )
    rows = len(table[fields[0].name])
    for field in fields:
        values = table[field.name]
        if (values.dtype, values.shape) != (field.dtype, (rows, *field.shape)):
            raise ValueError(
                f"`source` must yield what its fields say, got {field.name!r} of dtype "
                f"{values.dtype} and shape {values.shape} in block {block}, where it is of dtype "
                f"{field.dtype} and shape {(rows, *field.shape)}.\n"
                "Hint: see what bayou.testing.check_source says of the source."
            )
    return rows


def _placed(plan: Plan, folder: Path, bucket: int) -> list[NDArray[Any]]:
    """Return the values of a bucket's rows in the order of their places, an array a field."""
    file, first = _bucket_file(folder, bucket), bucket * plan.bucket_rows
    rows = min(plan.bucket_rows, plan.num_rows - first)
    table = [np.empty((rows, *field.shape), field.dtype) for field in plan.fields]
    found = np.zeros(rows, dtype=bool)
    piece_rows = max(1, PIECE_BYTES // plan.record.itemsize)
    with file.open("rb") as opened:
        while len(records := np.fromfile(opened, plan.record, piece_rows)):
            places = records["place"] - first
            if places.min() < 0 or places.max() >= rows:
                raise _damaged(file)
            found[places] = True
            for index, values in enumerate(table):
                values[places] = records[str(index)]
    if not found.all() or file.stat().st_size != rows * plan.record.itemsize:
        raise _damaged(file)
    return table


def _append(file: Path, values: NDArray[Any] | bytes, checksum: int = 0) -> int:
    """Append the bytes of an array to a file; return the checksum of the file, given the old."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
    content = memoryview(array.reshape(-1).view(np.uint8))
    with told_of_a_full_disk(file), file.open("ab") as opened:
        opened.write(content)
    return zlib.crc32(content, checksum)


def _cut(file: Path, size: int) -> None:
    """Cut a file to a size that it has at least, and see it onto the disk."""
    if not file.is_file() or file.stat().st_size < size:
        raise _damaged(file)
    os.truncate(file, size)
    sync(file)


def _miscounted(plan: Plan, rows: str) -> ValueError:
    return ValueError(
        f"`source` must have as many rows as it says, {plan.num_rows}, got {rows}.\n"
        "Hint: it changed while it was read, or counts its blocks wrongly; see what "
        "bayou.testing.check_source says of it."
    )


def _damaged(file: Path) -> ValueError:
    return ValueError(
        f"`{file}` must hold what an unfinished shuffle put there, got a file that was changed.\n"
        f"Hint: remove {file.parent} and begin anew."
    )
