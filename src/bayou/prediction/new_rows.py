"""The table of new rows: values for each container that has rows, read piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import count_block_rows, read_pieces
from bayou.prediction.graph.row_containers import stored_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.variables.dims import Labels, Numbers
    from bayou.prediction.graph.forward_graph import Arrays, VariableArrays


@dataclass(frozen=True, eq=False)
class NewRows:
    """New rows for the containers of a model.

    Rows are on the first axis of all arrays, wherever a container has them.

    Attributes
    ----------
    containers : tuple of Variable
        The containers with rows.
    num_rows : int
        The number of rows.
    row_dims : tuple of str
        The dims of the model that are as long as there are rows.
    labels : tuple or None
        The labels of the rows, if a container exports its index.
    other_values : dict of Variable to ndarray
        New values of containers without rows, and of the lengths of dims.
    arrays : dict of Variable to ndarray
        The rows, if they are in memory.
    readers : dict of Variable to ColumnReader
        The columns of one source that the rows are read from, if they are not in memory.
    axes : dict of Variable to int
        The axis of the rows in the containers that have it elsewhere than first.
    row_shapes : dict of Variable to tuple of int
        The shape of a row of containers without new rows, where it has changed.
    check : callable, optional
        Checks rows that were read: (rows of each container, number of the first) -> None.
    """

    containers: tuple[Variable, ...]
    num_rows: int
    row_dims: tuple[str, ...]
    labels: Labels | None = None
    other_values: VariableArrays = field(default_factory=dict)
    arrays: VariableArrays = field(default_factory=dict)
    readers: dict[Variable, ColumnReader] = field(default_factory=dict)
    axes: dict[Variable, int] = field(default_factory=dict)
    row_shapes: dict[Variable, tuple[int, ...]] = field(default_factory=dict)
    check: Callable[[VariableArrays, int], None] | None = None

    def __post_init__(self) -> None:
        """Check that there are rows."""
        if not self.num_rows:
            raise ValueError(
                "`data` must have at least one row, got none.\n"
                "Hint: check the filter or the path that left nothing."
            )

    @property
    def row_bytes(self) -> int:
        """The size of one row of all containers, in bytes."""
        return sum(self._zeros(container, 1).nbytes for container in self.containers)

    @property
    def has_values(self) -> bool:
        """Whether there is a number in each row."""
        columns = [reader.column.shape for reader in self.readers.values()]
        shapes = [*columns, *(array.shape[1:] for array in self.arrays.values())]
        return any(0 not in shape for shape in shapes)

    def in_memory(self) -> NewRows:
        """Return the same rows, all of them read."""
        if not self.readers:
            return self
        [rows] = self.pieces(self.num_rows)
        read = dict(zip(self.containers, rows, strict=True))
        arrays = {container: read[container] for container in self.readers}
        return replace(self, arrays={**self.arrays, **arrays}, readers={}, check=None)

    def pieces(self, size: int) -> Iterator[Arrays]:
        """Yield the rows of all containers, ``size`` rows at a time, in the order of the data.

        A container without new rows, such as that of the observed values, gets zeros: the graph
        takes its length alone.
        """
        if self.readers:
            yield from self._read_pieces(size)
            return
        for start in range(0, self.num_rows, size):
            count = min(size, self.num_rows - start)
            rows = {
                container: array[start : start + count] for container, array in self.arrays.items()
            }
            yield self._all_containers(rows, count)

    def distinct(self) -> tuple[NewRows, NDArray[np.int64]]:
        """Return the distinct rows, which are in memory, and which of them each row is.

        Rows are the same if all of their bits are.
        """
        parts = [
            np.ascontiguousarray(array).reshape(self.num_rows, -1).view(np.uint8)
            for array in self.arrays.values()
        ]
        packed = np.ascontiguousarray(np.concatenate(parts, axis=1))
        buffers = [None, pa.py_buffer(packed)]
        of_bytes = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(packed.shape[1]), self.num_rows, buffers
        )
        # Codes are given in the order in which values come first.
        codes = of_bytes.dictionary_encode().indices.to_numpy().astype(np.int64)
        first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
        arrays = {container: array[first] for container, array in self.arrays.items()}
        return replace(self, arrays=arrays, num_rows=len(first), labels=None), codes

    def _read_pieces(self, size: int) -> Iterator[Arrays]:
        layout = ColumnLayout(tuple(reader.column for reader in self.readers.values()))
        blocks = count_block_rows(layout.source, layout.names[0])
        start = 0
        for piece in read_pieces(layout, blocks, size):
            rows = {
                container: reader.values(array, start)
                for (container, reader), array in zip(self.readers.items(), piece, strict=True)
            }
            count = len(piece[0])
            columns = self._all_containers(rows, count)
            if self.check is not None:
                self.check(dict(zip(self.containers, columns, strict=True)), start)
            yield columns
            start += count

    def first(self, count: int) -> Arrays:
        """Return the first rows of all containers, followed by rows of the model if they are few.

        They serve to try the model out, for which more different rows are better.
        """
        rows = next(self.pieces(count))
        if len(rows[0]) >= count:
            return rows
        return [
            np.concatenate([new, old]) if old.shape[1:] == new.shape[1:] else new
            for new, old in zip(rows, map(self._stored, self.containers), strict=True)
        ]

    def _all_containers(self, rows: VariableArrays, count: int) -> Arrays:
        return [
            rows[container] if container in rows else self._zeros(container, count)
            for container in self.containers
        ]

    def _zeros(self, container: Variable, count: int) -> Numbers:
        if container in self.arrays:
            row_shape = self.arrays[container].shape[1:]
        elif container in self.readers:
            row_shape = self.readers[container].column.shape
        else:
            row_shape = self.row_shapes.get(container, self._stored(container).shape[1:])
        return np.zeros((count, *row_shape), container.type.dtype)

    def _stored(self, container: Variable) -> Numbers:
        return stored_rows(container, self.axes.get(container, 0))
