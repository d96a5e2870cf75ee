"""Shared variables whose value is rows of a source: a window of them, which can move on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

from bayou.containers.variables.resident_rows import (
    Resident,
    check_no_nan,
    register,
    registered,
    registered_of,
    replace_rows,
)
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.graph.basic import Variable


class SourceVariable(TensorSharedVariable):
    """A shared variable whose value is rows of a source.

    Attributes
    ----------
    resident : Resident
        The rows. Pickled with the variable; its clones look them up in the register.
    """

    resident: Resident

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied variable, and register its rows again."""
        self.__dict__.update(state)
        if "resident" in state:
            register(self.container, state["resident"])

    def update_shared(self) -> None:
        """Read the next rows of the source into this container, as many as there are in memory.

        After the last rows of the source come its first. All containers that have the same rows of
        the source in memory move on together. Nothing changes if all rows are in memory.
        """
        advance_window(self)


def source_variable(resident: Resident, name: str) -> SourceVariable:
    """Return a shared variable whose value is these rows of a source."""
    array = resident.array
    kind = TensorType(array.dtype, shape=(None,) * array.ndim)
    variable = SourceVariable(type=kind, value=array, strict=True, name=name)
    variable.resident = resident
    register(variable.container, resident)
    return variable


def resident_of(variable: Variable) -> Resident | None:
    """Return the rows of a source that are a shared variable's value.

    None for a variable without a source, or with a value that was set since.
    """
    if not isinstance(variable, TensorSharedVariable):
        return None
    return registered(variable.container)


def window_of(variable: Variable) -> Resident | None:
    """Return the rows of a source that are a shared variable's value, if these are not all rows."""
    resident = resident_of(variable)
    return None if resident is None or resident.is_complete else resident


def check_complete(variables: Iterable[Variable]) -> None:
    """Check that containers have all rows of their sources in memory.

    Raises
    ------
    ValueError
        If one of them has a window of fewer rows.
    """
    for variable in variables:
        resident = window_of(variable)
        if resident is not None:
            raise ValueError(
                f"{variable.name!r} must hold all rows of its source, {resident.num_rows}, got "
                f"{resident.size} in memory.\n"
                "Hint: raise `in_memory_size`, or fit in batches, by.fit(batch_size=512), which "
                "reads all rows in turn."
            )


def advance_window(variable: TensorSharedVariable) -> None:
    """Replace the rows in memory by the next ones of the source.

    After the last rows of the source come its first. All containers with the same window of the
    source move together; their rows are read in one pass.
    """
    resident = resident_of(variable)
    if resident is None or resident.is_complete:
        return
    aligned = [
        (container, other)
        for container, other in registered_of(resident.column.source)
        if other.size == resident.size and other.start == resident.start
    ]
    layout = ColumnLayout(tuple(other.column for _, other in aligned))
    start = (resident.start + resident.size) % resident.num_rows
    arrays = read_rows(layout, resident.blocks, start, resident.size)
    # All are checked before any is changed.
    for (_, other), array in zip(aligned, arrays, strict=True):
        check_no_nan(array, other.column, "`update_shared`")
    for (container, other), array in zip(aligned, arrays, strict=True):
        replace_rows(container, other, start, array)
