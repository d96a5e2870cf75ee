"""The two passes of a shuffle on disk: rows into bucket files, and buckets into the store.

The place of a row in the store is a keyed permutation of its number. A bucket is a range of places
whose rows fit into memory. The first pass reads the source once, in its order, and appends each row
to the file of the bucket that its place is in. The second pass reads one bucket after another, puts
its rows in order and appends them to the store. Both append only, so that a shuffle which stops
anywhere resumes from the progress that was saved last: files are cut back to what it says.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sampling.permutation import permutation
from bayou.sources.files.store import PIECE_BYTES, array_header
from bayou.storage.atomic_write import flush_to_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.preparation.shuffle_plan import Plan, Progress
    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.source import Source

# How often the first pass saves its progress. A save waits until all bucket files are on the disk;
# a power cut loses the work since the last one.
SAVE_SECONDS = 30.0
# No space left, the quota of a user, and the largest file of a filesystem or process. Windows does
# not know the quota by this number.
DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def restore_files(plan: Plan, progress: Progress, folder: Path) -> None:
    """Cut the files back to what the progress says, and flush them to the disk.

    Raises
    ------
    ValueError
        If a file is shorter than that.
    """
    for bucket, rows in enumerate(progress.bucket_rows):
        file = _bucket_file(folder, bucket)
        if rows == 0 or bucket < progress.buckets_done:
            file.unlink(missing_ok=True)
        else:
            _truncate(file, rows * plan.record.itemsize)
    if progress.rows_read < plan.num_rows:
        return
    written = min(progress.buckets_done * plan.bucket_rows, plan.num_rows)
    for file, field in zip(plan.files(folder), plan.fields, strict=True):
        header = array_header(field, plan.num_rows)
        if written == 0:
            file.unlink(missing_ok=True)
            _append(file, header)
        _truncate(file, len(header) + written * field.row_bytes)


def fill_buckets(
    source: Source,
    plan: Plan,
    progress: Progress,
    folder: Path,
    save: Callable[[], None],
    advance: Callable[[int], None],
) -> None:
    """Run the first pass: append the rows of the source to the bucket files.

    Parameters
    ----------
    source : Source
        The rows.
    plan : Plan
        The plan.
    progress : Progress
        Where to go on; changed in place.
    folder : Path
        The folder of the bucket files.
    save : callable
        Saves the progress; called when the files hold what it says.
    advance : callable
        Takes the number of rows that were appended since the last call.

    Raises
    ------
    OSError
        If the disk is full.
    ValueError
        If the source has other rows than it says.
    """
    saved = time.monotonic()
    for records, block, row in _stages(source, plan, progress):
        first = progress.rows_read
        if first + len(records) > plan.num_rows:
            raise _count_error(plan, f"more than {plan.num_rows}")
        places = permutation(plan.key, plan.num_rows, first, len(records))
        records["place"] = places
        # NumPy sorts 16-bit integers by radix, in linear time; `MAX_BUCKETS` fits.
        buckets = (places // plan.bucket_rows).astype(np.uint16)
        order = np.argsort(buckets, kind="stable")
        counts = np.bincount(buckets, minlength=plan.num_buckets)
        ends = np.cumsum(counts)
        for bucket in np.flatnonzero(counts).tolist():
            rows = order[ends[bucket] - counts[bucket] : ends[bucket]]
            _append(_bucket_file(folder, bucket), records[rows])
        progress.block, progress.row = block, row
        progress.rows_read += len(records)
        progress.bucket_rows = (np.array(progress.bucket_rows) + counts).tolist()
        advance(len(records))
        if time.monotonic() - saved >= SAVE_SECONDS:
            restore_files(plan, progress, folder)
            save()
            saved = time.monotonic()
    if progress.rows_read < plan.num_rows:
        raise _count_error(plan, f"{progress.rows_read}")
    restore_files(plan, progress, folder)
    save()


def write_store(
    plan: Plan,
    progress: Progress,
    folder: Path,
    save: Callable[[], None],
    advance: Callable[[int], None],
) -> None:
    """Run the second pass: append the rows of one bucket after another to the store, in order.

    Parameters
    ----------
    plan, progress, folder, save, advance
        As :func:`fill_buckets` takes them.

    Raises
    ------
    OSError
        If the disk is full.
    ValueError
        If a bucket does not have each of its places once.
    """
    files = plan.files(folder)
    for bucket in range(progress.buckets_done, plan.num_buckets):
        columns = _read_bucket(plan, folder, bucket)
        checksums = []
        for file, values, checksum in zip(files, columns, progress.checksums, strict=True):
            checksums.append(_append(file, values, checksum))
            flush_to_disk(file)
        progress.checksums = checksums
        progress.buckets_done = bucket + 1
        # Before the bucket is removed, since it is read again if this is not on the disk.
        save()
        _bucket_file(folder, bucket).unlink()
        advance(progress.bucket_rows[bucket])


@contextmanager
def explain_full_disk(file: Path) -> Iterator[None]:
    """Turn the error of a full disk into one that says how the shuffle goes on."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(
            f"`out` must be on a disk with room for the shuffle, got {error.strerror!r} while "
            f"writing {file}.\nHint: the work so far is saved; free some space and call by.shuffle "
            "again with the same arguments."
        ) from error


