"""Data containers: values that a model holds by name, with dims and coords, and can exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.dims import (
    dims_of,
    evaluate_length,
    length_of,
    read_coords,
    read_labels,
    refuse_other_labels,
    write,
)
from bayou.containers.labelled import LabelledArray, to_array
from bayou.containers.resident import as_column, hold, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.containers.dims import Arrays, Dims, Labels

RESERVED_DIMS = ("chain", "draw", "__sample__")


def Data(  # noqa: N802 - the name that PyMC3 and PyMC gave it
    name: str,
    value: Any,
    *,
    dims: str | tuple[str | None, ...] | list[str | None] | None = None,
    coords: Mapping[str, Any] | None = None,
    export_index_as_coords: bool = False,
    in_memory_size: int | None = None,
    model: Any = None,
) -> TensorSharedVariable:
    """Register a value in a model, as a shared variable that `set_data` can change.

    Floats are cast to ``floatX``; booleans and integers keep their dtype, where ``pm.Data`` turns
    lists into floats and int64 into int32.

    Parameters
    ----------
    name : str
        The container's name in the model, prefixed in a model that has a name itself.
    value : array_like, pandas.Series, pandas.DataFrame, Column or Source
        Booleans, integers or floats of any shape, without missing values. The columns of a frame
        are cast to one dtype, where that is exact. Of a source, a field or several as a matrix.
    dims : str or tuple of (str or None), optional
        A name for each axis of `value`; None leaves an axis without one.
    coords : mapping of str to sequence, optional
        Labels of some of the `dims`, each as long as its axis.
    export_index_as_coords : bool, default False
        Whether the index of `value` becomes the coords of its first dim, and the columns those of
        the second. An axis that `dims` does not name gets the name of its index as its dim. The
        index of a value that `set_data` brings later replaces the coords.
    in_memory_size : int, optional
        Of a source, the number of rows to hold; by default all if they take a quarter of the free
        memory at most. The container's ``update_shared()`` goes on to the next ones. What needs
        all rows at once, such as `sample`, refuses a container that holds a part of them; `fit`
        goes through all rows with a ``batch_size``.
    model : pymc.Model, optional
        The model that holds the container; by default that of the context.

    Returns
    -------
    TensorSharedVariable
        The container, for use in expressions and as ``observed=``.

    Raises
    ------
    pymc.exceptions.ShapeError
        If `dims`, `coords` or the model's dims contradict the shape of `value`.
    TypeError
        If there is no model, or `value` holds anything else than numbers and booleans.
    ValueError
        If `value` is ragged, has missing values or loses some by the cast, if the name or a dim is
        taken, or if `coords` or the index contradict the coords that the model has.

    Notes
    -----
    After PyMC3's ``Data``.

    Examples
    --------
    >>> import pandas as pd
    >>> flights = pd.Series([227.0, 1416.0], index=pd.Index(["UA1545", "UA1714"], name="flight"))
    >>> with pm.Model() as model:
    ...     distance = by.Data("distance", flights, export_index_as_coords=True)
    >>> model.named_vars_to_dims["distance"], model.coords["flight"]
    (('flight',), ('UA1545', 'UA1714'))
    """
    owner = _model_of_context(model)
    if not isinstance(owner, pm.Model):
        raise TypeError(
            f"`model` must be a model that takes new variables, got a {type(owner).__name__}.\n"
            "Hint: create data containers in the `pm.Model`, before it is frozen."
        )
    full_name = _unused_name(owner, name)
    what = f"`value` of data container {full_name!r}"
    column = as_column(value)
    if column is None:
        if in_memory_size is not None:
            raise ValueError(
                f"`in_memory_size` must come with a source, got {in_memory_size} for a "
                f"{type(value).__name__}.\nHint: leave it out; an array is in memory already."
            )
        table = to_array(value, what)
    else:
        resident = load(column, in_memory_size, what)
        table = LabelledArray(resident.array, (None,) * resident.array.ndim)
    shape = table.array.shape
    axis_dims = _read_dims(full_name, shape, dims)
    labels: dict[str, Labels] = {}
    if export_index_as_coords:
        labels_by_axis = _index_labels(full_name, table)
        axis_dims = _named_by_index(full_name, table, axis_dims, explicit=dims is not None)
        labels = _by_dim(axis_dims, labels_by_axis)
    named = [dim for dim in axis_dims if dim is not None]
    if len(set(named)) < len(named):
        raise ValueError(
            f"`dims` of data container {full_name!r} must differ, got {axis_dims}.\n"
            "Hint: give each axis a dim of its own, such as 'row' and 'column'."
        )
    labels |= _labels_given(full_name, shape, axis_dims, coords, labels)
    _refuse_conflicts(owner, full_name, shape, axis_dims, labels)

    variable: TensorSharedVariable = (
        pytensor.shared(table.array, full_name) if column is None else hold(resident, full_name)
    )
    variable.tag.export_index_as_coords = export_index_as_coords
    known = {dim: labels[dim] for dim in labels if dim in owner.coords}
    for axis, dim in enumerate(axis_dims):
        if dim is not None and dim not in owner.coords:
            owner.add_coord(dim, labels.get(dim), length=variable.shape[axis])
    write(owner, {}, known, {})
    # PyMC cannot copy a model in which a dim is None, so nothing is said where nothing is named.
    owner.register_data_var(variable, dims=axis_dims if named else None)
    return variable


def set_data(
    new_data: Mapping[str, Any], *, coords: Mapping[str, Any] | None = None, model: Any = None
) -> None:
    """Exchange the values of data containers, with their lengths and coords, all or none.

    Nothing is compiled again: a model with new values of the same rank runs on.

    Parameters
    ----------
    new_data : mapping of str to (array_like, pandas.Series or pandas.DataFrame)
        New values by the names of containers, made by `Data` or ``pm.Data``. A value has the rank
        of the old one and is cast to the container's dtype, where that is exact.
    coords : mapping of str to sequence, optional
        New labels of dims of these containers. Without them, the index of a container that
        exports its index gives the labels; else the old ones stay if the length does, and are
        counted on if they only count from 0.
    model : pymc.Model, optional
        The model that holds the containers; by default that of the context.

    Raises
    ------
    pymc.exceptions.ShapeError
        If a value has another rank, if containers that share a dim would differ in its length, if
        the new labels are not as many as the rows, or if a length is fixed.
    TypeError
        If there is no model, a name is not that of a data container, or a value holds anything
        else than numbers and booleans.
    ValueError
        If a name is unknown, if a value is ragged, has missing values or loses some by the cast,
        or if `coords` are missing or name no dim of these containers.

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
    """
    owner = _model_of_context(model)
    if not isinstance(new_data, Mapping):
        raise TypeError(
            f"`new_data` must map names to values, got a {type(new_data).__name__}.\n"
            "Hint: call `set_data({'x': values})`."
        )
    given = read_coords(coords)
    tables: dict[SharedVariable, LabelledArray] = {}
    for name, value in new_data.items():
        variable = _container(owner, name)
        if variable in tables:
            raise ValueError(
                f"`new_data` must name a container once, got {variable.name!r} twice.\n"
                "Hint: name it with or without the model's prefix, not both."
            )
        tables[variable] = _read_new_value(owner, variable, value, given)
    arrays: Arrays = {variable: table.array for variable, table in tables.items()}
    new_lengths = _agreed_lengths(owner, arrays)
    labels = _new_labels(owner, new_lengths, given, _exported_labels(owner, tables))
    lengths = {dim: length_of(owner, dim) for dim in new_lengths}
    for dim, length in lengths.items():
        if isinstance(length, SharedVariable) and length not in arrays:
            arrays[length] = np.array(new_lengths[dim], dtype=length.type.dtype)
        elif (fixed := evaluate_length(length, arrays)) != new_lengths[dim]:
            raise ShapeError(
                f"The dim {dim!r} has the fixed length {fixed}, "
                f"got values of length {new_lengths[dim]}.\n"
                "Hint: let a data container or the model's `coords` bring the dim in."
            )
    write(owner, arrays, labels, lengths)


def _model_of_context(model: Any) -> Any:
    try:
        return pm.modelcontext(model)
    except TypeError:
        raise TypeError(
            "`model` must be given outside of a model's context, got None.\n"
            "Hint: write the call inside `with pm.Model() as model:`, or pass `model=model`."
        ) from None


def _unused_name(owner: Any, name: str) -> str:
    """Return the name with the model's prefix, which nothing in the model has yet."""
    if not isinstance(name, str):
        raise TypeError(
            f"`name` must be a string, got a {type(name).__name__}.\n"
            "Hint: the name comes first: `Data('x', values)`."
        )
    full_name: str = owner.name_for(name)
    for taken, noun in ((owner.root.named_vars, "variable"), (owner.coords, "dim")):
        if full_name in taken:
            raise ValueError(
                f"`name` must be new to the model, got {full_name!r}, the name of a {noun}.\n"
                "Hint: choose another name, or change the values with `set_data`."
            )
    return full_name


