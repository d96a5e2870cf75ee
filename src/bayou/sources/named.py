"""Chosen columns of anything that has named ones, with what is missing told by a value of its own.

Null, None, masked, NaN and NaT are one thing here: NaN among numbers (which become float64), NaT
among dates, None among text, -1 among codes. No other column is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from bayou.sources.array import ArraySource, array_column, check_names, named_arrays, one_length
from bayou.sources.arrow_values import arrow_field, arrow_values
from bayou.sources.frame import series_column
from bayou.sources.lazy import from_lazy
from bayou.sources.open import is_source, of_arrow, source
from bayou.sources.source import Field, Source
from bayou.sources.xarray import check_dims, from_xarray, in_memory, with_columns
from bayou.sources.zarr import is_zarr_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.sources.nulls import Masked

# What a code of a missing value is.
MISSING_CODE = -1


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
    labels : pandas.Index, optional
        Of the rows, where it has an index.
    """

    names: tuple[Any, ...]
    words: str
    held: Any
    labels: pd.Index[Any] | None = None

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
        held, labels = self.held, self.labels
        if isinstance(held, xr.Dataset):
            dataset = held[chosen]
            check_dims(dataset)
            labels = dataset.indexes.get(dataset[chosen[0]].dims[0])
            if in_memory(dataset):
                held = {name: dataset[name].values for name in chosen}
            else:
                held = from_xarray(dataset, "refuse")
        elif isinstance(held, nw.LazyFrame):
            held = from_lazy(held.select(chosen), "refuse")
        if isinstance(held, Source):
            return Opened(held, {name: held.fields[name].dtype for name in chosen}, labels)
        columns = {name: _of_dates(_column(name, held[name])) for name in chosen}
        num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
        told = {name: _told(field, masked) for name, (field, masked) in columns.items()}
        fields = {name: field for name, (field, _) in told.items()}
        values = {name: array for name, (_, array) in told.items()}
        dtypes = {name: field.dtype for name, (field, _) in columns.items()}
        return Opened(ArraySource(fields, values, num_rows), dtypes, labels)

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
    labels : pandas.Index, optional
        Of the rows, where they have an index.
    """

    source: Source
    dtypes: Mapping[str, np.dtype[Any]]
    labels: pd.Index[Any] | None = None


def named(obj: Any) -> Named | None:
    """Return the named columns of an object; None if it is an array or a list, without names."""
    words = _words(obj)
    if is_source(obj) or is_zarr_object(obj) or (callable(obj) and not isinstance(obj, type)):
        whole = source(obj)
        return Named(tuple(whole.fields), words, whole)
    if isinstance(obj, xr.Dataset | xr.DataArray):
        dataset = with_columns(obj)
        return Named(tuple(str(name) for name in dataset.data_vars), words, dataset)
    if isinstance(obj, pd.DataFrame):
        return Named(tuple(obj.columns), words, obj, obj.index)
    if isinstance(obj, pd.Series):
        return None if obj.name is None else Named((obj.name,), words, {obj.name: obj}, obj.index)
    if isinstance(obj, Mapping):
        return Named(tuple(obj), words, obj)
    if isinstance(obj, np.ndarray):
        arrays = named_arrays(obj)
        return None if obj.dtype.names is None else Named(tuple(arrays), words, arrays)
    wrapped = nw.from_native(of_arrow(obj), pass_through=True, allow_series=True)
    match wrapped:
        case nw.DataFrame():
            return Named(tuple(wrapped.columns), words, {n: wrapped[n] for n in wrapped.columns})
        case nw.LazyFrame():
            return Named(tuple(wrapped.collect_schema()), words, wrapped)
        case nw.Series() if wrapped.name:
            return Named((wrapped.name,), words, {wrapped.name: wrapped})
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
    wrapped = nw.from_native(of_arrow(values), pass_through=True, allow_series=True)
    if isinstance(wrapped, nw.Series):
        return series_column(wrapped.alias(name))
    return array_column(name, values)


def _of_dates(column: tuple[Field, Masked]) -> tuple[Field, Masked]:
    """Return a column of Python's own dates as one of NumPy's, all others as they are."""
    field, (values, null) = column
    if field.dtype != object or values.ndim != 1:
        return column
    known = values if null is None else values[~null]
    if not len(known) or not isinstance(known[0], date):
        return column
    try:
        arrow = pa.array(values, mask=null, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(
            f"`{field.name}` must hold values of one kind, got dates among others ({error}).\n"
            "Hint: convert the column first, such as with pandas.to_datetime."
        ) from None
    dates = arrow_field(field.name, arrow.type)
    return dates, arrow_values(arrow, dates)


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
