"""Exchanges the values of data containers, with their lengths and coords: all or none."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bayou.containers.context import model_of
from bayou.containers.data_access import changing_data
from bayou.containers.data_change import plan_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bayou.containers.context import ModelLike
    from bayou.containers.variables.dims import ContainerArrays, LabelsLike


def set_data(
    new_data: object,
    model: ModelLike | None = None,
    *,
    coords: Mapping[str, LabelsLike] | None = None,
) -> None:
    """Replace the values of data containers, which may have other lengths and coords.

    All values are read and checked first, so an error leaves the model unchanged. Functions that
    were compiled from the model stay valid, for values of any length.

    Parameters
    ----------
    new_data : mapping of str to (array_like or frame), or a frame, dataset or source
        The new values, in one of two forms.

        - A mapping of container names to values. A value must have the same number of axes as the
          old one, and is cast to the container's dtype if that loses nothing. If the container was
          built from columns, the value may be a frame that has them.
        - A table: a frame, an xarray dataset, a :func:`bayou.source`, or a mapping of column names
          to values. It has the new values of all containers that were built with ``columns=``.
          Columns are matched by name, in any order, and other columns are ignored. Containers that
          share a first dim are replaced together: if the table has columns for some of them only,
          an error lists the missing ones.

        Text and categories become codes of the container's categories, whatever the order of the
        categories in the new column. Values outside the container's categories become its
        ``unknown`` category; without one, they are an error. Missing values are treated according
        to the ``missing=`` with which the container was built.
    model : pymc.Model or model of a library, optional
        The model that has the containers; by default the model of the context.
    coords : mapping of str to sequence, optional
        New labels for dims of these containers, one for each entry along the dim. If left out,
        containers built with ``export_index_as_coords=True`` take them from the index of the
        values. Other containers keep their labels if the length stays the same. If it changes,
        labels 0, 1, 2, ... are extended or cut to the new length; any other labels must be passed
        here. Labels may repeat, as in :func:`bayou.Data`.

    Raises
    ------
    IndexError
        If whole numbers in a container index a variable of the model, and one is negative or beyond
        the end of the variable.
    pymc.exceptions.ShapeError
        If a value has another number of axes, if containers that share a dim would have different
        lengths along it, if the number of labels is not the number of rows, or if a length that is
        fixed would change.
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
    The signature is that of ``pymc.set_data``. While other threads fit, sample or predict with the
    model, the call waits until they are done.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "b", "c"]})
    ...     by.set_data({"x": [4, 5]}, coords={"row": ["d", "e"]})
    >>> x.get_value(), model.coords["row"]
    (array([4., 5.]), ('d', 'e'))

    A table replaces the values of all containers built from columns, matched by column name:

    >>> with pm.Model() as model:
    ...     late = by.Data("late", {"hour": [5, 6], "late": [0, 1]}, columns="late", dims="row")
    ...     hour = by.Data("hour", {"hour": [5, 6]}, columns="hour", dims="row")
    ...     by.set_data({"late": [1, 1, 0], "hour": [7, 8, 9], "month": [1, 2, 3]})
    >>> late.get_value(), hour.get_value()
    (array([1, 1, 0]), array([7, 8, 9]))
    """
    pymc_model = model_of(model)
    with changing_data(pymc_model.root.data_vars):
        plan_change(pymc_model, new_data, coords).apply(pymc_model)


@contextmanager
def temporary_values(arrays: ContainerArrays) -> Iterator[None]:
    """Set the values of shared variables within a with block, and restore them at its end."""
    with changing_data(arrays):
        old_arrays = {variable: variable.get_value(borrow=True) for variable in arrays}
        try:
            for variable, array in arrays.items():
                variable.set_value(array, borrow=True)
            yield
        finally:
            for variable, array in old_arrays.items():
                variable.set_value(array, borrow=True)
