"""Arrays in memory: rows are taken where they are, with nothing copied before."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.errors import EmptySourceError
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.nulls import complete_rows, without_nulls
from bayou.sources.base.source import Source, check_rows, even_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table
    from bayou.sources.base.nulls import Masked, Nulls

# What the field of an array without names is called.
VALUE = "value"


class ArraySource(Source):
    """Arrays of one length: the fields of a table whose rows can be taken at random.

    Parameters
    ----------
    fields : mapping of str to Field
        What the arrays hold.
    values : mapping of str to ndarray, each of shape (num_rows, *field.shape)
        The arrays, which are not copied; one is asked for when it is first needed.
    num_rows : int
        Their length.
    num_dropped : int, optional
        How many rows were left out of them for their nulls.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        values: Mapping[str, NDArray[Any]],
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
        """Stretches of rows, since memory has no blocks of its own."""
        return self._blocks

    @property
    def num_rows(self) -> int:
        """The length of the arrays."""
        return self._num_rows

    @property
    def num_dropped(self) -> int:
        """The rows left out for their nulls."""
        return self._num_dropped

    def null_counts(self) -> Mapping[str, int | None]:
        """Return 0 for each field whose array is made, since none of these holds a null."""
        known = () if self._num_dropped else self._values
        return {name: 0 if name in known else None for name in self._fields}

    @property
    def random_access(self) -> bool:
        """True: rows are taken where they are."""
        return True

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block as views of the arrays."""
        size = self._blocks[0]
        rows = slice(block * size, (block + 1) * size)
        yield {
            field.name: self._values[field.name][rows].astype(field.dtype, copy=False)
            for field in choose_fields(self._fields, names)
        }

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return some rows, in the order asked for."""
        check_rows(rows, self._num_rows)
        return {
            field.name: np.take(self._values[field.name], rows, axis=0).astype(
                field.dtype, copy=False
            )
            for field in choose_fields(self._fields, names)
        }


def from_arrays(arrays: Mapping[str, Any], nulls: Nulls) -> ArraySource:
    """Return a source of arrays, lists or masked arrays, each a field.

    Parameters
    ----------
    arrays : mapping of str to array_like of shape (num_rows, ...)
        The fields.
    nulls : {"refuse", "drop"}
        What to do with masked values and with None.

    Raises
    ------
    ValueError
        If the lengths differ, or if there are no fields, no rows, or nulls that are refused.
    TypeError
        If a name is no text, or an array has no rows or is not of one dtype.
    """
    check_names(list(arrays))
    return from_columns({name: array_column(name, array) for name, array in arrays.items()}, nulls)


def from_columns(columns: Mapping[str, tuple[Field, Masked]], nulls: Nulls) -> ArraySource:
    """Return a source of fields whose values are in memory, its nulls refused or dropped."""
    fields = {name: field for name, (field, _) in columns.items()}
    num_rows = one_length({name: len(masked[0]) for name, (_, masked) in columns.items()})
    if nulls == "refuse":
        values = {name: without_nulls(name, masked, 0) for name, (_, masked) in columns.items()}
        return ArraySource(fields, values, num_rows)
    complete = complete_rows([null for _, (_, null) in columns.values()], num_rows)
    kept = int(complete.sum())
    if kept < num_rows:
        values = {name: array[complete] for name, (_, (array, _)) in columns.items()}
    else:
        values = {name: array for name, (_, (array, _)) in columns.items()}
    return ArraySource(fields, values, kept, num_rows - kept)


def named_arrays(array: Any) -> Mapping[str, Any]:
    """Return the fields of a structured array, or an array without names by the name of "value".

    Examples
    --------
    >>> list(named_arrays(np.zeros(3, dtype=[("x", float), ("y", float)])))
    ['x', 'y']
    >>> list(named_arrays(np.zeros((3, 2))))
    ['value']
    """
    names = array.dtype.names
    return {VALUE: array} if names is None else {name: array[name] for name in names}


def array_column(name: str, values: Any) -> tuple[Field, Masked]:
    """Return the field of an array_like, with its values and where they are null."""
    null: NDArray[np.bool_] | None = None
    if isinstance(values, np.ma.MaskedArray):
        values, null = np.ma.getdata(values), np.ma.getmaskarray(values)
    array = np.asarray(values)
    if array.ndim == 0 or array.dtype.names is not None:
        got = "one value" if array.ndim == 0 else "a structured array"
        raise TypeError(
            f"`{name}` must be an array with one entry a row, got {got}.\n"
            "Hint: pass one array a field, each with the rows on its first axis."
        )
    if array.dtype.kind not in "biufcmM":
        array = array.astype(object, copy=False)
        none = _where(array, lambda value: value is None)
        null = none if null is None else none | null
        array = _of_objects(array, null)
        if array.dtype.kind == "O":
            # Beside text, NaN is no number but what pandas and xarray put for a missing one.
            null = null | _where(array, lambda value: isinstance(value, float) and isnan(value))
    if null is not None and null.ndim > 1:
        null = null.reshape(len(null), -1).any(axis=1)
    # A file may hold bytes in the order of another machine; they are turned as rows are read.
    field = Field(name, array.dtype.newbyteorder("="), array.shape[1:])
    return field, (array, null)


def _where(array: NDArray[Any], is_such: Callable[[Any], bool]) -> NDArray[np.bool_]:
    found = np.fromiter(map(is_such, array.ravel()), dtype=bool, count=array.size)
    return found.reshape(array.shape)


def _of_objects(array: NDArray[Any], null: NDArray[np.bool_]) -> NDArray[Any]:
    """Return objects as the numbers that they are, any value where null; else as they are."""
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


def check_names(names: Sequence[Any]) -> None:
    """Check that the names of columns are text, and differ.

    Raises
    ------
    TypeError
        If one is no text.
    ValueError
        If one comes twice.
    """
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(
                f"The names of fields must be text, got {name!r}.\n"
                "Hint: rename the columns, for example frame.columns = frame.columns.astype(str)."
            )
        if name in names[:place]:
            raise ValueError(
                f"The names of fields must differ, got {name!r} twice.\n"
                "Hint: rename one of the columns, or choose those to keep before."
            )


def one_length(lengths: Mapping[str, int]) -> int:
    """Return the number of rows that all fields have.

    Raises
    ------
    ValueError
        If it is not the same, or if there are no fields.
    """
    if not lengths:
        raise empty_error("no fields")
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ValueError(
                f"The fields must have one number of rows, got {lengths[first]} of `{first}` and "
                f"{length} of `{name}`.\n"
                "Hint: the first axis of each array is the row; choose the fields that share it."
            )
    return lengths[first]


def check_not_empty(names: Collection[str], num_rows: int, num_dropped: int = 0) -> None:
    """Check that there are fields and rows.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not names:
        raise empty_error("no fields")
    if not num_rows:
        raise empty_error(f"no rows but {num_dropped} with a null" if num_dropped else "no rows")


def empty_error(got: str) -> EmptySourceError:
    """Return the error for a source that has nothing: `got` says what it has."""
    return EmptySourceError(
        f"A source must have at least one field and one row, got {got}.\n"
        "Hint: look at what was passed or at the path, and at the filter that came before."
    )
