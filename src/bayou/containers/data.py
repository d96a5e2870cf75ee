"""Data containers: values that a model holds by name, with dims and coords, and can exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pymc as pm
import pytensor
from pymc.exceptions import ShapeError

from bayou.containers.reading.dropped_rows import keep, refuse_unnamed, whole_dim
from bayou.containers.reading.labelled_array import LabelledArray, to_array
from bayou.containers.reading.new_columns import read_new, read_options
from bayou.containers.variables.dims import (
    check_same_labels,
    evaluate_length,
    labels_by_dim,
    length_of,
    model_or_context,
    read_coords,
    read_labels,
    resized_lengths,
    write_data,
)
from bayou.containers.variables.imputation import check_masks, imputed_variable
from bayou.containers.variables.resident_rows import as_column, read_resident
from bayou.containers.variables.source_variable import source_variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.containers.reading.dropped_rows import AllRows, Kept
    from bayou.containers.reading.new_columns import NewColumns
    from bayou.containers.variables.dims import ContainerArrays, Dims, Labels
    from bayou.containers.variables.resident_rows import Resident

RESERVED_DIMS = ("chain", "draw", "__sample__")


def Data(  # noqa: N802 - the name that PyMC3 and PyMC gave it
    name: str,
    value: Any,
    *,
    columns: str | list[str] | tuple[str, ...] | None = None,
    dims: str | tuple[str | None, ...] | list[str | None] | None = None,
    coords: Mapping[str, Any] | None = None,
    categories: str | None = None,
    unknown: str | None = None,
    missing: Literal["refuse", "impute", "drop"] = "refuse",
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
    value : array_like, frame, dataset, mapping of str to array_like, Column or Source
        Booleans, integers or floats of any shape, without missing values. The columns of a pandas
        frame are cast to one dtype, where that is exact. Of a source, a field or several as a
        matrix. With `columns`, anything that has named ones: what :func:`bayou.source` takes.
    columns : str or list of str, optional
        Which columns of `value` to hold, and to take again from the data that `set_data` brings: a
        name for a vector, a list for a matrix, whose last dim gets the names as coords. Booleans
        stay booleans. Dates become days since 1970-01-01 in UTC, as floats, where these are exact
        to a microsecond.
    dims : str or tuple of (str or None), optional
        A name for each axis of `value`; None leaves an axis without one.
    coords : mapping of str to sequence, optional
        Labels of some of the `dims`, each as long as its axis. As in pandas and xarray, labels may
        come twice: `sel` of a result then gives all entries that have the label.
    categories : str, optional
        The dim of the categories of a column of text or categories (a pandas or Polars
        Categorical, an Enum, an Arrow dictionary), which is held as their codes (int32). Its
        coords are what the codes stand for: the categories that the column has, or the texts in
        their order. Containers may share such a dim: the first, or the model's `coords`, decides
        its categories, and the others must have no more than these. Categories that are no text
        become it, by ``str``: 1 and 1.0 are two, and an interval is "(0, 1]".
    unknown : str, optional
        The category that all become that are not among them, now or in new data; it joins them if
        it is none of them. By default unknown categories are an error. What is missing is not
        unknown: fill such a column in with this category first, or drop its rows.
    missing : {"refuse", "impute", "drop"}, default "refuse"
        What to do with missing values in the columns: null, None, NaN, NaT and masked are one
        thing. "impute" hands them to PyMC's imputation, for a container that is observed, under a
        likelihood of floats, and taken by nothing else: it holds floats then, NaN for them. It does
        not go with `categories`. "drop" leaves out their rows, in all containers of the first
        dim, made before or after, all of which must be built from columns that are in memory.
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
        If there is no model, or `value` holds anything else than numbers and booleans, or in named
        columns dates, text and categories.
    ValueError
        If `value` is ragged, has missing values or loses some by the cast, if it lacks columns or
        has unknown categories, if the name or a dim is taken, or if `coords` or the index
        contradict the coords that the model has.

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

    Columns by name, and text as codes:

    >>> flights = {"hour": [5, 6], "distance": [227.0, 1416.0], "carrier": ["UA", "AA"]}
    >>> with pm.Model() as model:
    ...     x = by.Data("x", flights, columns=["distance", "hour"], dims=("flight", "feature"))
    ...     carrier = by.Data(
    ...         "carrier", flights, columns="carrier", dims="flight", categories="carriers"
    ...     )
    >>> x.get_value(), carrier.get_value(), model.coords["carriers"]
    (array([[ 227.,    5.],
           [1416.,    6.]]), array([1, 0], dtype=int32), ('AA', 'UA'))
    """
    owner = model_or_context(model)
    if not isinstance(owner, pm.Model):
        raise TypeError(
            f"`model` must be a model that takes new variables, got a {type(owner).__name__}.\n"
            "Hint: create data containers in the `pm.Model`, before it is frozen."
        )
    full_name = _unused_name(owner, name)
    options = read_options(full_name, columns, categories, unknown, missing)
    new = None
    if columns is None:
        table, resident = _read_unnamed(full_name, value, in_memory_size)
    else:
        new = read_new(owner, full_name, value, options, in_memory_size)
        resident = new.resident
        table = LabelledArray(new.values, (new.labels,) + (None,) * (new.values.ndim - 1))
    shape = table.array.shape
    axis_dims = _read_dims(full_name, shape, dims)
    labels = {} if new is None else new.feature_labels(axis_dims)
    if export_index_as_coords:
        exported = _index_labels(full_name, table)
        axis_dims = _named_by_index(full_name, table, axis_dims, explicit=dims is not None)
        labels |= labels_by_dim(axis_dims, exported)
    named = [dim for dim in axis_dims if dim is not None]
    _refuse_taken(owner, full_name, [*named, *([] if categories is None else [categories])])
    labels |= _labels_given(full_name, shape, axis_dims, coords, labels)
    change = _change(owner, full_name, shape, axis_dims, labels, new)

    variable = _variable(full_name, table, new, resident, change.kept)
    variable.tag.export_index_as_coords = export_index_as_coords
    if categories is not None and categories not in owner.coords:
        owner.add_coord(categories, variable.tag.columns.categories)
    known = {dim: change.labels[dim] for dim in change.labels if dim in owner.coords}
    for axis, dim in enumerate(axis_dims):
        if dim is not None and dim not in owner.coords:
            owner.add_coord(dim, change.labels.get(dim), length=variable.shape[axis])
    write_data(owner, change.arrays, known, change.lengths)
    # PyMC cannot copy a model in which a dim is None, so nothing is said where nothing is named.
    owner.register_data_var(variable, dims=axis_dims if named else None)
    change.note(variable, new)
    return variable


