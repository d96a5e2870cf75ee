"""Rows that are dropped for missing values: the same rows in all containers of a dim.

A container with dropped rows notes all of its rows beside those that the model sees. Which rows are
dropped is therefore always a function of the tables that the containers of the dim have now, and
not of the order in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pymc.exceptions import ShapeError

from bayou.containers.reading.columns import columns_of
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.containers.variables.dims import ContainerArrays, Labels, Numbers

# The names of fields in older pickles, by their names now.
_OLD_FIELDS = {"lacking": "incomplete", "kept": "selected"}


@dataclass(frozen=True, eq=False)
class AllRows:
    """The rows of a container before some are dropped.

    Attributes
    ----------
    values : ndarray, shape (rows, ...)
        The values; any value where one is missing.
    incomplete : ndarray of bool, shape (rows,)
        True for rows with a missing value, for which the container asks that they be dropped.
    labels : tuple or None
        The labels of the rows.
    selected : ndarray of bool, shape (rows,), optional
        True for the rows that the model sees.
    """

    values: Numbers
    incomplete: NDArray[np.bool_]
    labels: Labels | None = None
    selected: NDArray[np.bool_] | None = None

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a pickle, an old one too."""
        self.__dict__.update({_OLD_FIELDS.get(name, name): value for name, value in state.items()})

    @classmethod
    def complete(cls, values: Numbers) -> AllRows:
        """Return rows of which none are to be dropped."""
        return cls(values, np.zeros(values.shape[0], dtype=bool))

    @classmethod
    def without_missing(cls, values: Numbers, missing: NDArray[np.bool_]) -> AllRows:
        """Return rows of which those with a missing value are to be dropped.

        Parameters
        ----------
        values : ndarray, shape (rows, ...)
            The values.
        missing : ndarray of bool, of the same shape
            True where a value is missing.
        """
        return cls(values, missing.any(axis=tuple(range(1, missing.ndim))))


@dataclass(frozen=True, eq=False)
class RowSelection:
    """The rows of a dim that the model sees.

    Attributes
    ----------
    dim : str or None
        The dim; None for a container by itself.
    mask : ndarray of bool, shape (rows,)
        True for the rows that the model sees.
    containers : dict of TensorSharedVariable to AllRows
        The containers of the dim, with all of their rows.
    """

    dim: str | None
    mask: NDArray[np.bool_]
    containers: Mapping[TensorSharedVariable, AllRows]

    @property
    def num_rows(self) -> int:
        """The number of rows that the model sees."""
        return int(self.mask.sum())

    def arrays(self) -> ContainerArrays:
        """Return the selected rows of each container."""
        return {variable: self.select(rows.values) for variable, rows in self.containers.items()}

    def select[Number: np.generic](self, values: NDArray[Number]) -> NDArray[Number]:
        """Return the selected rows of an array of all rows."""
        return values if self.mask.all() else values[self.mask]

    def select_labels(self, labels: Labels) -> Labels:
        """Return the labels of the selected rows."""
        return tuple(label for label, chosen in zip(labels, self.mask, strict=True) if chosen)

    def record(self, variable: TensorSharedVariable, rows: AllRows, labels: Labels | None) -> None:
        """Note on a container all of its rows, and how many of them are dropped."""
        num_dropped = len(self.mask) - self.num_rows
        all_rows = replace(rows, labels=labels, selected=self.mask)
        variable.tag.rows = all_rows if num_dropped else None
        columns = columns_of(variable)
        if columns is not None:
            variable.tag.columns = replace(columns, num_dropped=num_dropped)


def all_rows_of(variable: TensorSharedVariable) -> AllRows | None:
    """Return all rows of a container with dropped rows; None where none are dropped."""
    rows: AllRows | None = getattr(variable.tag, "rows", None)
    return rows


