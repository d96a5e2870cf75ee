"""Labels of dims as results have them: values that Zarr, NetCDF and Parquet files can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Booleans, numbers, dates, durations and text.
STORABLE_KINDS = "biufcmMU"


def storable_labels(labels: Iterable[object]) -> NDArray[np.generic]:
    """Return labels as an array with one axis that files can hold.

    Numbers, booleans, text, dates and durations stay what they are. Tuples (of a MultiIndex),
    intervals, periods, times with a time zone and labels of several types become their text.

    Parameters
    ----------
    labels : iterable
        The labels of one dim.

    Returns
    -------
    ndarray, shape (num_labels,)

    Examples
    --------
    >>> storable_labels([("a", 1), ("b", 2)])
    array(["('a', 1)", "('b', 2)"], dtype='<U8')
    >>> storable_labels(pd.period_range("2020-01", periods=2, freq="M"))
    array(['2020-01', '2020-02'], dtype='<U7')
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in STORABLE_KINDS:
        return labels
    items = list(labels)
    if all(isinstance(item, str) for item in items):
        return np.array(items, dtype=str)
    # Not NumPy's array, which makes a matrix of tuples, and text of numbers beside text.
    index = pd.Index(items, tupleize_cols=False)
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in STORABLE_KINDS:
        return index.to_numpy()
    texts = [str(item) for item in items]
    if len(set(texts)) < len(set(map(_identity, items))):
        # Such as 1 and "1".
        texts = [repr(item) for item in items]
    return np.array(texts, dtype=str)


def check_dim_names(dims: Iterable[str]) -> None:
    """Check that results can have labels for dims: trees read "/" as the path of a group.

    Raises
    ------
    ValueError
        Names the dims that hold one.
    """
    paths = sorted(dim for dim in dims if "/" in dim)
    if paths:
        raise ValueError(
            f"`model` must have dims without '/' in their names, got {listed(paths)}, which a tree "
            "of results reads as paths.\nHint: rename the dim."
        )


def _identity(label: object) -> tuple[type, str]:
    """Return what tells a label from others, which may not be hashable."""
    return type(label), str(label)