@dataclass(frozen=True)
class _Change:
    """What a new container changes in the model: others of its dim leave out rows with it."""

    arrays: ContainerArrays
    labels: dict[str, Labels]
    lengths: dict[str, Any]
    kept: Kept | None = None
    whole_labels: Labels | None = None

    def note(self, variable: Any, new: NewColumns | None) -> None:
        """Keep all rows with the containers, where some are left out."""
        if self.kept is not None and new is not None:
            for container, rows in {**self.kept.containers, variable: new.rows}.items():
                self.kept.note(container, rows, self.whole_labels)


def _change(
    owner: Any,
    name: str,
    shape: tuple[int, ...],
    dims: Dims,
    labels: dict[str, Labels],
    new: NewColumns | None,
) -> _Change:
    """Return what a new container changes, or refuse one that the model does not take."""
    dim = dims[0] if dims else None
    whole = whole_dim(owner, dim)
    if whole is not None and (new is None or new.resident is not None):
        refuse_unnamed(str(dim), repr(name))
    _refuse_conflicts(owner, name, shape, dims, labels, whole)
    if new is None or not (whole is not None or new.rows.lacking.any()):
        return _Change({}, labels, {})
    kept = keep(owner, dim, {}, new.rows)
    if dim is None:
        return _Change({}, labels, {}, kept)
    old = owner.coords.get(dim) if whole is None else whole.labels
    whole_labels = labels.get(dim, old)
    if whole_labels is not None:
        labels = {**labels, dim: kept.labelled(whole_labels)}
    arrays = kept.arrays()
    check_masks(arrays)
    lengths = resized_lengths(owner, arrays, {dim: kept.length}) if dim in owner.coords else {}
    return _Change(arrays, labels, lengths, kept, whole_labels)