def _bucket_file(folder: Path, bucket: int) -> Path:
    return folder / f"bucket-{bucket:05d}"


def _pieces(
    source: Source, plan: Plan, block: int, row: int
) -> Iterator[tuple[Table, int, int, int]]:
    """Yield the tables of a source from a row of a block on.

    Yields
    ------
    table, num_rows, block, row
        The rows, their number, their block, and the number of the first of them in its block.
    """
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
) -> Iterator[tuple[NDArray[np.void], int, int]]:
    """Yield the next rows as records, `stage_rows` at a time.

    Yields
    ------
    records, block, row
        The records, whose places are not set, in an array that is used again; then the block and
        the row in it that follow them.
    """
    staged = np.empty(plan.stage_rows, plan.record)
    num_staged = block = row = 0
    for table, rows, number, first in _pieces(source, plan, progress.block, progress.row):
        block, start = number, 0
        while start < rows:
            count = min(rows - start, len(staged) - num_staged)
            for index, field in enumerate(plan.fields):
                values = table[field.name][start : start + count]
                staged[str(index)][num_staged : num_staged + count] = values
            start += count
            num_staged += count
            row = first + start
            if num_staged == len(staged):
                yield staged, block, row
                num_staged = 0
    if num_staged:
        yield staged[:num_staged], block, row


def _check_table(table: Table, fields: Sequence[Field], block: int) -> int:
    """Check that a table is of these fields, and return its number of rows."""
    if any(field.name not in table for field in fields):
        raise ValueError(
            f"`source` must yield all its fields, got {list(table)} in block {block}.\n"
            "Hint: bayou.testing.check_source(source) shows what a source does wrong."
        )
    rows = len(table[fields[0].name])
    for field in fields:
        values = table[field.name]
        if (values.dtype, values.shape) != (field.dtype, (rows, *field.shape)):
            raise ValueError(
                f"`source` must yield what its fields say, got {field.name!r} of dtype "
                f"{values.dtype} and shape {values.shape} in block {block}, where it is of dtype "
                f"{field.dtype} and shape {(rows, *field.shape)}.\n"
                "Hint: bayou.testing.check_source(source) shows what a source does wrong."
            )
    return rows


def _read_bucket(plan: Plan, folder: Path, bucket: int) -> list[NDArray[Any]]:
    """Return the values of a bucket's rows in the order of their places, one array a field."""
    file, first = _bucket_file(folder, bucket), bucket * plan.bucket_rows
    rows = min(plan.bucket_rows, plan.num_rows - first)
    columns = [np.empty((rows, *field.shape), field.dtype) for field in plan.fields]
    is_there = np.zeros(rows, dtype=bool)
    piece_rows = max(1, PIECE_BYTES // plan.record.itemsize)
    with file.open("rb") as opened:
        while len(records := np.fromfile(opened, plan.record, piece_rows)):
            places = records["place"] - first
            if places.min() < 0 or places.max() >= rows:
                raise _damage_error(file)
            is_there[places] = True
            for index, values in enumerate(columns):
                values[places] = records[str(index)]
    # Every place once: all are there, and there are no more records than places.
    if not is_there.all() or file.stat().st_size != rows * plan.record.itemsize:
        raise _damage_error(file)
    return columns


def _append(file: Path, values: NDArray[np.generic] | bytes, checksum: int = 0) -> int:
    """Append the bytes of an array to a file; return the new CRC-32 of the file."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
    content = memoryview(array.reshape(-1).view(np.uint8))
    with explain_full_disk(file), file.open("ab") as opened:
        opened.write(content)
    return zlib.crc32(content, checksum)


def _truncate(file: Path, size: int) -> None:
    """Cut a file, which must not be shorter, to a size in bytes, and flush it to the disk."""
    if not file.is_file() or file.stat().st_size < size:
        raise _damage_error(file)
    os.truncate(file, size)
    flush_to_disk(file)


def _count_error(plan: Plan, rows: str) -> ValueError:
    return ValueError(
        f"`source` must have as many rows as it says, {plan.num_rows}, got {rows}.\n"
        "Hint: it changed while it was read, or counts its blocks wrongly; "
        "bayou.testing.check_source(source) shows which."
    )


def _damage_error(file: Path) -> ValueError:
    return ValueError(
        f"`{file}` must hold what an unfinished shuffle wrote, got a file that was changed.\n"
        f"Hint: remove {file.parent} and start again."
    )
