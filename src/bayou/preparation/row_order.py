"""The statistic of Kruskal and Wallis, which shows whether values depend on the row number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# An order is reported if chance would show it in less than one field of a million, so that a source
# of a thousand fields in random order shows none in 999 of 1,000 looks.
MAX_CHANCE = 1e-6
# And if it explains at least so much of the variance: less does not bias batches visibly.
MIN_STRENGTH = 0.01


class RowOrder(NamedTuple):
    """The change of values from one stretch of rows to the next.

    Attributes
    ----------
    direction : {"", "rising", "falling", "drifting"}
        "" without order; "drifting" if the values change with the row number but are not sorted.
    strength : float
        The intraclass correlation of the ranks: the share of their variance that lies between
        stretches, without what random order gives; 0 without order, 1 if sorted.
    """

    direction: str
    strength: float


def measure_order(stretches: Sequence[NDArray[np.generic]]) -> RowOrder:
    """Return how values depend on the row number.

    Parameters
    ----------
    stretches : sequence of ndarray, shape (rows,)
        The values of one field in stretches of consecutive rows, in the order of the rows. Missing
        values are left out; of complex values, the real part counts.

    Returns
    -------
    RowOrder

    Notes
    -----
    The ranks of all values are compared by a one-way analysis of variance with the stretches as
    groups, which is the test of Kruskal and Wallis (1952) up to a monotone transform. Ranks make it
    independent of the distribution of the values.

    Examples
    --------
    >>> measure_order(np.arange(80.0).reshape(8, 10)).direction
    'rising'
    """
    known = [values[~is_missing(values)] for values in stretches]
    known = [values.real for values in known if len(values)]
    if len(known) < 2:
        return RowOrder("", 0.0)
    ranks = pd.Series(np.concatenate(known)).rank().to_numpy()
    sizes = np.array([len(values) for values in known])
    num_groups, num_rows = len(sizes), len(ranks)
    starts = np.cumsum(sizes) - sizes
    means = np.add.reduceat(ranks, starts) / sizes
    between = float(sizes @ (means - ranks.mean()) ** 2)
    within = float(((ranks - np.repeat(means, sizes)) ** 2).sum())
    if between == 0 or num_rows == num_groups:
        return RowOrder("", 0.0)
    # Rows that are alike within each stretch have no variance there: the ratio is infinite.
    ratio = (
        np.inf if within == 0 else (between / (num_groups - 1)) / (within / (num_rows - num_groups))
    )
    # The upper tail of the F distribution. scipy.special has it without the half second that
    # importing scipy.stats takes; it takes some itself, which `import bayou` need not.
    from scipy.special import fdtrc

    chance = fdtrc(num_groups - 1, num_rows - num_groups, ratio)
    # With n rows a stretch, F = 1 + n rho / (1 - rho) in expectation, solved for rho.
    strength = 1 / (1 + (num_rows / num_groups) / max(ratio - 1, 1e-300))
    if chance > MAX_CHANCE or strength < MIN_STRENGTH:
        return RowOrder("", 0.0)
    steps = np.diff(ranks)
    direction = "rising" if (steps >= 0).all() else "falling" if (steps <= 0).all() else "drifting"
    return RowOrder(direction, float(strength))


def is_missing(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which values are NaN or NaT; none are of a dtype that has neither."""
    if values.dtype.kind in "fc":
        return np.isnan(values)
    return np.isnat(values) if values.dtype.kind in "mM" else np.zeros(values.shape, dtype=bool)
