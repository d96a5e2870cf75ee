"""Summaries of predictions, a row of a Parquet file for each row of the data."""

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

    from bayou.prediction.output.datatree import Plan, Prediction

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


class InParquet:
    """Predictions of which a mean, a standard deviation and quantiles are written for each row.

    They are written as files of some rows each, which become one in the end.

    Parameters
    ----------
    plan : Plan
        Of predictions that all differ from row to row.
    folder : Path
        Where the files are written; made unless it is there.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.tables: dict[int, pa.Table] = {}
        folder.mkdir(exist_ok=True)

    @property
    def digest(self) -> Callable[[Sequence[NDArray[Any]]], Any]:
        """What makes of predictions of some rows what :meth:`put` takes; it pickles."""
        of_rows = self.plan.of_rows
        dims = {part.dims[axis] for part in of_rows for axis in _other_axes(part)}
        return partial(
            summaries, of_rows, {dim: self.plan.coords[dim] for dim in dims & {*self.plan.coords}}
        )

    def put(self, start: int, count: int, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Take the summaries of some rows."""
        columns: dict[str, Any] = {"row": np.arange(start, start + count)}
        for part in self.plan.of_rows:
            assert part.row_axis is not None
            dim = part.dims[part.row_axis]
            if dim in self.plan.row_labels:
                columns[dim] = list(self.plan.row_labels[dim][start : start + count])
        self.tables[start] = pa.table(columns | dict(values))

    def reached(self, num_rows: int) -> None:
        """Write what was put, up to a number of rows, to a file."""
        # Threads put further rows meanwhile.
        starts = sorted(start for start in list(self.tables) if start < num_rows)
        if starts:
            table = pa.concat_tables([self.tables.pop(start) for start in starts])
            path = self.folder / f"{starts[0]:015}.parquet"
            pq.write_table(table, path, compression="zstd")
            flush_to_disk(path)

    def finish(self, path: Path) -> None:
        """Join the files to one."""
        parts = sorted(self.folder.glob("*.parquet"))
        metadata = {f"bayou.{name}": str(value) for name, value in self.plan.attrs.items()}
        schema = pq.read_schema(parts[0]).with_metadata(metadata)
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part).replace_schema_metadata(metadata))


def summaries(
    predictions: Sequence[Prediction],
    coords: Mapping[str, Any],
    values: Sequence[NDArray[Any]],
) -> dict[str, NDArray[np.float64]]:
    """Return the columns that summarise predictions of some rows.

    Parameters
    ----------
    predictions : sequence of Prediction
        What they are of.
    coords : mapping of str to sequence
        The labels of their dims, apart from the rows.
    values : sequence of ndarray, shapes (draws, ...)
        Of each.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    for part, array in zip(predictions, values, strict=True):
        assert part.row_axis is not None
        by_row = np.moveaxis(array, [part.row_axis + 1, 0], [0, -1])
        # The draws of a row side by side, in their order: small numbers are counted for that.
        by_count = array.itemsize <= 2
        draws = np.sort(np.ascontiguousarray(by_row), axis=-1, stable=by_count)
        element: Any  # For NumPy's annotations, an index of slices and numbers is none.
        for name, element in _elements(part, coords):
            columns |= _summary(name, draws[:, *element])
    return columns


def _summary(name: str, draws: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return the columns of one element: of sorted draws, shape (rows, draws)."""
    count = draws.shape[-1]
    columns = {
        f"{name}_mean": draws.mean(axis=-1, dtype=np.float64),
        f"{name}_sd": draws.std(axis=-1, dtype=np.float64, ddof=min(1, count - 1)),
    }
    # Sorted behind all numbers; what there is of it makes all quantiles nan.
    is_nan = np.isnan(draws[:, -1])
    for quantile in QUANTILES:
        place = quantile * (count - 1)
        below = int(place)
        above = min(below + 1, count - 1)
        lower, upper = (draws[:, at].astype(np.float64) for at in (below, above))
        with np.errstate(invalid="ignore"):
            # Equal ones stay exact, infinite ones too.
            step = np.where(lower == upper, 0, (upper - lower) * (place - below))
        columns[f"{name}_q{100 * quantile:g}"] = np.where(is_nan, np.nan, lower + step)
    return columns


def _other_axes(part: Prediction) -> list[int]:
    """Return the axes of a prediction apart from that of the rows."""
    return [axis for axis in range(len(part.shape)) if axis != part.row_axis]


def _elements(part: Prediction, coords: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the elements of one row of a prediction, named as ArviZ does, such as "y[label]"."""
    axes = _other_axes(part)
    for element in np.ndindex(*(part.shape[axis] for axis in axes)):
        labels = [
            str(coords[part.dims[axis]][place]) if part.dims[axis] in coords else str(place)
            for axis, place in zip(axes, element, strict=True)
        ]
        yield (f"{part.name}[{', '.join(labels)}]" if labels else part.name), element
