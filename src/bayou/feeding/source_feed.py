"""What columns of a source are fed: its rows in any order, from wherever they are.

Rows that can be had one by one are taken where they are. All other rows are loaded once if there is
memory for all of them, and go through windows if not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayou.arguments import whole_number
from bayou.feeding.feed import take_rows
from bayou.feeding.layout import Layout
from bayou.feeding.memory import default_window
from bayou.feeding.window_reader import WindowReader, WindowStream, count_blocks
from bayou.sampling.order import ORDERS
from bayou.sampling.sequence import sequential_rows
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.weighted import Weighted
from bayou.sampling.window import Windows
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays, Feed
    from bayou.sampling.order import Order
    from bayou.sources.base.source import Column

type AnyOrder = str | Weighted | Stratified

NAMED_ORDERS: dict[str, Order] = {**ORDERS, "sequential": sequential_rows}
# Those that take every row once an epoch.
EXACT_ORDERS = ("epoch", "sequential")
# Rows that are taken at once: they are still in the cache when they are moved on.
TAKE_BYTES = 2**19
# What a window holds of a source that is read in order.
STREAM_BYTES = 2**24


class SourceFeed:
    """Batches of some columns of one source, all of the same rows.

    Parameters
    ----------
    columns : sequence of Column
        The inputs, all of one source.
    batch_size : int
        Rows of a batch, of all shards together.
    key : uint64
        Of the stream of rows, from :func:`bayou.sampling.uniform.stream_key`.
    order : str, Weighted or Stratified
        "epoch", "sequential" or "uniform"; or rows with importance weights, which are then one more
        input, the last: float64, one a row.
    in_memory_size : int, optional
        The rows that are resident, for a source without random access. By default
        :func:`bayou.feeding.memory.default_window`, or what streaming takes if the order is
        "sequential".
    shard : Shard
        The part of every batch that is wanted; by default all of it.
    epochs : int, optional
        The epochs after which the rows end; by default they do not.

    Raises
    ------
    TypeError
        If a field cannot be fed, or the order is none.
    ValueError
        If an argument is out of range, or the rows cannot be had in that order.

    Notes
    -----
    A source that does not know how many rows it has is read once to count them.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        batch_size: int,
        *,
        key: np.uint64,
        order: AnyOrder = "epoch",
        in_memory_size: int | None = None,
        shard: Shard | None = None,
        epochs: int | None = None,
    ) -> None:
        self._layout = Layout(tuple(columns))
        self._key = key
        self._shard = Shard() if shard is None else shard
        self._weights = order if isinstance(order, Weighted | Stratified) else None
        self._order = _order_of(order)
        self.batch_size = whole_number("batch_size", batch_size, 1, "it counts rows of a batch.")
        if in_memory_size is not None:
            whole_number("in_memory_size", in_memory_size, 2, "it counts the rows that are held.")
        self.blocks = count_blocks(self._layout.source, self._layout.names[0])
        self.num_rows = sum(self.blocks)
        self._check_rows(order)
        self._end = self._count_rows(order, epochs)
        self._reader: WindowReader | None = None
        self._taker: _Taker | None = None
        self._open(order, in_memory_size)

    @property
    def windowed(self) -> bool:
        """Whether rows near each other in the source come near each other."""
        return self._reader is not None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The inputs that are columns of the source."""
        return self._layout.columns

    @property
    def weighted(self) -> bool:
        """Whether the last input is the weights of the rows."""
        return self._weights is not None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one batch, for each input."""
        part = self.part(0)
        row_shapes = [column.shape for column in self._layout.columns]
        if self.weighted:
            row_shapes.append(())
        return tuple((part.stop - part.start, *shape) for shape in row_shapes)

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtype of each input."""
        dtypes = [column.dtype for column in self._layout.columns]
        if self.weighted:
            dtypes.append(np.dtype(np.float64))
        return tuple(dtypes)

    @property
    def num_batches(self) -> int | None:
        """The batches of all epochs; None if they do not end."""
        return None if self._end is None else -(-self._end // self.batch_size)

    def keep_in(self, room: Arrays) -> None:
        """Keep the rows of windows in arrays, one a column, if these have room for them.

        It is to be called before the first rows are asked for.
        """
        if self._reader is not None:
            self._reader.keep_in(room)

    def part(self, step: int) -> slice:
        """Return which rows of a batch are this shard's; the last batch of all may be shorter."""
        size = self.batch_size
        if self._end is not None:
            size = min(size, self._end - step * self.batch_size)
        return self._shard.part(size)

    def fill(self, first: int, slots: Sequence[NDArray[Any]]) -> None:
        """Write the batches of steps first, first + 1, ... into arrays of shape (count, *batch).

        A last batch that is shorter is to be asked for by itself.
        """
        part = self.part(first)
        if self._reader is not None:
            self._fill_from_windows(self._reader, first, part, slots)
            return
        rows = self._order(self._key, first, len(slots[0]), self.num_rows, self.batch_size)
        if self._weights is not None:
            *slots, weights = slots
            weights[...] = self._weights.weights(rows)[:, part]
        assert self._taker is not None
        self._taker.take(rows[:, part], slots)

    def close(self) -> None:
        """End the thread that reads, if there is one."""
        if self._reader is not None:
            self._reader.close()

    def _fill_from_windows(
        self, reader: WindowReader, first: int, part: slice, slots: Sequence[NDArray[Any]]
    ) -> None:
        count = len(slots[0])
        if part.stop - part.start == self.batch_size:
            # Whole batches follow each other without a gap.
            whole = [slot.reshape(-1, *slot.shape[2:]) for slot in slots]
            reader.read(first * self.batch_size, whole)
            return
        for step in range(count):
            position = (first + step) * self.batch_size + part.start
            reader.read(position, [slot[step] for slot in slots])

    def _open(self, order: AnyOrder, in_memory_size: int | None) -> None:
        """Choose the way in which rows are had."""
        layout = self._layout
        if layout.source.random_access:
            if in_memory_size is not None:
                raise ValueError(
                    "`in_memory_size` is for sources that are read block by block, got "
                    f"{in_memory_size} for one whose rows are taken where they are.\n"
                    "Hint: leave it out."
                )
            self._taker = _FromSource(layout)
            return
        streamed = order == "sequential"
        if in_memory_size is None:
            size = 2 * STREAM_BYTES // max(1, layout.row_bytes)
            size = max(2, size) if streamed else default_window(layout.source, layout.names)
        else:
            size = in_memory_size
        if size >= self.num_rows:
            self._taker = _FromMemory(layout, self.blocks)
        elif order in EXACT_ORDERS:
            windows = Windows(self.blocks, size // 2, shuffled=not streamed)
            self._reader = WindowReader(WindowStream(layout, windows, self._key), self._end)
        else:
            raise ValueError(
                f'`order` must be "epoch" or "sequential" for a source that is read block by block '
                f"and has more rows ({self.num_rows}) than are held ({size}), got {order!r}.\n"
                "Hint: raise `in_memory_size` to hold all rows, or write the source to a store "
                "with by.shuffle."
            )

    def _check_rows(self, order: AnyOrder) -> None:
        if self.num_rows == 0:
            raise ValueError(
                "`source` must have at least one row, got none.\n"
                "Hint: check the filter or the path that left nothing."
            )
        if order in EXACT_ORDERS and self.batch_size > self.num_rows:
            raise ValueError(
                f"`batch_size` must be at most the number of rows, {self.num_rows}, got "
                f"{self.batch_size}.\nHint: a batch may not hold a row twice; take smaller ones, "
                'or draw with replacement by order="uniform".'
            )
        if self.batch_size < self._shard.num_shards:
            raise ValueError(
                f"`batch_size` must be at least the number of shards, {self._shard.num_shards}, "
                f"got {self.batch_size}.\nHint: it counts the rows of all shards together."
            )
        if isinstance(order, str):
            return
        if order.num_rows != self.num_rows:
            raise ValueError(
                f"`order` must be of the rows of the source, {self.num_rows}, got one of "
                f"{order.num_rows} rows.\nHint: make it from a column of the same source."
            )
        if isinstance(order, Stratified):
            order.sizes(self.batch_size)

    def _count_rows(self, order: AnyOrder, epochs: int | None) -> int | None:
        if epochs is None:
            return None
        whole_number("epochs", epochs, 1, "leave it out for batches without end.")
        if order not in EXACT_ORDERS:
            raise ValueError(
                '`epochs` is for the orders "epoch" and "sequential", which take every row once, '
                f"got epochs={epochs} and order={order!r}.\n"
                "Hint: leave it out, and stop after the batches that you need."
            )
        return epochs * self.num_rows


def windowed(feeds: Sequence[Feed]) -> list[SourceFeed]:
    """Return the feeds that read rows in windows."""
    return [feed for feed in feeds if isinstance(feed, SourceFeed) and feed.windowed]


class _Taker(Protocol):
    """Takes rows by their numbers, shape (count, size), into arrays of (count, size, *row)."""

    def take(self, rows: NDArray[np.int64], slots: Sequence[NDArray[Any]]) -> None: ...


class _FromSource:
    """Takes rows where they are."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def take(self, rows: NDArray[np.int64], slots: Sequence[NDArray[Any]]) -> None:
        layout = self._layout
        length = max(1, TAKE_BYTES // max(1, layout.row_bytes * rows.shape[1]))
        for first in range(0, len(rows), length):
            numbers = np.ascontiguousarray(rows[first : first + length]).reshape(-1)
            table = layout.source.take(numbers, layout.names)
            layout.check(table)
            cut = [slot[first : first + length] for slot in slots]
            layout.write(table, [slot.reshape(-1, *slot.shape[2:]) for slot in cut])


class _FromMemory:
    """Loads all rows when the first are asked for, and takes them from there."""

    def __init__(self, layout: Layout, blocks: tuple[int, ...]) -> None:
        self._layout = layout
        self._blocks = blocks
        self._arrays: Arrays | None = None

    def take(self, rows: NDArray[np.int64], slots: Sequence[NDArray[Any]]) -> None:
        if self._arrays is None:
            self._arrays = self._load()
        for array, slot in zip(self._arrays, slots, strict=True):
            take_rows(array, rows, slot)

    def _load(self) -> Arrays:
        windows = Windows(self._blocks, sum(self._blocks), shuffled=False)
        stream = WindowStream(self._layout, windows, np.uint64(0))
        arrays = stream.empty()
        stream.wanted = 0
        try:
            stream.fill(0, arrays)
        finally:
            stream.close()
        return arrays


def _order_of(order: AnyOrder) -> Order:
    if isinstance(order, Weighted | Stratified):
        return order.rows
    if order not in tuple(NAMED_ORDERS):
        raise ValueError(
            f"`order` must be one of {listed(NAMED_ORDERS)}, or a by.Weighted or by.Stratified, "
            f"got {order!r}.\nHint: an epoch takes every row once."
        )
    return NAMED_ORDERS[order]
