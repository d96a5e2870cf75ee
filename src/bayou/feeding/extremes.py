"""The least and the largest whole numbers of rows, and where they are: what an index may be.

Of a source, it costs a pass over its fields of whole numbers, of which the blocks are left out that
are known to hold neither.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.source import Source


class Extremes(NamedTuple):
    """The least and the largest of each of the numbers that a row has.

    Attributes
    ----------
    values : ndarray of integers, shape (2, k)
        The least, and the largest.
    rows : ndarray of int64, shape (2, k)
        The first rows that hold them.
    """

    values: NDArray[Any]
    rows: NDArray[np.int64]

    def __str__(self) -> str:
        """Write the least and the largest of all."""
        least, largest = self.values[0].argmin(), self.values[1].argmax()
        ends = ((0, least), (1, largest))
        return " to ".join(f"{self.values[end]} (row {self.rows[end]})" for end in ends)


def array_extremes(values: NDArray[Any], start: int = 0) -> Extremes:
    """Return the extremes of an array, shape (num_rows, ...), whose first row has a number."""
    table = values.reshape(len(values), -1)
    rows = np.stack([table.argmin(axis=0), table.argmax(axis=0)])
    return Extremes(np.take_along_axis(table, rows, axis=0), rows + start)


def source_extremes(
    source: Source, names: Iterable[str], blocks: Sequence[int]
) -> dict[str, Extremes]:
    """Return the extremes of those fields of a source that hold whole numbers.

    Parameters
    ----------
    source : Source
        The rows.
    names : iterable of str
        The fields.
    blocks : sequence of int
        The rows of each block.
    """
    fields = [source.fields[name] for name in names]
    wanted = {
        field.name: _blocks_to_read(source, field.name, blocks)
        for field in fields
        if field.dtype.kind in "iu" and 0 not in field.shape
    }
    found: dict[str, list[Extremes]] = {name: [] for name in wanted}
    start = 0
    for block, size in enumerate(blocks):
        read = [name for name, places in wanted.items() if block in places]
        row = start
        for table in source.read(block, read) if read else ():
            length = len(table[read[0]])
            for name in read if length else ():
                found[name].append(array_extremes(table[name], row))
            row += length
        start += size
    return {name: reduce(_both, parts) for name, parts in found.items() if parts}


def _blocks_to_read(source: Source, name: str, blocks: Sequence[int]) -> set[int]:
    """Return the blocks of unknown bounds, and those that are known to reach farthest."""
    bounds = {block: source.bounds(block, name) for block, size in enumerate(blocks) if size}
    known = {block: bound for block, bound in bounds.items() if bound is not None}
    read = bounds.keys() - known.keys()
    if known:
        read |= {min(known, key=lambda block: known[block][0])}
        read |= {max(known, key=lambda block: known[block][1])}
    return read


def _both(one: Extremes, other: Extremes) -> Extremes:
    farther = np.stack(
        [other.values[0] < one.values[0], other.values[1] > one.values[1]],
    )
    return Extremes(
        np.where(farther, other.values, one.values), np.where(farther, other.rows, one.rows)
    )
