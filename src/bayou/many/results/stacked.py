"""Outcomes of several data sets stacked into arrays, NaN beyond the ends of the shorter ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayou.many.results.outcome import DATASET, DRAW_DIMS, TABLE
from bayou.storage.storable_labels import storable_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Labels, Numbers
    from bayou.many.results.outcome import Outcome, ResultAxes

    type Groups = dict[str, dict[str, xr.Variable]]


def stack_outcomes(axes: ResultAxes, outcomes: Sequence[Outcome]) -> Groups:
    """Stack the results of some data sets, and make the rows of their table.

    Data sets that failed are in the table only.
    """
    successful = [outcome for outcome in outcomes if outcome.failure is None]
    keys = _text_or_numbers([outcome.key for outcome in successful])
    groups: Groups = {}
    for group in successful[0].groups if successful else ():
        groups[group] = {DATASET: xr.Variable((DATASET,), keys)}
        for name in successful[0].groups[group]:
            array = stack_padded([outcome.groups[group][name] for outcome in successful])
            groups[group][name] = xr.Variable(axes.names(name, array.ndim), array)
    failures = [str(outcome.failure or "") for outcome in outcomes]
    table: dict[str, NDArray[np.generic]] = {
        DATASET: _text_or_numbers([outcome.key for outcome in outcomes]),
        **{
            column: np.array([outcome.diagnostics.get(column, np.nan) for outcome in outcomes])
            for column in axes.columns
        },
        "data": _text_or_numbers([outcome.fingerprint for outcome in outcomes]),
        "error": _text_or_numbers(failures),
    }
    groups[TABLE] = {name: xr.Variable((DATASET,), values) for name, values in table.items()}
    return groups


def stack_padded(arrays: Sequence[Numbers]) -> Numbers:
    """Stack arrays along a new first axis, with NaN beyond the ends of the shorter ones.

    See :func:`join_padded` for dtypes.

    Examples
    --------
    >>> stack_padded([np.array([1.0, 2.0]), np.array([3.0])])
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    return join_padded([array[None] for array in arrays])


def join_padded(arrays: Sequence[Numbers]) -> Numbers:
    """Join arrays along their first axis, with NaN beyond the ends of the shorter ones.

    Integers and booleans with axes of their own, after those of draws, become floats, even if all
    have one shape: so that the dtype does not depend on the data.

    Parameters
    ----------
    arrays : sequence of ndarray
        Of the same number of axes.
    """
    first = arrays[0]
    inner_shape = tuple(np.max([array.shape[1:] for array in arrays], axis=0).astype(int))
    has_axes = first.ndim > len(DRAW_DIMS)
    dtype = np.result_type(first, np.float64) if has_axes and first.dtype.kind in "biu" else None
    if all(array.shape[1:] == inner_shape for array in arrays):
        return np.concatenate(arrays, dtype=dtype)
    joined = np.full((sum(map(len, arrays)), *inner_shape), np.nan, dtype or first.dtype)
    begin = 0
    for array in arrays:
        end = begin + len(array)
        joined[(slice(begin, end), *map(slice, array.shape[1:]))] = array
        begin = end
    return joined


def fitting_labels(
    coords: Mapping[str, Labels], variables: Mapping[str, xr.Variable]
) -> dict[str, NDArray[np.generic]]:
    """Return the labels of the dims of variables: those of `coords` that are as many as values.

    Chains and draws are counted from 0.
    """
    lengths = {
        dim: length for variable in variables.values() for dim, length in variable.sizes.items()
    }
    counted = {dim: np.arange(lengths[dim]) for dim in DRAW_DIMS[1:] if dim in lengths}
    labelled = {
        dim: storable_labels(labels)
        for dim, labels in coords.items()
        if lengths.get(dim) == len(labels)
    }
    return counted | labelled


def _text_or_numbers(values: Sequence[str | float]) -> NDArray[np.generic]:
    """Return strings as objects, which have no longest length, and numbers in their own dtype."""
    return np.array(values, dtype=object if isinstance(next(iter(values), ""), str) else None)
