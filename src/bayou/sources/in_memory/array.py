"""The source of arrays in memory, which copies nothing but the rows that are taken.

The conversion of anything array-like to a field with values is here too, and the checks of names
and lengths that other sources share.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from bayou.errors import EmptySourceError
from bayou.sources.base.arrow_values import arrow_field, arrow_values
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.nulls import complete_rows, without_nulls
from bayou.sources.base.row_numbers import check_rows, even_blocks
from bayou.sources.base.source import Source
from bayou.sources.base.text_codes import from_objects
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Masked, Nulls

# The name of the field of an array without names.
VALUE = "value"


class ArraySource(Source):
    """Arrays of one length: the fields of a table whose rows can be taken at random.

    Parameters
    ----------
    fields : mapping of str to Field
        The fields.
    values : mapping of str to ndarray, each of shape (num_rows, *field.shape)
        The arrays, which are not copied. An array is looked up when its field is first read.
    num_rows : int
        The length of the arrays.
    num_dropped : int, default 0
        The number of rows that were left out because of nulls.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        values: Table,
        num_rows: int,
        num_dropped: int = 0,
    ) -> None:
        check_not_empty(fields, num_rows, num_dropped)
        self._fields = fields
        self._values = values
        self._num_rows = num_rows
        self._num_dropped = num_dropped
        self._blocks = even_blocks(num_rows)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """The number of rows of each block, up to 65,536: memory has no blocks of its own."""
        return self._blocks

    @property
    def num_rows(self) -> int:
        """The number of rows, which is the length of the arrays."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The number of rows left out because of nulls."""
        return self._num_dropped

    def null_counts(self) -> Mapping[str, int | None]:
        """Return 0 for each field whose array is there: an array with nulls would be an error."""
        known = () if self._num_dropped else self._values
        return {name: 0 if name in known else None for name in self._fields}

    @property
    def random_access(self) -> bool:
        """True, since rows are taken from memory."""
        return True

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block as one table of views of the arrays."""
        size = self._blocks[0]
        rows = slice(block * size, (block + 1) * size)
        yield {
            field.name: self._values[field.name][rows].astype(field.dtype, copy=False)
            for field in choose_fields(self._fields, names)
        }

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, in any order."""
        check_rows(rows, self._num_rows)
        return {
            field.name: np.take(self._values[field.name], rows, axis=0).astype(
                field.dtype, copy=False
            )
            for field in choose_fields(self._fields, names)
        }


def from_arrays(arrays: Mapping[str, object], nulls: Nulls) -> ArraySource:
    """Return a source of arrays, lists or masked arrays, each a field.

    Parameters
    ----------
    arrays : mapping of str to array_like of shape (num_rows, ...)
        The values of each field.
    nulls : {"refuse", "drop"}
        Make a masked value or None an error, or leave out and count the rows that have one.

    Raises
    ------
    ValueError
        If the lengths differ, or if there are no fields, no rows, or nulls that are refused.
    TypeError
        If a name is not text, or a value is no array with the rows on its first axis.
    """
    check_names(list(arrays))
    return from_columns({name: array_column(name, array) for name, array in arrays.items()}, nulls)


def from_columns(columns: Mapping[str, tuple[Field, Masked]], nulls: Nulls) -> ArraySource:
    """Return a source of fields whose values are in memory.

    Parameters
    ----------
    columns : mapping of str to (Field, (ndarray, ndarray of bool or None))
        Each field, its values, and which of them are null.
    nulls : {"refuse", "drop"}
        Make a null an error, or leave out and count the rows that have one.

    Raises
    ------
    ValueError
        If the lengths differ, or if there are no fields, no rows, or nulls that are refused.
    """
    fields = {name: field for name, (field, _) in columns.items()}
    num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
    if nulls == "refuse":
        values = {name: without_nulls(name, masked, 0) for name, (_, masked) in columns.items()}
        return ArraySource(fields, values, num_rows)
    complete = complete_rows([null for _, (_, null) in columns.values()], num_rows)
    num_complete = int(complete.sum())
    # Without nulls, the arrays are not copied.
    values = {
        name: array if num_complete == num_rows else array[complete]
        for name, (_, (array, _)) in columns.items()
    }
    return ArraySource(fields, values, num_complete, num_rows - num_complete)


def named_arrays(array: NDArray[Any]) -> Table:
    """Return the fields of a structured array by name, any other array as "value".

    Examples
    --------
    >>> list(named_arrays(np.zeros(3, dtype=[("x", float), ("y", float)])))
    ['x', 'y']
    >>> list(named_arrays(np.zeros((3, 2))))
    ['value']
    """
    names = array.dtype.names
    return {VALUE: array} if names is None else {name: array[name] for name in names}


def check_dense(values: object, argument: str) -> None:
    """Check that values are no sparse matrix of SciPy, which NumPy takes for one object.

    Raises
    ------
    TypeError
        If they are.
    """
    if scipy.sparse.issparse(values):
        raise TypeError(
            f"{argument} must be dense here, got {type_text(values)}.\n"
            "Hint: a sparse matrix goes into a container by itself, by.Data('x', matrix, "
            "dims=('row', 'feature')), and by.fit(batch_size=512) draws batches of its rows. Where "
            "memory allows, pass `matrix.toarray()`."
        )


