"""The new rows chunk by chunk, each of them checked before any of it is predicted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.new_rows import NewRows
    from bayou.prediction.row_predictor import RowPredictor


@dataclass(frozen=True)
class Done:
    """The rows that are predicted and written, in this or an earlier run.

    Attributes
    ----------
    num_rows : int
        The number of them, from the first row on.
    digest : str
        The SHA-256 of their values; "" for none.
    """

    num_rows: int
    digest: str


NOTHING_DONE = Done(0, "")


@dataclass(frozen=True)
class ChunkSizes:
    """The numbers of rows that are handled at once.

    Attributes
    ----------
    chunk : int
        The rows that are read at once; a multiple of `unit`. Two chunks are in memory.
    unit : int
        The rows that one thread or worker predicts at once; a multiple of the rows of a piece.
    """

    chunk: int
    unit: int


@dataclass(frozen=True, eq=False)
class Unit:
    """The rows that one thread or worker predicts at once.

    Attributes
    ----------
    begin : int
        The number of the first row.
    rows : sequence of ndarray, shapes (rows, ...)
        The values of the containers with rows.
    chunk_done : Done or None
        For the last unit of a chunk, the rows that are done with it.
    """

    begin: int
    rows: Arrays
    chunk_done: Done | None

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self.rows[0])


def read_chunks(
    new_rows: NewRows, predictor: RowPredictor, sizes: ChunkSizes, done: Done
) -> Iterator[list[Unit]]:
    """Yield the units of each chunk of the rows that are not done.

    Parameters
    ----------
    new_rows : NewRows
        All rows.
    predictor : RowPredictor
        Checks the rows.
    sizes : ChunkSizes
        The rows of a chunk and of a unit.
    done : Done
        The rows that an earlier run did. They are read again, to see that they are the same, since
        the random numbers of the others are only of use together with them.

    Raises
    ------
    ValueError
        If the rows that are done are others, or rows do not fit the model.
    """
    digest, end = hashlib.sha256(), 0
    integers = _IntegerRanges()
    for rows in new_rows.pieces(sizes.chunk):
        for array in rows:
            digest.update(np.ascontiguousarray(array))
        begin, end = end, end + len(rows[0])
        extreme = integers.extended_by(rows)
        if len(extreme):
            predictor.check([array[extreme] for array in rows])
        if end > done.num_rows:
            chunk_done = Done(end, digest.hexdigest())
            yield list(_units(rows, begin, sizes.unit, chunk_done))
        elif end == done.num_rows and digest.hexdigest() != done.digest:
            raise ValueError(
                "`data` must be those that `out` was begun with, got other values in the "
                f"first {end} rows.\nHint: pass the same data, or remove the folder that ends "
                "in .partial, to begin anew."
            )


def _units(rows: Arrays, begin: int, unit_rows: int, chunk_done: Done) -> Iterator[Unit]:
    num_rows = len(rows[0])
    for first in range(0, num_rows, unit_rows):
        is_last = first + unit_rows >= num_rows
        yield Unit(
            begin + first,
            [array[first : first + unit_rows] for array in rows],
            chunk_done if is_last else None,
        )


@dataclass
class _IntegerRanges:
    """The least and the largest integer so far, by the container and the position in a row.

    Integers may be indices of a dim, for which JAX clips what is out of range rather than raising.
    Only rows with an integer beyond all before them have to be checked for that.
    """

    ranges: dict[tuple[int, int], tuple[np.generic, np.generic]] = field(default_factory=dict)

    def extended_by(self, rows: Arrays) -> NDArray[np.int64]:
        """Return the numbers, in a chunk, of the rows that extend a range, and extend it."""
        extreme: set[int] = set()
        for container, array in enumerate(rows):
            if array.dtype.kind not in "iu" or not array.size:
                continue
            numbers = array.reshape(len(array), -1)
            for column, (low, high) in enumerate(
                zip(numbers.argmin(axis=0), numbers.argmax(axis=0), strict=True)
            ):
                least, largest = numbers[low, column], numbers[high, column]
                known = self.ranges.get((container, column))
                if known is None or least < known[0] or largest > known[1]:
                    extreme |= {int(low), int(high)}
                    known = known or (least, largest)
                    self.ranges[container, column] = min(least, known[0]), max(largest, known[1])
        return np.array(sorted(extreme), dtype=np.int64)
