"""The source of a data frame in memory: pandas, Polars, PyArrow, and others that narwhals knows.

A column becomes an array when it is first read. Columns whose layout NumPy shares are not copied;
all others are converted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa

from bayou.sources.base.arrow_values import arrow_categories, arrow_field, arrow_values
from bayou.sources.base.field import Field
from bayou.sources.base.nulls import without_nulls
from bayou.sources.base.text_codes import kinds_error
from bayou.sources.in_memory.array import (
    ArraySource,
    array_column,
    check_names,
    check_not_empty,
    from_columns,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from bayou.sources.base.nulls import Masked, Nulls


def from_frame(frame: Any, nulls: Nulls) -> ArraySource:
    """Return a source of a frame that is in memory.

    Parameters
    ----------
    frame : DataFrame or Table
        A frame of pandas, Polars, PyArrow or another library that narwhals knows.
    nulls : {"refuse", "drop"}
        Make a null an error when it is read, or leave out and count the rows that have one. NaN
        and NaT in columns with NumPy dtypes are values.

    Raises
    ------
    ValueError
        If two columns have the same name, or there are no columns or rows.
    TypeError
        If a name is not text.
    """
    # First, since the errors of narwhals for such names are those of each library.
    check_names(list(getattr(frame, "column_names", None) or frame.columns))
    wrapped = nw.from_native(frame, eager_only=True)
    check_not_empty(wrapped.columns, len(wrapped))
    if nulls == "drop":
        return from_columns({name: series_column(wrapped[name]) for name in wrapped.columns}, nulls)
    fields: dict[str, Field] = {}
    values = _Columns(wrapped)
    for name in wrapped.columns:
        field = _field(wrapped[name])
        if field is None:
            field, masked = series_column(wrapped[name])
            if masked[1] is None or not masked[1].any():
                values[name] = masked[0]
        fields[name] = field
    return ArraySource(fields, values, len(wrapped))


def of_arrow(data: Any) -> Any:
    """Return an Arrow object as one that narwhals knows, other objects as they are.

    As an array of NumPy, a record batch or an Arrow array would have NaN for nulls.
    """
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    return pa.chunked_array([data]) if isinstance(data, pa.Array) else data


def series_column(series: nw.Series[Any]) -> tuple[Field, Masked]:
    """Return the field of a series, its values, and which of them are null."""
    native = series.to_native()
    if series.implementation.is_pandas() and isinstance(native.dtype, np.dtype):
        values = native.to_numpy()
        if values.dtype == object:
            values = np.ma.MaskedArray(values, native.isna().to_numpy())
        return array_column(series.name, values)
    if series.implementation.is_pandas() and isinstance(native.dtype, pd.CategoricalDtype):
        return _pandas_categories(series.name, native)
    try:
        column = native if series.implementation.is_pyarrow() else series.to_arrow()
    except pa.ArrowInvalid:
        # Some types of Polars are none of Arrow's, such as integers of 128 bits.
        raise kinds_error(series.name, str(series.dtype)) from None
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    categories = arrow_categories(column) if pa.types.is_dictionary(column.type) else None
    field = arrow_field(series.name, column.type, categories)
    return field, arrow_values(column, field)


def _pandas_categories(name: str, series: pd.Series) -> tuple[Field, Masked]:
    """Return the codes of a pandas Categorical, whose categories become text.

    Arrow writes intervals and other categories in another way than pandas.
    """
    categories = series.cat.categories.tolist()
    known: dict[str, Hashable] = {}
    for category in categories:
        other = known.setdefault(str(category), category)
        if other is not category:
            raise ValueError(
                f"`{name}` must have categories that differ as text, got {other!r} and "
                f"{category!r}.\nHint: rename one of them, with `.cat.rename_categories`."
            )
    codes = series.cat.codes.to_numpy().astype(np.int32)
    return Field(name, np.dtype(np.int32), (), tuple(known)), (codes, codes < 0)


class _Columns(dict[str, "NDArray[Any]"]):
    """The arrays of a frame's columns, each made when it is first looked up."""

    def __init__(self, frame: nw.DataFrame[Any]) -> None:
        super().__init__()
        self.frame = frame

    def __missing__(self, name: str) -> NDArray[Any]:
        _, masked = series_column(self.frame[name])
        self[name] = without_nulls(name, masked, 0)
        return self[name]

    def __reduce__(self) -> tuple[type[_Columns], tuple[nw.DataFrame[Any]]]:
        # The frame alone: a dict would be pickled with its arrays too.
        return _Columns, (self.frame,)


def _field(series: nw.Series[Any]) -> Field | None:
    """Return the field of a series by its type, None if only the values tell it."""
    if series.dtype in {nw.Categorical, nw.Enum, nw.Object, nw.Unknown}:
        return None
    field, _ = series_column(series.head(0))
    return field
