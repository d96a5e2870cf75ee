"""The labels of the elements of draws, and the order in which a model has them.

Draws are matched to the elements of a variable by the labels of its dims, never by position, unless
they have no labels. The same labels in another order are reordered; other labels are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayou.provenance.model_provenance import dim_fingerprint
from bayou.storage.storable_labels import storable_labels
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Dims
    from bayou.fitting.result.fit_result import Fit

# The most labels that an error lists.
MAX_LABELS = 3

type AxisLabels = tuple[pd.Index | None, ...]
"""The labels along each axis of one draw; None for an axis without labels."""


def model_labels(model: pm.Model, dim: str, length: int) -> pd.Index:
    """Return the labels of a dim as results have them: 0, 1, ... if it has none."""
    labels = model.coords.get(dim)
    return pd.RangeIndex(length) if labels is None else pd.Index(storable_labels(labels))


def changed_dims(fit: Fit) -> frozenset[str]:
    """Return the dims of free variables whose labels were changed since the fit."""
    fitted = {} if fit.provenance is None else fit.provenance.dims
    return frozenset(
        dim
        for dim, fingerprint in fitted.items()
        if dim in fit.model.dim_lengths and dim_fingerprint(fit.model, dim) != fingerprint
    )


def tree_labels(name: str, draws: xr.DataArray) -> AxisLabels:
    """Return the labels of draws from a tree, whose first dims are chain and draw.

    A dim such as ``name_dim_0`` is one that ArviZ made up; its numbers label nothing.
    """
    return tuple(
        None
        if dim == f"{name}_dim_{axis}" or dim not in draws.indexes
        else pd.Index(storable_labels(draws.indexes[dim]))
        for axis, dim in enumerate(draws.dims[2:])
    )


def fit_labels(model: pm.Model, dims: Dims, lengths: Sequence[int]) -> AxisLabels:
    """Return the labels of draws from a fit: those of the dims of its model."""
    return tuple(
        None if dim is None else model_labels(model, dim, length)
        for dim, length in zip(dims, lengths, strict=True)
    )


def label_positions(
    name: str, dim: str, draw_labels: pd.Index, labels: pd.Index
) -> NDArray[np.int64] | None:
    """Return the positions of the model's labels among those of draws; None if they are equal.

    Parameters
    ----------
    name : str
        The variable that the draws are of.
    dim : str
        The dim that is labeled.
    draw_labels, labels : pandas.Index
        The labels in the draws, and in the model.

    Raises
    ------
    ValueError
        If the labels are different ones, or some are there more than once.
    """
    if _are_positions(draw_labels) and _are_positions(labels):
        # Their lengths are compared with the shape of the variable when it is compiled.
        return None
    if draw_labels.equals(labels):
        return None
    if len(draw_labels) == len(labels) and draw_labels.is_unique and labels.is_unique:
        positions = draw_labels.get_indexer(labels)
        if (positions >= 0).all():
            return positions.astype(np.int64)
    in_model = labels.difference(draw_labels, sort=False)
    in_draws = draw_labels.difference(labels, sort=False)
    got = (
        f"{shown_labels(in_model)} in the model alone, {shown_labels(in_draws)} in the draws alone"
    )
    if not len(in_model) and not len(in_draws):
        got = (
            f"repeated labels: {shown_labels(labels)} in the model, {shown_labels(draw_labels)} in "
            "the draws"
        )
    raise ValueError(
        f"The dim {dim!r} of `model` must have the labels that draws of {name!r} have, in any "
        f"order, got {got}.\n"
        "Hint: pass the model that was sampled, or give its dim those labels; to draw a variable "
        f"for other labels from its distribution, leave it out of the posterior: "
        f"tree.posterior.to_dataset().drop_vars({name!r})."
    )


def _are_positions(labels: pd.Index) -> bool:
    return labels.equals(pd.RangeIndex(len(labels)))


def shown_labels(labels: pd.Index) -> str:
    """Return the first labels for a message; "none" if there are none."""
    return listed(labels.tolist(), MAX_LABELS) or "none"
