"""The way of rows through a predictor into a sink: pieces on threads, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.cluster.cores import usable_cores
from bayou.progress import row_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.graph.row_dependence import Shape
    from bayou.prediction.new_rows import NewRows
    from bayou.prediction.output.datatree import InMemory, InZarr
    from bayou.prediction.output.parquet_summaries import InParquet

type Arrays = Sequence[NDArray[Any]]
type Sink = InMemory | InZarr | InParquet


@dataclass(frozen=True, eq=False)
class Computation:
    """What predicts rows.

    Attributes
    ----------
    predictor : Predictor
    values : sequence of ndarray, shapes (draws, ...)
        Of its parameters, those that are drawn once for all rows among them.
    numbers : ndarray of int64, shape (draws,)
        The numbers of the draws.
    fixed : sequence of ndarray
        What containers without rows hold.
    shapes : tuple of Shape
        Of the predictions that differ from row to row.
    seed : int
    """

    predictor: Predictor
    values: Arrays
    numbers: NDArray[np.int64]
    fixed: Arrays
    shapes: tuple[Shape, ...]
    seed: int

    def predicted(self, rows: Arrays, begin: int) -> list[NDArray[Any]]:
        """Return predictions of some rows, shapes (draws, ...).

        Parameters
        ----------
        rows : sequence of ndarray
            What containers hold for them.
        begin : int
            The number of the first one; a multiple of the rows of a piece.
        """
        piece_rows, call_rows = self.predictor.piece_rows, self.predictor.call_rows
        parts = [
            self.predictor.engine(
                self.values,
                self.numbers,
                self.fixed,
                [array[start : start + call_rows] for array in rows],
                (begin + start) // piece_rows,
                self.seed,
            )
            for start in range(0, len(rows[0]), call_rows)
        ]
        if len(parts) == 1:
            return parts[0]
        return [
            np.concatenate(part, axis=(shape.row_axis or 0) + 1)
            for part, shape in zip(zip(*parts, strict=True), self.shapes, strict=True)
        ]

    def try_rows(self, rows: Arrays) -> None:
        """Refuse rows that do not fit the model, such as an index out of range."""
        one = [value[0] for value in self.values[: len(self.predictor.given)]]
        self.predictor.try_rows(one, self.fixed, rows)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows that are read at once.

    Attributes
    ----------
    begin, end : int
        The numbers of the first one, and of the one after the last.
    rows : sequence of ndarray
        What containers hold for them.
    digest : str
        Of all rows up to the end.
    """

    begin: int
    end: int
    rows: Arrays
    digest: str

    def units(self, size: int) -> Iterator[tuple[int, list[NDArray[Any]]]]:
        """Yield the number of the first row, and the rows, of so many at a time."""
        for first in range(0, self.end - self.begin, size):
            yield self.begin + first, [array[first : first + size] for array in self.rows]


@dataclass(frozen=True, eq=False)
class Run:
    """What it takes to predict all rows.

    Attributes
    ----------
    computation : Computation
    rows : NewRows
    """

    computation: Computation
    rows: NewRows

    @property
    def piece_rows(self) -> int:
        """The rows that are computed at once."""
        return self.computation.predictor.piece_rows or self.rows.num_rows

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
        threads = ThreadPoolExecutor(usable_cores())
        try:
            with row_progress("predict", self.rows.num_rows, shown) as advance:
                begun: deque[tuple[Chunk, list[Future[None]]]] = deque()

                def end_first() -> None:
                    chunk, put = begun.popleft()
                    for future in put:
                        future.result()
                    sink.reached(chunk.end)
                    note(chunk.end, chunk.digest)
                    advance(chunk.end - chunk.begin)

                for chunk in self.chunks(chunk_rows, done, advance):
                    put = [
                        threads.submit(self._unit, sink, *unit) for unit in chunk.units(unit_rows)
                    ]
                    begun.append((chunk, put))
                    # The next one is read meanwhile, and follows without a pause.
                    if len(begun) > 1:
                        end_first()
                while begun:
                    end_first()
        finally:
            threads.shutdown(cancel_futures=True)

    def chunks(
        self, chunk_rows: int, done: tuple[int, str], advance: Callable[[int], None]
    ) -> Iterator[Chunk]:
        """Yield the rows that are not done, chunk by chunk, once they are seen to fit the model.

        Parameters
        ----------
        chunk_rows : int
        done : tuple of (int, str)
            The number of rows that are done, and their digest.
        advance : callable
            Takes the numbers of rows of chunks that are done.

        Raises
        ------
        ValueError
            If the rows that are done are others, or rows do not fit the model.
        """
        digest, end = hashlib.sha256(), 0
        limits = _Limits()
        for rows in self.rows.pieces(chunk_rows):
            for array in rows:
                digest.update(np.ascontiguousarray(array))
            begin, end = end, end + len(rows[0])
            extreme = limits.beyond(rows)
            if len(extreme):
                self.computation.try_rows([array[extreme] for array in rows])
            if end > done[0]:
                yield Chunk(begin, end, rows, digest.hexdigest())
                continue
            if end == done[0] and digest.hexdigest() != done[1]:
                raise ValueError(
                    "`data` must be those that `out` was begun with, got other values in the "
                    f"first {end} rows.\nHint: pass the same data, or remove the folder that ends "
                    "in .partial, to begin anew."
                )
            advance(end - begin)

    def _unit(self, sink: Any, begin: int, rows: Arrays) -> None:
        """Predict some rows, and put them into the sink."""
        sink.put(begin, len(rows[0]), sink.digest(self.computation.predicted(rows, begin)))


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
