"""The way of rows through a predictor into a sink: pieces on threads, chunk by chunk."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayou.inference.progress import row_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from bayou.inference.new_rows import NewRows
    from bayou.inference.predictor import Predictor
    from bayou.inference.rowwise import Shape
    from bayou.results.predictions import InMemory, InZarr
    from bayou.results.summaries import InParquet

type Arrays = Sequence[NDArray[Any]]
type Sink = InMemory | InZarr | InParquet


@dataclass(frozen=True, eq=False)
class Run:
    """What it takes to predict all rows.

    Attributes
    ----------
    predictor : Predictor
    values : sequence of ndarray, shapes (draws, ...)
        Of its parameters, those that are drawn once for all rows among them.
    numbers : ndarray of int64, shape (draws,)
        The numbers of the draws.
    fixed : sequence of ndarray
        What containers without rows hold.
    rows : NewRows
    shapes : tuple of Shape
        Of the predictions that differ from row to row.
    seed : int
    """

    predictor: Predictor
    values: Arrays
    numbers: NDArray[np.int64]
    fixed: Arrays
    rows: NewRows
    shapes: tuple[Shape, ...]
    seed: int

    @property
    def piece_rows(self) -> int:
        """The rows that are computed at once."""
        return self.predictor.piece_rows or self.rows.num_rows

    def into(
        self,
        sink: Sink,
        chunk_rows: int,
        unit_rows: int,
        shown: bool,
        *,
        done: tuple[int, str] = (0, ""),
        note: Callable[[int, str], None] = lambda num_rows, digest: None,
    ) -> None:
        """Predict rows, and put what is predicted into a sink.

        Parameters
        ----------
        sink : InMemory, InZarr or InParquet
            Takes the predictions of several threads.
        chunk_rows : int
            Rows that are read at once, of two chunks in memory; a multiple of `unit_rows`.
        unit_rows : int
            Rows that are put at once; a multiple of the rows of a piece.
        shown : bool
            Whether there is a progress bar.
        done : tuple of (int, str)
            The rows that the sink has already, and their digest.
        note : callable
            Takes the same once a chunk is in the sink.

        Raises
        ------
        ValueError
            If the rows that the sink has already are others.
        """
        digest, start = hashlib.sha256(), 0
        limits = _Limits()
        threads = ThreadPoolExecutor(os.cpu_count() or 1)
        begun: deque[_Begun] = deque()

        def end_first() -> None:
            chunk = begun.popleft()
            for future in chunk.units:
                future.result()
            sink.reached(chunk.stop)
            note(chunk.stop, chunk.digest)

        try:
            with row_progress(self.rows.num_rows, shown) as advance:
                for chunk in self.rows.pieces(chunk_rows):
                    for array in chunk:
                        digest.update(np.ascontiguousarray(array))
                    begin, start = start, start + len(chunk[0])
                    extreme = limits.beyond(chunk)
                    if len(extreme):
                        one = [value[0] for value in self.values[: len(self.predictor.given)]]
                        few = [array[extreme] for array in chunk]
                        self.predictor.try_rows(one, self.fixed, few)
                    if start > done[0]:
                        units = range(0, len(chunk[0]), unit_rows)
                        put = [
                            threads.submit(self._unit, sink, chunk, begin, first, unit_rows)
                            for first in units
                        ]
                        begun.append(_Begun(start, digest.hexdigest(), put))
                        # The next one is read meanwhile, and follows without a pause.
                        if len(begun) > 1:
                            end_first()
                    elif start == done[0] and digest.hexdigest() != done[1]:
                        raise ValueError(
                            "`data` must be those that `out` was begun with, got other values in "
                            f"the first {start} rows.\nHint: pass the same data, or remove the "
                            "folder that ends in .partial, to begin anew."
                        )
                    advance(len(chunk[0]))
                while begun:
                    end_first()
        finally:
            threads.shutdown(cancel_futures=True)

    def _unit(self, sink: Any, chunk: Arrays, begin: int, first: int, unit_rows: int) -> None:
        """Predict some rows of a chunk, and put them into the sink."""
        count = min(unit_rows, len(chunk[0]) - first)
        parts = []
        for start in range(first, first + count, self.piece_rows):
            size = min(self.piece_rows, first + count - start)
            filled = self.piece_rows if self.predictor.compiler == "jax" else size
            # For JAX, the last piece is filled up with its last row, so that it compiles nothing.
            chosen = np.minimum(np.arange(start, start + filled), start + size - 1)
            found = self.predictor.engine(
                self.values,
                self.numbers,
                self.fixed,
                [array[chosen] for array in chunk],
                (begin + start) // self.piece_rows,
                self.seed,
            )
            parts.append(
                [
                    part if shape.row_axis is None else _cut(part, shape.row_axis + 1, size)
                    for part, shape in zip(found, self.shapes, strict=True)
                ]
            )
        values = (
            parts[0]
            if len(parts) == 1
            else [
                np.concatenate(part, axis=(shape.row_axis or 0) + 1)
                for part, shape in zip(zip(*parts, strict=True), self.shapes, strict=True)
            ]
        )
        sink.put(begin + first, count, values)


class _Begun(NamedTuple):
    """A chunk that threads predict: the rows up to its end, their digest, and its units."""

    stop: int
    digest: str
    units: list[Future[None]]


@dataclass
class _Limits:
    """The least and the largest whole numbers of the rows so far, which may be places."""

    known: dict[tuple[int, int], tuple[Any, Any]] = field(default_factory=dict)

    def beyond(self, chunk: Arrays) -> NDArray[np.int64]:
        """Return the numbers of rows of a chunk that have a number beyond those so far."""
        rows: set[int] = set()
        for place, array in enumerate(chunk):
            if array.dtype.kind not in "iu" or not array.size:
                continue
            numbers = array.reshape(len(array), -1)
            for column, (low, high) in enumerate(
                zip(numbers.argmin(axis=0), numbers.argmax(axis=0), strict=True)
            ):
                least, largest = numbers[low, column], numbers[high, column]
                known = self.known.get((place, column))
                if known is None or least < known[0] or largest > known[1]:
                    rows |= {int(low), int(high)}
                    known = known or (least, largest)
                    self.known[place, column] = min(least, known[0]), max(largest, known[1])
        return np.array(sorted(rows), dtype=np.int64)


def _cut(array: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    """Return the first entries along an axis."""
    return array[(slice(None),) * axis + (slice(size),)]
