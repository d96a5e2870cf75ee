"""The kinds of objects that have rows: how each is recognized, and how a source of it is opened.

A new kind of data is a new row of the table ``KINDS``, which has two sides: ``bayou.source`` opens
an object as a whole, and a container that is built from columns looks at it column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import xarray as xr

from bayou.sources.base.named_columns import NamedColumns, SourceColumns
from bayou.sources.base.source import Source
from bayou.sources.derived.adapter import WrappedSource
from bayou.sources.files.zarr import ZarrSource, is_zarr_object
from bayou.sources.in_memory.array import (
    VALUE,
    array_column,
    check_dense,
    check_names,
    from_arrays,
    from_columns,
    named_arrays,
)
from bayou.sources.in_memory.frame import from_frame, of_arrow, series_column
from bayou.sources.in_memory.memory_columns import MemoryColumns
from bayou.sources.in_memory.xarray import dataset_columns, from_xarray
from bayou.sources.streams.lazy_frame import QueryColumns, from_lazy
from bayou.sources.streams.row_generator import GeneratorSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

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
    columns : callable
        Return the named columns of such an object, with its description for messages; None for one
        without names.
    """

    accepts: Callable[[object], bool]
    open: Callable[[Any, Nulls], Source]
    columns: Callable[[Any, str], NamedColumns | None]


def open_kind(data: object, nulls: Nulls, argument: str) -> Source:
    """Return a source of an object by the first kind that accepts it; a function is of no kind.

    Parameters
    ----------
    data : object
        The object.
    nulls : {"refuse", "drop"}
        As for :func:`bayou.source`.
    argument : str
        The argument that the object was passed as, for errors.

    Raises
    ------
    TypeError
        If no kind accepts it.
    """
    check_dense(data, f"`{argument}`")
    data = of_arrow(data)
    for kind in KINDS:
        if kind.accepts(data):
            return kind.open(data, nulls)
    hint = "for files, call bayou.scan; a list of rows is a frame by pandas.DataFrame(rows)."
    raise TypeError(
        f"`{argument}` must be arrays, a frame, a dataset, a function that returns an iterator, or "
        f"an object with `fields`, `blocks` and `read`, got {type(data).__name__}.\nHint: {hint}"
    )


def named_columns(data: object) -> NamedColumns | None:
    """Return the named columns of an object by the first kind that accepts it; read no rows.

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
    description, data = _describe(data), of_arrow(data)
    for kind in (*KINDS, FUNCTION):
        if kind.accepts(data):
            return kind.columns(data, description)
    return None


def _describe(data: object) -> str:
    """Return where rows come from, for messages: the paths of files, or the name of a class."""
    paths = getattr(data, "paths", None)
    if isinstance(data, Source) and paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{paths[0]}{more}"
    name = type(data).__name__
    package = type(data).__module__.partition(".")[0]
    return name if package in ("builtins", "bayou") else f"{package}.{name}"


def is_source(data: object) -> bool:
    """Return whether an object has the members that a source needs.

    A frame may have columns of such names, which are attributes of it in pandas.
    """
    members = ("fields", "blocks", "read")
    return all(hasattr(data, name) for name in members) and not hasattr(data, "columns")


def _open_source(data: object, nulls: Nulls) -> Source:
    if nulls != "refuse":
        raise ValueError(
            f'`nulls` must be "refuse" for what is a source already, got {nulls!r}.\n'
            "Hint: pass it where the source is made, in bayou.source or bayou.scan."
        )
    return data if isinstance(data, Source) else WrappedSource(data)


def _open_mapping(data: Mapping[str, object], nulls: Nulls) -> Source:
    check_names(list(data))
    return from_columns({name: _column(name, values) for name, values in data.items()}, nulls)


def _column(name: str, values: object) -> tuple[Field, Masked]:
    series = _wrapped(of_arrow(values))
    if isinstance(series, nw.Series):
        return series_column(series.alias(name))
    return array_column(name, values)


def _open_series(data: object, nulls: Nulls) -> Source:
    return _open_mapping({_wrapped(data).name or VALUE: data}, nulls)


def _open_array(data: ArrayLike, nulls: Nulls) -> Source:
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    return from_arrays(named_arrays(array), nulls)


def _wrapped(data: object) -> Any:
    """Return a frame or series as one of narwhals, other objects as they are."""
    return nw.from_native(data, pass_through=True, allow_series=True)


def _source_columns(data: object, description: str) -> NamedColumns:
    source = open_kind(data, "refuse", "obj")
    return SourceColumns(tuple(source.fields), description, source)


def _mapping_columns(data: Mapping[Any, object], description: str) -> NamedColumns:
    return MemoryColumns(tuple(data), description, data)


def _frame_columns(data: object, description: str) -> NamedColumns:
    # Pandas apart from other frames: names need not be text there, and rows have labels.
    if isinstance(data, pd.DataFrame):
        return MemoryColumns(tuple(data.columns), description, data, data.index)
    frame = _wrapped(data)
    return _mapping_columns({name: frame[name] for name in frame.columns}, description)


def _query_columns(data: object, description: str) -> NamedColumns:
    query = _wrapped(data)
    return QueryColumns(tuple(query.collect_schema()), description, query)


def _series_column(data: object, description: str) -> NamedColumns | None:
    name = _wrapped(data).name
    if name is None or name == "":
        return None
    index = data.index if isinstance(data, pd.Series) else None
    return MemoryColumns((name,), description, {name: data}, index, is_series=True)


def _array_columns(data: Any, description: str) -> NamedColumns | None:
    """Return the fields of a structured array; any other array has no names."""
    if getattr(getattr(data, "dtype", None), "names", None) is None:
        return None
    return _mapping_columns(named_arrays(data), description)


SOURCE = Kind(
    lambda data: isinstance(data, Source) or is_source(data), _open_source, _source_columns
)
ZARR = Kind(is_zarr_object, lambda data, _: ZarrSource(data), _source_columns)
FUNCTION = Kind(
    lambda data: callable(data) and not isinstance(data, type),
    lambda data, nulls: GeneratorSource(data, nulls=nulls),
    lambda data, description: _source_columns(GeneratorSource(data), description),
)

# In the order in which they are tried. A function is not among them: bayou.source takes it first,
# with the number of its rows.
KINDS = (
    SOURCE,
    Kind(lambda data: isinstance(data, xr.Dataset | xr.DataArray), from_xarray, dataset_columns),
    # Datasets of xarray are mappings as well.
    Kind(lambda data: isinstance(data, Mapping), _open_mapping, _mapping_columns),
    # Arrays of Zarr have `__array__` too, which would read all of them.
    ZARR,
    Kind(nw.dependencies.is_into_dataframe, from_frame, _frame_columns),
    Kind(
        lambda data: isinstance(_wrapped(data), nw.LazyFrame),
        lambda data, nulls: from_lazy(_wrapped(data), nulls),
        _query_columns,
    ),
    Kind(lambda data: isinstance(_wrapped(data), nw.Series), _open_series, _series_column),
    Kind(lambda data: hasattr(data, "__array__"), _open_array, _array_columns),
)
