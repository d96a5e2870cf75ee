"""The name of a new container, and the dims and labels of its axes: read, and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymc.exceptions import ShapeError

from bayou.containers.variables.dims import (
    check_same_labels,
    evaluate_length,
    labels_by_dim,
    length_of,
    read_coords,
    read_labels,
)
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayou.containers.reading.dropped_rows import AllRows
    from bayou.containers.reading.labelled_array import LabelledArray
    from bayou.containers.variables.dims import Dims, Labels, LabelsLike

# The dims of draws and of stacked draws in results.
RESERVED_DIMS = ("chain", "draw", "__sample__")


@dataclass(frozen=True)
class Axes:
    """The axes of a new container, before rows are dropped.

    Attributes
    ----------
    container : str
        The name of the container, for errors.
    shape : tuple of int
        The length of each axis.
    dims : tuple of (str or None)
        The dim of each axis.
    labels : dict of str to tuple
        The labels that the container brings for some of the dims.
    """

    container: str
    shape: tuple[int, ...]
    dims: Dims
    labels: dict[str, Labels]

    @property
    def first_dim(self) -> str | None:
        """The dim of the rows."""
        return self.dims[0] if self.dims else None

    def check_model(self, model: pm.Model, all_rows: AllRows | None) -> None:
        """Check that the model's dims have these lengths and labels.

        Parameters
        ----------
        model : pymc.Model
            The model that the container joins.
        all_rows : AllRows or None
            The rows of the first dim with those that are dropped, if some are.

        Raises
        ------
        pymc.exceptions.ShapeError
            If a dim has another length in the model.
        ValueError
            If it has other labels.
        """
        for axis, (dim, size) in enumerate(zip(self.dims, self.shape, strict=True)):
            if dim is None or dim not in model.coords:
                continue
            # The value has all of its rows, the dim of the model those that remain.
            if axis == 0 and all_rows is not None:
                length, labels = len(all_rows.values), all_rows.labels
            else:
                length, labels = evaluate_length(length_of(model, dim), {}), model.coords[dim]
            if length != size:
                raise ShapeError(
                    f"The dim {dim!r} has length {length} in the model, got a value of shape "
                    f"{self.shape} for data container {self.container!r}.\n"
                    "Hint: pass values of that length, or use another dim."
                )
            if dim in self.labels and labels is not None:
                check_same_labels(dim, labels, self.labels[dim])


def read_axes(
    name: str,
    table: LabelledArray,
    dims: str | Sequence[str | None] | None,
    coords: Mapping[str, LabelsLike] | None,
    feature_names: tuple[str, ...] | None,
    *,
    export_index: bool,
) -> Axes:
    """Return the dims and labels of a new container's axes.

    Parameters
    ----------
    name : str
        The name of the container, for errors.
    table : LabelledArray
        Its value, with the index of each axis that has one.
    dims, coords
        The arguments of :func:`bayou.Data`.
    feature_names : tuple of str or None
        The columns of a matrix: the labels of its second dim.
    export_index : bool
        Whether the index labels the dims, and names those that `dims` leaves out.

    Raises
    ------
    pymc.exceptions.ShapeError
        If dims or labels do not fit the shape of the value.
    TypeError
        If dims are no strings, or there is no index to export.
    ValueError
        If a dim is missing for an exported index, two dims are the same, or labels contradict each
        other.
    """
    shape = table.array.shape
    axis_dims = _read_dims(name, shape, dims)
    labels: dict[str, Labels] = {}
    if feature_names is not None and axis_dims[1] is not None:
        labels[axis_dims[1]] = feature_names
    if export_index:
        index_labels = _index_labels(name, table)
        axis_dims = _dims_with_index_names(name, table, axis_dims, is_explicit=dims is not None)
        labels |= labels_by_dim(axis_dims, index_labels)
    labels |= _coords_labels(name, shape, axis_dims, coords, labels)
    return Axes(name, shape, axis_dims, labels)


def unused_name(model: pm.Model, name: str) -> str:
    """Return the name of a new container, with the model's prefix.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If the model has a variable or a dim of that name, or it has a slash.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"`name` must be a string, got {type_text(name)}.\n"
            "Hint: the name comes first: `Data('x', values)`."
        )
    if "/" in name:
        raise ValueError(
            f"`name` must have no slash, got {name!r}: results are trees, whose paths have them.\n"
            f"Hint: write {name.replace('/', '_')!r}."
        )
    full_name: str = model.name_for(name)
    for names, noun in ((model.root.named_vars, "variable"), (model.coords, "dim")):
        if full_name in names:
            raise ValueError(
                f"`name` must be new to the model, got {full_name!r}, the name of a {noun}.\n"
                "Hint: choose another name, or change the values with `set_data`."
            )
    return full_name


