"""The rows of a program: fed step by step, in blocks that are all of them, or a first sample."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.generator import GeneratorOp
from bayou.containers.resident import streamed
from bayou.feeding.feed import Feed, ItemFeed, SliceFeed, empty_slots
from bayou.feeding.layout import Layout
from bayou.feeding.read import read_pieces
from bayou.feeding.source_feed import SourceFeed
from bayou.inference.evaluate import Block, Evaluator
from bayou.inference.roots import group_of, storage_of
from bayou.sources.open import source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.resident import Resident
    from bayou.feeding.feed import Arrays
    from bayou.feeding.source_feed import AnyOrder
    from bayou.inference.program import Inputs, Program
    from bayou.sampling.axes import AxisSample
    from bayou.sources.source import Column

BLOCK_ROWS = 2**16
PILOT_ROWS = 2**14
# A block is filled up to so many times its rows, or rows are cut into so many blocks, before others
# are compiled, which takes a second.
MOST_FILLED = 16
MOST_BLOCKS = 256
# What an evaluation costs before it computes anything, in rows.
DISPATCH_ROWS = 1024


def program_feeds(program: Program, order: AnyOrder, seed: int) -> tuple[Feed, ...]:
    """Return feeds that together fill ``program.fed``, over the data as they are now.

    Neighbours that are sampled alike share one, and so the numbers of its rows. They are to be
    closed by :func:`closing_feeds`.

    Raises
    ------
    ValueError
        If the rows cannot be had in that order.
    """
    groups = groupby(program.fed, key=group_of)
    return tuple(_feed(list(variables), order, seed) for _, variables in groups)


@contextmanager
def closing_feeds(feeds: Sequence[Feed]) -> Iterator[None]:
    """End the threads that read, at the end of a with block."""
    try:
        yield
    finally:
        for feed in feeds:
            if isinstance(feed, SourceFeed):
                feed.close()


def first_inputs(program: Program, feeds: Sequence[Feed]) -> Inputs:
    """Return inputs like those of a step; nothing is taken from a generator.

    The rows of the least and the largest whole numbers are among them, so that an index that is out
    of range is.
    """
    fed: list[Any] = []
    for feed in feeds:
        parts = _some(feed, 0, 1)
        if isinstance(feed, SliceFeed) and _leading_rows(feed):
            rows = _extreme_rows(feed)
            for array, part in zip(feed.arrays, parts, strict=True):
                part[: len(rows)] = array[rows]
        fed.extend(parts)
    fed = fed[: len(program.fed)]
    return (*fed, *program.data_values(), *program.latent_start(len(fed[0]) if fed else 0))


def _extreme_rows(feed: SliceFeed) -> list[int]:
    """Return the rows with the least and the largest of each array of whole numbers."""
    rows = [
        int(row)
        for array in feed.arrays
        if array.dtype.kind in "iu"
        for find in (np.argmin, np.argmax)
        for row in find(array.reshape(len(array), -1), axis=0)
    ]
    return list(dict.fromkeys(rows))[: feed.samples[0].size]


def pilot_block(program: Program, feeds: Sequence[Feed], seed: int) -> Block:
    """Return some thousands of rows at once: a random sample of them all, or the first of a stream.

    Where an input is no plain sample of leading rows, or a potential counts on the size of a batch,
    it is one batch.
    """
    sizes = {_leading_rows(feed) for feed in feeds}
    single = None in sizes or not sizes or program.potentials_of_batches
    steps = 1 if single else math.ceil(PILOT_ROWS / max(filter(None, sizes)))
    fed = tuple(part for feed in feeds for part in _some(feed, seed, steps))
    # Orders of unequal probabilities feed the weights of the rows last.
    fed, weights = fed[: len(program.fed)], fed[len(program.fed) :]
    inputs = fed + program.data_values()
    return Block(inputs, 1.0, _num_numbers(program, fed), *weights)


def _some(feed: Feed, seed: int, num_steps: int) -> Arrays:
    """Return as many rows as ``num_steps`` steps would take, at once."""
    if isinstance(feed, ItemFeed):
        return (feed.first,)
    if isinstance(feed, SliceFeed):
        return feed.sample(seed, num_steps)
    slots = empty_slots(feed, num_steps)
    feed.fill(0, slots)
    return tuple(slot.reshape(-1, *slot.shape[2:]) for slot in slots)


def why_not_whole(program: Program) -> str | None:
    """Return what keeps a model from being evaluated on all of its rows, if anything does."""
    if any(isinstance(variable.owner.op, GeneratorOp) for variable in program.fed):
        return "the rows come from a generator"
    if program.latent is not None:
        return f"{program.latent.names[0]!r} has a value for each row"
    if program.potentials_of_batches:
        return f"the potential {program.potentials_of_batches[0]!r} is of the rows of one batch"
    if _windows(program) and len(set(map(group_of, program.fed))) > 1:
        return "the rows come from a source and from elsewhere"
    return None


def why_not_resident(program: Program) -> str | None:
    """Return what keeps a model from being evaluated on all rows in memory, if anything does."""
    return "a part of the rows is in memory" if _windows(program) else why_not_whole(program)


def whole_blocks(program: Program) -> Iterable[Block] | None:
    """Return all rows in blocks, to be gone through any number of times; None if they are not had.

    Slices of leading rows are cut into blocks; anything else is one block of all the data. Rows
    that are not in memory are read anew each time.
    """
    if why_not_whole(program):
        return None
    residents = _windows(program)
    if residents:
        layout = Layout(tuple(resident.column for resident in residents))
        counts = residents[0].blocks
        size = _block_size(program, sum(counts))
        return SourceBlocks(layout, counts, program.data_values(), size, program.takes_weights)
    data = program.data_values()
    storages = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    lengths = {len(storage) for storage in storages if storage.ndim}
    leading = all(
        [sample.axis for sample in variable.owner.op.samples] == [0] for variable in program.fed
    )
    if not (storages and leading and len(lengths) == 1):
        return [Block((*storages, *data), 1.0, _num_numbers(program, tuple(storages)))]
    [num_rows] = lengths
    size = _block_size(program, num_rows)
    return [
        _block(
            [storage[start : start + size] for storage in storages],
            data, size, num_rows, program.takes_weights,
        )
        for start in range(0, num_rows, size)
    ]  # fmt: skip


@dataclass(frozen=True)
class SourceBlocks:
    """All rows of a source, in blocks of one size.

    Attributes
    ----------
    layout : Layout
        The columns that are inputs.
    counts : tuple of int
        The rows of each block of the source.
    data : tuple of array
        The inputs that are not of rows.
    size : int
        The rows of a block.
    filled : bool
        Whether the last block may be filled up.
    """

    layout: Layout
    counts: tuple[int, ...]
    data: Inputs
    size: int
    filled: bool

    def __iter__(self) -> Iterator[Block]:
        """Read all rows, block after block."""
        num_rows = sum(self.counts)
        for rows in read_pieces(self.layout, self.counts, self.size):
            yield _block(rows, self.data, self.size, num_rows, self.filled)


def _block_size(program: Program, num_rows: int) -> int:
    """Choose the rows of a block: a number that is compiled already, unless it is far off."""
    size = math.ceil(num_rows / math.ceil(num_rows / BLOCK_ROWS))
    if not program.takes_weights:
        return size
    known = [
        known
        for known in program.block_sizes
        if known <= MOST_FILLED * num_rows and num_rows <= MOST_BLOCKS * known
    ]
    if not known:
        program.block_sizes.add(_filled_size(size))
        return _filled_size(size)
    return min(known, key=lambda size: math.ceil(num_rows / size) * (size + DISPATCH_ROWS))


def _block(
    parts: Sequence[NDArray[Any]], data: Inputs, size: int, num_rows: int, filled: bool
) -> Block:
    """Return a block of rows, filled up with copies of the last one, which count nothing."""
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


def whole_size(program: Program) -> int:
    """Return how many numbers an evaluation on all rows goes through, by its longest input."""
    residents = _windows(program)
    if residents:
        widest = max(math.prod(resident.column.shape) for resident in residents)
        return residents[0].num_rows * widest
    return _num_numbers(program, tuple(storage_of(v).get_value(borrow=True) for v in program.fed))


def _feed(variables: list[TensorVariable], order: AnyOrder, seed: int) -> Feed:
    operation = variables[0].owner.op
    if isinstance(operation, GeneratorOp):
        name = variables[0].name or "generator"
        return ItemFeed(operation.next_item.take, name, np.asarray(operation.adapter.first))
    samples = operation.samples
    residents = [streamed(storage_of(variable)) for variable in variables]
    if residents[0] is not None:
        columns = [resident.column for resident in residents if resident is not None]
        sizes = {resident.given for resident in residents if resident is not None}
        return _source_feed(columns, samples, order, seed, _one_size(variables, sizes))
    arrays = tuple(storage_of(variable).get_value(borrow=True) for variable in variables)
    if isinstance(order, str):
        return SliceFeed(arrays, samples, order, seed)
    table = source({str(place): array for place, array in enumerate(arrays)})
    columns = [table[name] for name in table.fields]
    return _source_feed(columns, samples, order, seed, None)


def _source_feed(
    columns: Sequence[Column],
    samples: Sequence[AxisSample],
    order: AnyOrder,
    seed: int,
    in_memory_size: int | None,
) -> SourceFeed:
    if columns[0].source.random_access:
        in_memory_size = None
    return SourceFeed(
        columns,
        samples[0].size,
        key=samples[0].key(seed),
        order=order,
        in_memory_size=None if in_memory_size is None else max(2 * samples[0].size, in_memory_size),
    )


def _one_size(variables: Sequence[TensorVariable], sizes: set[int | None]) -> int | None:
    if len(sizes) > 1:
        raise ValueError(
            f"`in_memory_size` must be one for the minibatches of one source, got {sizes} in "
            f"{[variable.name for variable in variables]}.\nHint: pass the same to each of them."
        )
    return sizes.pop()


def _windows(program: Program) -> list[Resident]:
    """Return what is in memory of the inputs whose rows are not all there."""
    residents = [streamed(storage_of(variable)) for variable in program.fed]
    return [resident for resident in residents if resident is not None]


def _leading_rows(feed: Feed) -> int | None:
    """Return the rows of a step, if they are leading rows of a table; a batch may be all of it."""
    if isinstance(feed, SliceFeed) and [sample.axis for sample in feed.samples] == [0]:
        return feed.samples[0].size
    return feed.batch_size if isinstance(feed, SourceFeed) else None


def _num_numbers(program: Program, fed: Inputs) -> int:
    """Return the size of the largest input: what an evaluation takes memory in proportion to."""
    values = [*fed, *program.data_values()]
    return max((value.size for value in values), default=1)
