"""Windowed epochs: the order of sources that are read block by block and do not fit into memory.

An epoch is all rows once. Its blocks come in random order; the stream of their rows is cut into
windows, which fit into memory, and the rows of a window come in random order. Any position of the
endless stream of epochs is computed without those before it, at the cost of the order of the blocks
of one epoch. It is not a random order of all rows: rows of one block stay near each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.permutation import permutation
from bayou.sampling.uniform import stream_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """The windows of epochs, numbered through all epochs.

    Parameters
    ----------
    block_rows : sequence of int
        The number of rows of each block.
    window_rows : int
        The number of rows of a window; the last one of an epoch may have fewer. A window may begin
        and end within a block.
    shuffled : bool, default True
        Whether blocks, and the rows of a window, come in random order; else in the source's order.

    Examples
    --------
    >>> windows = Windows((4, 3, 4), window_rows=5)
    >>> windows.locate(12)
    (3, 1)
    >>> [windows.size(window) for window in range(4)]
    [5, 5, 1, 5]
    """

    block_rows: Sequence[int]
    window_rows: int
    shuffled: bool = True

    @cached_property
    def num_rows(self) -> int:
        """The number of rows of an epoch."""
        return sum(self.block_rows)

    @property
    def num_windows(self) -> int:
        """The number of windows of an epoch."""
        return -(-self.num_rows // self.window_rows)

    def locate(self, position: int) -> tuple[int, int]:
        """Return the window of a position of the endless stream, and the position within it."""
        epoch, in_epoch = divmod(position, self.num_rows)
        window, in_window = divmod(in_epoch, self.window_rows)
        return epoch * self.num_windows + window, in_window

    def size(self, window: int) -> int:
        """Return the number of rows of a window."""
        return min(self.window_rows, self.num_rows - window % self.num_windows * self.window_rows)

    def block_order(self, key: np.uint64, epoch: int) -> NDArray[np.int64]:
        """Return the numbers of the blocks in the order in which an epoch reads them."""
        count = len(self.block_rows)
        if not self.shuffled:
            return np.arange(count)
        # 0 here and 1 below keep the orders of blocks and of rows independent.
        return permutation(stream_key(int(key), 0, epoch), count, 0, count)

    def begin(self, key: np.uint64, window: int) -> tuple[NDArray[np.int64], int]:
        """Return the blocks from a window to its epoch's end, and how many rows to skip first."""
        epoch, index = divmod(window, self.num_windows)
        order = self.block_order(key, epoch)
        ends = np.cumsum(np.asarray(self.block_rows, dtype=np.int64)[order])
        start = index * self.window_rows
        # The block that the window begins in; blocks without rows before it are left out.
        at = int(np.searchsorted(ends, start, side="right"))
        return order[at:], start - (int(ends[at - 1]) if at else 0)

    def positions(self, key: np.uint64, window: int, first: int, count: int) -> NDArray[np.int64]:
        """Return the rows at consecutive positions of a window, numbered as they are read."""
        if not self.shuffled:
            return np.arange(first, first + count)
        return permutation(stream_key(int(key), 1, window), self.size(window), first, count)

    def rows(
        self, key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
    ) -> NDArray[np.int64]:
        """Return the rows of consecutive steps; takes memory for the numbers of a window.

        Parameters
        ----------
        key : uint64
            The key of the stream, from :func:`bayou.sampling.uniform.stream_key`.
        first, count : int
            The first step, and the number of steps.
        num_rows : int
            The number of rows of an epoch, which is that of all blocks.
        batch_size : int
            The number of rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
        """
        rows = np.empty(count * batch_size, dtype=np.int64)
        done = 0
        while done < len(rows):
            window, start = self.locate(first * batch_size + done)
            part = self._window(key, window)[start : start + len(rows) - done]
            rows[done : done + len(part)] = part
            done += len(part)
        return rows.reshape(count, batch_size)

    def _window(self, key: np.uint64, window: int) -> NDArray[np.int64]:
        """Return the row numbers of a window, in its order."""
        starts = np.cumsum([0, *self.block_rows[:-1]])
        blocks, skipped = self.begin(key, window)
        size = self.size(window)
        numbers, done = [], 0
        for block in blocks:
            count = min(self.block_rows[block] - skipped, size - done)
            numbers.append(np.arange(count) + starts[block] + skipped)
            done, skipped = done + count, 0
            if done == size:
                break
        return np.concatenate(numbers)[self.positions(key, window, 0, size)]
