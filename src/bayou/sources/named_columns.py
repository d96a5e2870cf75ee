"""Columns chosen by name from anything that has named ones, with marks for missing values.

Null, None, masked, NaN and NaT all count as missing. In the source of the columns, a missing number
is NaN (integers become float64), a missing date is NaT, and a missing category is the code -1; text
becomes categories. Only the columns that are asked for are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr
from pyarrow import types

from bayou.sources.base.arrow_values import arrow_field, arrow_values
from bayou.sources.base.field import Field
from bayou.sources.base.source import Source
from bayou.sources.base.text_codes import MISSING_CODE, encode, from_objects, is_text, kinds_error
from bayou.sources.in_memory.array import (
    ArraySource,
    array_column,
    check_names,
    named_arrays,
    one_length,
)
from bayou.sources.in_memory.frame import series_column
from bayou.sources.in_memory.xarray import DatasetSource, check_dims, in_memory, with_columns
from bayou.sources.kinds import of_arrow, open_lazily
from bayou.sources.streams.lazy_frame import from_lazy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.nulls import Masked


# Mappings and frames are in memory, queries of narwhals are not, and datasets may be either.
type Columns = Mapping[Any, Any] | pd.DataFrame | xr.Dataset | nw.LazyFrame[Any] | Source


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """Something with named columns, of which none has been read yet.

    Attributes
    ----------
    names : tuple
        The names of the columns. Those of pandas need not be text.
    description : str
        Where the columns come from, for messages: "pandas.DataFrame", or a path.
    columns : Mapping, Dataset, LazyFrame or Source
        The columns: values by name in memory, or what is still to be read.
    index : pandas.Index, optional
        The labels of the rows, if pandas holds them.
    is_series : bool
        Whether it is one column by itself.
    """

    names: tuple[Any, ...]
    description: str
    columns: Columns
    index: pd.Index[Any] | None = None
    is_series: bool = False

    def row_labels(self, names: Sequence[str]) -> pd.Index[Any] | None:
        """Return the labels of the rows of some columns, None if they have no index."""
        if isinstance(self.columns, xr.Dataset):
            return self.columns.indexes.get(self.columns[names[0]].dims[0])
        return self.index

    def open(self, names: Sequence[str]) -> OpenedColumns:
        """Return a source of some of the columns.

        Parameters
        ----------
        names : sequence of str
            Names of columns that there are.

        Returns
        -------
        OpenedColumns

        Raises
        ------
        TypeError
            If a column holds other values than numbers, booleans, dates, text or categories.
        ValueError
            If two columns have one of the names, if lengths differ, or if a column with missing
            values holds integers that float64 does not hold exactly.
        """
        chosen = list(dict.fromkeys(names))
        check_names([name for name in self.names if name in chosen])
        columns = self.columns
        if isinstance(columns, xr.Dataset):
            columns = columns[chosen]
            check_dims(columns)
            if in_memory(columns):
                columns = {name: columns[name].values for name in chosen}
            else:
                columns = DatasetSource(columns)
        elif isinstance(columns, nw.LazyFrame):
            columns = from_lazy(columns.select(chosen), "refuse")
        if isinstance(columns, Source):
            return OpenedColumns(columns, {name: columns.fields[name].dtype for name in chosen})
        return _open_in_memory({name: columns[name] for name in chosen})

    @property
    def is_in_memory(self) -> bool:
        """Whether the values of the columns are in memory, outside of a source."""
        if isinstance(self.columns, xr.Dataset):
            return in_memory(self.columns)
        return not isinstance(self.columns, nw.LazyFrame | Source)

    def collect(self, names: Sequence[str]) -> NamedColumns:
        """Return the same with some of the columns in memory, if it is a query that did not run."""
        if not isinstance(self.columns, nw.LazyFrame):
            return self
        frame = self.columns.select(list(dict.fromkeys(names))).collect()
        values = {name: frame[name] for name in frame.columns}
        return NamedColumns(self.names, self.description, values)


@dataclass(frozen=True, eq=False)
class OpenedColumns:
    """A source of chosen columns.

    Attributes
    ----------
    source : Source
        The rows.
    dtypes : dict of str to numpy.dtype
        The dtype of each column without its missing values. Integers that miss some are floats in
        the source, and integers here.
    """

    source: Source
    dtypes: Mapping[str, np.dtype[Any]]


def named_columns(data: Any) -> NamedColumns | None:
    """Return the named columns of an object.

    Parameters
    ----------
    data : object
        A frame, a series with a name, a dataset, a mapping, a structured array, a source, or what
        :func:`bayou.source` makes a source of.

    Returns
    -------
    NamedColumns or None
        None for an array or a list, which have no names.
    """
    if isinstance(data, NamedColumns):
        return data
    description = _describe(data)
    if (source := open_lazily(data)) is not None:
        return NamedColumns(tuple(source.fields), description, source)
    if isinstance(data, xr.Dataset | xr.DataArray):
        columns = with_columns(data)
        is_series = isinstance(data, xr.DataArray) and len(columns.data_vars) == 1
        return NamedColumns(tuple(columns.data_vars), description, columns, is_series=is_series)
    # Pandas apart from other frames: names need not be text there, and rows have labels.
    if isinstance(data, pd.DataFrame):
        return NamedColumns(tuple(data.columns), description, data, data.index)
    if isinstance(data, pd.Series):
        if data.name is None:
            return None
        return NamedColumns(
            (data.name,), description, {data.name: data}, data.index, is_series=True
        )
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        data = named_arrays(data)
    if isinstance(data, Mapping):
        return NamedColumns(tuple(data), description, data)
    return _of_narwhals(data, description)


def _of_narwhals(data: Any, description: str) -> NamedColumns | None:
    wrapped = nw.from_native(of_arrow(data), pass_through=True, allow_series=True)
    match wrapped:
        case nw.DataFrame():
            columns = {name: wrapped[name] for name in wrapped.columns}
            return NamedColumns(tuple(columns), description, columns)
        case nw.LazyFrame():
            return NamedColumns(tuple(wrapped.collect_schema()), description, wrapped)
        case nw.Series() if wrapped.name:
            series = {wrapped.name: wrapped}
            return NamedColumns((wrapped.name,), description, series, is_series=True)
    return None


def _describe(data: Any) -> str:
    """Return where rows come from, for messages: the paths of files, or the name of a class."""
    paths = getattr(data, "paths", None)
    if isinstance(data, Source) and paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{paths[0]}{more}"
    name = type(data).__name__
    package = type(data).__module__.partition(".")[0]
    return name if package in ("builtins", "bayou") else f"{package}.{name}"


def _open_in_memory(values: Mapping[str, Any]) -> OpenedColumns:
    columns = {name: _column(name, array) for name, array in values.items()}
    num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
    marked = {name: _mark_missing(field, masked) for name, (field, masked) in columns.items()}
    fields = {name: field for name, (field, _) in marked.items()}
    values = {name: array for name, (_, array) in marked.items()}
    dtypes = {name: field.dtype for name, (field, _) in columns.items()}
    return OpenedColumns(ArraySource(fields, values, num_rows), dtypes)


def _column(name: str, values: Any) -> tuple[Field, Masked]:
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


def _of_array(name: str, values: Any) -> tuple[Field, Masked]:
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
    dtype: np.dtype[Any] = field.dtype
    missing: Any = None
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
    return Field(field.name, dtype, field.shape, field.categories), marked


def _check_exact(field: Field, values: NDArray[Any]) -> None:
    """Check that float64, with its significand of 53 bits, holds the integers of a field."""
    if field.dtype.kind not in "iu" or field.dtype.itemsize < 8:
        return
    beyond = values[(values > 2**53) | (values < -(2**53))]
    if beyond.size:
        raise ValueError(
            f"`{field.name}` must hold integers up to 2**53 where it misses values, got "
            f"{beyond.ravel()[0]}.\nHint: fill in or leave out the rows with missing values first."
        )
