"""Chosen columns of anything that has named ones, with what is missing told by a value of its own.

Null, None, masked, NaN and NaT are one thing here: NaN among numbers (which become float64), NaT
among dates, -1 among codes, which text becomes too. No other column is looked at.
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
from bayou.sources.files.zarr import is_zarr_object
from bayou.sources.in_memory.array import (
    ArraySource,
    array_column,
    check_names,
    named_arrays,
    one_length,
)
from bayou.sources.in_memory.frame import series_column
from bayou.sources.in_memory.xarray import check_dims, from_xarray, in_memory, with_columns
from bayou.sources.open import is_source, of_arrow, source
from bayou.sources.streams.lazy_frame import from_lazy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.nulls import Masked


@dataclass(frozen=True, eq=False)
class Named:
    """Something with named columns.

    Attributes
    ----------
    names : tuple of str
        The columns that it has.
    words : str
        What it is, in words: "pandas.DataFrame".
    held : Mapping, Dataset, LazyFrame or Source
        Where the columns are: values by name in memory, or what is yet to be read.
    index : pandas.Index, optional
        Of the rows, where pandas holds them.
    is_series : bool
        Whether it is one column by itself.
    """

    names: tuple[Any, ...]
    words: str
    held: Any
    index: pd.Index[Any] | None = None
    is_series: bool = False

    def labels(self, names: Sequence[str]) -> pd.Index[Any] | None:
        """Return the labels of the rows of some columns, where they have an index."""
        if isinstance(self.held, xr.Dataset):
            return self.held.indexes.get(self.held[names[0]].dims[0])
        return self.index

    def open(self, names: Sequence[str]) -> Opened:
        """Return a source of some of the columns.

        Parameters
        ----------
        names : sequence of str
            Columns that there are.

        Returns
        -------
        Opened

        Raises
        ------
        TypeError
            If a column holds no numbers, booleans, dates, text or categories.
        ValueError
            If two columns have one of the names, if lengths differ, or if a column that misses
            values holds integers beyond what float64 is exact for.
        """
        chosen = list(dict.fromkeys(names))
        check_names([name for name in self.names if name in chosen])
        held = self.held
        if isinstance(held, xr.Dataset):
            dataset = held[chosen]
            check_dims(dataset)
            if in_memory(dataset):
                held = {name: dataset[name].values for name in chosen}
            else:
                held = from_xarray(dataset, "refuse")
        elif isinstance(held, nw.LazyFrame):
            held = from_lazy(held.select(chosen), "refuse")
        if isinstance(held, Source):
            return Opened(held, {name: held.fields[name].dtype for name in chosen})
        columns = {name: _column(name, held[name]) for name in chosen}
        num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
        told = {name: _told(field, masked) for name, (field, masked) in columns.items()}
        fields = {name: field for name, (field, _) in told.items()}
        values = {name: array for name, (_, array) in told.items()}
        dtypes = {name: field.dtype for name, (field, _) in columns.items()}
        return Opened(ArraySource(fields, values, num_rows), dtypes)

    @property
    def is_in_memory(self) -> bool:
        """Whether the columns are in memory, outside of a source."""
        if isinstance(self.held, xr.Dataset):
            return in_memory(self.held)
        return not isinstance(self.held, nw.LazyFrame | Source)

    def collected(self, names: Sequence[str]) -> Named:
        """Return the same with some of the columns in memory, if they are a query yet."""
        if not isinstance(self.held, nw.LazyFrame):
            return self
        frame = self.held.select(list(dict.fromkeys(names))).collect()
        return Named(self.names, self.words, {name: frame[name] for name in frame.columns})


@dataclass(frozen=True, eq=False)
class Opened:
    """A source of chosen columns.

    Attributes
    ----------
    source : Source
        The rows.
    dtypes : dict of str to numpy.dtype
        What each column is where it is not missing: integers that miss some are floats in the
        source.
    """

    source: Source
    dtypes: Mapping[str, np.dtype[Any]]


def named(obj: Any) -> Named | None:
    """Return the named columns of an object; None if it is an array or a list, without names."""
    if isinstance(obj, Named):
        return obj
    words = _words(obj)
    if is_source(obj) or is_zarr_object(obj) or (callable(obj) and not isinstance(obj, type)):
        whole = source(obj)
        return Named(tuple(whole.fields), words, whole)
    if isinstance(obj, xr.Dataset | xr.DataArray):
        dataset = with_columns(obj)
        is_series = isinstance(obj, xr.DataArray) and len(dataset.data_vars) == 1
        return Named(tuple(dataset.data_vars), words, dataset, is_series=is_series)
    if isinstance(obj, pd.DataFrame):
        return Named(tuple(obj.columns), words, obj, obj.index)
    if isinstance(obj, pd.Series):
        column = {obj.name: obj}
        return None if obj.name is None else Named((obj.name,), words, column, obj.index, True)
    if isinstance(obj, np.ndarray) and obj.dtype.names is not None:
        obj = named_arrays(obj)
    if isinstance(obj, Mapping):
        return Named(tuple(obj), words, obj)
    return _of_narwhals(obj, words)


def _of_narwhals(obj: Any, words: str) -> Named | None:
    wrapped = nw.from_native(of_arrow(obj), pass_through=True, allow_series=True)
    match wrapped:
        case nw.DataFrame():
            return Named(tuple(wrapped.columns), words, {n: wrapped[n] for n in wrapped.columns})
        case nw.LazyFrame():
            return Named(tuple(wrapped.collect_schema()), words, wrapped)
        case nw.Series() if wrapped.name:
            return Named((wrapped.name,), words, {wrapped.name: wrapped}, is_series=True)
    return None


def _words(obj: Any) -> str:
    """Say in words where rows come from."""
    paths = getattr(obj, "paths", None)
    if isinstance(obj, Source) and paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{paths[0]}{more}"
    kind = type(obj)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package in ("builtins", "bayou") else f"{package}.{kind.__name__}"


def _column(name: str, values: Any) -> tuple[Field, Masked]:
    """Return a column that is in memory, text as codes, with what is null."""
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
    """Whether a series is of pandas and holds an array of NumPy."""
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


def _of_arrow(name: str, column: Any) -> tuple[Field, Masked]:
    if types.is_null(column.type):
        column = column.cast(pa.float64())
    if is_text(column.type):
        field, codes = encode(name, column.cast(pa.large_string()))
        return field, (codes, codes < 0)
    field = arrow_field(name, column.type)
    if field.dtype == object:
        raise kinds_error(name, str(column.type))
    return field, arrow_values(column, field)


def _told(field: Field, masked: Masked) -> tuple[Field, NDArray[Any]]:
    """Return a field and its values, which tell by themselves where they are missing."""
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
    told = values.astype(dtype, copy=True)
    told[null] = missing
    return Field(field.name, dtype, field.shape, field.categories), told


def _check_exact(field: Field, values: NDArray[Any]) -> None:
    if field.dtype.kind not in "iu" or field.dtype.itemsize < 8:
        return
    beyond = values[(values > 2**53) | (values < -(2**53))]
    if beyond.size:
        raise ValueError(
            f"`{field.name}` must hold integers up to 2**53 where it misses values, got "
            f"{beyond.ravel()[0]}.\nHint: fill in or leave out the rows with missing values first."
        )
