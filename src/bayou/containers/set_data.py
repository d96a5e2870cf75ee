"""Exchanges the values of data containers, with their lengths and coords: all or none."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.reading.column_reader import columns_of
from bayou.containers.reading.dropped_rows import keep, rows_of, whole_dim
from bayou.containers.reading.new_values import check_features, exports, read_values
from bayou.containers.variables.dims import (
    check_same_labels,
    dims_of,
    evaluate_length,
    labels_by_dim,
    model_or_context,
    read_coords,
    read_labels,
    resized_lengths,
    write_data,
)
from bayou.containers.variables.imputation import check_masks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pymc as pm

    from bayou.containers.reading.dropped_rows import AllRows, Kept
    from bayou.containers.reading.new_values import NewValues
    from bayou.containers.variables.dims import ContainerArrays, Labels


def set_data(new_data: Any, *, coords: Mapping[str, Any] | None = None, model: Any = None) -> None:
    """Exchange the values of data containers, with their lengths and coords, all or none.

    Nothing is compiled again: a model with new values of the same rank runs on.

    Parameters
    ----------
    new_data : mapping of str to (array_like or frame), or a frame, dataset or source
        New values by the names of containers, made by `Data` or ``pm.Data``. A value has the rank
        of the old one and is cast to the container's dtype, where that is exact. A container that
        was built from named columns takes these from a frame, whatever their order. A frame by
        itself, or a mapping of columns to their values, feeds all containers that were built from
        columns, and has all columns of those that share their first dim, or none.
    coords : mapping of str to sequence, optional
        New labels of dims of these containers, for all rows of the values. Without them, the index
        of a container that exports its index gives the labels; else the old ones stay if the length
        does, and are counted on if they only count from 0. Labels may come twice, as in `Data`.
    model : pymc.Model, optional
        The model that holds the containers; by default that of the context.

    Raises
    ------
    pymc.exceptions.ShapeError
        If a value has another rank, if containers that share a dim would differ in its length, if
        the new labels are not as many as the rows, or if a length is fixed.
    TypeError
        If there is no model, a name is not that of a data container, or a value holds anything
        else than the container does.
    ValueError
        If a name is unknown, if columns are missing, if a value is ragged, has missing values that
        are refused, unknown categories, or loses some by the cast, if others are missing than those
        that are imputed, or if `coords` are missing or name no dim of these containers.

    Notes
    -----
    After PyMC3's ``set_data``.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "b", "c"]})
    ...     by.set_data({"x": [4, 5]}, coords={"row": ["d", "e"]})
    >>> x.get_value(), model.coords["row"]
    (array([4., 5.]), ('d', 'e'))

    A frame feeds the containers that were built from columns, by their names:

    >>> with pm.Model() as model:
    ...     late = by.Data("late", {"hour": [5, 6], "late": [0, 1]}, columns="late", dims="row")
    ...     hour = by.Data("hour", {"hour": [5, 6]}, columns="hour", dims="row")
    ...     by.set_data({"late": [1, 1, 0], "hour": [7, 8, 9], "month": [1, 2, 3]})
    >>> late.get_value(), hour.get_value()
    (array([1, 1, 0]), array([7, 8, 9]))
    """
    owner = model_or_context(model)
    given = read_coords(coords)
    fresh = read_values(owner, new_data, given)
    for variable in fresh:
        check_features(owner, variable, given)
    kept, arrays, new_lengths = _all_rows(owner, fresh)
    old_labels = _whole_labels(owner, kept)
    labels = _new_labels(old_labels, new_lengths, given, _exported_labels(owner, fresh))
    whole_labels = _leave_labels_out(kept, labels, old_labels)
    lengths = _leave_out(owner, kept, arrays, new_lengths)
    write_data(owner, arrays, labels, lengths)
    _note(kept, fresh, whole_labels)


@dataclass(frozen=True, eq=False)
class NewData:
    """What `set_data` would put into a model.

    Attributes
    ----------
    arrays : dict of SharedVariable to ndarray
        Of containers, and of lengths that are shared variables of their own.
    labels : dict of str to tuple
        Of the dims whose labels would be others than the model has.
    lengths : dict of str to int
        Of the dims of the containers.
    names : frozenset of str
        The containers that there are values for.
    """

    arrays: ContainerArrays
    labels: Mapping[str, Labels]
    lengths: Mapping[str, int]
    names: frozenset[str]


def read_new_data(model: pm.Model, new_data: Any) -> NewData:
    """Return what `set_data` would put into a model, and change nothing.

    Labels that are lacking are counted.

    Parameters
    ----------
    model : pymc.Model
        That has the containers.
    new_data : mapping or table
        As for :func:`set_data`.
    """
    fresh = read_values(model, new_data, {})
    kept, arrays, lengths = _all_rows(model, fresh)
    old_labels = _whole_labels(model, kept)
    for dim, length in lengths.items():
        old = old_labels[dim]
        if old is not None and len(old) != length:
            old_labels[dim] = tuple(range(len(old)))
    labels = _new_labels(old_labels, lengths, {}, _exported_labels(model, fresh))
    _leave_labels_out(kept, labels, old_labels)
    _leave_out(model, kept, arrays, lengths)
    others = {dim: own for dim, own in labels.items() if own != model.coords.get(dim)}
    return NewData(arrays, others, lengths, frozenset(variable.name for variable in fresh))


@contextmanager
def holding(arrays: ContainerArrays) -> Iterator[None]:
    """Have shared variables hold other arrays for a while, and then again what they held."""
    held = {variable: variable.get_value(borrow=True) for variable in arrays}
    try:
        for variable, array in arrays.items():
            variable.set_value(array, borrow=True)
        yield
    finally:
        for variable, array in held.items():
            variable.set_value(array, borrow=True)


def _all_rows(
    owner: Any, fresh: Mapping[SharedVariable, NewValues]
) -> tuple[list[Kept], ContainerArrays, dict[str, int]]:
    """Return which rows are left, the values of all rows, and the lengths of their dims."""
    kept = _kept(owner, fresh)
    arrays: ContainerArrays = {variable: new.table.array for variable, new in fresh.items()}
    for rows in kept:
        arrays |= {variable: all_rows.values for variable, all_rows in rows.containers.items()}
    return kept, arrays, _agreed_lengths(owner, arrays)


def _leave_out(
    owner: Any, kept: list[Kept], arrays: ContainerArrays, lengths: dict[str, int]
) -> dict[str, Any]:
    """Put the rows that are left into the arrays and the lengths; return these as expressions."""
    for rows in kept:
        arrays |= rows.arrays()
        if rows.dim is not None:
            lengths[rows.dim] = rows.length
    check_masks(arrays)
    return resized_lengths(owner, arrays, lengths)


def _note(
    kept: list[Kept],
    fresh: Mapping[SharedVariable, NewValues],
    whole_labels: Mapping[str | None, Labels | None],
) -> None:
    """Keep with the containers where their rows came from, and those that were left out."""
    for rows in kept:
        for variable, all_rows in rows.containers.items():
            rows.note(variable, all_rows, whole_labels.get(rows.dim))
    for variable, new in fresh.items():
        columns = columns_of(variable)
        if columns is not None:
            variable.tag.columns = replace(columns, source=new.source)


def _kept(owner: Any, fresh: Mapping[Any, NewValues]) -> list[Kept]:
    """Return which rows are left, of each dim in which some are left out, or were."""
    by_dim: dict[Any, dict[Any, AllRows]] = {}
    for variable, new in fresh.items():
        if not variable.type.ndim:
            continue
        dim = dims_of(owner, variable)[0]
        by_dim.setdefault(variable if dim is None else dim, {})[variable] = new.rows
    return [
        keep(owner, dim if isinstance(dim, str) else None, rows)
        for dim, rows in by_dim.items()
        if any(own.lacking.any() or rows_of(variable) for variable, own in rows.items())
        or (isinstance(dim, str) and whole_dim(owner, dim) is not None)
    ]


def _whole_labels(owner: Any, kept: list[Kept]) -> dict[str, Labels | None]:
    """Return the labels of the dims as they are, those of all rows where some are left out."""
    found: dict[str, Labels | None] = dict(owner.coords)
    for rows in kept:
        if rows.dim is not None and (whole := whole_dim(owner, rows.dim)) is not None:
            found[rows.dim] = whole.labels
    return found


def _leave_labels_out(
    kept: list[Kept], labels: dict[str, Labels], old_labels: Mapping[str, Labels | None]
) -> dict[str | None, Labels | None]:
    """Put the labels of the rows that are left into the new ones; return those of all rows."""
    whole: dict[str | None, Labels | None] = {
        dim: labels.get(dim, old) for dim, old in old_labels.items()
    }
    for rows in kept:
        if rows.dim is not None and (found := whole[rows.dim]) is not None:
            labels[rows.dim] = rows.labelled(found)
    return whole


def _exported_labels(owner: Any, fresh: Mapping[SharedVariable, NewValues]) -> dict[str, Labels]:
    """Return the labels that the indices of the new values give, one set for each dim."""
    exported: dict[str, Labels] = {}
    for variable, new in fresh.items():
        if not exports(variable):
            continue
        what = f"The index of `new_data[{variable.name!r}]`"
        by_axis = [
            None if index is None else read_labels(index, what) for index in new.table.labels
        ]
        for dim, labels in labels_by_dim(dims_of(owner, variable), by_axis).items():
            check_same_labels(dim, exported.setdefault(dim, labels), labels)
    return exported


def _agreed_lengths(owner: Any, arrays: ContainerArrays) -> dict[str, int]:
    """Return the new length of each dim of these containers, on which all containers agree."""
    sizes: dict[str, dict[str, int]] = {
        dim: {} for variable in arrays for dim in dims_of(owner, variable) if dim is not None
    }
    for variable in owner.root.data_vars:
        for axis, dim in enumerate(dims_of(owner, variable)):
            if dim in sizes:
                sizes[dim][variable.name] = _length(variable, axis, arrays)
    for dim, by_name in sizes.items():
        if len(set(by_name.values())) > 1:
            lengths = ", ".join(f"{size} in {name!r}" for name, size in by_name.items())
            raise ShapeError(
                f"Data containers that share the dim {dim!r} must agree in its length, "
                f"got {lengths}.\nHint: pass them in the same `set_data`."
            )
    return {dim: next(iter(by_name.values())) for dim, by_name in sizes.items()}


def _length(variable: Any, axis: int, arrays: ContainerArrays) -> int:
    if isinstance(variable, SharedVariable):
        return int(arrays.get(variable, variable.get_value(borrow=True)).shape[axis])
    return evaluate_length(variable.shape[axis], arrays)


def _new_labels(
    old_labels: Mapping[str, Labels | None],
    lengths: Mapping[str, int],
    given: dict[str, Labels],
    exported: dict[str, Labels],
) -> dict[str, Labels]:
    """Return the labels of the dims whose labels change."""
    for dim, labels in given.items():
        if dim not in lengths:
            raise ValueError(
                f"`coords` must label dims of the containers in `new_data`, which are "
                f"{tuple(lengths)}, got {dim!r}.\nHint: leave it out, or pass its container too."
            )
        if len(labels) != lengths[dim]:
            raise ShapeError(
                f"`coords[{dim!r}]` must fit the new length {lengths[dim]}, "
                f"got {len(labels)} labels.\n"
                "Hint: pass one label for each entry along the axis."
            )
    changed = exported | given
    for dim, length in lengths.items():
        old = old_labels[dim]
        if dim in changed or old is None or len(old) == length:
            continue
        if old != tuple(range(len(old))):
            raise ValueError(
                f"`coords` must give new labels for the dim {dim!r}, whose {len(old)} labels do "
                f"not fit the new length {length}.\n"
                f"Hint: pass `coords={{{dim!r}: labels}}` with {length} labels."
            )
        changed[dim] = tuple(range(length))
    return changed