def _read_dims(
    name: str, shape: tuple[int, ...], dims: str | tuple[str | None, ...] | list[str | None] | None
) -> Dims:
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


def _index_labels(name: str, table: LabelledArray) -> list[Labels]:
    """Return the labels of each axis of a value that must have an index."""
    indices = [index for index in table.labels if index is not None]
    if not indices:
        raise TypeError(
            "`export_index_as_coords` needs a value with an index, got an array for data "
            f"container {name!r}.\nHint: pass a pandas Series or DataFrame, or use `coords=`."
        )
    return [read_labels(index, f"The index of data container {name!r}") for index in indices]


def _named_by_index(name: str, table: LabelledArray, dims: Dims, *, explicit: bool) -> Dims:
    """Return the dims, the name of an axis's index standing in for one that is missing."""
    names = [index.name for index in table.labels if index is not None]
    axis_dims = tuple(
        dim if dim is not None or not isinstance(own, str) else own
        for dim, own in zip(dims, names, strict=True)
    )
    if not any(axis_dims) or (None in axis_dims and not explicit):
        axis = ("index", "columns")[axis_dims.index(None)]
        raise ValueError(
            f"`export_index_as_coords` needs dims, got none for the {axis} of data container "
            f"{name!r}, which has no name either.\n"
            f"Hint: pass `dims=`, or name it with `.rename_axis({axis}='row')`."
        )
    return axis_dims


