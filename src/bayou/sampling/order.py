"""The orders in which a fit draws rows from memory, by name."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.epoch import epoch_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # (key, first step, number of steps, num_rows, batch_size) -> rows, shape (steps, batch_size)
    type Order = Callable[[np.uint64, int, int, int, int], NDArray[np.int64]]


def _uniform(
    key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    from bayou.sampling.kernels import fill_uniform

    rows = np.empty((count, batch_size), dtype=np.int64)
    fill_uniform(rows, np.uint64(key), np.uint64(first), np.uint64(num_rows))
    return rows


def compile_in_background(order: str) -> None:
    """Compile an order in a thread, while the rest of a fit is prepared.

    A call of the order meanwhile waits for the compilation.
    """
    Thread(target=ORDERS[order], args=(np.uint64(0), 0, 1, 1, 1), daemon=True).start()


ORDERS: dict[str, Order] = {"epoch": epoch_rows, "uniform": _uniform}