def check_dim_names(model: pm.Model, name: str, dims: Sequence[str | None]) -> None:
    """Check that the dims of a new container can be dims of the model.

    Parameters
    ----------
    model : pymc.Model
        The model that the container joins.
    name : str
        The name of the container.
    dims : sequence of (str or None)
        The dims of its axes, and the dim of its categories.

    Raises
    ------
    ValueError
        If one is the name of a variable or reserved, or two are the same.
    """
    named = [dim for dim in dims if dim is not None]
    for dim in named:
        if dim == name or dim in RESERVED_DIMS or dim in model.root.named_vars:
            raise ValueError(
                f"`dims` of data container {name!r} must not be the names of variables, nor any "
                f"of {', '.join(RESERVED_DIMS)}, got {dim!r}.\n"
                "Hint: choose another name for the dim."
            )
    if len(set(named)) < len(named):
        raise ValueError(
            f"`dims` of data container {name!r} must differ, got {tuple(named)}.\n"
            "Hint: give each axis a dim of its own, such as 'row' and 'column'."
        )


def _read_dims(name: str, shape: tuple[int, ...], dims: str | Sequence[str | None] | None) -> Dims:
    if dims is None:
        return (None,) * len(shape)
    axis_dims = tuple(dims) if isinstance(dims, list | tuple) else (dims,)
    if not all(dim is None or isinstance(dim, str) for dim in axis_dims):
        raise TypeError(
            f"`dims` of data container {name!r} must be strings or None, got {axis_dims}.\n"
            "Hint: `dims` are names; the lengths come from the value."
        )
    if len(axis_dims) != len(shape):
        raise ShapeError(
            f"`dims` of data container {name!r} must name each axis of the value, "
            f"got {axis_dims} for a value of shape {shape}.\n"
            "Hint: write None for an axis without a name."
        )
    return axis_dims


def _index_labels(name: str, table: LabelledArray) -> list[Labels | None]:
    """Return the labels of each axis of a value that must have an index."""
    if not table.labels or table.labels[0] is None:
        raise TypeError(
            "`export_index_as_coords` needs a value with an index, got an array for data "
            f"container {name!r}.\nHint: pass a pandas Series or DataFrame, or use `coords=`."
        )
    subject = f"The index of data container {name!r}"
    return [None if index is None else read_labels(index, subject) for index in table.labels]


def _dims_with_index_names(
    name: str, table: LabelledArray, dims: Dims, *, is_explicit: bool
) -> Dims:
    """Return the dims, with the name of an axis's index for an axis without a dim."""
    # An index may be named by a number, which no dim can be.
    names = [None if index is None else index.name for index in table.labels]
    axis_dims = tuple(
        index_name if dim is None and isinstance(index_name, str) else dim
        for dim, index_name in zip(dims, names, strict=True)
    )
    if not any(axis_dims) or (None in axis_dims and not is_explicit):
        axis = ("index", "columns")[axis_dims.index(None)]
        raise ValueError(
            f"`export_index_as_coords` needs dims, got none for the {axis} of data container "
            f"{name!r}, which has no name either.\n"
            f"Hint: pass `dims=`, or name it with `.rename_axis({axis}='row')`."
        )
    return axis_dims


def _coords_labels(
    name: str,
    shape: tuple[int, ...],
    dims: Dims,
    coords: Mapping[str, LabelsLike] | None,
    other_labels: Mapping[str, Labels],
) -> dict[str, Labels]:
    """Return the labels in the argument `coords`, which fit the value and its index."""
    new_labels = read_coords(coords)
    for dim, labels in new_labels.items():
        if dim not in dims:
            raise ValueError(
                f"`coords` must label dims of data container {name!r}, which are {dims}, "
                f"got {dim!r}.\nHint: name the dim in `dims=`."
            )
        if len(labels) != shape[dims.index(dim)]:
            raise ShapeError(
                f"`coords[{dim!r}]` of data container {name!r} must fit the value of shape "
                f"{shape}, got {len(labels)} labels.\n"
                "Hint: pass one label for each entry along the axis."
            )
        check_same_labels(dim, labels, other_labels.get(dim, labels))
    return new_labels
