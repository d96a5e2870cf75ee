"""Exchanges the values of data containers, with their lengths and coords: all, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.dims import (
    by_dim,
    dims_of,
    evaluate_length,
    model_of_context,
    read_coords,
    read_labels,
    refuse_other_labels,
    resize,
    write,
)
from bayou.containers.labelled import LabelledArray, to_array

if TYPE_CHECKING:
    from bayou.containers.dims import Arrays, Labels


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
    owner = model_of_context(model)
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
    lengths = resize(owner, arrays, new_lengths)
    write(owner, arrays, labels, lengths)


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
        for dim, labels in by_dim(dims_of(owner, variable), by_axis).items():
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
