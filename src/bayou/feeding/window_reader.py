"""The reader of windowed epochs, for sources without random access that are larger than memory.

A window is the part of the rows that is in memory. Batches take rows from one window while a thread
fills the next; a second thread decodes the block after the one that is copied. So two windows are
in memory, each of half of `in_memory_size`, and a few pieces of a block.
"""

from __future__ import annotations

import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from bayou.feeding.feed import take_rows
from bayou.feeding.prefetch import iterate_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays, Slots
    from bayou.feeding.layout import ColumnLayout
    from bayou.sampling.window import Windows
    from bayou.sources.base.field import Table

# The order of so many rows of a window is computed at a time, however small the batches are: 1 MiB
# of numbers, since a call costs some microseconds whatever its length.
STRETCH = 2**17


class WindowStream:
    """The rows of one window after another, decoded and copied into arrays.

    Parameters
    ----------
    layout : ColumnLayout
        The columns to read.
    windows : Windows
        The order of the rows.
    key : uint64
        The key of the order.
    """

    def __init__(self, layout: ColumnLayout, windows: Windows, key: np.uint64) -> None:
        self.windows = windows
        # The window that is wanted now. A thread that fills another one gives up.
        self.wanted: int | None = None
        self._layout = layout
        self.key = key
        self._next: int | None = None
        self._pieces: Iterator[tuple[Table, int, int]] = iter(())
        self._rest: tuple[Table, int, int] | None = None
        # Decodes a piece of a block while the piece before is copied.
        self._decoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-decode")

    def stop(self) -> None:
        """Stop filling a window: the thread gives up at its next piece."""
        self.wanted = None

    def release(self) -> None:
        """Free the pieces that are being read; the next call of :meth:`fill` reads them again."""
        self._next, self._pieces, self._rest = None, iter(()), None

    def close(self) -> None:
        """End the thread that decodes."""
        self.release()
        self._decoder.shutdown(cancel_futures=True)

    def empty(self) -> Arrays:
        """Return arrays for the rows of a window."""
        return self._layout.empty(self.windows.size(0))

    def fill(self, window: int, arrays: Arrays) -> None:
        """Write the rows of a window into arrays, in the order in which they are read.

        The window after the one of the last call continues its blocks; any other window is searched
        for, which reads the beginning of its first block in vain.

        Raises
        ------
        CancelledError
            If another window is wanted meanwhile.
        ValueError
            If the source has other rows than it says.
        """
        if window != self._next or window % self.windows.num_windows == 0:
            # `_read` is a function, not a method, so that the iterator does not refer to the
            # stream, which must be collected, with its thread, once its user drops it. Nor do local
            # variables refer to the pieces: the traceback of an error that is kept would keep them,
            # which for Parquet are 50 MB.
            args = self._layout, self.windows, self.key, window
            self._pieces, self._rest = iterate_ahead(_read(*args), self._decoder), None
        # Stays None after an error, so that the next call starts over.
        self._next = None
        num_done, size = 0, self.windows.size(window)
        while num_done < size:
            if self.wanted != window:
                self.release()
                raise CancelledError
            table, start, stop = self._rest or next(self._pieces)
            count = min(stop - start, size - num_done)
            rows = {name: table[name][start : start + count] for name in self._layout.names}
            self._layout.write(rows, [array[num_done : num_done + count] for array in arrays])
            num_done += count
            self._rest = (table, start + count, stop) if start + count < stop else None
        self._next = window + 1


def _read(
    layout: ColumnLayout, windows: Windows, key: np.uint64, window: int
) -> Iterator[tuple[Table, int, int]]:
    """Yield tables from the start of a window to the end of its epoch.

    Yields
    ------
    table, start, stop
        A table, and the range of its rows that are of the window or of later ones.
    """
    source, names = layout.source, layout.names
    blocks, skipped = windows.begin(key, window)
    for block in map(int, blocks):
        expected, num_read = windows.block_rows[block], 0
        for table in source.read(block, names) if expected else ():
            begin, num_read = num_read, num_read + layout.check(table)
            if num_read > expected:
                break
            if num_read > skipped:
                yield table, max(0, skipped - begin), num_read - begin
        if num_read != expected:
            raise ValueError(
                f"`source` must yield {expected} rows for block {block}, got "
                f"{'more' if num_read > expected else num_read}.\n"
                "Hint: the data changed since the source was opened; open it again."
            )
        skipped = 0