def array_column(name: str, values: object) -> tuple[Field, Masked]:
    """Return the field of an array_like, its values, and which rows are null.

    Parameters
    ----------
    name : str
        The name of the field.
    values : array_like, shape (rows, ...)
        The values. Objects that are all numbers or None become numbers.

    Returns
    -------
    Field
    tuple of (ndarray, shape (rows, ...), ndarray of bool, shape (rows,), or None)
        The values, arbitrary where null.

    Raises
    ------
    TypeError
        If `values` is one value or a structured array.
    """
    check_dense(values, f"`{name}`")
    null: NDArray[np.bool_] | None = None
    if isinstance(values, np.ma.MaskedArray):
        values, null = np.ma.getdata(values), np.ma.getmaskarray(values)
    array = np.asarray(values)
    if array.ndim == 0 or array.dtype.names is not None:
        got = "one value" if array.ndim == 0 else "a structured array"
        raise TypeError(
            f"`{name}` must be an array with one entry for each row, got {got}.\n"
            "Hint: pass one array a field, each with the rows on its first axis."
        )
    if array.dtype.kind not in "biufcmM":
        array = array.astype(object, copy=False)
        none = _where(array, lambda value: value is None)
        null = none if null is None else none | null
        if array.ndim == 1 and _are_moments_or_decimals(array, null):
            column = from_objects(name, array, null)
            field = arrow_field(name, column.type)
            return field, arrow_values(column, field)
        array = _of_objects(array, null)
        if array.dtype.kind == "O":
            # Among text, a float NaN is the mark of pandas and xarray for a missing value.
            null = null | _where(array, lambda value: isinstance(value, float) and isnan(value))
    if null is not None and null.ndim > 1:
        null = null.reshape(len(null), -1).any(axis=1)
    # A file may have the byte order of another machine; values are converted as rows are read.
    field = Field(name, array.dtype.newbyteorder("="), array.shape[1:])
    return field, (array, null)


def _where(array: NDArray[np.object_], is_such: Callable[[object], bool]) -> NDArray[np.bool_]:
    where = np.fromiter(map(is_such, array.ravel()), dtype=bool, count=array.size)
    return where.reshape(array.shape)


def _are_moments_or_decimals(array: NDArray[np.object_], null: NDArray[np.bool_]) -> bool:
    """Return whether objects are decimals, dates, times or durations, as databases return them."""
    known = array[~null]
    kinds = Decimal, date, time, timedelta
    return (
        bool(len(known))
        and isinstance(known[0], kinds)
        and all(isinstance(value, kinds) or value != value for value in known)
    )


def _of_objects(array: NDArray[np.object_], null: NDArray[np.bool_]) -> NDArray[Any]:
    """Return objects as numbers if all of them are, with 0 where null, else as they are."""
    known = array[~null].tolist()
    numbers = {type(value) for value in known}
    if not numbers or not all(issubclass(kind, int | float | np.generic) for kind in numbers):
        return array
    values = np.array(known)
    if values.dtype.kind not in "biufcmM":
        return array
    full = np.zeros(array.shape, dtype=values.dtype)
    full[~null] = values
    return full


def check_names(names: Sequence[object]) -> None:
    """Check that the names of columns are text, and that each comes once.

    Raises
    ------
    TypeError
        If a name is not text.
    ValueError
        If a name comes twice.
    """
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(
                f"The names of fields must be text, got {name!r}.\n"
                "Hint: rename the columns, for example frame.columns = frame.columns.astype(str)."
            )
        if name in names[:position]:
            raise ValueError(
                f"The names of fields must differ, got {name!r} twice.\n"
                "Hint: rename one of the columns, or choose those to keep before."
            )


def one_length(lengths: Mapping[str, int]) -> int:
    """Return the number of rows that all fields have.

    Parameters
    ----------
    lengths : mapping of str to int
        The number of rows of each field.

    Raises
    ------
    ValueError
        If they differ, or if there are no fields.
    """
    if not lengths:
        raise empty_error("no fields")
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ValueError(
                "The fields must have the same number of rows, got "
                f"{lengths[first]} of `{first}` and {length} of `{name}`.\n"
                "Hint: the first axis of each array is the row; choose the fields that share it."
            )
    return lengths[first]


def check_not_empty(names: Collection[str], num_rows: int, num_dropped: int = 0) -> None:
    """Check that a source has fields and rows.

    Raises
    ------
    EmptySourceError
        If it has none.
    """
    if not names:
        raise empty_error("no fields")
    if not num_rows:
        raise empty_error(f"no rows but {num_dropped} with a null" if num_dropped else "no rows")


def empty_error(got: str) -> EmptySourceError:
    """Return the error for a source without fields or rows; `got` says which: "no rows"."""
    return EmptySourceError(
        f"A source must have at least one field and one row, got {got}.\n"
        "Hint: check the object or the path that was passed, and the filter before it."
    )
