"""What the inputs of a model are fed: for a range of steps, the stacked batches of those steps.

Gathering a chunk costs one pass over its rows, into arrays that the caller keeps; nothing else is
held.
"""

from __future__ import annotations

from dataclasses import dataclass
from mmap import ACCESS_COPY, mmap
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayou.sampling.order import ORDERS
from bayou.sampling.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.sampling.axes import AxisSample

type Arrays = tuple[NDArray[Any], ...]

WHOLE = Shard()


class Feed(Protocol):
    """Batches of consecutive steps, for one input or for several that take the same rows."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one batch, for each input."""
        ...

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtype of each input."""
        ...

    def fill(self, first: int, slots: Sequence[NDArray[Any]]) -> None:
        """Write the batches of steps first, first + 1, ... into arrays of shape (count, *batch).

        It is called from one thread at a time. Steps rise without a gap within a fit; another fit
        begins at any step.
        """
        ...


def step_bytes(feeds: Sequence[Feed]) -> int:
    """Return the size of one step's batches of all feeds."""
    return sum(
        int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        for feed in feeds
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )


def empty_slots(feed: Feed, count: int) -> Arrays:
    """Return arrays for ``count`` steps of a feed, aligned so that XLA need not copy them."""
    return tuple(
        page_array((count, *shape), dtype)
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )


def take_rows(array: NDArray[Any], rows: NDArray[np.int64], slot: NDArray[Any]) -> None:
    """Write rows of an array, which are known to be valid, into a slot of their shape and dtype."""
    # "clip" changes no valid number; unlike "raise", it writes to the slot without a copy.
    np.take(array, rows, axis=0, out=slot, mode="clip")


def page_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of pages of its own, of zeros.

    XLA reads it where it lies, since it is aligned, and it goes back to the system when it is let
    go, where the heap would keep it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    # A forked process writes to a copy.
    pages = mmap(-1, max(1, size), access=ACCESS_COPY)
    return np.frombuffer(pages, np.uint8, size).view(dtype).reshape(shape)


@dataclass(frozen=True)
class SliceFeed:
    """Random slices of arrays that are in memory, of the same rows in all of them.

    Parameters
    ----------
    arrays : tuple of ndarray
        The data, one array an input, of one length along each sampled axis.
    samples : sequence of AxisSample
        The sampled axes.
    order : str
        One of :data:`bayou.sampling.order.ORDERS`.
    seed : int
        Decides the rows, together with the seeds of the axes.
    shard : Shard
        The part that is wanted of every batch of leading rows; by default all of it. Slices
        along other axes have no parts.
    """

    arrays: Arrays
    samples: Sequence[AxisSample]
    order: str
    seed: int
    shard: Shard = WHOLE

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one batch, for each array."""
        sizes = {sample.axis: sample.size for sample in self.samples}
        if self._has_leading_rows:
            sizes[0] = len(range(sizes[0])[self.shard.part(sizes[0])])
        return tuple(
            tuple(sizes.get(axis, length) for axis, length in enumerate(array.shape))
            for array in self.arrays
        )

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtype of each array."""
        return tuple(array.dtype for array in self.arrays)

    def fill(self, first: int, slots: Sequence[NDArray[Any]]) -> None:
        """Gather the slices of as many steps as the slots have room for."""
        count = len(slots[0])
        rows = [np.empty((count, sample.size), dtype=np.int64) for sample in self.samples]
        for numbers, feed in zip(rows, self.numbers, strict=True):
            feed.fill(first, [numbers])
        if self._has_leading_rows:
            rows[0] = rows[0][:, self.shard.part(self.samples[0].size)]
        for array, slot in zip(self.arrays, slots, strict=True):
            if self._has_leading_rows:
                take_rows(array, rows[0], slot)
            else:
                for step in range(count):
                    slot[step] = self._slice(array, [numbers[step] for numbers in rows])

    @property
    def numbers(self) -> tuple[NumberFeed, ...]:
        """What feeds the numbers of the rows along each sampled axis."""
        shape = self.arrays[0].shape
        return tuple(
            NumberFeed(sample, shape[sample.axis], self.order, self.seed) for sample in self.samples
        )

    def sample(self, seed: int, num_steps: int) -> Arrays:
        """Return the rows of several steps at once, without replacement as far as there are enough.

        The first sampled axis is longer by that factor; nothing that a step draws is used up.
        """
        rows = []
        for place, sample in enumerate(self.samples):
            size = sample.size * (num_steps if place == 0 else 1)
            length = self.arrays[0].shape[sample.axis]
            generator = np.random.default_rng((seed, sample.seed, sample.stream))
            whole = np.tile(np.arange(length), size // length)
            part = generator.choice(length, size % length, replace=False, shuffle=False)
            rows.append(np.concatenate([whole, np.sort(part)]))
        return tuple(self._slice(array, rows) for array in self.arrays)

    @property
    def _has_leading_rows(self) -> bool:
        return [sample.axis for sample in self.samples] == [0]

    def _slice(self, array: NDArray[Any], rows: list[NDArray[np.int64]]) -> NDArray[Any]:
        for sample, numbers in zip(self.samples, rows, strict=True):
            array = np.take(array, numbers, axis=sample.axis)
        return array


@dataclass(frozen=True)
class NumberFeed:
    """The numbers of random rows, where the rows themselves are elsewhere.

    Parameters
    ----------
    sample : AxisSample
        The sampled axis.
    num_rows : int
        Its length.
    order : str
        One of :data:`bayou.sampling.order.ORDERS`.
    seed : int
        Decides the rows, together with the seed of the axis.
    """

    sample: AxisSample
    num_rows: int
    order: str
    seed: int

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the numbers of one batch."""
        return ((self.sample.size,),)

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtype of numbers of rows."""
        return (np.dtype(np.int64),)

    def fill(self, first: int, slots: Sequence[NDArray[Any]]) -> None:
        """Write the numbers of as many steps as the slot has room for."""
        [slot] = slots
        key = self.sample.key(self.seed)
        size = self.sample.size
        slot[...] = ORDERS[self.order](key, first, len(slot), self.num_rows, size)


@dataclass(frozen=True)
class ItemFeed:
    """Items of an iterator, in order, all of the shape of the first.

    Parameters
    ----------
    take : callable
        Returns the next item; raises StopIteration at the end.
    name : str
        Of the generator, for errors.
    first : ndarray
        An item, whose shape and dtype are those of all.
    """

    take: Callable[[], NDArray[Any]]
    name: str
    first: NDArray[Any]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of an item."""
        return (self.first.shape,)

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtype of an item."""
        return (self.first.dtype,)

    def fill(self, first: int, slots: Sequence[NDArray[Any]]) -> None:
        """Take as many items as the slot has room for."""
        [slot] = slots
        for place, item in zip(slot, self._items(len(slot)), strict=True):
            if item.shape != self.first.shape:
                raise ValueError(
                    f"`{self.name}` must yield items of one shape to be fitted, got "
                    f"{item.shape} after {self.first.shape}.\n"
                    "Hint: cut the stream into batches of equal size."
                )
            place[...] = item

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
