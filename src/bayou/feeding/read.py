"""Consecutive rows of a source, in its own order, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays
    from bayou.feeding.layout import ColumnLayout
    from bayou.sources.base.field import Table
    from bayou.sources.base.source import Source

# Of a source with random access, so many rows are taken by one call, which bounds the memory of the
# table that it returns.
TAKEN_ROWS = 2**16


def count_block_rows(source: Source, name: str) -> tuple[int, ...]:
    """Return the number of rows of each block; reads the field `name` of blocks of unknown size."""
    return tuple(
        sum(len(table[name]) for table in source.read(block, [name])) if size is None else size
        for block, size in enumerate(source.blocks)
    )


def read_tables(source: Source, names: Sequence[str]) -> Iterator[Table]:
    """Yield the tables of all blocks, in the order of the source."""
    for block in range(len(source.blocks)):
        yield from source.read(block, names)


def read_rows(layout: ColumnLayout, blocks: Sequence[int], start: int, count: int) -> Arrays:
    """Return consecutive rows, going on with the first row after the last.

    Parameters
    ----------
    layout : ColumnLayout
        The columns to read.
    blocks : sequence of int
        The number of rows of each block, from :func:`count_block_rows`.
    start, count : int
        The first row, and the number of rows.

    Returns
    -------
    tuple of ndarray, shapes (count, *row)
    """
    arrays = layout.empty(count)
    fill_rows(layout, blocks, start, arrays)
    return arrays


def fill_rows(layout: ColumnLayout, blocks: Sequence[int], start: int, arrays: Arrays) -> None:
    """Write consecutive rows into arrays, as :func:`read_rows` returns them."""
    num_rows, count = sum(blocks), len(arrays[0])
    done = 0
    while done < count:
        first = (start + done) % num_rows
        size = min(count - done, num_rows - first)
        _read(layout, blocks, first, tuple(array[done : done + size] for array in arrays))
        done += size


def _read(layout: ColumnLayout, blocks: Sequence[int], first: int, arrays: Arrays) -> None:
    """Write consecutive rows, of which the source has enough after the first."""
    count = len(arrays[0])
    if layout.source.random_access:
        for begin in range(0, count, TAKEN_ROWS):
            rows = np.arange(first + begin, first + min(begin + TAKEN_ROWS, count))
            table = layout.source.take(rows, layout.names)
            layout.check(table)
            layout.write(table, [array[begin : begin + len(rows)] for array in arrays])
        return
    done = 0
    for table, length in _tables_with(layout, blocks, range(first, first + count)):
        taken = min(length, count - done)
        part = {name: table[name][:taken] for name in layout.names}
        layout.write(part, [array[done : done + taken] for array in arrays])
        done += taken
    if done < count:
        raise _change_error(sum(blocks), "fewer")


def read_pieces(
    layout: ColumnLayout, blocks: Sequence[int], size: int, rows: range | None = None
) -> Iterator[Arrays]:
    """Yield rows of a source in their order, `size` at a time; the last piece may be shorter.

    Parameters
    ----------
    layout : ColumnLayout
        The columns to read.
    blocks : sequence of int
        The number of rows of each block, from :func:`count_block_rows`.
    size : int
        The rows of a piece.
    rows : range, optional
        The numbers of consecutive rows to read; by default all rows. Blocks without any of them are
        not read.

    Raises
    ------
    ValueError
        If the source has other numbers of rows than `blocks` says.
    """
    rows = range(sum(blocks)) if rows is None else rows
    if layout.source.random_access:
        for start in range(rows.start, rows.stop, size):
            yield read_rows(layout, blocks, start, min(size, rows.stop - start))
        return
    arrays, num_done, left = layout.empty(min(size, len(rows))), 0, len(rows)
    for table, length in _tables_with(layout, blocks, rows):
        done = 0
        while done < length:
            count = min(length - done, size - num_done, left)
            if not count:
                raise _change_error(sum(blocks), "more")
            part = {name: table[name][done : done + count] for name in layout.names}
            layout.write(part, [array[num_done : num_done + count] for array in arrays])
            done, num_done, left = done + count, num_done + count, left - count
            if num_done == size or not left:
                yield tuple(array[:num_done] for array in arrays)
                # New arrays, since the caller may keep those that were yielded.
                arrays, num_done = layout.empty(min(size, left)), 0
    if left:
        raise _change_error(sum(blocks), "fewer")


def _tables_with(
    layout: ColumnLayout, blocks: Sequence[int], rows: range
) -> Iterator[tuple[Table, int]]:
    """Yield the tables that hold some rows, without other rows, and their lengths.

    Rows after the last that the source should have are yielded too.
    """
    start = 0
    for block, count in enumerate(blocks):
        position, start = start, start + count
        if start <= rows.start or rows.stop <= position < sum(blocks):
            continue
        for table in layout.source.read(block, layout.names):
            length = layout.check(table)
            begin = min(length, max(0, rows.start - position))
            end = length if rows.stop == sum(blocks) else min(length, rows.stop - position)
            position += length
            if begin < end:
                yield {name: table[name][begin:end] for name in layout.names}, end - begin


def take_numbered(
    layout: ColumnLayout,
    blocks: Sequence[int],
    rows: NDArray[np.int64],
    size: int,
    among: range | None = None,
) -> Arrays:
    """Return rows with given numbers, in one pass over the source unless it has random access.

    Parameters
    ----------
    layout : ColumnLayout
        The columns to read.
    blocks : sequence of int
        The number of rows of each block, from :func:`count_block_rows`.
    rows : ndarray of int64, shape (num_rows,)
        Their numbers in increasing order.
    size : int
        The most rows that are read at once.
    among : range, optional
        The numbers of consecutive rows that they are among; by default all rows. Others are not
        read.

    Returns
    -------
    tuple of ndarray, shapes (num_rows, *row)

    Raises
    ------
    ValueError
        If the source has other numbers of rows than `blocks` says.
    """
    arrays = layout.empty(len(rows))
    if layout.source.random_access:
        for begin in range(0, len(rows), size):
            part = slice(begin, begin + size)
            table = layout.source.take(rows[part], layout.names)
            layout.check(table)
            layout.write(table, [array[part] for array in arrays])
        return arrays
    start = 0 if among is None else among.start
    for piece in read_pieces(layout, blocks, size, among):
        begin, end = np.searchsorted(rows, [start, start + len(piece[0])])
        for array, values in zip(arrays, piece, strict=True):
            np.take(values, rows[begin:end] - start, axis=0, out=array[begin:end], mode="clip")
        start += len(piece[0])
    return arrays


def _change_error(num_rows: int, received: str) -> ValueError:
    return ValueError(
        f"`source` must yield {num_rows} rows, got {received}.\n"
        "Hint: the data changed since the source was opened; open it again."
    )
