"""The kinds of objects that have rows: how each is recognized, and how a source of it is opened.

A new kind of data is a new row of the table ``KINDS``. ``bayou.source`` opens any kind; tables of
named columns open those that are read block by block, and look at the others column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import xarray as xr

from bayou.sources.base.source import Source
from bayou.sources.derived.adapter import WrappedSource
from bayou.sources.files.zarr import ZarrSource, is_zarr_object
from bayou.sources.in_memory.array import (
    VALUE,
    array_column,
    check_names,
    from_arrays,
    from_columns,
    named_arrays,
)
from bayou.sources.in_memory.frame import from_frame, series_column
from bayou.sources.in_memory.xarray import from_xarray
from bayou.sources.streams.lazy_frame import from_lazy
from bayou.sources.streams.row_generator import GeneratorSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayou.sources.base.field import Field
    from bayou.sources.base.nulls import Masked, Nulls


@dataclass(frozen=True)
class Kind:
    """A kind of objects that have rows.

    Attributes
    ----------
    accepts : callable
        Return whether an object is of the kind. It reads no rows.
    open : callable
        Return a source of such an object, with the argument `nulls` of :func:`bayou.source`.
    """

    accepts: Callable[[Any], bool]
    open: Callable[[Any, Nulls], Source]


def open_kind(data: Any, nulls: Nulls) -> Source:
    """Return a source of an object by the first kind that accepts it; a function is of no kind.

    Raises
    ------
    TypeError
        If no kind accepts it.
    """
    data = of_arrow(data)
    for kind in KINDS:
        if kind.accepts(data):
            return kind.open(data, nulls)
    hint = "for files, call bayou.scan; a list of rows is a frame by pandas.DataFrame(rows)."
    raise TypeError(
        "`obj` must be arrays, a frame, a dataset, a function that returns an iterator, or an "
        f"object with `fields`, `blocks` and `read`, got {type(data).__name__}.\nHint: {hint}"
    )


def open_lazily(data: Any) -> Source | None:
    """Return a source of an object whose rows are read block by block, without reading any.

    Returns
    -------
    Source or None
        For a source, an array or group of Zarr, or a function that returns an iterator of rows;
        None for other objects.
    """
    for kind in LAZY_KINDS:
        if kind.accepts(data):
            return kind.open(data, "refuse")
    return None


def is_source(data: Any) -> bool:
    """Return whether an object has the members that a source needs.

    A frame may have columns of such names, which are attributes of it in pandas.
    """
    members = ("fields", "blocks", "read")
    return all(hasattr(data, name) for name in members) and not hasattr(data, "columns")


def of_arrow(data: Any) -> Any:
    """Return an Arrow object as one that narwhals knows, other objects as they are.

    As an array of NumPy, a record batch or an Arrow array would have NaN for nulls.
    """
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    return pa.chunked_array([data]) if isinstance(data, pa.Array) else data


def _open_source(data: Any, nulls: Nulls) -> Source:
    if nulls != "refuse":
        raise ValueError(
            f'`nulls` must be "refuse" for what is a source already, got {nulls!r}.\n'
            "Hint: pass it where the source is made, in bayou.source or bayou.scan."
        )
    return data if isinstance(data, Source) else WrappedSource(data)


def _open_mapping(data: Mapping[str, Any], nulls: Nulls) -> Source:
    check_names(list(data))
    return from_columns({name: _column(name, values) for name, values in data.items()}, nulls)


def _column(name: str, values: Any) -> tuple[Field, Masked]:
    series = _wrapped(of_arrow(values))
    if isinstance(series, nw.Series):
        return series_column(series.alias(name))
    return array_column(name, values)


def _open_series(data: Any, nulls: Nulls) -> Source:
    return _open_mapping({_wrapped(data).name or VALUE: data}, nulls)


def _open_array(data: Any, nulls: Nulls) -> Source:
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    return from_arrays(named_arrays(array), nulls)


def _wrapped(data: Any) -> Any:
    """Return a frame or series as one of narwhals, other objects as they are."""
    return nw.from_native(data, pass_through=True, allow_series=True)


SOURCE = Kind(lambda data: isinstance(data, Source) or is_source(data), _open_source)
ZARR = Kind(is_zarr_object, lambda data, _: ZarrSource(data))
FUNCTION = Kind(
    lambda data: callable(data) and not isinstance(data, type),
    lambda data, nulls: GeneratorSource(data, nulls=nulls),
)
# The kinds whose rows are read block by block.
LAZY_KINDS = (SOURCE, ZARR, FUNCTION)

# In the order in which they are tried. A function is not among them: bayou.source takes it first,
# with the number of its rows.
KINDS = (
    SOURCE,
    Kind(lambda data: isinstance(data, xr.Dataset | xr.DataArray), from_xarray),
    # Datasets of xarray are mappings as well.
    Kind(lambda data: isinstance(data, Mapping), _open_mapping),
    # Arrays of Zarr have `__array__` too, which would read all of them.
    ZARR,
    Kind(nw.dependencies.is_into_dataframe, from_frame),
    Kind(
        lambda data: isinstance(_wrapped(data), nw.LazyFrame),
        lambda data, nulls: from_lazy(_wrapped(data), nulls),
    ),
    Kind(lambda data: isinstance(_wrapped(data), nw.Series), _open_series),
    Kind(lambda data: hasattr(data, "__array__"), _open_array),
)
