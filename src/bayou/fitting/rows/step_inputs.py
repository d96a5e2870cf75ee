"""The inputs of the steps of a stochastic fit: feeds, arrays on the device, data and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bayou.cluster.jax_processes import Team
    from bayou.density.program import Inputs
    from bayou.feeding.feed import Feed


class DeviceArray(NamedTuple):
    """All rows of an input, in the memory of the device.

    Attributes
    ----------
    array : jax.Array
        All rows.
    axes : tuple of (int, int)
        For each sampled axis of the array: its number, and the position of its row numbers among
        the feeds. Empty if each step takes the whole array.
    """

    array: jax.Array
    axes: tuple[tuple[int, int], ...]

    def take(self, row_numbers: Sequence[jax.Array]) -> jax.Array:
        """Return the rows of a step, from the row numbers that its feeds gave."""
        rows = self.array
        for axis, position in self.axes:
            rows = jnp.take(rows, row_numbers[position], axis=axis)
        return rows


@dataclass(frozen=True)
class StepInputs:
    """The rows, data and noise of each step.

    Attributes
    ----------
    feeds : sequence of Feed
        Together they fill ``program.fed``, in its order.
    data : tuple of array
        The values of ``program.data``, the same in each step.
    key : jax.Array
        The key of the noise: the noise of a step is a function of it and of the step's number.
    device_arrays : tuple of DeviceArray
        The inputs ``program.fed`` on the device, or empty. If there are any, the feeds carry row
        numbers alone, and each step gathers its rows on the device.
    team : Team or None
        The processes that share the rows of each step. None for one process.
    row_weights : ndarray, shape (rows of this process,), or None
        The weight of each row in the log likelihood. None if all weigh the same.
    """

    feeds: Sequence[Feed]
    data: Inputs
    key: jax.Array
    device_arrays: tuple[DeviceArray, ...] = ()
    team: Team | None = None
    row_weights: NDArray[np.float64] | None = None
