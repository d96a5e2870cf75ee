"""`by.Weighted`: rows drawn with replacement, with probabilities of their own.

A row costs a binary search in the cumulative probabilities, which are in memory: 16 bytes a row of
the data with the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.uniform import uniform_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The number of evenly spaced values in [0, 1) that a double can represent.
STEPS = np.uint64(2**53)


@dataclass(frozen=True, eq=False)
class Weighted:
    """An order of batches whose rows are drawn with replacement, row i with probability p[i].

    Pass it as `order` to :func:`bayou.fit` or :class:`bayou.Batches`. It reduces the noise of
    gradients if a few rows have most of the influence, such as rows with a rare outcome.

    Parameters
    ----------
    probabilities : array_like of float, shape (num_rows,)
        Positive numbers, one for each row of the data; they are scaled to a sum of 1.

    Raises
    ------
    ValueError
        If `probabilities` is not a vector of positive, finite numbers.

    Notes
    -----
    The importance weight of row i in a batch is 1 / (num_rows * p[i]). With these weights, the
    weighted sum of the log likelihoods in a batch, times num_rows / batch_size, is an unbiased
    estimate of the log likelihood of all rows: the Hansen-Hurwitz estimator [1]_.

    References
    ----------
    .. [1] M. H. Hansen, W. N. Hurwitz: On the theory of sampling from finite populations. Annals of
       Mathematical Statistics 14 (1943), 333-362.

    Examples
    --------
    >>> order = by.Weighted([1.0, 1.0, 2.0])
    >>> order.weights(np.array([0, 2]))
    array([1.33333333, 0.66666667])

    Rows of a rare outcome are drawn 50 times as often; the weights correct for it in the fit:

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
        """Check the probabilities, and scale them to a sum of 1."""
        weights = np.asarray(self.probabilities, dtype=np.float64)
        if weights.ndim != 1 or not len(weights):
            raise ValueError(
                f"`probabilities` must be a vector with one number a row, got shape "
                f"{weights.shape}.\nHint: compute it from a column of the data."
            )
        is_valid = (weights > 0) & (weights < np.inf)
        if not is_valid.all():
            row = int(np.argmin(is_valid))
            raise ValueError(
                f"`probabilities` must be positive and finite, got {weights[row]} in row {row}.\n"
                "Hint: the likelihood would lack a row that is never drawn; give it a small one, "
                "or leave it out of the data."
            )
        object.__setattr__(self, "probabilities", weights / weights.sum())

    def __getstate__(self) -> dict[str, object]:
        """Return the probabilities alone: an order that was used is pickled as a new one is."""
        return {"probabilities": self.probabilities}

    @property
    def num_rows(self) -> int:
        """The number of rows of the data."""
        return len(self.probabilities)

    @cached_property
    def _ends(self) -> NDArray[np.float64]:
        ends = np.cumsum(self.probabilities)
        # The cumulative sum may end a rounding error below 1.
        ends[-1] = 1.0
        return ends

    def rows(
        self, key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
    ) -> NDArray[np.int64]:
        """Return the rows of consecutive steps.

        Parameters
        ----------
        key : uint64
            The key of the stream, from :func:`bayou.sampling.uniform.stream_key`.
        first, count : int
            The first step, and the number of steps.
        num_rows : int
            The number of rows of the data, which is that of `probabilities`.
        batch_size : int
            The number of rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
            Row numbers.
        """
        steps = np.arange(count, dtype=np.uint64) + np.uint64(first)
        uniform = uniform_rows(key, steps, STEPS, batch_size) / float(STEPS)
        return np.searchsorted(self._ends, uniform, side="right").astype(np.int64, copy=False)

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the importance weights of rows.

        Parameters
        ----------
        rows : ndarray of int64
            Row numbers, such as those that :meth:`rows` returns.

        Returns
        -------
        ndarray of float64, shape as rows
        """
        weights: NDArray[np.float64] = 1 / (self.num_rows * self.probabilities[rows])
        return weights
