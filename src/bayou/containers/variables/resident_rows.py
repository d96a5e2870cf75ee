"""Rows of a source that are in memory, and which containers have them.

A *window* is the part of a source that is in memory at a time: ``size`` consecutive rows from
``start`` on, after the last row of the source its first. A source that fits has one window, which
is all of its rows. A container keeps its window in a shared variable; this module reads windows and
keeps the register from which the window of any shared variable can be looked up.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor

from bayou.arguments import whole_number
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.memory import default_window
from bayou.feeding.read import count_block_rows, read_rows
from bayou.sources.base.source import Column, Source
from bayou.sources.kinds import is_source
from bayou.sources.open import source

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from pytensor.link.basic import Container

    from bayou.containers.variables.dims import Numbers

# The window of a source that does not fit in memory, where `in_memory_size` is not given: small,
# since it serves evaluations outside of fits alone: a fit chooses its windows by the memory that is
# free when it starts.
WINDOW_BYTES = 2**26


@dataclass(eq=False)
class Resident:
    """A window of a column: the rows that one container has in memory.

    Attributes
    ----------
    column : Column
        The column of a source that they are rows of.
    blocks : tuple of int
        The number of rows of each block of the source.
    size : int
        The number of rows in memory.
    requested_size : int or None
        The ``in_memory_size`` that the user passed.
    start : int
        The number of the first row in memory, counted in the source.
    array : ndarray, shape (size, *column.shape)
        The rows themselves.
    is_lent : bool
        Whether a fit uses most of the memory of the rows for now, see
        :func:`bayou.containers.variables.lent_memory.lend_memory`.
    """

    column: Column
    blocks: tuple[int, ...]
    size: int
    requested_size: int | None
    start: int
    array: Numbers
    is_lent: bool = False

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a pickle, an old one too, which has `requested_size` under the name `given`."""
        if "given" in state:
            state = {**state, "requested_size": state["given"]}
            del state["given"]
        self.__dict__.update(state)

    @property
    def num_rows(self) -> int:
        """The number of rows of the source."""
        return sum(self.blocks)

    @property
    def is_complete(self) -> bool:
        """Whether all rows of the source are in memory."""
        return self.size == self.num_rows


# The key is PyTensor's container of a shared variable's value: clones of the variable share it.
_residents: weakref.WeakKeyDictionary[Container, Resident] = weakref.WeakKeyDictionary()


def register(container: Container, resident: Resident) -> None:
    """Note that the value of shared variables, their ``container``, is these rows."""
    _residents[container] = resident


def registered(container: Container) -> Resident | None:
    """Return the rows that a container's value is; None if it has another value by now."""
    resident = _residents.get(container)
    if resident is None or container.storage[0] is not resident.array:
        return None
    return resident


def registered_of(source: Source) -> list[tuple[Container, Resident]]:
    """Return each container whose value is rows of a source, with these rows."""
    # A list first: another thread may register meanwhile.
    return [
        (container, resident)
        for container, resident in list(_residents.items())
        if resident.column.source is source and container.storage[0] is resident.array
    ]


def replace_rows(container: Container, resident: Resident, start: int, array: Numbers) -> None:
    """Set the rows that are in memory, and the value of all shared variables of a container.

    Parameters
    ----------
    container : Container
        The value of the variables.
    resident : Resident
        The rows, which become the new ones.
    start : int
        The number of the first new row.
    array : ndarray, shape (size, *column.shape)
        The new rows. They are not copied.
    """
    resident.start, resident.size, resident.array = start, len(array), array
    container.storage[0] = array


def as_column(data: object, dtype: DTypeLike | None = None) -> Column | None:
    """Return data as a column of a source; None if they are an array.

    Parameters
    ----------
    data : Column, Source or array_like
        Of a source, all fields are taken: one as a vector, several as a matrix.
    dtype : dtype_like, optional
        The dtype of the column; by default ``floatX`` for floats, otherwise that of the fields.
    """
    if is_source(data):
        opened = source(data)
        names = list(opened.fields)
        data = opened[names[0] if len(names) == 1 else names]
    if not isinstance(data, Column):
        return None
    if dtype is None and data.dtype.kind == "f":
        dtype = pytensor.config.floatX
    return data if dtype is None else data.astype(np.dtype(dtype))


def read_resident(column: Column, in_memory_size: object, argument: str) -> Resident:
    """Read a window of a column: as many rows as asked for, or all that memory is free for.

    The window starts where other containers have a window of the same source and size, so that
    their rows belong together; otherwise at the first row.

    Parameters
    ----------
    column : Column
        The column of a source.
    in_memory_size : int or None
        The number of rows to read; None for all, if they take a quarter of the free memory at most,
        else 64 MiB of them.
    argument : str
        The argument that the column came from, as the subject of errors.

    Raises
    ------
    TypeError
        If the column holds no numbers.
    ValueError
        If the size is below 1, there are no rows, or a value is missing.
    """
    layout = ColumnLayout((column,))
    _check_numbers(column, argument)
    blocks = count_block_rows(column.source, column.names[0])
    num_rows = sum(blocks)
    if not num_rows:
        raise ValueError(
            f"{argument} must have at least one row, got none.\n"
            "Hint: check the filter or the path that left nothing."
        )
    requested_size = None
    if in_memory_size is not None:
        hint = "it is the number of rows of a source that are in memory at a time."
        size = requested_size = whole_number("in_memory_size", in_memory_size, 1, hint)
    elif default_window(column.source, column.names) < num_rows:
        size = WINDOW_BYTES // max(1, layout.row_bytes)
    else:
        size = num_rows
    size = max(1, min(size, num_rows))
    siblings = (resident for _, resident in registered_of(column.source))
    start = next((resident.start for resident in siblings if resident.size == size), 0)
    [array] = read_rows(layout, blocks, start, size)
    check_no_nan(array, column, argument)
    return Resident(column, blocks, size, requested_size, start, array)


def _check_numbers(column: Column, argument: str) -> None:
    if column.dtype.kind not in "biuf":
        raise TypeError(
            f"{argument} must be numbers or booleans, got {column.dtype} in {column.name!r}.\n"
            "Hint: choose another field, or convert it to numbers in the source itself."
        )
    if column.dtype.kind != "f" and any(field.dtype.kind == "f" for field in column.fields):
        raise TypeError(
            f"{argument} must be floats where the source has floats, got {column.dtype} for "
            f"{column.name!r}, in which NaN could not be told from a number.\n"
            "Hint: leave `dtype` out, or convert the field in the source itself."
        )


def check_no_nan(array: Numbers, column: Column, argument: str) -> None:
    """Raise ValueError for a missing value among rows that were just read."""
    # The minimum is NaN if any value is: one pass, and no array of booleans as large as the rows.
    if array.dtype.kind == "f" and np.isnan(array.min()):
        row = int(np.argmax(np.isnan(array).reshape(len(array), -1).any(axis=1)))
        raise ValueError(
            f"{argument} must hold no missing values, got nan in {column.name!r}, row {row} of "
            "those that were read.\n"
            "Hint: drop such rows when the source is opened: bayou.scan(..., nulls='drop')."
        )
