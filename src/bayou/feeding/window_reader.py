"""The reader of windowed epochs: one half of its memory is read while a thread fills the other.

The thread decodes block after block and puts the values of a row side by side; batches take their
rows from there. Memory is that of two windows and of a few pieces of a block.
"""

from __future__ import annotations

import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bayou.feeding.feed import take_rows
from bayou.feeding.prefetch import ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays
    from bayou.feeding.layout import Layout
    from bayou.sampling.window import Windows
    from bayou.sources.base.field import Table
    from bayou.sources.base.source import Source

# Places that are had at once, however small the batches.
STRETCH = 2**17


def count_blocks(source: Source, name: str) -> tuple[int, ...]:
    """Return the rows of each block; those that only reading tells are read, by one field."""
    return tuple(
        sum(len(table[name]) for table in source.read(block, [name])) if size is None else size
        for block, size in enumerate(source.blocks)
    )


class WindowStream:
    """The rows of window after window, decoded and put side by side.

    Parameters
    ----------
    layout : Layout
        The columns that are wanted.
    windows : Windows
        The order of the rows.
    key : uint64
        Of the stream of rows.
    """

    def __init__(self, layout: Layout, windows: Windows, key: np.uint64) -> None:
        self.windows = windows
        # Another window than the one that is being filled makes the thread give up.
        self.wanted: int | None = None
        self._layout = layout
        self.key = key
        self._next: int | None = None
        self._pieces: Iterator[tuple[Table, int, int]] = iter(())
        self._rest: tuple[Table, int, int] | None = None
        # Blocks are decoded here, while the one before is put side by side.
        self._decoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-decode")

    def stop(self) -> None:
        """Have the thread give up."""
        self.wanted = None

    def release(self) -> None:
        """Let go of what is being read; the next window begins anew."""
        self._next, self._pieces, self._rest = None, iter(()), None

    def close(self) -> None:
        """End the thread that decodes."""
        self.release()
        self._decoder.shutdown(cancel_futures=True)

    def empty(self) -> Arrays:
        """Return arrays for the rows of a window."""
        return self._layout.empty(self.windows.size(0))

    def fill(self, window: int, arrays: Arrays) -> None:
        """Write the rows of a window; one that follows the last one goes on where that ended."""
        if window != self._next or window % self.windows.num_windows == 0:
            # What reads does not hold the stream, which goes, with its thread, when it is dropped.
            # Nor does this call, whose error may be kept: what is decoded from takes 50 MB.
            args = self._layout, self.windows, self.key, window
            self._pieces, self._rest = ahead(_read(*args), self._decoder), None
        # After an error, the next call begins anew.
        self._next = None
        filled, size = 0, self.windows.size(window)
        while filled < size:
            if self.wanted != window:
                self.release()
                raise CancelledError
            table, start, stop = self._rest or next(self._pieces)
            count = min(stop - start, size - filled)
            rows = {name: table[name][start : start + count] for name in self._layout.names}
            self._layout.write(rows, [array[filled : filled + count] for array in arrays])
            filled += count
            self._rest = (table, start + count, stop) if start + count < stop else None
        self._next = window + 1


def _read(
    layout: Layout, windows: Windows, key: np.uint64, window: int
) -> Iterator[tuple[Table, int, int]]:
    """Yield tables from the start of a window to the end of its epoch, and which rows count."""
    source, names = layout.source, layout.names
    blocks, skipped = windows.begin(key, window)
    for block in map(int, blocks):
        expected, found = windows.block_rows[block], 0
        for table in source.read(block, names) if expected else ():
            begin, found = found, found + layout.check(table)
            if found > expected:
                break
            if found > skipped:
                yield table, max(0, skipped - begin), found - begin
        if found != expected:
            raise ValueError(
                f"`source` must yield {expected} rows for block {block}, got "
                f"{'more' if found > expected else found}.\n"
                "Hint: the data changed since the source was opened; open it again."
            )
        skipped = 0


class WindowReader:
    """Rows of windowed epochs, by their position in the endless stream.

    Parameters
    ----------
    stream : WindowStream
        Fills the windows.
    end : int, optional
        The position at which the stream is of no more use; by default there is none.

    Notes
    -----
    Reading on is what it is made for; a jump costs a window. The thread ends when the reader is
    closed or collected.
    """

    def __init__(self, stream: WindowStream, end: int | None = None) -> None:
        self._stream = stream
        self._end = None if end is None else stream.windows.locate(end - 1)[0] + 1
        self._halves: list[Arrays | None] = [None, None]
        self._current: int | None = None
        self._pending: tuple[int, Future[None]] | None = None
        # A window, a place in it, and which rows stand there and at the places that follow.
        self._known: tuple[int, int, NDArray[np.int64]] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bayou-window")
        weakref.finalize(self, stream.stop)

    def keep_in(self, room: Arrays) -> None:
        """Keep windows in arrays, one a column, if these have room for two; to be called first."""
        size = self._stream.windows.size(0)
        if len(room[0]) >= 2 * size:
            cuts = slice(size), slice(size, 2 * size)
            self._halves = [tuple(array[cut] for array in room) for cut in cuts]

    def read(self, position: int, slots: Sequence[NDArray[Any]]) -> None:
        """Write the rows from a position on into arrays of shape (count, *row)."""
        windows, filled = self._stream.windows, 0
        while filled < len(slots[0]):
            window, place = windows.locate(position + filled)
            count = min(len(slots[0]) - filled, windows.size(window) - place)
            rows = self._places(window, place, count) if windows.shuffled else None
            for array, slot in zip(self._window(window), slots, strict=True):
                if rows is None:
                    slot[filled : filled + count] = array[place : place + count]
                else:
                    take_rows(array, rows, slot[filled : filled + count])
            filled += count

    def close(self) -> None:
        """End the thread, and let go of the rows and of what they are read from."""
        self._stream.stop()
        self._executor.shutdown(cancel_futures=True)
        self._stream.close()
        self._halves, self._current, self._pending = [None, None], None, None

    def _places(self, window: int, first: int, count: int) -> NDArray[np.int64]:
        """Return which rows stand at some places of a window."""
        if self._known is not None:
            known, begin, places = self._known
            if known == window and begin <= first and first + count <= begin + len(places):
                return places[first - begin :][:count]
        windows = self._stream.windows
        length = min(max(count, STRETCH), windows.size(window) - first)
        places = windows.places(self._stream.key, window, first, length)
        self._known = window, first, places
        return places[:count]

    def _window(self, window: int) -> Arrays:
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
            # A jump writes over the half that is being read.
            self._current = None
        half = self._halves[window % 2]
        if half is None:
            half = self._halves[window % 2] = self._stream.empty()
        self._stream.wanted = window
        self._pending = window, self._executor.submit(self._stream.fill, window, half)
