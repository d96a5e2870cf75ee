"""All rows of a program, in blocks that are gone through any number of times.

Blocks are padded to a few sizes, so that other numbers of rows compile nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.source_variable import window_of
from bayou.density.evaluator import MAX_POSITIONS, Block, Evaluator
from bayou.feeding.layout import ColumnLayout
from bayou.feeding.read import read_pieces, take_numbered
from bayou.feeding.row_padding import pad_rows
from bayou.models.inputs import group_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Inputs, Program
    from bayou.feeding.feed import Arrays

    type Array = NDArray[np.float64]
    # Layout, rows of each block of the source, sorted numbers of rows, most rows at once -> rows.
    type TakeRows = Callable[[ColumnLayout, Sequence[int], NDArray[np.int64], int], Arrays]

# Rows of a block of data in memory. Larger blocks take more memory and save dispatches.
BLOCK_ROWS = 2**16
# Bytes of a block of rows that are read again in each pass. Small, so that the rows and what is
# computed from them add little to the memory of a fit in windows (docs/engine.md has its figures).
BLOCK_BYTES = 2**22
# Compiling another block size takes about a second. So a compiled size is used again as long as a
# block has at most MAX_PADDING times as many rows as there are, and at most MAX_BLOCKS are needed.
MAX_PADDING = 16
MAX_BLOCKS = 256
# The fixed cost of dispatching a block, in rows.
DISPATCH_ROWS = 1024


class MostAtOnce(NamedTuple):
    """The most rows of a block, and the most positions that are evaluated on it in a call."""

    rows: int = BLOCK_ROWS
    positions: int = MAX_POSITIONS


def all_rows_obstacle(program: Program) -> str | None:
    """Return the reason why the model cannot be evaluated on all of its rows, None if it can."""
    if any(isinstance(variable.owner.op, GeneratorOp) for variable in program.fed):
        return "the rows come from a generator"
    if program.latent is not None:
        return f"{program.latent.names[0]!r} has a value for each row"
    if program.potentials_of_batches:
        return f"the potential {program.potentials_of_batches[0]!r} is of the rows of one batch"
    if _windows(program) and len(set(map(group_of, program.fed))) > 1:
        return "the rows come from a source and from elsewhere"
    return None


def resident_rows_obstacle(program: Program) -> str | None:
    """Return the reason why the model cannot be evaluated on all rows in memory, None if it can."""
    return (
        "only a part of the rows is in memory" if _windows(program) else all_rows_obstacle(program)
    )


def all_row_blocks(program: Program, max_rows: int = BLOCK_ROWS) -> Iterable[Block]:
    """Return all rows in blocks, to be iterated over any number of times.

    Minibatches of leading rows are cut into blocks; other data are one block. Rows that are not in
    memory are read again in each iteration.

    Parameters
    ----------
    program : Program
        The model.
    max_rows : int, default 65536
        The most rows of a block.

    Returns
    -------
    iterable of Block
        Together all rows. A list, if they are in memory.

    Raises
    ------
    ValueError
        If :func:`all_rows_obstacle` gives a reason.
    """
    if reason := all_rows_obstacle(program):
        raise ValueError(f"The model cannot be evaluated on all of its rows: {reason}.")
    layout, counts = source_layout(program)
    if layout is not None:
        size = full_block_rows(program, max_rows)
        return SourceBlocks(layout, counts, program.data_values(), size, program.takes_weights)
    arrays = _fed_arrays(program)
    if not _has_leading_rows(program):
        data = program.data_values()
        return [Block((*arrays, *data), 1.0, largest_input_size(program, arrays))]
    num_rows = len(arrays[0])
    return resident_blocks(program, range(num_rows), _block_size(program, num_rows, max_rows))


def resident_blocks(program: Program, rows: range, size: int) -> list[Block]:
    """Return consecutive rows that are in memory, in blocks of one size.

    Their shares are those in all rows.
    """
    arrays, data = _fed_arrays(program), program.data_values()
    return [
        _block(
            [array[start : min(start + size, rows.stop)] for array in arrays],
            data, size, len(arrays[0]), padded=program.takes_weights,
        )
        for start in range(rows.start, rows.stop, size)
    ]  # fmt: skip


def blocks_of_part(
    program: Program, rows: range, size: int, counts: Sequence[int]
) -> Iterable[Block]:
    """Return consecutive rows in blocks of one size, as a part of those of all rows.

    Parameters
    ----------
    program : Program
        The model, whose rows are the leading ones of arrays and may be weighted.
    rows : range
        The numbers of the rows. The shares of the blocks are those in all rows.
    size : int
        The number of rows of a block.
    counts : sequence of int
        The number of rows of each block of the source, if there is one.
    """
    layout, _ = source_layout(program)
    if layout is None:
        return resident_blocks(program, rows, size)
    return SourceBlocks(layout, tuple(counts), program.data_values(), size, True, rows)


def source_layout(program: Program) -> tuple[ColumnLayout | None, tuple[int, ...]]:
    """Return the columns of rows that are not in memory, and the rows of each block of the source.

    None and no blocks for rows in memory.
    """
    windows = _windows(program)
    if not windows:
        return None, ()
    return ColumnLayout(tuple(window.column for window in windows)), windows[0].blocks


def full_block_rows(program: Program, max_rows: int) -> int:
    """Return the number of rows of a block of :func:`all_row_blocks`."""
    layout, _ = source_layout(program)
    return _block_size(program, num_all_rows(program), _most_rows(layout, max_rows))


def sampled_blocks(
    program: Program, num_rows: int, block_rows: int, seed: int, take: TakeRows = take_numbered
) -> list[Block]:
    """Return a random sample of the rows, in blocks of the size that all rows come in.

    Each block is a random sample too. Rows that are not in memory are read in one pass.

    Parameters
    ----------
    program : Program
        The model, whose rows are the leading ones of arrays and may be weighted.
    num_rows : int
        The number of rows of the sample. All rows, if there are no more.
    block_rows : int
        The most rows of a block.
    seed : int
        Decides the rows.
    take : callable, optional
        Reads rows of a source by their numbers, as :func:`bayou.feeding.read.take_numbered` does.
    """
    (layout, counts), length = source_layout(program), num_all_rows(program)
    size = _block_size(program, length, _most_rows(layout, block_rows))
    # Full blocks alone, so that none is mostly padding.
    count = length if num_rows >= length else max(size, num_rows // size * size)
    rows = np.random.default_rng(seed).choice(length, count, replace=False)
    parts = [rows[start : start + size] for start in range(0, count, size)]
    if layout is None:
        arrays = _fed_arrays(program)
    else:
        arrays = list(take(layout, counts, np.sort(rows), size))
        # The numbers of the rows among those that were taken.
        parts = [np.searchsorted(np.sort(rows), part) for part in parts]
    data = program.data_values()
    return [
        _block(
            [np.take(array, np.sort(part), axis=0) for array in arrays],
            data, size, count, padded=True,
        )
        for part in parts
    ]  # fmt: skip


def all_rows_padded(program: Program) -> Block | None:
    """Return all rows as one padded block; None if rows have no weights or no common axis.

    Every step of a stochastic fit on all rows takes this block.
    """
    if not program.takes_weights or not _has_leading_rows(program):
        return None
    arrays = _fed_arrays(program)
    num_rows = len(arrays[0])
    size = program.block_sizes.choose(
        _rounded_up(num_rows),
        fits=lambda size: 1 <= size / num_rows <= MAX_PADDING,
        cost=lambda size: size,
    )
    return _block(arrays, program.data_values(), size, num_rows, padded=True)


@dataclass(frozen=True)
class SourceBlocks:
    """All rows of a source, in blocks of one size that are read while they are iterated over.

    Attributes
    ----------
    layout : ColumnLayout
        The columns that are inputs.
    counts : tuple of int
        The number of rows of each block of the source.
    data : tuple of array
        The inputs without rows.
    size : int
        The number of rows of a block.
    padded : bool
        Whether the last block is padded to ``size`` rows.
    rows : range or None
        The numbers of consecutive rows, if they are not all of the source. Shares are those in all.
    """

    layout: ColumnLayout
    counts: tuple[int, ...]
    data: Inputs
    size: int
    padded: bool
    rows: range | None = None

    def __iter__(self) -> Iterator[Block]:
        """Read the rows, block after block."""
        num_rows = sum(self.counts)
        for rows in read_pieces(self.layout, self.counts, self.size, self.rows):
            yield _block(rows, self.data, self.size, num_rows, padded=self.padded)


@dataclass(frozen=True)
class AllRowsDensity:
    """The log density of a model on all of its rows, with the data that it has when called.

    Attributes
    ----------
    program : Program
        The model as JAX functions.
    obstacle : str or None
        The reason why it cannot be evaluated on all rows, None if it can.
    """

    program: Program
    obstacle: str | None

    def __call__(self, positions: Array) -> Array:
        """Return log densities, shape (num_positions,), of positions, (num_positions, size).

        Raises
        ------
        ValueError
            If there is an obstacle.
        """
        return Evaluator(self.program, all_row_blocks(self.program)).densities(positions)


def all_rows_density(program: Program) -> AllRowsDensity:
    """Return the log density of a program on all of its rows."""
    return AllRowsDensity(program, all_rows_obstacle(program))


def num_all_rows(program: Program) -> int:
    """Return the number of rows; 1, if rows have no common axis."""
    windows = _windows(program)
    if windows:
        return windows[0].num_rows
    return len(_fed_arrays(program)[0]) if program.fed and _has_leading_rows(program) else 1


def has_weighted_rows(program: Program) -> bool:
    """Return whether all rows can be evaluated in padded blocks of any number of them."""
    if not program.fed or not program.takes_weights or all_rows_obstacle(program):
        return False
    return bool(_windows(program)) or _has_leading_rows(program)


def all_rows_size(program: Program) -> int:
    """Return the number of values that one evaluation on all rows reads, of its largest input."""
    windows = _windows(program)
    if windows:
        width = max(math.prod(window.column.shape) for window in windows)
        return windows[0].num_rows * width
    return largest_input_size(program, _fed_arrays(program))


def largest_input_size(program: Program, fed: Sequence[NDArray[np.generic]]) -> int:
    """Return the number of values of the largest input: memory is in proportion to it."""
    values = [*fed, *program.data_values()]
    return max((value.size for value in values), default=1)


def _most_rows(layout: ColumnLayout | None, max_rows: int) -> int:
    """Return the most rows of a block, of fewer bytes if they are read again in each pass."""
    if layout is None:
        return max_rows
    return max(1, min(max_rows, BLOCK_BYTES // max(1, layout.row_bytes)))


def _block_size(program: Program, num_rows: int, max_size: int) -> int:
    """Choose the number of rows of a block: a compiled size, unless that would be wasteful."""
    # Blocks of even sizes: the fewest that hold all rows.
    size = math.ceil(num_rows / math.ceil(num_rows / max_size))
    if not program.takes_weights:
        return size
    return program.block_sizes.choose(
        _rounded_up(size),
        fits=lambda known: (
            known <= min(MAX_PADDING * num_rows, _rounded_up(max_size))
            and num_rows <= MAX_BLOCKS * known
        ),
        cost=lambda known: math.ceil(num_rows / known) * (known + DISPATCH_ROWS),
    )


def _block(
    parts: Sequence[Numbers], data: Inputs, size: int, num_rows: int, *, padded: bool
) -> Block:
    """Return a block of rows, padded with copies of the last one, which have weight 0."""
    count = len(parts[0])
    if not padded:
        return Block((*parts, *data), count / num_rows, count)
    parts = [pad_rows(part, size) for part in parts]
    # With a mean of one, so that the scale of the likelihood stays that of `size` rows.
    weights = np.where(np.arange(size) < count, size / count, 0.0)
    return Block((*parts, *data), count / num_rows, size, weights)


def _rounded_up(num_rows: int) -> int:
    """Round a number of rows up to four binary digits, so that few sizes are ever compiled."""
    step = 1 << max(0, num_rows.bit_length() - 4)
    return math.ceil(num_rows / step) * step


def _fed_arrays(program: Program) -> list[Numbers]:
    return [storage_of(variable).get_value(borrow=True) for variable in program.fed]


def _windows(program: Program) -> list[Resident]:
    """Return the windows of the inputs of which only a part of the rows is in memory."""
    windows = [window_of(storage_of(variable)) for variable in program.fed]
    return [window for window in windows if window is not None]


def _has_leading_rows(program: Program) -> bool:
    """Return whether all fed inputs are leading rows of arrays of one length."""
    lengths = {len(array) for array in _fed_arrays(program)}
    axes = {tuple(sample.axis for sample in variable.owner.op.samples) for variable in program.fed}
    return len(lengths) == 1 and axes == {(0,)}
