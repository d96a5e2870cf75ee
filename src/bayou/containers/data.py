"""Data containers: values that a model holds by name, with dims and coords, and can exchange.

The value is read first (`reading`), then the dims and labels of its axes; both are checked against
the model before a variable (`variables`) joins it, so that an error leaves the model as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import pymc as pm
import pytensor

from bayou.containers.context import model_of
from bayou.containers.reading.column_options import read_options
from bayou.containers.reading.container_dims import check_dim_names, read_axes, unused_name
from bayou.containers.reading.dropped_rows import all_rows_of_dim, not_droppable, select_rows
from bayou.containers.reading.labelled_array import (
    LabelledArray,
    is_sparse,
    read_sparse,
    to_array,
)
from bayou.containers.reading.new_columns import read_new_columns
from bayou.containers.sparse.sparse_container import sparse_container
from bayou.containers.variables.dims import resized_lengths, write_data
from bayou.containers.variables.imputation import check_masks, imputed_variable
from bayou.containers.variables.resident_rows import as_column, read_resident
from bayou.containers.variables.source_variable import source_variable
from bayou.errors import warn
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pytensor.tensor.sharedvar import TensorSharedVariable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.context import ModelLike
    from bayou.containers.reading.column_options import ColumnOptions
    from bayou.containers.reading.columns import MissingPolicy
    from bayou.containers.reading.container_dims import Axes
    from bayou.containers.reading.dropped_rows import RowSelection
    from bayou.containers.reading.new_columns import NewColumns
    from bayou.containers.variables.dims import ContainerArrays, Labels, LabelsLike
    from bayou.containers.variables.resident_rows import Resident


def Data(  # noqa: N802 - the name that PyMC3 and PyMC gave it
    name: str,
    value: object,
    *,
    columns: str | list[str] | tuple[str, ...] | None = None,
    dims: str | tuple[str | None, ...] | list[str | None] | None = None,
    coords: Mapping[str, LabelsLike] | None = None,
    categories: str | None = None,
    unknown: str | None = None,
    missing: MissingPolicy = "refuse",
    export_index_as_coords: bool = False,
    in_memory_size: int | None = None,
    model: ModelLike | None = None,
) -> TensorSharedVariable:
    """Add data to a model, as a variable whose value :func:`bayou.set_data` can replace.

    Parameters
    ----------
    name : str
        The name of the container. If the model has a name, that name becomes a prefix.
    value : array_like, frame, dataset, mapping of str to array_like, Column or Source
        Without `columns`: booleans, integers or floats of any shape, without missing values. With
        `columns`: anything that has named columns, such as a pandas, Polars or PyArrow table, an
        xarray dataset, a DuckDB relation, a dict of arrays, or a :func:`bayou.source`.

        Floats are cast to ``pytensor.config.floatX``; booleans and integers keep their dtype.
        (``pm.Data`` instead casts int64 to int32, and lists of integers to floats.) Columns of
        several dtypes are cast to one dtype that can hold all of their values; if there is none, an
        error is raised.

        A sparse matrix of SciPy, or a pandas frame of sparse columns, is never made dense: the
        container holds a ``csr_matrix``, and the cost of ``x @ b`` is proportional to the number of
        non-zeros. Sparse booleans become int8. Only a whole container can be sparse: columns of a
        source or of ``columns=`` are dense.
    columns : str or list of str, optional
        The columns of `value` to hold. One name gives a vector, of shape (rows,). A list gives a
        matrix, of shape (rows, columns), and the names become the coords of its second dim. New
        data are matched by these names: :func:`bayou.set_data` and :func:`bayou.predict` take the
        same columns from any table, in whatever order it has them. Dates become floats: the days
        since 1970-01-01 in UTC. Dates that a float cannot hold to the microsecond are an error.
        Durations become days as well. Times of day become the fraction of the day since midnight:
        an hour is 1/24. Decimals become the nearest float64, which keeps 15 digits, or int64 if
        their type has no digits after the point; larger numbers of such a type are an error.
    dims : str or tuple of (str or None), optional
        A name for each axis of the value; None for an axis without a name.
    coords : mapping of str to sequence, optional
        Labels for some of the `dims`, as many as the axis has entries. Labels may repeat; ``sel``
        on a result then returns all entries with the label.
    categories : str, optional
        For a column of text or categories: the name of the dim of its categories. The container
        holds their codes (int32): code k is the k-th label of that dim. The categories are those in
        the column's type (a pandas or Polars Categorical, an Enum, an Arrow dictionary), or else
        the distinct texts of the column in alphabetical order. Several containers may use the same
        dim: its labels come from the model's `coords` or from the first of these containers. Any
        other category in a later container is an error. Categories that are not text are converted
        by ``str``.
    unknown : str, optional
        Category assigned to values outside `categories`, here and in later `set_data` and `predict`
        calls. Added to the categories if missing. By default such values are an error. For missing
        values, see `missing`.
    missing : {"refuse", "impute", "drop"}, default "refuse"
        What to do about missing values (null, None, NaN, NaT, masked) in the columns.

        - "refuse": raise an error that lists the columns and rows.
        - "impute": each missing value becomes a free variable, as when PyMC gets NaN in
          `observed=`. The container holds NaN in its place. The container must be the `observed` of
          a distribution of floats and be used nowhere else. Not possible with `categories`.
        - "drop": leave out rows with missing values, here and in all containers with the same first
          dim, built before or after this one. All of them must be built with `columns` from data in
          memory.
    export_index_as_coords : bool, default False
        Whether to take coords from `value`: its index labels the first dim, and its column names
        the second. An axis that has no name in `dims` gets the name of its index. The index of new
        values in `set_data` replaces these labels.
    in_memory_size : int, optional
        For a source: the number of its rows to have in memory at a time, its *window*. By default
        all rows, if they take at most a quarter of the free memory. The container's
        ``update_shared()`` loads the next window. :func:`bayou.fit` with a `batch_size` reads all
        rows, whatever the window. Functions that need all rows at once, such as
        :func:`bayou.sample`, raise an error if only a window of them is in memory.
    model : pymc.Model or model of a library, optional
        The model to add the container to; by default the model of the context.

    Returns
    -------
    TensorSharedVariable
        The container, for use in expressions and as ``observed=``. Its ``get_value()`` is an array.

    Raises
    ------
    pymc.exceptions.ShapeError
        If `dims`, `coords` or the model's dims contradict the shape of the value.
    TypeError
        If there is no model, or the value holds something other than numbers, booleans and, in
        named columns, dates, durations, text and categories.
    ValueError
        If the value is ragged, has missing values or would be changed by the cast, if columns are
        missing or have unknown categories, if the name or a dim is in use, or if `coords` or the
        index contradict the coords of the model.

    See Also
    --------
    bayou.set_data : Replace the values.
    bayou.Minibatch : Random rows of data in each evaluation.

    Notes
    -----
    Modelled on the ``Data`` of PyMC3. A model with such containers needs no change to be fitted in
    minibatches: call ``bayou.fit(batch_size=512)``.

    Examples
    --------
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

    An index as coords:

    >>> import pandas as pd
    >>> distances = pd.Series([227.0, 1416.0], index=pd.Index(["UA1545", "UA1714"], name="flight"))
    >>> with pm.Model() as model:
    ...     distance = by.Data("distance", distances, export_index_as_coords=True)
    >>> model.named_vars_to_dims["distance"], model.coords["flight"]
    (('flight',), ('UA1545', 'UA1714'))
    """
    model = model_of(model)
    if not isinstance(model, pm.Model):
        raise TypeError(
            f"`model` must be a model that takes new variables, got {type_text(model)}.\n"
            "Hint: create data containers in the `pm.Model`, before it is frozen."
        )
    full_name = unused_name(model, name)
    options = read_options(full_name, columns, categories, unknown, missing)
    value_read = _read_value(model, value, options, in_memory_size)
    axes = read_axes(
        full_name,
        value_read.table,
        dims,
        coords,
        options.names if value_read.columns is not None and options.is_matrix else None,
        export_index=export_index_as_coords,
    )
    check_dim_names(model, full_name, [*axes.dims, categories])
    addition = _plan_addition(model, axes, value_read)

    variable = _variable(full_name, value_read, addition.selection)
    variable.tag.export_index_as_coords = export_index_as_coords
    if categories is not None and categories not in model.coords:
        model.add_coord(categories, variable.tag.columns.categories)
    old_dims = {dim: labels for dim, labels in addition.labels.items() if dim in model.coords}
    for axis, dim in enumerate(axes.dims):
        if dim is not None and dim not in model.coords:
            model.add_coord(dim, addition.labels.get(dim), length=variable.shape[axis])
    write_data(model, addition.arrays, old_dims, addition.lengths)
    # PyMC cannot copy a model in which a variable's dims are all None.
    model.register_data_var(variable, dims=axes.dims if any(axes.dims) else None)
    addition.record(variable, value_read)
    return variable


@dataclass(frozen=True, eq=False)
class _Value:
    """The value of a new container, read.

    Attributes
    ----------
    table : LabelledArray
        The values of all rows, with the index of each axis that has one.
    columns : NewColumns or None
        The named columns that they come from, if any.
    resident : Resident or None
        The rows of a source that they are, if any.
    """

    table: LabelledArray
    columns: NewColumns | None = None
    resident: Resident | None = None


def _read_value(
    model: pm.Model, value: object, options: ColumnOptions, in_memory_size: int | None
) -> _Value:
    name = options.container
    if options.names:
        _warn_of_sparse_columns(value, options)
        new = read_new_columns(model, value, options, in_memory_size)
        index = (new.labels,) + (None,) * (new.values.ndim - 1)
        return _Value(LabelledArray(new.values, index), new, new.resident)
    argument = f"`value` of data container {name!r}"
    column = as_column(value)
    if column is not None:
        resident = read_resident(column, in_memory_size, argument)
        table = LabelledArray(resident.array, (None,) * resident.array.ndim)
        return _Value(table, resident=resident)
    if in_memory_size is not None:
        raise ValueError(
            f"`in_memory_size` must come with a source, got {in_memory_size} for a "
            f"{type(value).__name__}.\nHint: leave it out; an array is in memory already."
        )
    if is_sparse(value):
        return _Value(read_sparse(value, argument))
    return _Value(to_array(value, argument))


def _warn_of_sparse_columns(value: object, options: ColumnOptions) -> None:
    """Warn of a matrix of named columns that are all sparse, since it is dense."""
    names = list(options.names)
    if (
        options.is_matrix
        and isinstance(value, pd.DataFrame)
        and set(names) <= set(value.columns)
        and is_sparse(value[names])
    ):
        warn(
            f"`columns` makes the {len(names)} sparse columns of data container "
            f"{options.container!r} dense.\n"
            f"Hint: pass the frame of these columns without `columns=`: by.Data("
            f"{options.container!r}, frame[columns]). It stays sparse."
        )


@dataclass(frozen=True, eq=False)
class _Addition:
    """The changes that a new container makes in its model: others of its dim may have to drop rows.

    Attributes
    ----------
    labels : dict of str to tuple
        The labels of dims, new ones or those of the remaining rows.
    arrays : dict of SharedVariable to ndarray
        The remaining rows of other containers.
    lengths : dict of str to TensorVariable
        The length expressions of dims that get other lengths.
    selection : RowSelection or None
        The rows that remain; None if none are dropped.
    all_labels : tuple or None
        The labels of all rows.
    """

    labels: dict[str, Labels]
    arrays: ContainerArrays = field(default_factory=dict)
    lengths: dict[str, TensorVariable] = field(default_factory=dict)
    selection: RowSelection | None = None
    all_labels: Labels | None = None

    def record(self, variable: TensorSharedVariable, value: _Value) -> None:
        """Note on the containers of the dim which rows are dropped."""
        if self.selection is not None and value.columns is not None:
            all_rows = {**self.selection.containers, variable: value.columns.rows}
            for container, rows in all_rows.items():
                self.selection.record(container, rows, self.all_labels)


def _plan_addition(model: pm.Model, axes: Axes, value: _Value) -> _Addition:
    """Return the changes that a new container makes, or raise if it does not fit the model."""
    dim, new = axes.first_dim, value.columns
    # Not None if containers of the dim have dropped rows already.
    all_rows = all_rows_of_dim(model, dim)
    if all_rows is not None and (new is None or new.resident is not None):
        raise not_droppable(str(dim), repr(axes.container))
    axes.check_model(model, all_rows)
    if new is None or not (all_rows is not None or new.rows.incomplete.any()):
        return _Addition(axes.labels)
    selection = select_rows(model, dim, {}, new.rows)
    if dim is None:
        return _Addition(axes.labels, selection=selection)
    labels = dict(axes.labels)
    old_labels = model.coords.get(dim) if all_rows is None else all_rows.labels
    all_labels = labels.get(dim, old_labels)
    if all_labels is not None:
        labels[dim] = selection.select_labels(all_labels)
    arrays = selection.arrays()
    check_masks(arrays)
    lengths = {}
    if dim in model.coords:
        lengths = resized_lengths(model, arrays, {dim: selection.num_rows})
    return _Addition(labels, arrays, lengths, selection, all_labels)


def _variable(name: str, value: _Value, selection: RowSelection | None) -> TensorSharedVariable:
    """Return the variable of a new container, with the rows that the model is to see."""

    def select[Number: np.generic](array: NDArray[Number]) -> NDArray[Number]:
        return array if selection is None else selection.select(array)

    array, new = select(value.table.array), value.columns
    mask = None
    if new is not None and new.columns.missing == "impute":
        mask = select(new.missing)
    variable: TensorSharedVariable
    if value.resident is not None:
        variable = source_variable(value.resident, name)
    elif mask is not None and mask.any():
        variable = imputed_variable(name, array, mask)
    elif is_sparse(array):
        variable = sparse_container(array.copy(), name)
    else:
        variable = pytensor.shared(array, name)
    if new is not None:
        variable.tag.columns = new.columns
    return variable
