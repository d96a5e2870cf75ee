"""What one input of a model is fed: for a range of steps, the stacked batches of those steps.

Gathering a chunk costs one pass over its rows; nothing else is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayou.sampling.order import ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sampling.axes import AxisSample


class Feed(Protocol):
    """Stacked batches of consecutive steps.

    ``stack(first, count)`` returns an array of shape (count, *batch). It is called from one thread
    at a time, with steps that rise without a gap.
    """

    @property
    def step_bytes(self) -> int:
        """The size of one batch."""
        ...

    def stack(self, first: int, count: int) -> NDArray[Any]:
        """Return the batches of steps first, ..., first + count - 1."""
        ...


@dataclass(frozen=True)
class SliceFeed:
    """Random slices of an array that is in memory.

    Parameters
    ----------
    array : ndarray
        The data.
    samples : sequence of AxisSample
        The sampled axes.
    order : str
        One of :data:`bayou.sampling.order.ORDERS`.
    seed : int
        Decides the rows, together with the seeds of the axes.
    """

    array: NDArray[Any]
    samples: Sequence[AxisSample]
    order: str
    seed: int

    @property
    def step_bytes(self) -> int:
        """The size of one batch."""
        shape = list(self.array.shape)
        for sample in self.samples:
            shape[sample.axis] = sample.size
        return int(np.prod(shape)) * self.array.itemsize

    def stack(self, first: int, count: int) -> NDArray[Any]:
        """Gather the slices of ``count`` steps."""
        rows = [self._rows(sample, first, count) for sample in self.samples]
        if not rows:
            return np.broadcast_to(self.array, (count, *self.array.shape))
        if len(rows) == 1 and self.samples[0].axis == 0:
            return np.take(self.array, rows[0], axis=0)
        return np.stack([self._slice([numbers[step] for numbers in rows]) for step in range(count)])

    def _rows(self, sample: AxisSample, first: int, count: int) -> NDArray[np.int64]:
        num_rows = self.array.shape[sample.axis]
        return _rows(self.order, sample.key(self.seed), first, count, num_rows, sample.size)

    def _slice(self, rows: list[NDArray[np.int64]]) -> NDArray[Any]:
        batch = self.array
        for sample, numbers in zip(self.samples, rows, strict=True):
            batch = np.take(batch, numbers, axis=sample.axis)
        return batch


@lru_cache(maxsize=4)
def _rows(
    order: str, key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    """Draw the rows of a chunk once for all the slices that are aligned."""
    return ORDERS[order](key, first, count, num_rows, batch_size)


@dataclass(frozen=True)
class ItemFeed:
    """Items of an iterator, in order; all of the items of a chunk have one shape."""

    take: Callable[[], NDArray[Any]]
    name: str
    step_bytes: int

    def stack(self, first: int, count: int) -> NDArray[Any]:
        """Take the next ``count`` items."""
        items = list(self._items(count))
        shapes = {item.shape for item in items}
        if len(shapes) > 1:
            raise ValueError(
                f"`{self.name}` must yield items of one shape to be fitted, got {sorted(shapes)}.\n"
                "Hint: cut the stream into batches of equal size."
            )
        return np.stack(items)

    def skip(self, count: int) -> None:
        """Take items and leave them, one by one."""
        for _ in self._items(count):
            pass

    def _items(self, count: int) -> Iterator[NDArray[Any]]:
        for _ in range(count):
            try:
                yield self.take()
            except StopIteration:
                raise ValueError(
                    f"`{self.name}` must yield an item for each step of the fit, got no more.\n"
                    "Hint: fit fewer steps, restart the generator with `set_gen`, or give "
                    "by.generator a default."
                ) from None
