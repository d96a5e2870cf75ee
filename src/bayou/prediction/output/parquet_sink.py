"""The sink for summaries of predictions: a row of a Parquet file for each row of the data.

The columns of a variable ``y`` are ``y_mean``, ``y_sd`` and the quantiles ``y_q2.5``, ``y_q25``,
``y_q50``, ``y_q75`` and ``y_q97.5`` of its draws; of a variable with further axes, one set for each
element, such as ``y[label]_mean``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bayou.storage.atomic_write import flush_to_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.output.template import Coords, PredictedVariable, PredictionTemplate

# The median, and intervals of 50% and 95%.
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


class ParquetSink:
    """A sink that writes the mean, the standard deviation and quantiles of the draws of each row.

    Each :meth:`flush` writes a file of its own; they are joined in the end, since a Parquet file
    cannot be continued.

    Parameters
    ----------
    template : PredictionTemplate
        The dataset that is summarized, of variables that all differ from row to row.
    path : Path
        The file to write.
    folder : Path
        The folder of the files that are joined. It is created, or continued if it exists.
    """

    def __init__(self, template: PredictionTemplate, path: Path, folder: Path) -> None:
        self.template = template
        self._path = path
        self._folder = folder
        self._tables: dict[int, pa.Table] = {}
        folder.mkdir(exist_ok=True)

    @property
    def reduction(self) -> Callable[[Arrays], Mapping[str, NDArray[np.float64]]]:
        """The summaries of the draws of each row, by column."""
        variables = self.template.row_variables
        dims = {variable.dims[axis] for variable in variables for axis in _other_axes(variable)}
        coords = {dim: self.template.coords[dim] for dim in dims & {*self.template.coords}}
        return partial(summaries, variables, coords)

    def put(self, start: int, count: int, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Keep the summaries of some rows until they are flushed."""
        columns: dict[str, object] = {"row": np.arange(start, start + count)}
        for variable in self.template.row_variables:
            assert variable.row_axis is not None
            dim = variable.dims[variable.row_axis]
            if dim in self.template.row_labels:
                columns[dim] = list(self.template.row_labels[dim][start : start + count])
        self._tables[start] = pa.table(columns | dict(values))

    def flush(self, num_rows: int) -> None:
        """Write the first ``num_rows`` rows, as far as they are not yet written, to a file."""
        # A copy of the keys: threads put further rows meanwhile.
        starts = sorted(start for start in list(self._tables) if start < num_rows)
        if starts:
            table = pa.concat_tables([self._tables.pop(start) for start in starts])
            path = self._folder / f"{starts[0]:015}.parquet"
            pq.write_table(table, path, compression="zstd")
            flush_to_disk(path)

    def finish(self, shared: Arrays) -> None:
        """Join the files into one; there are no predictions that are the same for all rows."""
        parts = sorted(self._folder.glob("*.parquet"))
        metadata = {f"bayou.{name}": str(value) for name, value in self.template.attrs.items()}
        schema = pq.read_schema(parts[0]).with_metadata(metadata)
        with pq.ParquetWriter(self._path, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part).replace_schema_metadata(metadata))


def summaries(
    variables: Sequence[PredictedVariable],
    coords: Coords,
    values: Arrays,
) -> dict[str, NDArray[np.float64]]:
    """Return summaries of predictions of some rows, by column.

    Parameters
    ----------
    variables : sequence of PredictedVariable
        The predicted variables.
    coords : mapping of str to sequence
        The labels of their dims, apart from the rows.
    values : sequence of ndarray, shapes (draws, ...)
        The draws of each variable.

    Returns
    -------
    dict of str to ndarray of float64, shape (rows,)
    """
    columns: dict[str, NDArray[np.float64]] = {}
    for variable, array in zip(variables, values, strict=True):
        assert variable.row_axis is not None
        by_row = np.moveaxis(array, [variable.row_axis + 1, 0], [0, -1])
        # One sort serves all quantiles. NumPy's stable sort of one or two bytes is a radix sort,
        # which is faster than comparing.
        is_small = array.itemsize <= 2
        draws = np.sort(np.ascontiguousarray(by_row), axis=-1, stable=is_small)
        element: Any  # For NumPy's annotations, an index of slices and numbers is none.
        for name, element in _elements(variable, coords):
            columns |= _summary(name, draws[:, *element])
    return columns


def _summary(name: str, draws: Numbers) -> dict[str, NDArray[np.float64]]:
    """Return the columns of one element, of sorted draws, shape (rows, draws).

    Quantiles are interpolated linearly, as :func:`numpy.quantile` does by default.
    """
    count = draws.shape[-1]
    columns = {
        f"{name}_mean": draws.mean(axis=-1, dtype=np.float64),
        f"{name}_sd": draws.std(axis=-1, dtype=np.float64, ddof=min(1, count - 1)),
    }
    # NaN is sorted behind all numbers. One NaN makes all quantiles of its row NaN.
    is_nan = np.isnan(draws[:, -1])
    for quantile in QUANTILES:
        position = quantile * (count - 1)
        below = int(position)
        above = min(below + 1, count - 1)
        lower, upper = (draws[:, index].astype(np.float64) for index in (below, above))
        with np.errstate(invalid="ignore"):
            # Without the comparison, two infinite values would give NaN.
            step = np.where(lower == upper, 0, (upper - lower) * (position - below))
        columns[f"{name}_q{100 * quantile:g}"] = np.where(is_nan, np.nan, lower + step)
    return columns


def _other_axes(variable: PredictedVariable) -> list[int]:
    """Return the axes of a variable apart from that of the rows."""
    return [axis for axis in range(len(variable.shape)) if axis != variable.row_axis]


def _elements(variable: PredictedVariable, coords: Coords) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the index of each element of one row, named as by ArviZ: "y[label]"."""
    axes = _other_axes(variable)
    for element in np.ndindex(*(variable.shape[axis] for axis in axes)):
        labels = [
            str(coords[dim][index]) if dim in coords else str(index)
            for dim, index in zip((variable.dims[axis] for axis in axes), element, strict=True)
        ]
        yield (f"{variable.name}[{', '.join(labels)}]" if labels else variable.name), element
