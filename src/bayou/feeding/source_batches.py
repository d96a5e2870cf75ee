"""The feed of columns of a source: batches of its rows in any order, however they are stored.

There are three ways, one of which is chosen when a feed is made. Rows of a source with random
access are taken by their numbers. Other sources are loaded into memory once, if they fit into
`in_memory_size`; else they are read in windows, which hold a part of the rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from bayou.arguments import whole_number
from bayou.feeding.feed import take_rows
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.memory import default_window
from bayou.feeding.read import count_block_rows
from bayou.feeding.window_reader import WindowReader, WindowStream
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

    from bayou.feeding.feed import Arrays, Feed, Slots
    from bayou.sampling.order import Order
    from bayou.sources.base.source import Column

type AnyOrder = str | Weighted | Stratified

NAMED_ORDERS: dict[str, Order] = {**ORDERS, "sequential": sequential_rows}
# The orders that take every row once an epoch.
EXACT_ORDERS = ("epoch", "sequential")
# So many bytes of rows are taken from a source at a time: they stay in the second-level cache of a
# core, some 1 MB, until they are copied on.
TAKE_BYTES = 2**19
# The size of a window of a source that is read in its own order, where larger windows shuffle
# nothing: enough that a window takes longer than the switch to the thread that fills it.
STREAM_BYTES = 2**24


class SourceFeed:
    """Batches of some columns of one source, all of the same rows.

    Parameters
    ----------
    columns : sequence of Column
        The inputs, all of one source.
    batch_size : int
        The number of rows of a batch, of all shards together.
    key : uint64
        The key of the order, from :func:`bayou.sampling.uniform.stream_key`.
    order : str, Weighted or Stratified
        "epoch", "sequential" or "uniform"; or an order with importance weights, which are then one
        more input, the last: float64, one a row.
    in_memory_size : int, optional
        The number of rows in memory at a time, for a source without random access. By default
        :func:`bayou.feeding.memory.default_window`; two windows of 16 MiB if the order is
        "sequential".
    shard : Shard, optional
        The part of each batch to gather; by default all of it.
    epochs : int, optional
        The number of epochs after which the rows end; by default they do not end.

    Raises
    ------
    TypeError
        If a field is text.
    ValueError
        If an argument is out of range, or the source cannot be read in that order.

    Notes
    -----
    A source that does not know its number of rows is read once to count them.
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
        self._layout = ColumnLayout(tuple(columns))
        self._key = key
        self._shard = Shard() if shard is None else shard
        self._weights = order if isinstance(order, Weighted | Stratified) else None
        self._order = _order_function(order)
        self.batch_size = whole_number(
            "batch_size", batch_size, 1, "it counts the rows of a batch."
        )
        if in_memory_size is not None:
            whole_number("in_memory_size", in_memory_size, 2, "it counts rows in memory.")
        self.blocks = count_block_rows(self._layout.source, self._layout.names[0])
        self.num_rows = sum(self.blocks)
        self._check_rows(order)
        self._end = self._count_rows(order, epochs)
        self._reader: WindowReader | None = None
        self._taker: _Taker | None = None
        self._open(order, in_memory_size)

    @property
    def is_windowed(self) -> bool:
        """Whether rows are read in windows: rows of one window come near each other."""
        return self._reader is not None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The inputs that are columns of the source."""
        return self._layout.columns

    @property
    def has_weights(self) -> bool:
        """Whether the last input is the importance weights of the rows."""
        return self._weights is not None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one batch, for each input."""
        part = self.part(0)
        row_shapes = [column.shape for column in self._layout.columns]
        if self.has_weights:
            row_shapes.append(())
        return tuple((part.stop - part.start, *shape) for shape in row_shapes)

    @property
    def dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of each input."""
        dtypes = [column.dtype for column in self._layout.columns]
        if self.has_weights:
            dtypes.append(np.dtype(np.float64))
        return tuple(dtypes)

    @property
    def num_batches(self) -> int | None:
        """The number of batches of all epochs; None if they do not end."""
        return None if self._end is None else -(-self._end // self.batch_size)

    def use_buffers(self, buffers: Arrays) -> None:
        """Keep windows in given arrays, one a column, if they have room for two windows.

        Must be called before :meth:`fill`. A fit passes the arrays of resident containers, which
        it does not need while it is fed, so that the rows are not in memory twice.
        """
        if self._reader is not None:
            self._reader.use_buffers(buffers)

    def part(self, step: int) -> slice:
        """Return the part of a batch that is this shard's; the last batch of all may be shorter."""
        size = self.batch_size
        if self._end is not None:
            size = min(size, self._end - step * self.batch_size)
        return self._shard.part(size)

    def fill(self, first: int, slots: Slots) -> None:
        """Write the batches of steps first, first + 1, ... into arrays of shape (count, *batch).

        A last batch that is shorter must be requested by itself.
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
        """End the threads that read, if there are any."""
        if self._reader is not None:
            self._reader.close()

    def _fill_from_windows(
        self, reader: WindowReader, first: int, part: slice, slots: Slots
    ) -> None:
        count = len(slots[0])
        if part.stop - part.start == self.batch_size:
            # Whole batches are consecutive rows of the stream, so that one call reads all of them.
            flat = [slot.reshape(-1, *slot.shape[2:]) for slot in slots]
            reader.read(first * self.batch_size, flat)
            return
        for step in range(count):
            position = (first + step) * self.batch_size + part.start
            reader.read(position, [slot[step] for slot in slots])

    def _open(self, order: AnyOrder, in_memory_size: int | None) -> None:
        """Choose how rows are read: by number, from memory, or in windows."""
        layout = self._layout
        if layout.source.random_access:
            if in_memory_size is not None:
                raise ValueError(
                    "`in_memory_size` is for sources that are read block by block, got "
                    f"{in_memory_size} for a source whose rows are read by their number.\n"
                    "Hint: leave it out."
                )
            self._taker = _FromSource(layout)
            return
        is_sequential = order == "sequential"
        if in_memory_size is None:
            size = 2 * STREAM_BYTES // max(1, layout.row_bytes)
            size = max(2, size) if is_sequential else default_window(layout.source, layout.names)
        else:
            size = in_memory_size
        if size >= self.num_rows:
            self._taker = _FromMemory(layout, self.blocks)
        elif order in EXACT_ORDERS:
            # One half for the window that is used, one for the next, which is read meanwhile.
            windows = Windows(self.blocks, size // 2, shuffled=not is_sequential)
            self._reader = WindowReader(WindowStream(layout, windows, self._key), self._end)
        else:
            raise ValueError(
                f'`order` must be "epoch" or "sequential" for a source that is read block by block '
                f"and has more rows than memory, {self.num_rows} and {size}, got {order!r}.\n"
                "Hint: raise `in_memory_size` to the number of rows, or write the source to a "
                "store with by.shuffle."
            )

    def _check_rows(self, order: AnyOrder) -> None:
        if self.num_rows == 0:
            raise ValueError(
                "`source` must have at least one row, got none.\n"
                "Hint: check the path, or the filter."
            )
        if order in EXACT_ORDERS and self.batch_size > self.num_rows:
            raise ValueError(
                f"`batch_size` must be at most the number of rows, {self.num_rows}, got "
                f"{self.batch_size}.\nHint: this order has no row twice in a batch; pass a smaller "
                'one, or order="uniform", which draws with replacement.'
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
                f"`order` must have an entry for each row of the source, {self.num_rows}, got "
                f"{order.num_rows}.\nHint: make it from a column of the same source."
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


def windowed_feeds(feeds: Sequence[Feed]) -> list[SourceFeed]:
    """Return the feeds that read rows in windows."""
    return [feed for feed in feeds if isinstance(feed, SourceFeed) and feed.is_windowed]


class _Taker(Protocol):
    """Writes rows with given numbers, shape (count, size), into arrays (count, size, *row)."""

    def take(self, rows: NDArray[np.int64], slots: Slots) -> None: ...


class _FromSource:
    """Takes rows from a source with random access."""

    def __init__(self, layout: ColumnLayout) -> None:
        self._layout = layout

    def take(self, rows: NDArray[np.int64], slots: Slots) -> None:
        layout = self._layout
        length = max(1, TAKE_BYTES // max(1, layout.row_bytes * rows.shape[1]))
        for first in range(0, len(rows), length):
            numbers = np.ascontiguousarray(rows[first : first + length]).reshape(-1)
            table = layout.source.take(numbers, layout.names)
            layout.check(table)
            cut = [slot[first : first + length] for slot in slots]
            layout.write(table, [slot.reshape(-1, *slot.shape[2:]) for slot in cut])


class _FromMemory:
    """Takes rows from memory, into which all are loaded with the first call."""

    def __init__(self, layout: ColumnLayout, blocks: tuple[int, ...]) -> None:
        self._layout = layout
        self._blocks = blocks
        self._arrays: Arrays | None = None

    def take(self, rows: NDArray[np.int64], slots: Slots) -> None:
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


def _order_function(order: AnyOrder) -> Order:
    """Return the function that gives the rows of an order."""
    if isinstance(order, Weighted | Stratified):
        return order.rows
    if order not in tuple(NAMED_ORDERS):
        raise ValueError(
            f"`order` must be one of {listed(NAMED_ORDERS)}, or a by.Weighted or by.Stratified, "
            f"got {order!r}.\nHint: 'epoch' takes every row once, in random order."
        )
    return NAMED_ORDERS[order]
