"""Rows drawn with replacement, each with a probability in proportion to a weight.

A row costs a search among the cumulative weights, which are held: 8 bytes a row of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.uniform import uniform_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

# As many values in [0, 1) as a double tells apart evenly.
STEPS = np.uint64(2**53)


@dataclass(frozen=True, eq=False)
class Weighted:
    """An order that draws row i with probability p[i], in proportion to its weight.

    Parameters
    ----------
    probabilities : array_like of float, shape (num_rows,)
        Positive numbers, one a row; they need not sum to 1.

    Raises
    ------
    ValueError
        If they are no vector of positive, finite numbers.

    Notes
    -----
    A batch carries the importance weights 1 / (num_rows * p[i]). The sum over a batch of weight
    times term, times num_rows / batch_size, is an unbiased estimate of the sum of the terms of all
    rows, whatever the probabilities. That is why none may be 0.

    Examples
    --------
    >>> order = Weighted([1.0, 1.0, 2.0])
    >>> order.weights(np.array([0, 2]))
    array([1.33333333, 0.66666667])

    Rows of a rare kind are seen in most batches, and count for no more than they are:

    >>> late = np.random.default_rng(0).random(10_000) < 0.01
    >>> with pm.Model():
    ...     log_odds = pm.Normal("log_odds", 0, 5)
    ...     batch = by.Minibatch(late.astype(int), 100)
    ...     observed = pm.Bernoulli("late", logit_p=log_odds, observed=batch, total_size=10_000)
    ...     order = by.Weighted(np.where(late, 50, 1))
    ...     fit = by.fit(4000, order=order, random_seed=1, progressbar=False)
    >>> rate = 1 / (1 + np.exp(-fit.mean["log_odds"].item()))
    >>> bool(abs(rate / late.mean() - 1) < 0.1)
    True
    """

    probabilities: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the probabilities, and keep them scaled to a sum of 1."""
        given = np.asarray(self.probabilities, dtype=np.float64)
        if given.ndim != 1 or not len(given):
            raise ValueError(
                f"`probabilities` must be a vector of one number a row, got shape {given.shape}.\n"
                "Hint: pass a column of the data, or what you computed from one."
            )
        valid = (given > 0) & (given < np.inf)
        if not valid.all():
            row = int(np.argmin(valid))
            raise ValueError(
                f"`probabilities` must be positive and finite, got {given[row]} in row {row}.\n"
                "Hint: a row that is never drawn would be missing from the likelihood; give it a "
                "small number, or leave it out of the data."
            )
        object.__setattr__(self, "probabilities", given / given.sum())

    @property
    def num_rows(self) -> int:
        """The rows that there are probabilities for."""
        return len(self.probabilities)

    @cached_property
    def _ends(self) -> NDArray[np.float64]:
        ends = np.cumsum(self.probabilities)
        # Whatever the rounding, the last row ends the interval.
        ends[-1] = 1.0
        return ends

    def rows(
        self, key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
    ) -> NDArray[np.int64]:
        """Return the rows of consecutive steps, shape (count, batch_size).

        Parameters
        ----------
        key : uint64
            The key of the stream, from :func:`bayou.sampling.uniform.stream_key`.
        first, count : int
            The steps first, ..., first + count - 1.
        num_rows : int
            Rows to draw from: as many as there are probabilities.
        batch_size : int
            Rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
        """
        steps = np.arange(count, dtype=np.uint64) + np.uint64(first)
        places = uniform_rows(key, steps, STEPS, batch_size) / float(STEPS)
        return np.searchsorted(self._ends, places, side="right").astype(np.int64, copy=False)

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the importance weights of rows.

        Parameters
        ----------
        rows : ndarray of int64
            What :meth:`rows` returns.

        Returns
        -------
        ndarray of float64, shape as rows
        """
        weights: NDArray[np.float64] = 1 / (self.num_rows * self.probabilities[rows])
        return weights
