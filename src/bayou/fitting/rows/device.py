"""Step inputs whose rows stay in the memory of the device, so that no step waits for the host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax

from bayou.feeding.feed import SliceFeed
from bayou.fitting.rows.all_rows import all_rows_padded
from bayou.fitting.rows.step_inputs import DeviceArray
from bayou.models.inputs import storage_of

if TYPE_CHECKING:
    from bayou.density.program import AnyArray, Program
    from bayou.feeding.feed import Feed
    from bayou.fitting.rows.step_inputs import StepInputs


def device_memory() -> int:
    """Return the memory of the accelerator in bytes, 0 if there is none."""
    device = jax.local_devices()[0]
    statistics = None if device.platform == "cpu" else device.memory_stats()
    return 0 if statistics is None else int(statistics["bytes_limit"])


def gather_on_device(inputs: StepInputs, memory: int) -> StepInputs:
    """Put the data on the device and feed row numbers alone, if the data fit.

    Parameters
    ----------
    inputs : StepInputs
        Rows from feeds.
    memory : int
        The memory of the device, in bytes. The data may take half of it, which leaves the other
        half to the model.

    Returns
    -------
    StepInputs
        Unchanged if the data do not fit, or some rows are not in the memory of this process.
    """
    feeds = [feed for feed in inputs.feeds if isinstance(feed, SliceFeed)]
    if len(feeds) < len(inputs.feeds) or not feeds:
        return inputs
    if sum(array.nbytes for feed in feeds for array in feed.arrays) > memory / 2:
        return inputs
    number_feeds: list[Feed] = []
    device_arrays: list[DeviceArray] = []
    for feed in feeds:
        axes = tuple(
            (sample.axis, position)
            for position, sample in enumerate(feed.samples, start=len(number_feeds))
        )
        device_arrays += [DeviceArray(jax.device_put(array), axes) for array in feed.arrays]
        number_feeds += feed.numbers
    return replace(inputs, feeds=number_feeds, device_arrays=tuple(device_arrays))


def take_all_rows(program: Program, inputs: StepInputs) -> StepInputs:
    """Have each step take all rows, padded so that another number of rows compiles nothing."""
    arrays: list[AnyArray] = [
        storage_of(variable).get_value(borrow=True) for variable in program.fed
    ]
    weights = None
    block = all_rows_padded(program)
    if block is not None:
        arrays, weights = list(block.inputs[: len(arrays)]), block.weights
    device_arrays = tuple(DeviceArray(jax.device_put(array), ()) for array in arrays)
    return replace(inputs, feeds=(), device_arrays=device_arrays, row_weights=weights)
