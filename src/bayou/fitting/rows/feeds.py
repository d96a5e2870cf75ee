"""The rows of a program: fed step by step, in blocks that are all of them, or a first sample."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.lent_memory import lend_memory
from bayou.containers.variables.source_variable import window_of
from bayou.density.evaluator import Block, Evaluator
from bayou.feeding.extremes import array_extremes, source_extremes
from bayou.feeding.feed import WHOLE, Feed, ItemFeed, SliceFeed, empty_slots
from bayou.feeding.layout import Layout
from bayou.feeding.read import read_pieces
from bayou.feeding.row_padding import pad_rows
from bayou.feeding.source_feed import SourceFeed, windowed
from bayou.fitting.stochastic.steps import OnDevice
from bayou.models.inputs import group_of, storage_of
from bayou.sampling.order import prepare
from bayou.sources.open import source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Inputs, Program
    from bayou.feeding.extremes import Extremes
    from bayou.feeding.feed import Arrays
    from bayou.feeding.source_feed import AnyOrder
    from bayou.fitting.stochastic.steps import Feeding
    from bayou.sampling.axes import AxisSample
    from bayou.sampling.shard import Shard
    from bayou.sources.base.source import Column

    type Held = Sequence[tuple[str, Extremes]]

BLOCK_ROWS = 2**16
# Of rows that are read anew for each pass, so that these and what is computed from them stay small.
BLOCK_BYTES = 2**22
PILOT_ROWS = 2**14
# A block is filled up to so many times its rows, or rows are cut into so many blocks, before others
# are compiled, which takes a second.
MOST_FILLED = 16
MOST_BLOCKS = 256
# What an evaluation costs before it computes anything, in rows.
DISPATCH_ROWS = 1024


def program_feeds(
    program: Program, order: AnyOrder, seed: int, shard: Shard = WHOLE
) -> tuple[Feed, ...]:
    """Return feeds that together fill ``program.fed``, over the data as they are now.

    Neighbours that are sampled alike share one, and so the numbers of its rows. They are to be
    closed by :func:`closing_feeds`. A shard is the part of every batch that is wanted.

    Raises
    ------
    ValueError
        If the rows cannot be had in that order.
    """
    groups = groupby(program.fed, key=group_of)
    return tuple(_feed(list(variables), order, seed, shard) for _, variables in groups)


@contextmanager
def closing_feeds(feeds: Sequence[Feed]) -> Iterator[None]:
    """End the threads that read, at the end of a with block.

    Until then, windows are kept where the containers keep their rows.
    """
    with ExitStack() as stack:
        for feed in windowed(feeds):
            room = stack.enter_context(lend_memory(feed.columns))
            if room is not None:
                feed.keep_in(room)
            stack.callback(feed.close)
        yield


def prepare_rows(feeds: Sequence[Feed], order: AnyOrder) -> None:
    """Have the numbers of rows compiled in the background, if there are rows drawn by number."""
    if isinstance(order, str) and len(windowed(feeds)) < len(feeds):
        prepare(order)


def first_inputs(program: Program, feeds: Sequence[Feed]) -> tuple[Inputs, Held]:
    """Return inputs like those of a step, and what whole numbers are among all rows.

    The rows of the least and the largest whole numbers are among them, so that an index that is out
    of range is. Nothing is taken from a generator.
    """
    fed: list[Any] = []
    held: list[tuple[str, Extremes]] = []
    for feed in feeds:
        variables = program.fed[len(fed) :]
        parts = _some(feed, 0, 1)
        if isinstance(feed, SliceFeed) and leading_rows(feed):
            own = [
                (variable.name or "", array_extremes(array))
                for variable, array in zip(variables, feed.arrays, strict=False)
                if array.dtype.kind in "iu" and array.size
            ]
            rows = _extreme_rows(own, feed.samples[0].size)
            for array, part in zip(feed.arrays, parts, strict=True):
                part[: len(rows)] = array[rows]
            held += own
        elif isinstance(feed, SourceFeed):
            layout = Layout(feed.columns)
            found = source_extremes(layout.source, layout.names, feed.blocks)
            own = [
                (name if window_of(storage_of(variable)) else variable.name or "", found[name])
                for variable, column in zip(variables, feed.columns, strict=False)
                for name in column.names
                if name in found
            ]
            rows = _extreme_rows(own, feed.batch_size)
            if len(rows):
                table = layout.source.take(rows, layout.names)
                layout.check(table)
                layout.write(table, [part[: len(rows)] for part in parts[: len(feed.columns)]])
            held += own
        fed.extend(parts)
    fed = fed[: len(program.fed)]
    latent = program.latent_start(len(fed[0]) if fed else 0)
    return (*fed, *program.data_values(), *latent), held


def on_device(feeding: Feeding) -> Feeding:
    """Have an accelerator hold the data, where it has memory for them, and gather rows itself."""
    feeds = [feed for feed in feeding.feeds if isinstance(feed, SliceFeed)]
    if len(feeds) < len(feeding.feeds) or not feeds:
        return feeding
    if sum(array.nbytes for feed in feeds for array in feed.arrays) > device_memory() / 2:
        return feeding
    numbers: list[Feed] = []
    held: list[OnDevice] = []
    for feed in feeds:
        places = range(len(numbers), len(numbers) + len(feed.samples))
        axes = tuple(
            (sample.axis, place) for sample, place in zip(feed.samples, places, strict=True)
        )
        held += [OnDevice(jax.device_put(array), axes) for array in feed.arrays]
        numbers += feed.numbers
    return replace(feeding, feeds=numbers, held=tuple(held))


def of_all_rows(program: Program, feeding: Feeding) -> Feeding:
    """Have each step take all rows, filled up so that other numbers of them compile nothing."""
    arrays: list[Any] = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    weights = None
    if program.takes_weights and _are_leading(program):
        num_rows = len(arrays[0])
        size = program.block_sizes.choose(
            _filled_size(num_rows),
            fits=lambda size: 1 <= size / num_rows <= MOST_FILLED,
            cost=lambda size: size,
        )
        block = _block(arrays, feeding.data, size, num_rows, filled=True)
        arrays, weights = list(block.inputs[: len(arrays)]), block.weights
    held = tuple(OnDevice(jax.device_put(array), ()) for array in arrays)
    return replace(feeding, feeds=(), held=held, row_weights=weights)


def device_memory() -> int:
    """Return the memory of the accelerator, in bytes; 0 without one."""
    device = jax.local_devices()[0]
    statistics = None if device.platform == "cpu" else device.memory_stats()
    return 0 if statistics is None else int(statistics["bytes_limit"])


def _extreme_rows(held: Held, most: int) -> NDArray[np.int64]:
    """Return the rows that hold extremes, each once, as many as a step has room for."""
    rows = [int(row) for _, extremes in held for row in extremes.rows.ravel()]
    return np.array(list(dict.fromkeys(rows))[:most], dtype=np.int64)


def pilot_block(program: Program, feeds: Sequence[Feed], seed: int) -> Block:
    """Return some thousands of rows at once: a random sample of them all, or the first of a stream.

    Where an input is no plain sample of leading rows, or a potential counts on the size of a batch,
    it is one batch.
    """
    if program.feeds_all_rows and program.fed:
        blocks = list(whole_blocks(program) or ())
        if len(blocks) == 1:
            return blocks[0]
    sizes = {leading_rows(feed) for feed in feeds}
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
        most = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, layout.row_bytes)))
        size = _block_size(program, sum(counts), most)
        return SourceBlocks(layout, counts, program.data_values(), size, program.takes_weights)
    data = program.data_values()
    storages = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    if not _are_leading(program):
        return [Block((*storages, *data), 1.0, _num_numbers(program, tuple(storages)))]
    num_rows = len(storages[0])
    size = _block_size(program, num_rows, BLOCK_ROWS)
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


def _block_size(program: Program, num_rows: int, most: int) -> int:
    """Choose the rows of a block: a number that is compiled already, unless it is far off."""
    size = math.ceil(num_rows / math.ceil(num_rows / most))
    if not program.takes_weights:
        return size
    return program.block_sizes.choose(
        _filled_size(size),
        fits=lambda known: (
            known <= min(MOST_FILLED * num_rows, _filled_size(most))
            and num_rows <= MOST_BLOCKS * known
        ),
        cost=lambda known: math.ceil(num_rows / known) * (known + DISPATCH_ROWS),
    )


def _block(
    parts: Sequence[NDArray[Any]], data: Inputs, size: int, num_rows: int, filled: bool
) -> Block:
    """Return a block of rows, filled up with copies of the last one, which count nothing."""
    count = len(parts[0])
    if not filled:
        return Block((*parts, *data), count / num_rows, count)
    parts = [pad_rows(part, size) for part in parts]
    weights = np.where(np.arange(size) < count, size / count, 0.0)
    return Block((*parts, *data), count / num_rows, size, weights)


def _filled_size(num_rows: int) -> int:
    """Round a number of rows up to four binary digits, so that few sizes are ever compiled."""
    step = 1 << max(0, num_rows.bit_length() - 4)
    return math.ceil(num_rows / step) * step


def whole_density(program: Program) -> Callable[[NDArray[Any]], NDArray[Any]] | str:
    """Return log densities of positions on all rows, as they are when asked, or why there are none.

    Takes positions of shape (num_positions, size).
    """
    reason = why_not_whole(program)
    if reason is not None:
        return reason

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


def _feed(variables: list[TensorVariable], order: AnyOrder, seed: int, shard: Shard) -> Feed:
    operation = variables[0].owner.op
    if isinstance(operation, GeneratorOp):
        name = variables[0].name or "generator"
        return ItemFeed(operation.next_item.take, name, np.asarray(operation.adapter.first))
    samples = operation.samples
    residents = [window_of(storage_of(variable)) for variable in variables]
    if residents[0] is not None:
        held = [resident for resident in residents if resident is not None]
        columns = [resident.column for resident in held]
        return _source_feed(columns, samples, order, seed, shard, _one_size(variables, held))
    arrays = tuple(storage_of(variable).get_value(borrow=True) for variable in variables)
    if isinstance(order, str):
        return SliceFeed(arrays, samples, order, seed, shard)
    table = source({str(place): array for place, array in enumerate(arrays)})
    columns = [table[name] for name in table.fields]
    return _source_feed(columns, samples, order, seed, shard, None)


def _source_feed(
    columns: Sequence[Column],
    samples: Sequence[AxisSample],
    order: AnyOrder,
    seed: int,
    shard: Shard,
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
        shard=shard,
    )


def _one_size(variables: Sequence[TensorVariable], residents: Sequence[Resident]) -> int | None:
    if len({resident.requested_size for resident in residents}) > 1:
        # By their columns too, since their names may be the default of all.
        got = ", ".join(
            f"{resident.requested_size} for {variable.name!r} of {resident.column.name!r}"
            for variable, resident in zip(variables, residents, strict=True)
        )
        raise ValueError(
            f"`in_memory_size` must be one for the minibatches of one source, got {got}.\n"
            "Hint: pass the same to each of them."
        )
    return residents[0].requested_size


def _windows(program: Program) -> list[Resident]:
    """Return what is in memory of the inputs whose rows are not all there."""
    residents = [window_of(storage_of(variable)) for variable in program.fed]
    return [resident for resident in residents if resident is not None]


def leading_rows(feed: Feed) -> int | None:
    """Return the rows of a step, if they are leading rows of a table; a batch may be all of it.

    Those of all shards together.
    """
    if isinstance(feed, SliceFeed) and [sample.axis for sample in feed.samples] == [0]:
        return feed.samples[0].size
    return feed.batch_size if isinstance(feed, SourceFeed) else None


def _are_leading(program: Program) -> bool:
    """Tell whether all inputs that are fed are slices of the leading rows of arrays as long."""
    lengths = {len(storage_of(variable).get_value(borrow=True)) for variable in program.fed}
    axes = {tuple(sample.axis for sample in variable.owner.op.samples) for variable in program.fed}
    return len(lengths) == 1 and axes == {(0,)}


def _num_numbers(program: Program, fed: Inputs) -> int:
    """Return the size of the largest input: what an evaluation takes memory in proportion to."""
    values = [*fed, *program.data_values()]
    return max((value.size for value in values), default=1)
