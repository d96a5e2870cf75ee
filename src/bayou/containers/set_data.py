"""Exchanges the values of data containers, with their lengths and coords: all or none."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bayou.containers.data_change import plan_change
from bayou.containers.variables.dims import model_or_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pymc as pm

    from bayou.containers.variables.dims import ContainerArrays


def set_data(
    new_data: Any, model: pm.Model | None = None, *, coords: Mapping[str, Any] | None = None
) -> None:
    """Exchange the values of data containers, with their lengths and coords.

    All values are read and checked first: an error leaves the model as it was. Nothing is compiled
    again: what was compiled of the model runs on with values of any length.

    Parameters
    ----------
    new_data : mapping of str to (array_like or frame), or a frame, dataset or source
        The new values, in one of two forms.

        - A mapping of container names to values. A value has the rank of the old one and is cast to
          the container's dtype if that loses nothing. A container that was built from columns takes
          them from a frame.
        - A table: a frame, an xarray dataset, a :func:`bayou.source`, or a mapping of column names
          to values. It feeds all containers that were built with ``columns=``. Columns are matched
          by name, in any order, and other columns are ignored. Of the containers that share a first
          dim, a table feeds all or none; an error lists the columns that are missing.

        Text and categories become the codes of the container's categories, whatever their own
        order. Values outside them become the container's ``unknown`` category, else they are an
        error. Missing values are treated as ``missing=`` said when the container was built.
    model : pymc.Model, optional
        The model that has the containers; by default that of the context.
    coords : mapping of str to sequence, optional
        New labels of dims of these containers, one for each row of the values. Without them, the
        index labels the dims of a container built with ``export_index_as_coords=True``. Otherwise
        labels stay if the length does, and are extended if they are 0, 1, 2, ...; other labels
        must be given anew. Labels may repeat, as in :func:`bayou.Data`.

    Raises
    ------
    pymc.exceptions.ShapeError
        If a value has another rank, if containers that share a dim would differ in its length, if
        the number of labels is not that of the rows, or if a length is fixed.
    TypeError
        If there is no model, a name is not that of a data container, or a value or column is of
        another kind than the container's.
    ValueError
        If a name is unknown, columns are missing, a value is ragged, has missing values that are
        not allowed, unknown categories, or would be changed by the cast, if other entries are
        missing than those that the model imputes, or if `coords` lack a dim or name one that none
        of these containers has.

    See Also
    --------
    bayou.Data : The container.
    bayou.predict : Predictions for new rows, without changing the model.

    Notes
    -----
    The signature is that of ``pymc.set_data``.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "b", "c"]})
    ...     by.set_data({"x": [4, 5]}, coords={"row": ["d", "e"]})
    >>> x.get_value(), model.coords["row"]
    (array([4., 5.]), ('d', 'e'))

    A table feeds the containers that were built from columns, by the names of these:

    >>> with pm.Model() as model:
    ...     late = by.Data("late", {"hour": [5, 6], "late": [0, 1]}, columns="late", dims="row")
    ...     hour = by.Data("hour", {"hour": [5, 6]}, columns="hour", dims="row")
    ...     by.set_data({"late": [1, 1, 0], "hour": [7, 8, 9], "month": [1, 2, 3]})
    >>> late.get_value(), hour.get_value()
    (array([1, 1, 0]), array([7, 8, 9]))
    """
    model = model_or_context(model)
    plan_change(model, new_data, coords).apply(model)


@contextmanager
def temporary_values(arrays: ContainerArrays) -> Iterator[None]:
    """Set the values of shared variables within a with block, and restore them at its end."""
    old_arrays = {variable: variable.get_value(borrow=True) for variable in arrays}
    try:
        for variable, array in arrays.items():
            variable.set_value(array, borrow=True)
        yield
    finally:
        for variable, array in old_arrays.items():
            variable.set_value(array, borrow=True)
