"""The rows of a program: fed step by step, in blocks that are all of them, or a first sample."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.generator import GeneratorOp
from bayou.feeding.feed import Feed, ItemFeed, SliceFeed
from bayou.inference.evaluate import Block, Evaluator
from bayou.inference.program import sampling_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.inference.program import Inputs, Program

BLOCK_ROWS = 2**16
PILOT_ROWS = 2**14


def program_feeds(program: Program, order: str, seed: int) -> tuple[Feed, ...]:
    """Return feeds that together fill ``program.fed``, over the data as they are now.

    Neighbours that are sampled alike share one, and so the numbers of its rows.
    """
    groups = groupby(program.fed, key=lambda variable: sampling_of(variable) or id(variable))
    return tuple(_feed(list(variables), order, seed) for _, variables in groups)


def first_inputs(program: Program) -> Inputs:
    """Return inputs like those of a step; nothing is taken from a generator.

    The rows of the least and the largest whole numbers are among them, so that an index that is out
    of range is.
    """
    feeds = program_feeds(program, "epoch", 0)
    fed = _some(feeds, 0, 1)
    for feed in feeds:
        if isinstance(feed, SliceFeed) and _leading_rows(feed):
            rows = _extreme_rows(feed)
            for array, part in zip(feed.arrays, fed[: len(feed.arrays)], strict=True):
                part[: len(rows)] = array[rows]
        fed = (*fed[len(feed.shapes) :], *fed[: len(feed.shapes)])
    return fed + program.data_values()


def _extreme_rows(feed: SliceFeed) -> list[int]:
    """Return the rows with the least and the largest of each array of whole numbers."""
    rows = [
        int(find(array))
        for array in feed.arrays
        if array.ndim == 1 and array.dtype.kind in "iu"
        for find in (np.argmin, np.argmax)
    ]
    return list(dict.fromkeys(rows))[: feed.samples[0].size]


def pilot_block(program: Program, seed: int) -> Block:
    """Return some thousands of rows at once, a random sample of them all.

    Where an input is no plain sample of leading rows, or a potential counts on the size of a batch,
    it is one batch.
    """
    feeds = program_feeds(program, "epoch", seed)
    sizes = {_leading_rows(feed) for feed in feeds}
    single = None in sizes or not sizes or program.potentials_of_rows
    steps = 1 if single else math.ceil(PILOT_ROWS / max(filter(None, sizes)))
    fed = _some(feeds, seed, steps)
    return Block(fed + program.data_values(), 1.0, _num_rows(program, fed))


def _some(feeds: Sequence[Feed], seed: int, num_steps: int) -> Inputs:
    """Return as many rows as ``num_steps`` steps would take, at once."""
    found: list[Any] = []
    for feed in feeds:
        if isinstance(feed, ItemFeed):
            found.append(feed.first)
        elif isinstance(feed, SliceFeed):
            found.extend(feed.sample(seed, num_steps))
    return tuple(found)


def why_not_whole(program: Program) -> str | None:
    """Return what keeps a model from being evaluated on all of its rows, if anything does."""
    if any(isinstance(variable.owner.op, GeneratorOp) for variable in program.fed):
        return "the rows come from a generator"
    if program.potentials_of_rows:
        return f"the potential {program.potentials_of_rows[0]!r} is of the rows of one batch"
    return None


def whole_blocks(program: Program) -> list[Block] | None:
    """Return all rows in blocks, or None if they cannot be had.

    Slices of leading rows are cut into blocks; anything else is one block of all the data.
    """
    if why_not_whole(program):
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
    if program.takes_weights:
        size = _filled_size(size)
    return [
        _block(storages, data, slice(start, start + size), program.takes_weights)
        for start in range(0, num_rows, size)
    ]


def _block(storages: list[NDArray[Any]], data: Inputs, rows: slice, filled: bool) -> Block:
    """Return a block of rows, filled up with copies of the last one, which count nothing."""
    [num_rows] = {len(storage) for storage in storages}
    size = rows.stop - rows.start
    parts = [storage[rows] for storage in storages]
    count = len(parts[0])
    if not filled:
        return Block((*parts, *data), count / num_rows, count)
    missing = size - count
    if missing:
        parts = [np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in parts]
    weights = np.where(np.arange(size) < count, size / count, 0.0)
    return Block((*parts, *data), count / num_rows, size, weights)


def _filled_size(num_rows: int) -> int:
    """Round a number of rows up to four binary digits, so that few sizes are ever compiled."""
    step = 1 << max(0, num_rows.bit_length() - 4)
    return math.ceil(num_rows / step) * step


def whole_density(program: Program) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Return log densities of positions on all rows, as they are when asked, or None.

    Takes positions of shape (num_positions, size).
    """
    if why_not_whole(program):
        return None

    def densities(positions: NDArray[Any]) -> NDArray[Any]:
        blocks = whole_blocks(program)
        assert blocks is not None
        return Evaluator(program, blocks).densities(positions)

    return densities


def _feed(variables: list[TensorVariable], order: str, seed: int) -> Feed:
    operation = variables[0].owner.op
    if isinstance(operation, GeneratorOp):
        name = variables[0].name or "generator"
        return ItemFeed(operation.next_item.take, name, np.asarray(operation.adapter.first))
    arrays = tuple(variable.owner.inputs[0].get_value(borrow=True) for variable in variables)
    return SliceFeed(arrays, operation.samples, order, seed)


def _leading_rows(feed: Feed) -> int | None:
    """Return the rows of a step, if they are leading rows of an array; a batch may be all of it."""
    if isinstance(feed, SliceFeed) and [sample.axis for sample in feed.samples] == [0]:
        return feed.samples[0].size
    return None


def _num_rows(program: Program, fed: tuple[NDArray[Any], ...]) -> int:
    """Return the length of the longest input: what an evaluation takes memory in proportion to."""
    values = [*fed, *program.data_values()]
    return max((value.size for value in values), default=1)
