"""Feeds: objects that fill the inputs of a compiled function with the batches of a range of steps.

`Feed` is the contract. `SliceFeed` gathers random rows of arrays, `NumberFeed` gives their numbers
alone, `ItemFeed` takes items from an iterator; `source_batches` has the feed of sources. A feed
writes into arrays of the caller and keeps no rows.
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
type Slots = Sequence[NDArray[Any]]
"""Arrays that a feed fills with the rows of some steps, one for each input."""

ALL_ROWS = Shard()


class Feed(Protocol):
    """Batches of consecutive steps, for one input or for several that take the same rows."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one batch, for each input."""
        ...

    @property
    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of each input."""
        ...

    def fill(self, first: int, slots: Slots) -> None:
        """Write the batches of steps first, first + 1, ... into arrays, one an input.

        Parameters
        ----------
        first : int
            The first step. Within a fit, it is the step after those of the last call.
        slots : sequence of ndarray, shapes (count, *batch)
            Where to write. Called from one thread at a time.
        """
        ...


def step_bytes(feeds: Sequence[Feed]) -> int:
    """Return the size in bytes of the batches of one step, of all feeds together."""
    return sum(
        int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        for feed in feeds
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )


def empty_slots(feed: Feed, count: int) -> Arrays:
    """Return arrays for `count` steps of a feed, aligned so that XLA need not copy them."""
    return tuple(
        page_array((count, *shape), dtype)
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )


def take_rows[Number: np.generic](
    array: NDArray[Number], rows: NDArray[np.int64], slot: NDArray[Number]
) -> None:
    """Write rows of an array, whose numbers must be valid, into a slot of their shape and dtype."""
    # "clip" changes no valid number. With "raise", NumPy writes to a buffer first, and copies it to
    # the slot once all numbers are checked.
    np.take(array, rows, axis=0, out=slot, mode="clip")


def page_array[Number: np.generic](
    shape: tuple[int, ...], dtype: np.dtype[Number]
) -> NDArray[Number]:
    """Return an array of zeros in memory pages of its own.

    Its alignment lets XLA read it without a copy. When it is freed, its memory goes back to the
    system, where the heap of the C library would keep it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    # With a private mapping, a forked process writes to a copy.
    pages = mmap(-1, max(1, size), access=ACCESS_COPY)
    return np.frombuffer(pages, np.uint8, size).view(dtype).reshape(shape)


@dataclass(frozen=True)
class SliceFeed:
    """Random slices of arrays in memory, of the same rows in all arrays.

    Parameters
    ----------
    arrays : tuple of ndarray
        The data, one array an input, of one length along each sampled axis.
    samples : sequence of AxisSample
        The sampled axes, each with its number of rows.
    order : str
        One of :data:`bayou.sampling.order.ORDERS`.
    seed : int
        Decides the rows, together with the seeds of the axes.
    shard : Shard
        The part of each batch of leading rows to gather; by default all of it. Slices along other
        axes are not sharded.
    """

    arrays: Arrays
    samples: Sequence[AxisSample]
    order: str
    seed: int
    shard: Shard = ALL_ROWS

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
    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of each array."""
        return tuple(array.dtype for array in self.arrays)

    def fill(self, first: int, slots: Slots) -> None:
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
        """The feeds of the row numbers along each sampled axis."""
        shape = self.arrays[0].shape
        return tuple(
            NumberFeed(sample, shape[sample.axis], self.order, self.seed) for sample in self.samples
        )

    def sample_rows(self, seed: int, num_steps: int) -> Arrays:
        """Return a random sample of as many rows as several steps draw, each row once if it can be.

        It is independent of the rows that the steps draw.

        Returns
        -------
        tuple of ndarray
            One array an input, `num_steps` times as long as a batch along the first sampled axis.
        """
        rows = []
        for position, sample in enumerate(self.samples):
            size = sample.size * (num_steps if position == 0 else 1)
            length = self.arrays[0].shape[sample.axis]
            generator = np.random.default_rng((seed, sample.seed, sample.stream))
            all_rows = np.tile(np.arange(length), size // length)
            rest = generator.choice(length, size % length, replace=False, shuffle=False)
            rows.append(np.concatenate([all_rows, np.sort(rest)]))
        return tuple(self._slice(array, rows) for array in self.arrays)

    @property
    def _has_leading_rows(self) -> bool:
        return [sample.axis for sample in self.samples] == [0]

    def _slice[Number: np.generic](
        self, array: NDArray[Number], rows: list[NDArray[np.int64]]
    ) -> NDArray[Number]:
        for sample, numbers in zip(self.samples, rows, strict=True):
            array = np.take(array, numbers, axis=sample.axis)
        return array


@dataclass(frozen=True)
class NumberFeed:
    """The numbers of random rows, for rows that are gathered elsewhere, such as on a GPU.

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
    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of numbers of rows."""
        return (np.dtype(np.int64),)

    def fill(self, first: int, slots: Slots) -> None:
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
        The name of the generator, for errors.
    first : ndarray
        An item; all others have its shape and dtype.
    """

    take: Callable[[], NDArray[Any]]
    name: str
    first: NDArray[Any]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of an item."""
        return (self.first.shape,)

    @property
    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of an item."""
        return (self.first.dtype,)

    def fill(self, first: int, slots: Slots) -> None:
        """Take as many items as the slot has room for."""
        [slot] = slots
        for row, item in zip(slot, self._items(len(slot)), strict=True):
            if item.shape != self.first.shape:
                raise ValueError(
                    f"`{self.name}` must yield items of one shape to be fitted, got "
                    f"{item.shape} after {self.first.shape}.\n"
                    "Hint: cut the stream into batches of equal size."
                )
            row[...] = item

    def skip(self, count: int) -> None:
        """Take items and discard them, as a resumed fit does with those of the earlier run."""
        for _ in self._items(count):
            pass

    def _items(self, count: int) -> Iterator[NDArray[Any]]:
        for _ in range(count):
            try:
                yield self.take()
            except StopIteration:
                raise ValueError(
                    f"`{self.name}` must yield an item for each step of the fit, got no more.\n"
                    "Hint: fit fewer steps, restart the generator with `set_gen`, or pass "
                    "`default=` to by.generator."
                ) from None
