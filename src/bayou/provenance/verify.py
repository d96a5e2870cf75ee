"""The public check whether a result was computed from a model and the data that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import xarray as xr

from bayou.models.plain.plain_model import read_model
from bayou.provenance.model_provenance import provenance_of
from bayou.provenance.record import ATTRIBUTE, Provenance
from bayou.provenance.verify_result import compare
from bayou.text import type_text

if TYPE_CHECKING:
    from bayou.containers.context import ModelLike
    from bayou.provenance.verify_result import Verification


@runtime_checkable
class HasProvenance(Protocol):
    """A result that knows what it was computed from, such as :class:`bayou.Fit`."""

    @property
    def provenance(self) -> Provenance | None:
        """The data and the model that it was computed from; None if that is unknown."""


def verify(
    result: xr.DataTree | xr.Dataset | HasProvenance, model: ModelLike | None = None
) -> Verification:
    """Check whether a result was computed from a model and the data that the model holds now.

    Parameters
    ----------
    result : xarray.DataTree, xarray.Dataset or Fit
        A result of :func:`bayou.sample`, :func:`bayou.fit`, :func:`bayou.predict` or the ``sample``
        method of a fit, also after it was saved and opened again. The group ``posterior`` of a tree
        is enough.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. If its data are a source that is not in
        memory, all rows of the source are read.

    Returns
    -------
    Verification
        ``bool(verification)`` is True if the result matches the model and its data. Otherwise its
        text lists the differences, which are also in ``differences``.

    Raises
    ------
    TypeError
        If ``result`` is not a result, or there is no model.
    ValueError
        If the result has no record of its model and data, as is the case for results of
        ``pm.sample``.

    Notes
    -----
    It compares the names, columns, rows, dtypes and values of the data containers, the labels of
    the dims of free variables, and the definition of each variable. The same rows count as the same
    data, whether they came from a frame or from a file, and whether or not all of them are in
    memory. For a generator, the first item is compared. The size of minibatches is not compared.
    For results of :func:`bayou.sample_many` and :func:`bayou.fit_many`, everything but the rows is
    compared; the fingerprints of their data sets are in the group ``diagnostics``.

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
    The result does not match this model and its data:
    - container 'y' has different values
    """
    # xarray first: an attribute of a dataset may be one of its variables.
    if isinstance(result, xr.DataTree | xr.Dataset):
        recorded = _saved_provenance(result)
    elif isinstance(result, HasProvenance):
        recorded = result.provenance
    else:
        raise TypeError(
            f"`result` must be a DataTree, a Dataset or a Fit, got {type_text(result)}.\n"
            "Hint: pass what by.sample or by.fit returned."
        )
    model = read_model(model)
    if recorded is None:
        raise ValueError(
            "`result` must have the provenance of its data and model, got one without.\n"
            "Hint: results of by.sample, by.fit and by.load have it; those of pm.sample do not."
        )
    return compare(recorded, provenance_of(model))


def _saved_provenance(result: xr.DataTree | xr.Dataset) -> Provenance | None:
    groups = result.subtree if isinstance(result, xr.DataTree) else [result]
    for group in groups:
        if ATTRIBUTE in group.attrs:
            return Provenance.from_json(group.attrs[ATTRIBUTE])
    return None