def _by_dim(dims: Dims, labels_by_axis: Iterable[Labels | None]) -> dict[str, Labels]:
    pairs = zip(dims, labels_by_axis, strict=True)
    return {dim: labels for dim, labels in pairs if dim is not None and labels is not None}


def _labels_given(
    name: str,
    shape: tuple[int, ...],
    dims: Dims,
    coords: Mapping[str, Any] | None,
    exported: Mapping[str, Labels],
) -> dict[str, Labels]:
    """Return the labels that the argument `coords` gives, which fit the value and its index."""
    given = read_coords(coords)
    for dim, labels in given.items():
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
        refuse_other_labels(dim, labels, exported.get(dim, labels))
    return given


def _refuse_conflicts(
    owner: Any, name: str, shape: tuple[int, ...], dims: Dims, labels: Mapping[str, Labels]
) -> None:
    """Refuse dims that contradict what the model has."""
    for dim, size in zip(dims, shape, strict=True):
        if dim is None:
            continue
        if dim == name or dim in RESERVED_DIMS or dim in owner.root.named_vars:
            raise ValueError(
                f"`dims` of data container {name!r} must not be the names of variables, nor any "
                f"of {', '.join(RESERVED_DIMS)}, got {dim!r}.\n"
                "Hint: choose another name for the dim."
            )
        if dim not in owner.coords:
            continue
        length = evaluate_length(length_of(owner, dim), {})
        if length != size:
            raise ShapeError(
                f"The dim {dim!r} has length {length} in the model, got a value of shape {shape} "
                f"for data container {name!r}.\n"
                "Hint: pass values of that length, or use another dim."
            )
        if dim in labels and owner.coords[dim] is not None:
            refuse_other_labels(dim, owner.coords[dim], labels[dim])


