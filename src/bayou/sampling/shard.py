"""`by.Shard`: the part of each batch that one of several processes reads."""

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
    """The part of each batch that one process reads, if several processes share the batches.

    All processes have the same batches as a single process would have, and each reads a contiguous
    part of every batch. The parts, joined in the order of the processes, are the batch.

    Parameters
    ----------
    index : int, default 0
        The number of this process, counted from 0.
    num_shards : int, default 1
        The number of processes.
    even : bool, default False
        Whether all parts have the size of the largest, for processes that run the same computation
        at the same time. A smaller part then ends with the first row of the next part, with weight
        0.

    Raises
    ------
    ValueError
        If `num_shards` is below 1, or `index` is not below it.

    Examples
    --------
    >>> [by.Shard(index, 3).part(10) for index in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    >>> by.Shard(0, 3, even=True).part(10), by.Shard(0, 3, even=True).weights(10)
    (slice(0, 4, None), array([1.2, 1.2, 1.2, 0. ]))
    """

    index: int = 0
    num_shards: int = 1
    even: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        whole_number("num_shards", self.num_shards, 1, "it counts the processes.")
        whole_number("index", self.index, 0, "processes are counted from 0.")
        if self.index >= self.num_shards:
            raise ValueError(
                f"`index` must be below `num_shards`={self.num_shards}, got {self.index}.\n"
                "Hint: processes are counted from 0."
            )

    def part(self, num_rows: int) -> slice:
        """Return the part of a batch that this process reads; sizes of parts differ by at most 1.

        Parameters
        ----------
        num_rows : int
            The number of rows of the batch, of all processes together.

        Returns
        -------
        slice
            The positions of the part in the batch.
        """
        # Cuts that are rounded down from the exact ones, so that no part is more than a row larger.
        first, last = (
            num_rows * index // self.num_shards for index in (self.index, self.index + 1)
        )
        if self.even:
            # All parts have the size rounded up. The last part has it anyhow, so that none ends
            # beyond the batch.
            last = first - (-num_rows // self.num_shards)
        return slice(first, last)

    def weights(self, num_rows: int) -> NDArray[np.float64] | None:
        """Return the weights of the rows of the part.

        With them, the mean over the processes of the weighted means of their parts is the mean of
        the batch.

        Parameters
        ----------
        num_rows : int
            The number of rows of the batch, of all processes together.

        Returns
        -------
        ndarray of float64, shape (rows of the part,), or None
            None if all weights are 1.
        """
        if num_rows % self.num_shards == 0:
            return None
        part = self.part(num_rows)
        last = num_rows * (self.index + 1) // self.num_shards
        length = part.stop - part.start
        is_own = np.arange(part.start, part.stop) < last
        # The mean over processes of their means divides by length * num_shards, the mean of the
        # batch by num_rows.
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
        """Return the rows of this process of consecutive steps of an order.

        Parameters
        ----------
        order : callable
            Returns the rows of whole batches, such as `bayou.sampling.epoch.epoch_rows`.
        key, first, count, num_rows, batch_size
            The arguments of the order; `batch_size` is that of all processes together.

        Returns
        -------
        ndarray of int64, shape (count, rows of the part)
        """
        return order(key, first, count, num_rows, batch_size)[:, self.part(batch_size)]
