"""The rows of a program: fed step by step, in blocks that are all of them, or a first sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.generator import GeneratorOp
from bayou.feeding.feed import Feed, ItemFeed, SliceFeed
from bayou.inference.evaluate import Block, Evaluator

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.inference.program import Inputs, Program

BLOCK_ROWS = 2**16
PILOT_ROWS = 2**14


def program_feeds(program: Program, order: str, seed: int) -> tuple[Feed, ...]:
    """Return a feed for each of ``program.fed``, over the data as they are now."""
    return tuple(_feed(variable, order, seed) for variable in program.fed)


def first_inputs(program: Program, order: str, seed: int) -> Inputs:
    """Return the inputs of the first step; nothing is taken from a generator."""
    return tuple(_peek(variable, order, seed, 1) for variable in program.fed) + (
        program.data_values()
    )


def pilot_block(program: Program, order: str, seed: int) -> Block:
    """Return some thousands of rows at once, drawn as the first steps draw them.

    Where an input is no plain sample of leading rows, it is the batch of the first step.
    """
    feeds = program_feeds(program, order, seed)
    sizes = {_leading_rows(feed) for feed in feeds}
    steps = 1 if None in sizes or not sizes else math.ceil(PILOT_ROWS / max(filter(None, sizes)))
    fed = tuple(_peek(variable, order, seed, steps) for variable in program.fed)
    return Block(fed + program.data_values(), 1.0, _num_rows(program, fed))


def whole_blocks(program: Program) -> list[Block] | None:
    """Return all rows in blocks, or None if they are not all in memory.

    Slices of leading rows are cut into blocks; anything else is one block of all the data.
    """
    if any(isinstance(variable.owner.op, GeneratorOp) for variable in program.fed):
        return None
    data = program.data_values()
    storages = [variable.owner.inputs[0].get_value(borrow=True) for variable in program.fed]
    lengths = {len(storage) for storage in storages if storage.ndim}
    leading = all(
        [sample.axis for sample in variable.owner.op.samples] == [0] for variable in program.fed
    )
    if not (storages and leading and len(lengths) == 1):
        return [Block((*storages, *data), 1.0, _num_rows(program, tuple(storages)))]
    [num_rows] = lengths
    num_blocks = math.ceil(num_rows / BLOCK_ROWS)
    size = math.ceil(num_rows / num_blocks)
    cuts = [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]
    return [
        Block(
            (*(storage[cut] for storage in storages), *data),
            (cut.stop - cut.start) / num_rows,
            cut.stop - cut.start,
        )
        for cut in cuts
    ]


def whole_density(program: Program) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Return log densities of positions on all rows, as they are when asked; None if they are fed.

    Takes positions of shape (num_positions, size).
    """
    if whole_blocks(program) is None:
        return None

    def densities(positions: NDArray[Any]) -> NDArray[Any]:
        blocks = whole_blocks(program)
        assert blocks is not None
        return Evaluator(program, blocks).densities(positions)

    return densities


def _feed(variable: TensorVariable, order: str, seed: int) -> Feed:
    operation = variable.owner.op
    if isinstance(operation, GeneratorOp):
        first = operation.adapter.first
        return ItemFeed(operation.next_item.take, variable.name or "generator", first.nbytes)
    storage = variable.owner.inputs[0]
    return SliceFeed(storage.get_value(borrow=True), operation.samples, order, seed)


def _peek(variable: TensorVariable, order: str, seed: int, num_steps: int) -> NDArray[Any]:
    operation: Any = variable.owner.op
    if isinstance(operation, GeneratorOp):
        return np.asarray(operation.adapter.first)
    stacked = _feed(variable, order, seed).stack(0, num_steps)
    return stacked[0] if num_steps == 1 else stacked.reshape(-1, *stacked.shape[2:])


def _leading_rows(feed: Feed) -> int | None:
    """Return the rows of a step, if they are leading rows of an array; a batch may be all of it."""
    if isinstance(feed, SliceFeed) and [sample.axis for sample in feed.samples] == [0]:
        return feed.samples[0].size
    return None


def _num_rows(program: Program, fed: tuple[NDArray[Any], ...]) -> int:
    """Return the length of the longest input: what an evaluation takes memory in proportion to."""
    values = [*fed, *program.data_values()]
    return max((value.size for value in values), default=1)
