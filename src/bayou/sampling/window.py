"""Windowed epochs: the order of sources that are read in blocks, where few rows fit into memory.

An epoch is all rows once. Its blocks come in a random order; that stream of rows is cut into
windows, and the rows of a window are in a random order. All of it is arithmetic: any place of the
endless stream is had without those before it, at the cost of the order of an epoch's blocks.
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
    """How epochs are cut into windows, which are numbered through all epochs.

    Parameters
    ----------
    block_rows : sequence of int
        The rows of each block.
    window_rows : int
        The rows of a window; the last one of an epoch may have less. A cut may fall anywhere in a
        block.
    shuffled : bool
        Whether blocks, and rows within a window, are in a random order; else they are in theirs.

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
        """The rows of an epoch."""
        return sum(self.block_rows)

    @property
    def num_windows(self) -> int:
        """The windows of an epoch."""
        return -(-self.num_rows // self.window_rows)

    def locate(self, position: int) -> tuple[int, int]:
        """Return the window that a position of the endless stream falls in, and the place there."""
        epoch, place = divmod(position, self.num_rows)
        window, place = divmod(place, self.window_rows)
        return epoch * self.num_windows + window, place

    def size(self, window: int) -> int:
        """Return the rows of a window."""
        return min(self.window_rows, self.num_rows - window % self.num_windows * self.window_rows)

    def block_order(self, key: np.uint64, epoch: int) -> NDArray[np.int64]:
        """Return the blocks in the order in which an epoch reads them."""
        count = len(self.block_rows)
        if not self.shuffled:
            return np.arange(count)
        return permutation(stream_key(int(key), 0, epoch), count, 0, count)

    def begin(self, key: np.uint64, window: int) -> tuple[NDArray[np.int64], int]:
        """Return the blocks from a window to the end of its epoch, and the rows to skip first."""
        epoch, index = divmod(window, self.num_windows)
        order = self.block_order(key, epoch)
        ends = np.cumsum(np.asarray(self.block_rows, dtype=np.int64)[order])
        start = index * self.window_rows
        at = int(np.searchsorted(ends, start, side="right"))
        return order[at:], start - (int(ends[at - 1]) if at else 0)

    def places(self, key: np.uint64, window: int, first: int, count: int) -> NDArray[np.int64]:
        """Return which rows stand at some places of a window, counted as they are read."""
        if not self.shuffled:
            return np.arange(first, first + count)
        return permutation(stream_key(int(key), 1, window), self.size(window), first, count)

    def rows(
        self, key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
    ) -> NDArray[np.int64]:
        """Return the rows of consecutive steps; takes memory for a window.

        Parameters
        ----------
        key : uint64
            The key of the stream, from :func:`bayou.sampling.uniform.stream_key`.
        first, count : int
            The steps first, ..., first + count - 1.
        num_rows : int
            Rows of an epoch: those of all blocks.
        batch_size : int
            Rows of a step.

        Returns
        -------
        ndarray of int64, shape (count, batch_size)
        """
        rows = np.empty(count * batch_size, dtype=np.int64)
        filled = 0
        while filled < len(rows):
            window, place = self.locate(first * batch_size + filled)
            part = self._window(key, window)[place : place + len(rows) - filled]
            rows[filled : filled + len(part)] = part
            filled += len(part)
        return rows.reshape(count, batch_size)

    def _window(self, key: np.uint64, window: int) -> NDArray[np.int64]:
        """Return the rows of a window, in its order."""
        starts = np.cumsum([0, *self.block_rows[:-1]])
        blocks, skipped = self.begin(key, window)
        size = self.size(window)
        numbers, filled = [], 0
        for block in blocks:
            count = min(self.block_rows[block] - skipped, size - filled)
            numbers.append(np.arange(count) + starts[block] + skipped)
            filled, skipped = filled + count, 0
            if filled == size:
                break
        return np.concatenate(numbers)[self.places(key, window, 0, size)]
