"""The numbers of rows, and the blocks that rows are cut into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_rows(rows: NDArray[np.int64], num_rows: int | None) -> None:
    """Check that a source has rows of these numbers.

    Parameters
    ----------
    rows : ndarray of int64, any shape
        The numbers.
    num_rows : int or None
        The number of rows of the source. None if it is not known: then any number from 0 passes.

    Raises
    ------
    TypeError
        If `rows` is not an array of int64.
    IndexError
        If there is no such row.
    """
    dtype = getattr(rows, "dtype", None)
    if dtype != np.int64:
        got = dtype or type(rows).__name__
        raise TypeError(
            f"`rows` must be an array of int64, got {got}.\n"
            "Hint: convert it with numpy.asarray(rows, dtype=numpy.int64)."
        )
    limit = np.iinfo(np.int64).max if num_rows is None else num_rows
    # As uint64, a negative number is above every number of rows: one comparison does for both.
    if rows.size and rows.view(np.uint64).max() >= limit:
        wrong = rows[(rows < 0) | (rows >= limit)][0]
        below = "" if num_rows is None else f" and below the number of rows, {num_rows}"
        raise IndexError(
            f"`rows` must be at least 0{below}, got {wrong}.\nHint: rows are numbered from 0."
        )


def even_blocks(num_rows: int, size: int = 2**16) -> tuple[int, ...]:
    """Return the sizes of blocks that rows are cut into, all equal but the last one.

    Parameters
    ----------
    num_rows : int
        The number of rows.
    size : int, default 65,536
        The number of rows of a block.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> even_blocks(10, 4)
    (4, 4, 2)
    """
    num_full, rest = divmod(num_rows, size)
    return (size,) * num_full + ((rest,) if rest else ())