def _container(owner: Any, name: str) -> SharedVariable:
    """Return the data container of that name, found as ``model[name]`` finds it."""
    try:
        variable = owner[name]
    except (KeyError, ValueError, AttributeError):
        names = ", ".join(repr(variable.name) for variable in owner.data_vars)
        raise ValueError(
            f"`new_data` must name data containers of the model, got {name!r}.\n"
            f"Hint: the model has {names or 'none; create one with `Data`'}."
        ) from None
    if variable in owner.data_vars and isinstance(variable, SharedVariable):
        return variable
    kinds = {
        "free_RVs": "free random variable",
        "observed_RVs": "observed random variable",
        "deterministics": "deterministic",
        "potentials": "potential",
    }
    kind = next((noun for group, noun in kinds.items() if variable in getattr(owner, group)), None)
    raise TypeError(
        f"`new_data` must name data containers, got {name!r}, a "
        f"{kind or type(variable).__name__}.\n"
        "Hint: put values that change into the model with `Data`."
    )


def _read_new_value(
    owner: Any, variable: SharedVariable, value: Any, given: Mapping[str, Labels]
) -> LabelledArray:
    """Read the new value of a container: of its dtype, rank and static shape."""
    what = f"`new_data[{variable.name!r}]`"
    static = variable.type.shape
    if isinstance(value, pd.DataFrame) and _exports(variable) and len(static) == 2:
        value = _columns_in_order(owner, dims_of(owner, variable)[1], value, given)
    table = to_array(value, what, variable.type.dtype)
    shape = table.array.shape
    if len(shape) != len(static):
        raise ShapeError(
            f"{what} must have {len(static)} axes like its container, "
            f"got a value of shape {shape}.\n"
            "Hint: a container keeps its rank; create another one for values of another rank."
        )
    if any(fixed not in (None, size) for fixed, size in zip(static, shape, strict=True)):
        raise ShapeError(
            f"{what} must fit the static shape {static} of its container, "
            f"got a value of shape {shape}.\n"
            "Hint: create the container without a static shape to resize it."
        )
    return table


def _columns_in_order(
    owner: Any, dim: str | None, frame: pd.DataFrame, given: Mapping[str, Labels]
) -> pd.DataFrame:
    """Put columns back in the order of the coords, where nothing but their order differs."""
    labels = None if dim is None or dim in given else owner.coords[dim]
    if labels is None or len(labels) != len(frame.columns) or set(labels) != set(frame.columns):
        return frame
    return frame.loc[:, list(labels)]


def _exports(variable: SharedVariable) -> bool:
    return bool(getattr(variable.tag, "export_index_as_coords", False))


def _exported_labels(
    owner: Any, tables: Mapping[SharedVariable, LabelledArray]
) -> dict[str, Labels]:
    """Return the labels that the indices of the new values give, one set for each dim."""
    exported: dict[str, Labels] = {}
    for variable, table in tables.items():
        if not _exports(variable):
            continue
        what = f"The index of `new_data[{variable.name!r}]`"
        by_axis = [None if index is None else read_labels(index, what) for index in table.labels]
        for dim, labels in _by_dim(dims_of(owner, variable), by_axis).items():
            refuse_other_labels(dim, exported.setdefault(dim, labels), labels)
    return exported


def _agreed_lengths(owner: Any, arrays: Arrays) -> dict[str, int]:
    """Return the new length of each dim of these containers, on which all containers agree."""
    sizes: dict[str, dict[str, int]] = {
        dim: {} for variable in arrays for dim in dims_of(owner, variable) if dim is not None
    }
    for variable in owner.root.data_vars:
        for axis, dim in enumerate(dims_of(owner, variable)):
            if dim in sizes:
                sizes[dim][variable.name] = evaluate_length(variable.shape[axis], arrays)
    for dim, by_name in sizes.items():
        if len(set(by_name.values())) > 1:
            lengths = ", ".join(f"{size} in {name!r}" for name, size in by_name.items())
            raise ShapeError(
                f"Data containers that share the dim {dim!r} must agree in its length, "
                f"got {lengths}.\nHint: pass them in the same `set_data`."
            )
    return {dim: next(iter(by_name.values())) for dim, by_name in sizes.items()}


def _new_labels(
    owner: Any,
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
        old = owner.coords[dim]
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
