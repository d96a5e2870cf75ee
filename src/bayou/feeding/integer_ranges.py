"""The least and the largest values of integer fields, and their rows, to check indices by.

For a source, it costs a pass over the integer fields. Blocks whose bounds are known, such as from
the statistics of Parquet, are skipped unless their bounds reach farthest.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.source import Source


class Extremes(NamedTuple):
    """The least and the largest value of each of the k numbers of a row.

    Attributes
    ----------
    values : ndarray of integers, shape (2, k)
        The least values, then the largest.
    rows : ndarray of int64, shape (2, k)
        The first row of each of these values.
    """

    values: NDArray[np.integer]
    rows: NDArray[np.int64]

    def __str__(self) -> str:
        """Return the least and the largest value of all k numbers, with their rows."""
        least, largest = self.values[0].argmin(), self.values[1].argmax()
        ends = ((0, least), (1, largest))
        return " to ".join(f"{self.values[end]} (row {self.rows[end]})" for end in ends)


def array_extremes(values: NDArray[np.integer], start: int = 0) -> Extremes:
    """Return the extremes of an array, shape (num_rows, ...), whose first row is row `start`."""
    # Of a row of several numbers, each is an index of its own, and may have bounds of its own.
    table = values.reshape(len(values), -1)
    rows = np.stack([table.argmin(axis=0), table.argmax(axis=0)])
    return Extremes(np.take_along_axis(table, rows, axis=0), rows + start)


def source_extremes(
    source: Source, names: Iterable[str], blocks: Sequence[int]
) -> dict[str, Extremes]:
    """Return the extremes of the integer fields of a source.

    Parameters
    ----------
    source : Source
        The rows.
    names : iterable of str
        The fields; those of other dtypes are left out.
    blocks : sequence of int
        The number of rows of each block.

    Returns
    -------
    dict of str to Extremes
    """
    fields = [source.fields[name] for name in names]
    blocks_of = {
        field.name: _blocks_to_read(source, field.name, blocks)
        for field in fields
        if field.dtype.kind in "iu" and 0 not in field.shape
    }
    parts: dict[str, list[Extremes]] = {name: [] for name in blocks_of}
    start = 0
    for block, size in enumerate(blocks):
        names_to_read = [name for name, to_read in blocks_of.items() if block in to_read]
        row = start
        for table in source.read(block, names_to_read) if names_to_read else ():
            length = len(table[names_to_read[0]])
            for name in names_to_read if length else ():
                parts[name].append(array_extremes(table[name], row))
            row += length
        start += size
    return {name: reduce(_join, found) for name, found in parts.items() if found}


def _blocks_to_read(source: Source, name: str, blocks: Sequence[int]) -> set[int]:
    """Return the blocks of unknown bounds, and those whose known bounds reach farthest."""
    bounds = {block: source.bounds(block, name) for block, size in enumerate(blocks) if size}
    known = {block: bound for block, bound in bounds.items() if bound is not None}
    read = bounds.keys() - known.keys()
    # Of blocks of known bounds, the one that reaches lowest has the least value, and the one that
    # reaches highest the largest. They are read for the row, which bounds do not tell.
    if known:
        read |= {min(known, key=lambda block: known[block][0])}
        read |= {max(known, key=lambda block: known[block][1])}
    return read


def _join(one: Extremes, other: Extremes) -> Extremes:
    """Return the extremes of the rows of both; of equal values, the row of `one`."""
    farther = np.stack(
        [other.values[0] < one.values[0], other.values[1] > one.values[1]],
    )
    return Extremes(
        np.where(farther, other.values, one.values), np.where(farther, other.rows, one.rows)
    )
