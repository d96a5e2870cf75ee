"""The data and the model that a result comes from, and whether a result comes from a model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pymc as pm
import pytensor
import xarray as xr

from bayou.containers.variables.dims import evaluate_length, length_of
from bayou.containers.variables.source_variable import window_of
from bayou.fitting.fit_result import Fit
from bayou.provenance.describe import describe, held_values
from bayou.provenance.fingerprint import window_fingerprints
from bayou.provenance.model_fingerprint import variable_fingerprints
from bayou.provenance.named_inputs import model_inputs
from bayou.provenance.record import ATTRIBUTE, Provenance, compare
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayou.provenance.record import Verification


def provenance_of(model: pm.Model) -> Provenance:
    """Return the data that a model holds now, and what it says of them.

    It costs a pass over the values in memory. Sources are read, once, when it is asked for more
    than the model.
    """
    description = describe(model)
    inputs = {found.name: found.storage for found in model_inputs(model)}
    held = {name: window_of(storage) for name, storage in inputs.items()}
    windows = {name: window for name, window in held.items() if window is not None}

    @cache
    def unread() -> dict[str, str]:
        return dict(zip(windows, window_fingerprints(list(windows.values())), strict=True))

    containers = {
        found.name: {
            "columns": None if found.columns is None else list(found.columns),
            "categories": None
            if found.categories is None
            else _labels_fingerprint(found.categories),
            "source": found.source,
            "rows": found.num_rows,
            "dtype": found.dtype,
            "shape": list(held_values(inputs[found.name]).shape[1:]),
            "observed_by": list(found.observed_by),
            "fingerprint": found.fingerprint,
        }
        for found in description.containers
    }
    return Provenance(
        versions={"pymc": pm.__version__, "pytensor": pytensor.__version__},
        dims={dim: dim_fingerprint(model, dim) for dim in _free_dims(model)},
        variables=variable_fingerprints(model),
        containers=containers,
        unread=unread,
    )


def verify(result: xr.DataTree | xr.Dataset | Fit, model: pm.Model) -> Verification:
    """Tell whether a result is of a model and the data that it holds now.

    Parameters
    ----------
    result : xarray.DataTree, xarray.Dataset or Fit
        What :func:`bayou.sample`, :func:`bayou.fit` or the ``sample`` of a fit returned, or what
        was read from a file of it; of a tree, its posterior will do.
    model : pymc.Model
        The model. Of a source of which a part is in memory, all rows are read.

    Returns
    -------
    Verification
        True if it is; prints what differs, in words, and has that as ``differences``.

    Raises
    ------
    TypeError
        If ``result`` is no result, or ``model`` no model.
    ValueError
        If the result does not say what it is of.

    Notes
    -----
    Compared are the names, columns, rows, dtypes and values of the containers, the labels of the
    dims of free variables, and the definition of each variable. The same rows are the same data
    whether they came from a frame or from a file, all at once or in windows. Of a generator, the
    first item is compared. Sizes of batches are no part of a definition. What
    :func:`bayou.sample_many` and :func:`bayou.fit_many` returned is compared apart from its rows:
    the table in it has the fingerprints of the data.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     y = by.Data("y", [1.0, 2.0, 3.0])
    ...     mu = pm.Normal("mu")
    ...     observed = pm.Normal("observed", mu, 1, observed=y)
    ...     draws = by.fit(progressbar=False).sample(10)
    >>> bool(by.verify(draws, model))
    True
    >>> by.set_data({"y": [1.0, 2.0, 4.0]}, model=model)
    >>> print(by.verify(draws, model))
    The result is not of this model and its data:
    - container 'y' has other values
    """
    if isinstance(result, Fit):
        found = result.provenance
    elif isinstance(result, xr.DataTree | xr.Dataset):
        found = _kept(result)
    else:
        raise TypeError(
            f"`result` must be a DataTree, a Dataset or a Fit, got a {type(result).__name__}.\n"
            "Hint: pass what by.sample or by.fit returned."
        )
    if found is None:
        raise ValueError(
            "`result` must say which data and model it is of, got one that does not.\n"
            "Hint: results of by.sample, by.fit and by.load do; those of pm.sample do not."
        )
    return compare(found, provenance_of(model))


def _kept(result: xr.DataTree | xr.Dataset) -> Provenance | None:
    groups = result.subtree if isinstance(result, xr.DataTree) else [result]
    for group in groups:
        if ATTRIBUTE in group.attrs:
            return Provenance.from_json(group.attrs[ATTRIBUTE])
    return None


def _free_dims(model: pm.Model) -> list[str]:
    """List the dims of free variables, whose labels say what their elements are."""
    found: dict[Any, None] = {}
    for variable in model.free_RVs:
        found |= dict.fromkeys(model.named_vars_to_dims.get(variable.name, ()))
    return [dim for dim in found if dim is not None]


def dim_fingerprint(model: pm.Model, dim: str) -> str:
    """Return the fingerprint of the labels of a dim; without labels it counts from 0."""
    labels = model.coords.get(dim)
    if labels is None:
        labels = range(evaluate_length(length_of(model, dim), {}))
    return _labels_fingerprint(labels)


def _labels_fingerprint(labels: Iterable[Any]) -> str:
    return digest(*map(str, labels))
