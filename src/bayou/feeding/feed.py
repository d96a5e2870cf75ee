"""What one input of a model is fed: for a range of steps, the stacked batches of those steps.

Gathering a chunk costs one pass over its rows; nothing else is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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
    """Random slices of an array that is in memory."""

    array: NDArray[Any]
    samples: Sequence[AxisSample]

    @property
    def step_bytes(self) -> int:
        """The size of one batch."""
        shape = list(self.array.shape)
        for sample in self.samples:
            shape[sample.axis] = sample.size
        return int(np.prod(shape)) * self.array.itemsize

    def stack(self, first: int, count: int) -> NDArray[Any]:
        """Gather the slices of ``count`` steps."""
        steps = np.arange(count, dtype=np.uint64) + np.uint64(first)
        if not self.samples:
            return np.broadcast_to(self.array, (count, *self.array.shape))
        if len(self.samples) == 1 and self.samples[0].axis == 0:
            rows = self.samples[0].rows(steps, len(self.array))
            return np.take(self.array, rows, axis=0)
        return np.stack([self._slice(step) for step in steps])

    def _slice(self, step: np.uint64) -> NDArray[Any]:
        batch = self.array
        for sample in self.samples:
            rows = sample.rows(step, self.array.shape[sample.axis])
            batch = np.take(batch, rows, axis=sample.axis)
        return batch


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
