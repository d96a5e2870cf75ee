"""Data containers whose axes have names in expressions too, for models of ``pymc.dims``."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING

import xarray as xr

from bayou.containers.context import model_of
from bayou.containers.data import Data as PlainData
from bayou.containers.reading.labelled_array import is_sparse
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.named_dims import with_named_dims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.xtensor.type import XTensorVariable

    from bayou.containers.context import ModelLike
    from bayou.containers.reading.columns import MissingPolicy
    from bayou.containers.variables.dims import Dims, LabelsLike


def Data(  # noqa: N802 - the name that PyMC gave it
    name: str,
    value: object,
    *,
    columns: str | list[str] | tuple[str, ...] | None = None,
    dims: str | tuple[str, ...] | list[str] | None = None,
    coords: Mapping[str, LabelsLike] | None = None,
    categories: str | None = None,
    unknown: str | None = None,
    missing: MissingPolicy = "refuse",
    export_index_as_coords: bool = False,
    in_memory_size: int | None = None,
    model: ModelLike | None = None,
) -> XTensorVariable:
    """Add data to a model, as a variable of ``pymc.dims``: its axes are known by their names.

    It is the container that :func:`bayou.Data` makes, with names for its axes: columns, categories,
    sources and new data go with it alike. ``model[name]`` is that container, without the names in
    expressions; its ``get_value()`` is an array.

    Parameters
    ----------
    name : str
        The name of the container.
    value : array_like, frame, dataset, mapping of str to array_like, Column or Source
        As :func:`bayou.Data` takes it.
    columns : str or list of str, optional
        The columns of `value` to hold, by which new data are matched.
    dims : str or tuple of str
        A name for each axis. It may be left out for a value without axes, for an
        ``xarray.DataArray``, which has dims, and where the index of `value` gives the names.
    coords : mapping of str to sequence, optional
        Labels for some of the `dims`.
    categories : str, optional
        For a column of text or categories: the name of the dim of its categories. Their codes index
        a variable with that dim: ``effect.isel(carriers=carrier)``.
    unknown : str, optional
        Category assigned to values outside `categories`.
    missing : {"refuse", "drop"}, default "refuse"
        What to do about missing values in the columns: raise an error, or leave out their rows in
        all containers with the same first dim.
    export_index_as_coords : bool, default False
        Whether to take coords from the index of `value`.
    in_memory_size : int, optional
        For a source: the number of its rows to have in memory at a time.
    model : pymc.Model or an object that has one, optional
        The model to add the container to; by default the model of the context.

    Returns
    -------
    XTensorVariable
        For use in expressions of ``pymc.dims``, and as ``observed=``.

    Raises
    ------
    TypeError
        If the value is a sparse matrix, of which ``pymc.dims`` has none.
    ValueError
        If an axis has no name, if `dims` are not those of a ``DataArray``, or if missing values
        are to be imputed, which ``pymc.dims`` does not do. Other errors are those of
        :func:`bayou.Data`.

    See Also
    --------
    bayou.Data : The same for models of plain tensors, with all details of the arguments.

    Notes
    -----
    Modelled on ``pymc.dims.Data``. Unlike that one, it brings its dims into the model.

    Put the dim of the rows first in the container that is observed: :func:`bayou.predict` takes new
    rows along it, and so does :func:`bayou.fit` with a `batch_size` unless `batch_dim` names
    another. Results have the dims of the model, in an order that may be another one.

    Examples
    --------
    >>> import bayou.dims
    >>> import pymc.dims as pmd
    >>> flights = {"late": [1, 0, 1], "hour": [5, 6, 7], "carrier": ["UA", "AA", "UA"]}
    >>> with pm.Model() as model:
    ...     late = bayou.dims.Data("late", flights, columns="late", dims="flight")
    ...     carrier = bayou.dims.Data(
    ...         "carrier", flights, columns="carrier", dims="flight", categories="carriers"
    ...     )
    ...     effect = pmd.Normal("effect", dims="carriers")
    ...     arrival = pmd.Bernoulli("arrival", logit_p=effect.isel(carriers=carrier), observed=late)
    >>> arrival.dims, model.coords["carriers"]
    (('flight',), ('AA', 'UA'))
    """
    if missing == "impute":
        raise ValueError(
            "`missing` must be 'refuse' or 'drop' in a model of pymc.dims, which imputes nothing, "
            "got 'impute'.\n"
            "Hint: observe such values with bayou.Data and a distribution of pymc itself."
        )
    if columns is None and is_sparse(value):
        raise TypeError(
            f"`value` of data container {name!r} must be dense in a model of pymc.dims, got a "
            "sparse matrix.\n"
            "Hint: pass it to bayou.Data, and name the axes of its product with the coefficients, "
            "pymc.dims.as_xtensor(x @ b.values, dims='row')."
        )
    given = (dims,) if isinstance(dims, str) else dims
    named = _named_axes(name, value, given, export_index=export_index_as_coords)
    model = model_of(model)
    container = PlainData(
        name,
        value,
        columns=columns,
        dims=named,
        coords=coords,
        categories=categories,
        unknown=unknown,
        missing=missing,
        export_index_as_coords=export_index_as_coords,
        in_memory_size=in_memory_size,
        model=model,
    )
    return with_named_dims(container, tuple(map(str, dims_of(model, container))))


def _named_axes(
    name: str, value: object, dims: tuple[str, ...] | list[str] | None, *, export_index: bool
) -> Dims | None:
    """Return a name for each axis; None where the value has no axes, or its index names them."""
    own = tuple(map(str, value.dims)) if isinstance(value, xr.DataArray) else None
    if dims is None:
        has_no_axes = isinstance(value, Number) or getattr(value, "shape", None) == ()
        if own is None and not (has_no_axes or export_index):
            raise ValueError(_unnamed(name, dims))
        return own
    if None in dims:
        raise ValueError(_unnamed(name, dims))
    if own is not None and own != tuple(dims):
        raise ValueError(
            f"`dims` of data container {name!r} must be those of the DataArray, {own}, got "
            f"{tuple(dims)}.\n"
            "Hint: leave them out, or bring the array to them with `.transpose` or `.rename`."
        )
    return tuple(dims)


def _unnamed(name: str, dims: object) -> str:
    return (
        f"`dims` of data container {name!r} must name each axis in a model of pymc.dims, got "
        f"{dims}.\nHint: pass `dims=('row', ...)`, one name for each axis."
    )
