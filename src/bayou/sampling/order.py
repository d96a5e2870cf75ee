"""The orders in which a fit draws rows, by name; each is a pure function of (key, step)."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.permutation import mix
from bayou.sampling.uniform import GOLDEN, scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # (key, first step, number of steps, num_rows, batch_size) -> rows, shape (steps, batch_size)
    type Order = Callable[[np.uint64, int, int, int, int], NDArray[np.int64]]

_scale = numba.njit(scale)


def _uniform(
    key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    rows = np.empty((count, batch_size), dtype=np.int64)
    _fill(rows, np.uint64(key), np.uint64(first), np.uint64(num_rows))
    return rows


@numba.njit(nogil=True, cache=True)
def _fill(rows: Any, key: Any, first: Any, num_rows: Any) -> None:
    """Write what :func:`bayou.sampling.uniform.uniform_rows` returns, in one pass."""
    for step in range(rows.shape[0]):
        start = mix(key + mix(first + np.uint64(step) + GOLDEN))
        for index in range(rows.shape[1]):
            bits = mix(start + np.uint64(index + 1) * GOLDEN)
            rows[step, index] = np.int64(_scale(bits, num_rows))


def prepare(order: str) -> None:
    """Have the numbers of rows compiled in the background; who asks for rows meanwhile waits."""
    Thread(target=ORDERS[order], args=(np.uint64(0), 0, 1, 1, 1), daemon=True).start()


ORDERS: dict[str, Order] = {"epoch": epoch_rows, "uniform": _uniform}
