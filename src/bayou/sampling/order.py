"""The orders in which a fit draws rows, by name; each is a pure function of (key, step)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.uniform import uniform_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # (key, first step, number of steps, num_rows, batch_size) -> rows, shape (steps, batch_size)
    type Order = Callable[[np.uint64, int, int, int, int], NDArray[np.int64]]


def _uniform(
    key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    steps = np.arange(count, dtype=np.uint64) + np.uint64(first)
    return uniform_rows(key, steps, np.uint64(num_rows), batch_size)


ORDERS: dict[str, Order] = {"epoch": epoch_rows, "uniform": _uniform}
