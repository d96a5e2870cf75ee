"""Named columns whose values are in memory: frames, mappings, structured arrays and series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import types

from bayou.sources.base.arrow_values import arrow_field, arrow_values
from bayou.sources.base.field import Field
from bayou.sources.base.named_columns import NamedColumns
from bayou.sources.base.text_codes import MISSING_CODE, encode, from_objects, is_text, kinds_error
from bayou.sources.in_memory.array import ArraySource, array_column, check_names, one_length
from bayou.sources.in_memory.frame import of_arrow, series_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.nulls import Masked
    from bayou.sources.base.source import Source


@dataclass(frozen=True, eq=False)
class MemoryColumns(NamedColumns):
    """Values by name, each of one row an entry.

    Attributes
    ----------
    values : mapping of str to array_like, or pandas.DataFrame
        The columns.
    index : pandas.Index, optional
        The labels of the rows, if pandas holds them.
    """

    values: Mapping[Any, object] | pd.DataFrame
    index: pd.Index | None = None

    @property
    def is_in_memory(self) -> bool:
        """True."""
        return True

    def row_labels(self, names: Sequence[str]) -> pd.Index | None:
        """Return the labels of the rows, None if they have no index."""
        return self.index

    def open(self, names: Sequence[str]) -> Source:
        """Return a source of some of the columns, converted now."""
        check_names([name for name in self.names if name in names])
        return open_values({name: self.values[name] for name in names})


def open_values(values: Mapping[str, object]) -> ArraySource:
    """Return a source of values by name, in which those that are missing have a mark."""
    columns = {name: _column(name, array) for name, array in values.items()}
    num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
    marked = {name: _mark_missing(field, masked) for name, (field, masked) in columns.items()}
    fields = {name: field for name, (field, _) in marked.items()}
    arrays = {name: array for name, (_, array) in marked.items()}
    return ArraySource(fields, arrays, num_rows)


def _column(name: str, values: object) -> tuple[Field, Masked]:
    """Return a column that is in memory, its text as codes, and where it is null."""
    if isinstance(values, pd.api.extensions.ExtensionArray | pd.Index):
        values = pd.Series(values)
    wrapped = nw.from_native(of_arrow(values), pass_through=True, allow_series=True)
    if not isinstance(wrapped, nw.Series):
        return _of_array(name, values)
    if wrapped.dtype in (nw.Object, nw.Unknown) or _is_numpy(wrapped):
        return _of_array(name, wrapped.to_numpy())
    if wrapped.dtype == nw.String:
        return _of_arrow(name, wrapped.to_arrow())
    column = series_column(wrapped.alias(name))
    if column[0].dtype == object:
        raise kinds_error(name, str(wrapped.dtype))
    return column


def _is_numpy(series: nw.Series[Any]) -> bool:
    """Whether a series is one of pandas that holds a NumPy array."""
    return series.implementation.is_pandas() and isinstance(series.to_native().dtype, np.dtype)


def _of_array(name: str, values: object) -> tuple[Field, Masked]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must form an array, got a ragged {type(values).__name__} ({error}).\n"
            "Hint: give all rows the same length."
        ) from None
    if array.ndim != 1 or array.dtype.kind in "biufcmM" or array.dtype.names is not None:
        return array_column(name, values)
    null = None
    if isinstance(values, np.ma.MaskedArray):
        null = np.ma.getmaskarray(values)
    elif isinstance(values, list | tuple):
        # NumPy writes "nan" for the NaN in a list of texts.
        array = np.array(values, dtype=object)
    return _of_arrow(name, from_objects(name, array.astype(object), null))


def _of_arrow(name: str, column: pa.Array | pa.ChunkedArray) -> tuple[Field, Masked]:
    if types.is_null(column.type):
        column = column.cast(pa.float64())
    if is_text(column.type):
        field, codes = encode(name, column.cast(pa.large_string()))
        return field, (codes, codes < 0)
    field = arrow_field(name, column.type)
    if field.dtype == object:
        raise kinds_error(name, str(column.type))
    return field, arrow_values(column, field)


def _mark_missing(field: Field, masked: Masked) -> tuple[Field, NDArray[Any]]:
    """Return a field and its values with NaN, NaT or the code -1 where they are missing."""
    values, null = masked
    if null is None or not null.any():
        return field, values
    dtype: np.dtype = field.dtype
    missing: float | np.ndarray | None = None
    if field.categories is not None:
        missing = MISSING_CODE
    elif dtype.kind in "mM":
        missing = np.array("NaT", dtype=dtype)
    elif dtype.kind in "biuf":
        missing = np.nan
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        _check_exact(field, values[~null])
    marked = values.astype(dtype, copy=True)
    marked[null] = missing
    unmarked = None if dtype == field.dtype else field.dtype
    return Field(field.name, dtype, field.shape, field.categories, unmarked), marked


def _check_exact(field: Field, values: NDArray[np.integer]) -> None:
    """Check that float64, with its significand of 53 bits, holds the integers of a field."""
    if field.dtype.kind not in "iu" or field.dtype.itemsize < 8:
        return
    beyond = values[(values > 2**53) | (values < -(2**53))]
    if beyond.size:
        raise ValueError(
            f"`{field.name}` must hold integers up to 2**53 where it misses values, got "
            f"{beyond.ravel()[0]}.\nHint: fill in or leave out the rows with missing values first."
        )
