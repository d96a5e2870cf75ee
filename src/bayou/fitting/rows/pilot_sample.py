"""Samples of rows before the first step: those of the pilot fit, and those that check the start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayou.containers.variables.source_variable import window_of
from bayou.density.evaluator import Block
from bayou.feeding.feed import Feed, ItemFeed, SliceFeed, empty_slots
from bayou.feeding.integer_ranges import array_extremes, source_extremes
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.source_batches import SourceFeed
from bayou.fitting.rows.all_rows import all_row_blocks, all_rows_obstacle, largest_input_size
from bayou.fitting.rows.feeds import leading_batch_size
from bayou.models.inputs import storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers
    from bayou.density.program import Inputs, Program
    from bayou.feeding.feed import Arrays
    from bayou.feeding.integer_ranges import Extremes

    # The extreme values of whole numbers, by the name of the container or column with them.
    type NamedExtremes = Sequence[tuple[str, Extremes]]

# Rows of a pilot fit. More rows give better coordinates and a later first step; with 2**14, the
# pilot and four Newton passes took 2.9 s at 10^6 rows x 20 columns on two cores.
PILOT_ROWS = 2**14


def pilot_block(program: Program, feeds: Sequence[Feed], seed: int) -> Block:
    """Return some thousands of rows at once: a random sample of all rows, or a stream's first rows.

    It is a single batch where an input is not a sample of leading rows, or a potential is scaled to
    the size of a batch.
    """
    if program.feeds_all_rows and program.fed and all_rows_obstacle(program) is None:
        blocks = list(all_row_blocks(program))
        if len(blocks) == 1:
            return blocks[0]
    sizes = [leading_batch_size(feed) for feed in feeds]
    known_sizes = [size for size in sizes if size is not None]
    num_steps = 1
    if known_sizes and len(known_sizes) == len(sizes) and not program.potentials_of_batches:
        num_steps = math.ceil(PILOT_ROWS / max(known_sizes))
    fed = tuple(part for feed in feeds for part in _rows_of_steps(feed, seed, num_steps))
    # Orders of unequal probabilities feed the weights of the rows last.
    fed, weights = fed[: len(program.fed)], fed[len(program.fed) :]
    return Block(fed + program.data_values(), 1.0, largest_input_size(program, fed), *weights)


def first_inputs(program: Program, feeds: Sequence[Feed]) -> tuple[Inputs, NamedExtremes]:
    """Return inputs like those of a step, and the extreme whole numbers among all rows.

    The inputs contain the rows with the smallest and largest whole numbers, so that an index that
    is out of range anywhere is out of range there. No item is taken from a generator.

    Returns
    -------
    inputs : tuple of array
        The inputs of the program.
    extremes : list of (str, Extremes)
        The smallest and largest whole numbers of each container or column.
    """
    fed: list[Numbers] = []
    extremes: list[tuple[str, Extremes]] = []
    for feed in feeds:
        variables = program.fed[len(fed) :]
        parts = _rows_of_steps(feed, 0, 1)
        if isinstance(feed, SliceFeed) and leading_batch_size(feed):
            extremes += _write_extreme_rows_of_arrays(feed, variables, parts)
        elif isinstance(feed, SourceFeed):
            extremes += _write_extreme_rows_of_source(feed, variables, parts)
        fed.extend(parts)
    fed = fed[: len(program.fed)]
    latent = program.latent_start(len(fed[0]) if fed else 0)
    return (*fed, *program.data_values(), *latent), extremes


def _write_extreme_rows_of_arrays(
    feed: SliceFeed, variables: Sequence[TensorVariable], parts: Arrays
) -> list[tuple[str, Extremes]]:
    extremes = [
        (variable.name or "", array_extremes(array))
        for variable, array in zip(variables, feed.arrays, strict=False)
        if array.dtype.kind in "iu" and array.size
    ]
    rows = _extreme_rows(extremes, feed.samples[0].size)
    for array, part in zip(feed.arrays, parts, strict=True):
        part[: len(rows)] = array[rows]
    return extremes


def _write_extreme_rows_of_source(
    feed: SourceFeed, variables: Sequence[TensorVariable], parts: Arrays
) -> list[tuple[str, Extremes]]:
    layout = ColumnLayout(feed.columns)
    by_column = source_extremes(layout.source, layout.names, feed.blocks)
    extremes = [
        (name if window_of(storage_of(variable)) else variable.name or "", by_column[name])
        for variable, column in zip(variables, feed.columns, strict=False)
        for name in column.names
        if name in by_column
    ]
    rows = _extreme_rows(extremes, feed.batch_size)
    if len(rows):
        table = layout.source.take(rows, layout.names)
        layout.check(table)
        layout.write(table, [part[: len(rows)] for part in parts[: len(feed.columns)]])
    return extremes


def _extreme_rows(extremes: NamedExtremes, max_rows: int) -> NDArray[np.int64]:
    """Return the numbers of the rows with extreme values, each once, at most ``max_rows``."""
    rows = [int(row) for _, extreme in extremes for row in extreme.rows.ravel()]
    return np.array(list(dict.fromkeys(rows))[:max_rows], dtype=np.int64)


def _rows_of_steps(feed: Feed, seed: int, num_steps: int) -> Arrays:
    """Return as many rows as ``num_steps`` steps would take, side by side."""
    if isinstance(feed, ItemFeed):
        return (feed.first,)
    if isinstance(feed, SliceFeed):
        return feed.sample_rows(seed, num_steps)
    slots = empty_slots(feed, num_steps)
    feed.fill(0, slots)
    return tuple(slot.reshape(-1, *slot.shape[2:]) for slot in slots)
