"""The rows of a source that are in memory: what a container of a column holds, all or a window."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
import pytensor
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

from bayou.arguments import whole_number
from bayou.feeding.layout import Layout
from bayou.feeding.memory import default_window
from bayou.feeding.read import fill_rows, read_rows
from bayou.feeding.window_reader import count_blocks
from bayou.sources.base.source import Column
from bayou.sources.open import is_source, source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from bayou.feeding.feed import Arrays

# What a container holds while a fit is lent the memory of its rows.
KEPT_ROWS = 1024
# What a container holds of a source that does not fit in memory, unless it is told otherwise.
WINDOW_BYTES = 2**26


@dataclass(eq=False)
class Resident:
    """Rows of a column, in a shared variable.

    Attributes
    ----------
    column : Column
        What they are rows of.
    blocks : tuple of int
        The rows of each block of the source.
    size : int
        How many rows are held.
    given : int or None
        How many were asked for.
    start : int
        The number of the first of them.
    array : ndarray, shape (size, *column.shape)
        The rows themselves.
    is_lent : bool
        Whether most of its memory is lent to a fit for now.
    """

    column: Column
    blocks: tuple[int, ...]
    size: int
    given: int | None
    start: int
    array: NDArray[Any]
    is_lent: bool = False

    @property
    def num_rows(self) -> int:
        """The rows of the source."""
        return sum(self.blocks)

    @property
    def is_whole(self) -> bool:
        """Whether these are all of the rows."""
        return self.size == self.num_rows


# By what holds the value of a shared variable, which clones of the variable share.
_held: weakref.WeakKeyDictionary[Any, Resident] = weakref.WeakKeyDictionary()
# Fits in several threads are not lent the same rows.
_lending = Lock()


def as_column(data: Any, dtype: DTypeLike | None = None) -> Column | None:
    """Return the column that data are: one of a source, or all the fields of a source.

    None if they are an array of some kind. Floats become ``floatX``, or all becomes ``dtype``.
    """
    if is_source(data):
        whole = source(data)
        names = list(whole.fields)
        data = whole[names[0] if len(names) == 1 else names]
    if not isinstance(data, Column):
        return None
    if dtype is None and data.dtype.kind == "f":
        dtype = pytensor.config.floatX
    return data if dtype is None else data.astype(np.dtype(dtype))


def load(column: Column, in_memory_size: Any, what: str) -> Resident:
    """Read the first rows of a column: all of them, as many as wished, or as memory is free for.

    Raises
    ------
    TypeError
        If the column holds no numbers.
    ValueError
        If the size is below 1, or there are no rows.
    """
    layout = Layout((column,))
    if column.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} must be numbers or booleans, got {column.dtype} in {column.name!r}.\n"
            "Hint: choose another field, or make numbers of it where the data are kept."
        )
    if column.dtype.kind != "f" and any(field.dtype.kind == "f" for field in column.fields):
        raise TypeError(
            f"{what} must be cast from floats where the data are kept, got {column.dtype} for "
            f"{column.name!r}.\nHint: leave `dtype` out; a nan among them could not be told."
        )
    blocks = count_blocks(column.source, column.names[0])
    num_rows = sum(blocks)
    if not num_rows:
        raise ValueError(
            f"{what} must have at least one row, got none.\n"
            "Hint: check the filter or the path that left nothing."
        )
    size = num_rows
    if in_memory_size is not None:
        size = whole_number("in_memory_size", in_memory_size, 1, "it counts the rows in memory.")
    elif default_window(column.source, column.names) < num_rows:
        size = WINDOW_BYTES // max(1, layout.row_bytes)
    size = max(1, min(size, num_rows))
    given = None if in_memory_size is None else int(in_memory_size)
    siblings = [
        other
        for container, other in _held.items()
        if other.column.source is column.source and container.storage[0] is other.array
    ]
    start = next((other.start for other in siblings if other.size == size), 0)
    [array] = read_rows(layout, blocks, start, size)
    _refuse_missing(array, column, what)
    return Resident(column, blocks, size, given, start, array)


class SourceVariable(TensorSharedVariable):
    """A shared variable that holds rows of a source."""

    resident: Resident

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied variable, with what it holds rows of."""
        self.__dict__.update(state)
        if "resident" in state:
            _held[self.container] = state["resident"]

    def update_shared(self) -> None:
        """Hold the next rows of the source, as many as there are in memory.

        After the last rows of the source come its first. All containers that hold the same rows of
        the source go on together; where all rows are in memory, nothing changes.
        """
        move_on(self)


def hold(resident: Resident, name: str) -> SourceVariable:
    """Return a shared variable that holds rows."""
    array = resident.array
    kind = TensorType(array.dtype, shape=(None,) * array.ndim)
    variable = SourceVariable(type=kind, value=array, strict=True, name=name)
    # Pickled with the variable; clones of it find what it holds by their container.
    variable.resident = _held[variable.container] = resident
    return variable


