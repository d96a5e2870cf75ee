"""Batches with a fixed number of rows of each stratum, in exact epochs within each.

The rows of the strata are held: 8 bytes a row of the data, besides the strata themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.sampling.epoch import epoch_rows
from bayou.sampling.uniform import stream_key
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Stratified:
    """An order in which every batch has a fixed number of rows of each stratum.

    Parameters
    ----------
    strata : array_like, shape (num_rows,)
        The stratum of each row: numbers or strings.
    batch_rows : dict, optional
        The rows of each stratum in a batch, at least 1 each. By default they are in proportion to
        the rows that the strata have, and at least 1.

    Raises
    ------
    ValueError
        If the strata are no vector, or ``batch_rows`` does not name them and give each a row.

    Notes
    -----
    Each stratum is gone through in exact epochs of its own. The rows of a batch stand in the order
    of their strata. A batch carries the importance weights of its rows, (N_s / num_rows) *
    (batch_size / b_s) for b_s rows of a stratum of N_s: the sum over a batch of weight times term,
    times num_rows / batch_size, is an unbiased estimate of the sum of the terms of all rows.

    Examples
    --------
    >>> order = Stratified(["a", "a", "a", "b"], {"a": 1, "b": 1})
    >>> order.weights(np.array([[0, 3]]))
    array([[1.5, 0.5]])

    Every batch has half its rows of a carrier that flies a hundredth of the flights:

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

    strata: NDArray[Any]
    batch_rows: Mapping[Any, int] | None = None

    def __post_init__(self) -> None:
        """Check the strata and the numbers of their rows."""
        strata = np.asarray(self.strata)
        if strata.ndim != 1 or not len(strata):
            raise ValueError(
                f"`strata` must be a vector of one stratum a row, got shape {strata.shape}.\n"
                "Hint: pass a column of the data."
            )
        object.__setattr__(self, "strata", strata)
        if self.batch_rows is None:
            return
        if set(self.batch_rows) != set(self._members):
            raise ValueError(
                f"`batch_rows` must give the strata {listed(self._members, 10)}, got "
                f"{listed(self.batch_rows, 10)}.\n"
                "Hint: a stratum that is never drawn would be missing from the likelihood."
            )
        for stratum, size in self.batch_rows.items():
            whole_number("batch_rows", size, 1, f"it counts the rows of {stratum!r} in a batch.")

    @property
    def num_rows(self) -> int:
        """The rows whose strata are known."""
        return len(self.strata)

    @cached_property
    def _members(self) -> dict[Any, NDArray[np.int64]]:
        """The rows of each stratum."""
        labels, codes = np.unique(self.strata, return_inverse=True)
        cuts = np.cumsum(np.bincount(codes))[:-1]
        rows = np.split(np.argsort(codes, kind="stable"), cuts)
        return dict(zip(labels.tolist(), rows, strict=True))

    def sizes(self, batch_size: int) -> dict[Any, int]:
        """Return the rows of each stratum in a batch.

        Parameters
        ----------
        batch_size : int
            Rows of a batch.

        Returns
        -------
        dict of stratum to int

        Raises
        ------
        ValueError
            If they cannot be ``batch_size`` together.
        """
        if self.batch_rows is not None:
            total = sum(self.batch_rows.values())
            if total != batch_size:
                raise ValueError(
                    f"`batch_size` must be the sum of `batch_rows`, {total}, got {batch_size}.\n"
                    "Hint: leave out `batch_rows` for numbers in proportion to the strata."
                )
            return {stratum: self.batch_rows[stratum] for stratum in self._members}
        if batch_size < len(self._members):
            raise ValueError(
                f"`batch_size` must be at least {len(self._members)}, a row of each stratum, got "
                f"{batch_size}.\nHint: take larger batches, or join strata."
            )
        lengths = np.array([len(rows) for rows in self._members.values()])
        return dict(zip(self._members, _shares(lengths, batch_size), strict=True))

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
            Rows to draw from: as many as there are in ``strata``.
        batch_size : int
            Rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
            Ordered by stratum within a batch.
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
            What :meth:`rows` returns.

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
    """Cut ``total`` in proportion to the lengths, to whole numbers of at least 1."""
    exact = lengths * (total / lengths.sum())
    shares = np.maximum(1, exact.astype(np.int64))
    missing = total - int(shares.sum())
    if missing > 0:
        shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    for _ in range(-missing):
        # What was lifted to 1 is taken from those that are furthest above their due.
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    return [int(share) for share in shares]
