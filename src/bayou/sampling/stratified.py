"""`by.Stratified`: batches with a fixed number of rows of each stratum.

The row numbers of the strata are in memory: 8 bytes a row of the data, besides the strata.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import whole_number
from bayou.sampling.epoch import epoch_rows
from bayou.sampling.uniform import stream_key
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Stratified:
    """An order of batches with a fixed number of rows from each stratum (group of rows).

    Pass it as `order` to :func:`bayou.fit` or :class:`bayou.Batches`. It reduces the noise of
    gradients if strata differ strongly, or if some parameters depend on a small stratum.

    Parameters
    ----------
    strata : array_like, shape (num_rows,)
        The stratum of each row of the data: numbers or strings.
    batch_rows : dict of stratum to int, optional
        The number of rows from each stratum in a batch, at least 1. By default in proportion to the
        sizes of the strata, and at least 1.

    Raises
    ------
    ValueError
        If `strata` is not a vector, or `batch_rows` lacks a stratum or has a number below 1.

    Notes
    -----
    Within a stratum, rows come in random order, and every row comes once before any row comes
    again. Within a batch, rows are ordered by their strata. The importance weight of a row is
    (N_s / num_rows) * (batch_size / b_s), where N_s is the number of rows of its stratum in the
    data, and b_s that in a batch. With these weights, the weighted sum of the log likelihoods in a
    batch, times num_rows / batch_size, is an unbiased estimate of the log likelihood of all rows:
    the Horvitz-Thompson estimator [1]_.

    References
    ----------
    .. [1] D. G. Horvitz, D. J. Thompson: A generalization of sampling without replacement from a
       finite universe. Journal of the American Statistical Association 47 (1952), 663-685.

    Examples
    --------
    >>> order = by.Stratified(["a", "a", "a", "b"], {"a": 1, "b": 1})
    >>> order.weights(np.array([[0, 3]]))
    array([[1.5, 0.5]])

    A carrier has 1% of the flights; half of the rows of each batch are from it:

    >>> random = np.random.default_rng(0)
    >>> carrier = (random.random(10_000) < 0.01).astype(int)
    >>> delay = random.normal(10.0 * carrier)
    >>> with pm.Model():
    ...     mean = pm.Normal("mean", 0, 10, shape=2)
    ...     at = mean[by.Minibatch(carrier, 100)]
    ...     batch = by.Minibatch(delay, 100)
    ...     observed = pm.Normal("delay", at, 1, observed=batch, total_size=len(delay))
    ...     order = by.Stratified(carrier, {0: 50, 1: 50})
    ...     fit = by.fit(4000, order=order, random_seed=1, progressbar=False)
    >>> fit.mean["mean"].round().astype(int).values.tolist()
    [0, 10]
    """

    strata: NDArray[np.generic]
    batch_rows: Mapping[Hashable, int] | None = None

    def __post_init__(self) -> None:
        """Check the strata, and the numbers of their rows."""
        strata = np.asarray(self.strata)
        if strata.ndim != 1 or not len(strata):
            raise ValueError(
                f"`strata` must be a vector with a stratum for each row, got shape "
                f"{strata.shape}.\nHint: pass a column of the data."
            )
        object.__setattr__(self, "strata", strata)
        if self.batch_rows is None:
            return
        if set(self.batch_rows) != set(self._members):
            raise ValueError(
                f"`batch_rows` must have all strata, {listed(self._members, 10)}, got "
                f"{listed(self.batch_rows, 10)}.\n"
                "Hint: a stratum that is never drawn would be missing from the likelihood."
            )
        for stratum, size in self.batch_rows.items():
            whole_number("batch_rows", size, 1, f"it counts the rows of {stratum!r} in a batch.")

    def __getstate__(self) -> dict[str, object]:
        """Return what a new order of these strata has: one that was used is pickled alike."""
        state: dict[str, object] = {"strata": self.strata, "batch_rows": self.batch_rows}
        # The constructor looks at the members where it checks `batch_rows`.
        return state if self.batch_rows is None else state | {"_members": self._members}

    @property
    def num_rows(self) -> int:
        """The number of rows of the data."""
        return len(self.strata)

    @cached_property
    def _members(self) -> dict[Hashable, NDArray[np.int64]]:
        """The row numbers of each stratum."""
        labels, codes = np.unique(self.strata, return_inverse=True)
        cuts = np.cumsum(np.bincount(codes))[:-1]
        rows = np.split(np.argsort(codes, kind="stable"), cuts)
        return dict(zip(labels.tolist(), rows, strict=True))

    def sizes(self, batch_size: int) -> dict[Hashable, int]:
        """Return the number of rows of each stratum in a batch.

        Parameters
        ----------
        batch_size : int
            The number of rows of a batch.

        Returns
        -------
        dict of stratum to int

        Raises
        ------
        ValueError
            If the numbers cannot add up to `batch_size`.
        """
        if self.batch_rows is not None:
            total = sum(self.batch_rows.values())
            if total != batch_size:
                raise ValueError(
                    f"`batch_size` must be the sum of `batch_rows`, {total}, got {batch_size}.\n"
                    "Hint: leave `batch_rows` out for numbers in proportion to the strata."
                )
            return {stratum: self.batch_rows[stratum] for stratum in self._members}
        if batch_size < len(self._members):
            raise ValueError(
                f"`batch_size` must be at least {len(self._members)}, a row of each stratum, got "
                f"{batch_size}.\nHint: pass a larger one, or merge strata."
            )
        lengths = np.array([len(rows) for rows in self._members.values()])
        return dict(zip(self._members, _shares(lengths, batch_size), strict=True))

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
            The number of rows of the data, which is that of `strata`.
        batch_size : int
            The number of rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
            Row numbers, ordered by stratum within a batch.
        """
        parts = [
            self._members[stratum][
                epoch_rows(
                    stream_key(int(key), number), first, count, len(self._members[stratum]), size
                )
            ]
            for number, (stratum, size) in enumerate(self.sizes(batch_size).items())
        ]
        return np.concatenate(parts, axis=1)

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the importance weights of the rows of whole batches.

        Parameters
        ----------
        rows : ndarray of int64, shape (count, batch_size)
            The rows that :meth:`rows` returns.

        Returns
        -------
        ndarray of float64, shape (count, batch_size)
        """
        batch_size = rows.shape[1]
        weights = [
            np.full(size, len(self._members[stratum]) / self.num_rows * batch_size / size)
            for stratum, size in self.sizes(batch_size).items()
        ]
        return np.tile(np.concatenate(weights), (len(rows), 1))


def _shares(lengths: NDArray[np.int64], total: int) -> list[int]:
    """Divide `total` in proportion to the lengths, into whole numbers of at least 1."""
    exact = lengths * (total / lengths.sum())
    shares = np.maximum(1, exact.astype(np.int64))
    missing = total - int(shares.sum())
    if missing > 0:
        # To the shares that rounding down cut most: the method of largest remainders.
        shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    for _ in range(-missing):
        # Shares below 1 were raised to 1. The excess is taken from the shares that are furthest
        # above their proportion.
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    return [int(share) for share in shares]