def resident_of(variable: Any) -> Resident | None:
    """Return the rows that a shared variable holds of a source; None once its value was set."""
    if not isinstance(variable, TensorSharedVariable):
        return None
    resident = _held.get(variable.container)
    if resident is None or variable.get_value(borrow=True) is not resident.array:
        return None
    return resident


def streamed(variable: Any) -> Resident | None:
    """Return the rows that a shared variable holds, if there are more of them in the source."""
    resident = resident_of(variable)
    return None if resident is None or resident.is_whole else resident


def refuse_windows(variables: Iterable[Any]) -> None:
    """Refuse containers that hold a part of their rows, for what takes that for all of them.

    Raises
    ------
    ValueError
        If there is one.
    """
    for variable in variables:
        resident = streamed(variable)
        if resident is not None:
            raise ValueError(
                f"{variable.name!r} must hold all rows of its source, {resident.num_rows}, got "
                f"{resident.size} in memory.\n"
                "Hint: raise `in_memory_size`, or pass by.fit(batch_size=512), which goes through "
                "all of them."
            )


def move_on(variable: TensorSharedVariable) -> None:
    """Hold the next rows, in all containers that hold the same rows of the source.

    After the last rows of the source come its first.
    """
    resident = resident_of(variable)
    if resident is None or resident.is_whole:
        return
    alike = [
        (container, other)
        for container, other in _held.items()
        if other.column.source is resident.column.source
        and other.size == resident.size
        and other.start == resident.start
        and container.storage[0] is other.array
    ]
    layout = Layout(tuple(other.column for _, other in alike))
    start = (resident.start + resident.size) % resident.num_rows
    arrays = read_rows(layout, resident.blocks, start, resident.size)
    for (_, other), array in zip(alike, arrays, strict=True):
        _refuse_missing(array, other.column, "`update_shared`")
    for (container, other), array in zip(alike, arrays, strict=True):
        other.start, other.array = start, array
        container.storage[0] = array


@contextmanager
def lent(columns: Sequence[Column]) -> Iterator[Arrays | None]:
    """Lend the memory that rows of some columns of a source are held in, within a with block.

    Until its end, the containers hold the first of their rows alone; then all are read again.

    Parameters
    ----------
    columns : sequence of Column
        What the containers were made of.

    Yields
    ------
    tuple of ndarray, or None
        One array a column, all of one length; None if not all columns are held alike, or if they
        are lent already.

    Warns
    -----
    UserWarning
        If the rows cannot be read any more.
    """
    with _lending:
        held = _lendable(columns)
        arrays = tuple(resident.array for _, resident in held)
        for container, resident in held:
            resident.is_lent = True
            _put(container, resident, resident.array[:KEPT_ROWS].copy())
    if not held:
        yield None
        return
    try:
        yield arrays
    except BaseException as error:
        for fault in _read_again(held, arrays):
            error.add_note(fault)
        raise
    for fault in _read_again(held, arrays):
        warn(fault, stacklevel=4)


def _lendable(columns: Sequence[Column]) -> list[tuple[Any, Resident]]:
    """Return what holds each of some columns; nothing, if they are not held alike."""
    found: dict[int, tuple[Any, Resident]] = {}
    for column in columns:
        for container, resident in list(_held.items()):
            is_own = resident.column is column and container.storage[0] is resident.array
            if is_own and not (resident.is_lent or resident.is_whole or id(resident) in found):
                found[id(resident)] = container, resident
                break
    alike = {(resident.start, resident.size) for _, resident in found.values()}
    return list(found.values()) if len(found) == len(columns) and len(alike) == 1 else []


def _read_again(held: Sequence[tuple[Any, Resident]], arrays: Arrays) -> list[str]:
    """Have containers hold as many rows as before they were lent; return why that failed."""
    residents = [resident for _, resident in held]
    first, columns = residents[0], tuple(resident.column for resident in residents)
    try:
        fill_rows(Layout(columns), first.blocks, first.start, arrays)
    except Exception as error:
        return [
            f"Containers of {[column.name for column in columns]} must read {len(arrays[0])} rows "
            f"again, from row {first.start} on, which made way for those of a fit, got "
            f"{type(error).__name__}: {str(error).splitlines()[0]}\n"
            f"Hint: they hold {first.size} rows now; make them anew for more."
        ]
    else:
        for (container, resident), array in zip(held, arrays, strict=True):
            # Unless another value was set.
            if container.storage[0] is resident.array:
                _put(container, resident, array)
    finally:
        for resident in residents:
            resident.is_lent = False
    return []


def _put(container: Any, resident: Resident, array: NDArray[Any]) -> None:
    resident.size, resident.array = len(array), array
    container.storage[0] = array


def _refuse_missing(array: NDArray[Any], column: Column, what: str) -> None:
    if array.dtype.kind == "f" and np.isnan(array.min()):
        row = int(np.argmax(np.isnan(array).reshape(len(array), -1).any(axis=1)))
        raise ValueError(
            f"{what} must hold no missing values, got nan in {column.name!r}, row {row} of those "
            "that were read.\nHint: leave such rows out where the data are kept."
        )
