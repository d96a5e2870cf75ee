"""Rows of a source that follow each other, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.feeding.feed import Arrays
    from bayou.feeding.layout import Layout

TAKEN_ROWS = 2**16


def read_rows(layout: Layout, blocks: Sequence[int], start: int, count: int) -> Arrays:
    """Return some rows that follow each other; the first of the source come after its last."""
    arrays = layout.empty(count)
    fill_rows(layout, blocks, start, arrays)
    return arrays


def fill_rows(layout: Layout, blocks: Sequence[int], start: int, arrays: Arrays) -> None:
    """Write as many rows that follow each other as the arrays have room for."""
    num_rows, count = sum(blocks), len(arrays[0])
    done = 0
    while done < count:
        first = (start + done) % num_rows
        size = min(count - done, num_rows - first)
        _read(layout, blocks, first, tuple(array[done : done + size] for array in arrays))
        done += size


def _read(layout: Layout, blocks: Sequence[int], first: int, arrays: Arrays) -> None:
    """Write rows from a number on, of which the source has enough."""
    count = len(arrays[0])
    if layout.source.random_access:
        for begin in range(0, count, TAKEN_ROWS):
            rows = np.arange(first + begin, first + min(begin + TAKEN_ROWS, count))
            table = layout.source.take(rows, layout.names)
            layout.check(table)
            layout.write(table, [array[begin : begin + len(rows)] for array in arrays])
        return
    position = done = 0
    for block, size in enumerate(blocks):
        if position + size <= first or done == count:
            position += size
            continue
        for table in layout.source.read(block, layout.names):
            length = layout.check(table)
            begin = max(0, first + done - position)
            taken = min(length - begin, count - done)
            if taken > 0:
                part = {name: table[name][begin : begin + taken] for name in layout.names}
                layout.write(part, [array[done : done + taken] for array in arrays])
                done += taken
            position += length
    if done < count:
        _refuse_change(sum(blocks), "fewer")


def read_pieces(layout: Layout, blocks: Sequence[int], size: int) -> Iterator[Arrays]:
    """Yield all rows of a source in their order, so many at a time, the last ones fewer."""
    num_rows = sum(blocks)
    if layout.source.random_access:
        for start in range(0, num_rows, size):
            yield read_rows(layout, blocks, start, min(size, num_rows - start))
        return
    arrays, filled, left = layout.empty(min(size, num_rows)), 0, num_rows
    for block in range(len(blocks)):
        for table in layout.source.read(block, layout.names):
            length, done = layout.check(table), 0
            while done < length:
                count = min(length - done, size - filled, left)
                if not count:
                    _refuse_change(num_rows, "more")
                part = {name: table[name][done : done + count] for name in layout.names}
                layout.write(part, [array[filled : filled + count] for array in arrays])
                done, filled, left = done + count, filled + count, left - count
                if filled == size or not left:
                    yield tuple(array[:filled] for array in arrays)
                    arrays, filled = layout.empty(min(size, left)), 0
    if left:
        _refuse_change(num_rows, "fewer")


def _refuse_change(num_rows: int, found: str) -> None:
    raise ValueError(
        f"`source` must yield {num_rows} rows, got {found}.\n"
        "Hint: the data changed since the source was opened; open it again."
    )
