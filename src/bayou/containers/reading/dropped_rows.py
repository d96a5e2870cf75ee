"""Rows that are left out for missing values: the same in all containers of a dim.

A container of which some are left out keeps all of its rows beside those that the model sees, so
that what is left out is always a function of the tables that the containers of the dim hold now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pymc.exceptions import ShapeError

from bayou.containers.reading.column_reader import columns_of
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import ContainerArrays, Labels


@dataclass(frozen=True, eq=False)
class AllRows:
    """The rows of a container before some are left out.

    Attributes
    ----------
    values : ndarray, shape (rows, ...)
        What it would hold; any value where one is missing.
    lacking : ndarray of bool, shape (rows,)
        Which rows it asks to be left out.
    labels : tuple or None
        Of the rows.
    kept : ndarray of bool, shape (rows,), optional
        Which rows were left when they were last set.
    """

    values: NDArray[Any]
    lacking: NDArray[np.bool_]
    labels: Labels | None = None
    kept: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Kept:
    """Which rows of a dim the model sees.

    Attributes
    ----------
    dim : str or None
        The dim; None for a container by itself.
    rows : ndarray of bool, shape (rows,)
        Those of all rows.
    containers : dict of variable to AllRows
        The containers of the dim.
    """

    dim: str | None
    rows: NDArray[np.bool_]
    containers: Mapping[Any, AllRows]

    @property
    def length(self) -> int:
        """The rows that are left."""
        return int(self.rows.sum())

    def arrays(self) -> ContainerArrays:
        """Return what the containers are to hold."""
        return {variable: self.of(rows.values) for variable, rows in self.containers.items()}

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the rows that are left of an array of all."""
        return values if self.rows.all() else values[self.rows]

    def labelled(self, labels: Labels) -> Labels:
        """Return the labels of the rows that are left."""
        return tuple(label for label, is_kept in zip(labels, self.rows, strict=True) if is_kept)

    def note(self, variable: Any, rows: AllRows, labels: Labels | None) -> None:
        """Keep all rows with a container, and how many of them it does not hold."""
        num_dropped = len(self.rows) - self.length
        variable.tag.rows = replace(rows, labels=labels, kept=self.rows) if num_dropped else None
        columns = columns_of(variable)
        if columns is not None:
            variable.tag.columns = replace(columns, num_dropped=num_dropped)


def rows_of(variable: Any) -> AllRows | None:
    """Return all rows of a container of which some are left out; None where none are."""
    rows: AllRows | None = getattr(variable.tag, "rows", None)
    return rows


def whole_dim(model: Any, dim: str | None) -> AllRows | None:
    """Return all rows of some container of a dim of which rows are left out."""
    if dim is None:
        return None
    of_dim = (rows_of(v) for v in model.root.data_vars if dims_of(model, v)[:1] == (dim,))
    return next((rows for rows in of_dim if rows is not None), None)


def keep(
    model: Any, dim: str | None, fresh: Mapping[Any, AllRows], new: AllRows | None = None
) -> Kept:
    """Return which rows of a dim are left, once some of its containers have new rows.

    Parameters
    ----------
    model : pymc.Model
        That has the containers.
    dim : str or None
        The dim of their first axis; None for a container by itself.
    fresh : mapping of variable to AllRows
        New rows of containers.
    new : AllRows, optional
        The rows of a container that joins them.

    Raises
    ------
    pymc.exceptions.ShapeError
        If the containers differ in their number of rows.
    ValueError
        If no row is left, or if rows are left out where a container has no columns to follow.
    """
    containers: dict[Any, AllRows] = {} if dim is not None else dict(fresh)
    for variable in model.root.data_vars:
        if dim is not None and dim in dims_of(model, variable):
            containers[variable] = fresh.get(variable) or _present(variable)
    every = [*containers.values(), *([] if new is None else [new])]
    sizes = {len(rows.values) for rows in every}
    if len(sizes) > 1:
        raise ShapeError(
            f"Data containers that share the dim {dim!r} must agree in the number of their rows, "
            f"before any is left out, got {', '.join(map(str, sorted(sizes)))}.\n"
            "Hint: pass them in the same `set_data`, from the same frame."
        )
    lacking = np.logical_or.reduce([rows.lacking for rows in every])
    if lacking.all():
        place = "" if dim is None else f" in the dim {dim!r}"
        raise ValueError(
            f"A row without missing values must be left{place}, got none among "
            f"{len(lacking)}.\nHint: leave out columns that are mostly missing."
        )
    if lacking.any() and dim is not None:
        for variable in containers:
            _check_follows(model, dim, variable)
    return Kept(dim, ~lacking, containers)


def _present(variable: Any) -> AllRows:
    """Return all rows of a container, unless others were put into it than bayou knows of."""
    held, rows = variable.get_value(borrow=True), rows_of(variable)
    if rows is None:
        return AllRows(held, np.zeros(len(held), dtype=bool))
    if not np.array_equal(rows.values[rows.kept], held, equal_nan=held.dtype.kind == "f"):
        raise ValueError(
            f"{variable.name!r} must hold the rows that are left of those that it was given, got "
            "others.\nHint: it was changed without `bayou.set_data`; pass its new rows there, all "
            "of them."
        )
    return rows


def refuse_unnamed(dim: str, got: str) -> None:
    """Refuse what cannot leave out the rows that another container of its dim lacks."""
    raise ValueError(
        f"Containers of a dim in which rows are left out, {dim!r}, must all be built from named "
        f"columns that are in memory, got {got}.\n"
        "Hint: build it with `columns=` from the same frame, or leave out the rows of the frame "
        "that miss values first."
    )


def _check_follows(model: Any, dim: str, variable: Any) -> None:
    first, *others = dims_of(model, variable)
    if first != dim or dim in others:
        refuse_unnamed(dim, f"it as another dim than the first of {variable.name!r}")
    if columns_of(variable) is None:
        refuse_unnamed(dim, f"{variable.name!r}, which knows no columns")
    if window_of(variable) is not None:
        refuse_unnamed(dim, f"{variable.name!r}, which holds a part of the rows of its source")
