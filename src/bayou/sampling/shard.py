"""The part of every batch that one of several workers takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.arguments import whole_number

if TYPE_CHECKING:
    import numpy as np
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

    Raises
    ------
    ValueError
        If there is no such worker.

    Examples
    --------
    >>> [Shard(index, 3).part(10) for index in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """

    index: int = 0
    num_shards: int = 1

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
        return slice(first, last)

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