def _read_unnamed(
    name: str, value: Any, in_memory_size: int | None
) -> tuple[LabelledArray, Resident | None]:
    """Read a value without named columns, or a column of a source."""
    what = f"`value` of data container {name!r}"
    column = as_column(value)
    if column is not None:
        resident = read_resident(column, in_memory_size, what)
        return LabelledArray(resident.array, (None,) * resident.array.ndim), resident
    if in_memory_size is not None:
        raise ValueError(
            f"`in_memory_size` must come with a source, got {in_memory_size} for a "
            f"{type(value).__name__}.\nHint: leave it out; an array is in memory already."
        )
    return to_array(value, what), None


def _variable(
    name: str,
    table: LabelledArray,
    new: NewColumns | None,
    resident: Resident | None,
    kept: Kept | None,
) -> TensorSharedVariable:
    array = table.array if kept is None else kept.of(table.array)
    variable: TensorSharedVariable
    mask = None
    if new is not None and new.columns.missing == "impute":
        mask = new.missing if kept is None else kept.of(new.missing)
    if resident is not None:
        variable = source_variable(resident, name)
    elif mask is not None and mask.any():
        variable = imputed_variable(name, array, mask)
    else:
        variable = pytensor.shared(array, name)
    if new is not None:
        variable.tag.columns = new.columns
    return variable


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


def _index_labels(name: str, table: LabelledArray) -> list[Labels | None]:
    """Return the labels of each axis of a value that must have an index."""
    if not table.labels or table.labels[0] is None:
        raise TypeError(
            "`export_index_as_coords` needs a value with an index, got an array for data "
            f"container {name!r}.\nHint: pass a pandas Series or DataFrame, or use `coords=`."
        )
    what = f"The index of data container {name!r}"
    return [None if index is None else read_labels(index, what) for index in table.labels]


def _named_by_index(name: str, table: LabelledArray, dims: Dims, *, explicit: bool) -> Dims:
    """Return the dims, the name of an axis's index standing in for one that is missing."""
    names = [None if index is None else index.name for index in table.labels]
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
        check_same_labels(dim, labels, exported.get(dim, labels))
    return given


def _refuse_taken(owner: Any, name: str, dims: Sequence[str]) -> None:
    """Refuse dims that have the name of something else, or come twice."""
    for dim in dims:
        if dim == name or dim in RESERVED_DIMS or dim in owner.root.named_vars:
            raise ValueError(
                f"`dims` of data container {name!r} must not be the names of variables, nor any "
                f"of {', '.join(RESERVED_DIMS)}, got {dim!r}.\n"
                "Hint: choose another name for the dim."
            )
    if len(set(dims)) < len(dims):
        raise ValueError(
            f"`dims` of data container {name!r} must differ, got {tuple(dims)}.\n"
            "Hint: give each axis a dim of its own, such as 'row' and 'column'."
        )


def _refuse_conflicts(
    owner: Any,
    name: str,
    shape: tuple[int, ...],
    dims: Dims,
    labels: Mapping[str, Labels],
    whole: AllRows | None,
) -> None:
    """Refuse dims that contradict what the model has; `whole`, where its first lost rows."""
    for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
        if dim is None or dim not in owner.coords:
            continue
        if axis == 0 and whole is not None:
            length, old = len(whole.values), whole.labels
        else:
            length, old = evaluate_length(length_of(owner, dim), {}), owner.coords[dim]
        if length != size:
            raise ShapeError(
                f"The dim {dim!r} has length {length} in the model, got a value of shape {shape} "
                f"for data container {name!r}.\n"
                "Hint: pass values of that length, or use another dim."
            )
        if dim in labels and old is not None:
            check_same_labels(dim, old, labels[dim])