def all_rows_of_dim(model: pm.Model, dim: str | None) -> AllRows | None:
    """Return all rows of some container of a dim with dropped rows; None where none are dropped."""
    if dim is None:
        return None
    of_dim = (all_rows_of(v) for v in model.root.data_vars if dims_of(model, v)[:1] == (dim,))
    return next((rows for rows in of_dim if rows is not None), None)


def select_rows(
    model: pm.Model,
    dim: str | None,
    new_rows: Mapping[TensorSharedVariable, AllRows],
    joining: AllRows | None = None,
) -> RowSelection:
    """Select the rows of a dim that have no missing value in any of its containers.

    Parameters
    ----------
    model : pymc.Model
        The model that has the containers; it stays as it is.
    dim : str or None
        The dim of their first axis; None for a container by itself.
    new_rows : mapping of TensorSharedVariable to AllRows
        New rows of some of the containers; the others have the rows that they have.
    joining : AllRows, optional
        The rows of a new container of the dim.

    Raises
    ------
    pymc.exceptions.ShapeError
        If the containers differ in their number of rows.
    ValueError
        If no row is left, or if a container of the dim cannot drop rows.
    """
    containers: dict[TensorSharedVariable, AllRows] = {}
    if dim is None:
        containers |= new_rows
    else:
        for variable in model.root.data_vars:
            if dim in dims_of(model, variable):
                containers[variable] = new_rows.get(variable) or _current_rows(variable)
    every = [*containers.values(), *([] if joining is None else [joining])]
    sizes = {len(rows.values) for rows in every}
    if len(sizes) > 1:
        raise ShapeError(
            f"Data containers that share the dim {dim!r} must agree in the number of their rows, "
            f"before any is dropped, got {', '.join(map(str, sorted(sizes)))}.\n"
            "Hint: pass them in the same `set_data`, from the same frame."
        )
    incomplete = np.logical_or.reduce([rows.incomplete for rows in every])
    if incomplete.all():
        where = "The data" if dim is None else f"The dim {dim!r}"
        raise ValueError(
            f"{where} must have at least one row without missing values, got none among "
            f"{len(incomplete)}.\nHint: leave out columns that are mostly missing."
        )
    # Checked only if rows are dropped: until then, a dim may have containers of any kind.
    if incomplete.any() and dim is not None:
        for variable in containers:
            _check_can_drop(model, dim, variable)
    return RowSelection(dim, ~incomplete, containers)


def _current_rows(variable: TensorSharedVariable) -> AllRows:
    """Return all rows that a container has now."""
    value, rows = variable.get_value(borrow=True), all_rows_of(variable)
    if rows is None:
        return AllRows.complete(value)
    # Whoever calls `set_value` of a container does not say what its dropped rows are now.
    is_float = value.dtype.kind == "f"
    if not np.array_equal(rows.values[rows.selected], value, equal_nan=is_float):
        raise ValueError(
            f"{variable.name!r} must hold the rows that are left of those that it was built from, "
            "got other values.\n"
            "Hint: it was changed without `bayou.set_data`; pass all of its new rows there."
        )
    return rows


def not_droppable(dim: str, got: str) -> ValueError:
    """Return the error for a container of a dim that cannot drop the rows that another drops."""
    return ValueError(
        f"Containers of a dim in which rows are dropped, {dim!r}, must all be built from named "
        f"columns that are in memory, got {got}.\n"
        "Hint: build it with `columns=` from the same frame, or drop the rows of the frame that "
        "have missing values first."
    )


def _check_can_drop(model: pm.Model, dim: str, variable: TensorSharedVariable) -> None:
    first, *more = dims_of(model, variable)
    if first != dim or dim in more:
        raise not_droppable(dim, f"it as another dim than the first of {variable.name!r}")
    if columns_of(variable) is None:
        raise not_droppable(dim, f"{variable.name!r}, which was built without columns")
    if window_of(variable) is not None:
        raise not_droppable(dim, f"{variable.name!r}, which holds a part of the rows of its source")
