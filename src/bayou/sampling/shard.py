"""The part of every batch that one of several workers takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.sampling.order import Order


@dataclass(frozen=True)
class Shard:
    """Worker ``index`` of ``num_shards``, which together draw the very rows that one would.

    Each takes a contiguous part of every global batch, so that joining their parts in the order of
    the workers gives the batch.

    Parameters
    ----------
    index : int
        Which worker this is, from 0.
    num_shards : int
        The number of workers.
    even : bool, default False
        Whether all parts are of the size of the largest, as workers in lockstep need them: a
        smaller one then ends with the first row of the next, which counts nothing there.

    Raises
    ------
    ValueError
        If there is no such worker.

    Examples
    --------
    >>> [Shard(index, 3).part(10) for index in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    >>> Shard(0, 3, even=True).part(10), Shard(0, 3, even=True).weights(10)
    (slice(0, 4, None), array([1.2, 1.2, 1.2, 0. ]))
    """

    index: int = 0
    num_shards: int = 1
    even: bool = False

    def __post_init__(self) -> None:
        """Check that there is such a worker."""
        whole_number("num_shards", self.num_shards, 1, "it counts the workers.")
        whole_number("index", self.index, 0, "workers are numbered from 0.")
        if self.index >= self.num_shards:
            raise ValueError(
                f"`index` must be below `num_shards`={self.num_shards}, got {self.index}.\n"
                "Hint: workers are numbered from 0."
            )

    def part(self, num_rows: int) -> slice:
        """Return which of the rows of a batch are this worker's; sizes differ by 1 at most.

        Parameters
        ----------
        num_rows : int
            Rows of the batch that all workers draw together.

        Returns
        -------
        slice
            Places in that batch.
        """
        first, last = (
            num_rows * index // self.num_shards for index in (self.index, self.index + 1)
        )
        if self.even:
            last = first - (-num_rows // self.num_shards)
        return slice(first, last)

    def weights(self, num_rows: int) -> NDArray[np.float64] | None:
        """Return how much each row of the part counts, for the mean over parts to be the batch's.

        Parameters
        ----------
        num_rows : int
            Rows of the batch that all workers draw together.

        Returns
        -------
        ndarray, shape (rows of the part,), or None
            None where each counts alike.
        """
        if num_rows % self.num_shards == 0:
            return None
        part = self.part(num_rows)
        last = num_rows * (self.index + 1) // self.num_shards
        length = part.stop - part.start
        is_own = np.arange(part.start, part.stop) < last
        return np.where(is_own, length * self.num_shards / num_rows, 0.0)

    def rows(
        self,
        order: Order,
        key: np.uint64,
        first: int,
        count: int,
        num_rows: int,
        batch_size: int,
    ) -> NDArray[np.int64]:
        """Return this worker's rows of consecutive steps of an order.

        Parameters
        ----------
        order : callable
            Returns the rows of whole batches.
        key, first, count, num_rows, batch_size
            As the order takes them; ``batch_size`` is that of all workers together.

        Returns
        -------
        ndarray of int64, shape (count, rows of the part)
        """
        return order(key, first, count, num_rows, batch_size)[:, self.part(batch_size)]