class WindowReader:
    """Rows of windowed epochs, by their position in the endless stream of epochs.

    Parameters
    ----------
    stream : WindowStream
        Fills the windows.
    end : int, optional
        The position at which reading ends, so that no window after it is filled in advance. By
        default it does not end.

    Notes
    -----
    It is made for reading on. A jump waits for a whole window. The threads end when the reader is
    closed or collected.
    """

    def __init__(self, stream: WindowStream, end: int | None = None) -> None:
        self._stream = stream
        self._end = None if end is None else stream.windows.locate(end - 1)[0] + 1
        self._halves: list[Arrays | None] = [None, None]
        self._current: int | None = None
        self._pending: tuple[int, Future[None]] | None = None
        # A window, a position in it, and the rows at this position and those that follow.
        self._stretch: tuple[int, int, NDArray[np.int64]] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-window")
        weakref.finalize(self, stream.stop)

    def use_buffers(self, buffers: Arrays) -> None:
        """Keep the windows in given arrays, one a column, if they have room for two windows.

        Must be called before :meth:`read`.
        """
        size = self._stream.windows.size(0)
        if len(buffers[0]) >= 2 * size:
            halves = slice(size), slice(size, 2 * size)
            self._halves = [tuple(array[half] for array in buffers) for half in halves]

    def read(self, position: int, slots: Slots) -> None:
        """Write the rows from a position on into arrays of shape (count, *row), one a column."""
        windows, done = self._stream.windows, 0
        while done < len(slots[0]):
            window, start = windows.locate(position + done)
            count = min(len(slots[0]) - done, windows.size(window) - start)
            rows = self._rows(window, start, count) if windows.shuffled else None
            for array, slot in zip(self._arrays(window), slots, strict=True):
                if rows is None:
                    slot[done : done + count] = array[start : start + count]
                else:
                    take_rows(array, rows, slot[done : done + count])
            done += count

    def close(self) -> None:
        """End the threads, and free the rows and the pieces that they are read from."""
        self._stream.stop()
        self._executor.shutdown(cancel_futures=True)
        self._stream.close()
        self._halves, self._current, self._pending = [None, None], None, None

    def _rows(self, window: int, first: int, count: int) -> NDArray[np.int64]:
        """Return which rows of a window's arrays are at consecutive positions of its order."""
        if self._stretch is not None:
            of_window, begin, rows = self._stretch
            if of_window == window and begin <= first and first + count <= begin + len(rows):
                return rows[first - begin :][:count]
        windows = self._stream.windows
        length = min(max(count, STRETCH), windows.size(window) - first)
        rows = windows.positions(self._stream.key, window, first, length)
        self._stretch = window, first, rows
        return rows[:count]

    def _arrays(self, window: int) -> Arrays:
        """Wait for the rows of a window, start to fill the next window, and return the rows."""
        if window != self._current:
            if self._pending is None or self._pending[0] != window:
                self._fill(window)
            assert self._pending is not None
            future, self._pending = self._pending[1], None
            future.result()
            self._current = window
            if window + 1 != self._end:
                self._fill(window + 1)
        arrays = self._halves[window % 2]
        assert arrays is not None
        return arrays

    def _fill(self, window: int) -> None:
        if self._current is not None and (window - self._current) % 2 == 0:
            # After a jump, the half of the current window is overwritten.
            self._current = None
        half = self._halves[window % 2]
        if half is None:
            half = self._halves[window % 2] = self._stream.empty()
        self._stream.wanted = window
        self._pending = window, self._executor.submit(self._stream.fill, window, half)
