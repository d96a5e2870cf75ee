"""The feeds of a fit: which feed fills which inputs of the model, in which order of rows."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.lent_memory import lend_memory
from bayou.containers.variables.source_variable import window_of
from bayou.feeding.feed import ALL_ROWS, Feed, ItemFeed, SliceFeed
from bayou.feeding.source_batches import SourceFeed, windowed_feeds
from bayou.models.inputs import group_of, storage_of
from bayou.sampling.order import compile_in_background
from bayou.sources.open import source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Program
    from bayou.feeding.source_batches import AnyOrder
    from bayou.sampling.axes import AxisSample
    from bayou.sampling.shard import Shard
    from bayou.sources.base.source import Column


def program_feeds(
    program: Program, order: AnyOrder, seed: int, shard: Shard = ALL_ROWS
) -> tuple[Feed, ...]:
    """Return feeds that together fill ``program.fed``, over the present values of the data.

    Inputs that follow each other and are sampled alike share one feed, and so the same rows.

    Parameters
    ----------
    program : Program
        The model.
    order : {"epoch", "uniform"}, Weighted or Stratified
        The order of the rows.
    seed : int
        Decides the rows.
    shard : Shard, optional
        The part of every batch that this process takes. By default all of it.

    Returns
    -------
    tuple of Feed
        To be closed by :func:`closing_feeds`.

    Raises
    ------
    ValueError
        If the rows cannot be read in that order.
    """
    groups = groupby(program.fed, key=group_of)
    return tuple(_feed(list(variables), order, seed, shard) for _, variables in groups)


@contextmanager
def closing_feeds(feeds: Sequence[Feed]) -> Iterator[None]:
    """Close the feeds, and so end their threads, at the end of a ``with`` block.

    Until then, windows of rows are read into the memory in which the containers hold their rows.
    """
    with ExitStack() as stack:
        for feed in windowed_feeds(feeds):
            memory = stack.enter_context(lend_memory(feed.columns))
            if memory is not None:
                feed.use_buffers(memory)
            stack.callback(feed.close)
        yield


def compile_row_order(feeds: Sequence[Feed], order: AnyOrder) -> None:
    """Compile the function that numbers rows, in the background, if a feed draws rows by number."""
    if isinstance(order, str) and len(windowed_feeds(feeds)) < len(feeds):
        compile_in_background(order)


def leading_batch_size(feed: Feed) -> int | None:
    """Return the rows of a step over all shards, or None if they are not leading rows of a table.

    A batch may be all of the table.
    """
    if isinstance(feed, SliceFeed) and [sample.axis for sample in feed.samples] == [0]:
        return feed.samples[0].size
    return feed.batch_size if isinstance(feed, SourceFeed) else None


def _feed(variables: list[TensorVariable], order: AnyOrder, seed: int, shard: Shard) -> Feed:
    operation = variables[0].owner.op
    if isinstance(operation, GeneratorOp):
        name = variables[0].name or "generator"
        return ItemFeed(operation.next_item.take, name, np.asarray(operation.adapter.first))
    samples = operation.samples
    windows = [window_of(storage_of(variable)) for variable in variables]
    if windows[0] is not None:
        # Variables of one group are of one source, so that all of them have a window.
        residents = [window for window in windows if window is not None]
        columns = [resident.column for resident in residents]
        window_size = _common_window_size(variables, residents)
        return _source_feed(columns, samples, order, seed, shard, window_size)
    arrays = tuple(storage_of(variable).get_value(borrow=True) for variable in variables)
    if isinstance(order, str):
        return SliceFeed(arrays, samples, order, seed, shard)
    table = source({str(number): array for number, array in enumerate(arrays)})
    columns = [table[name] for name in table.fields]
    return _source_feed(columns, samples, order, seed, shard, None)


def _source_feed(
    columns: Sequence[Column],
    samples: Sequence[AxisSample],
    order: AnyOrder,
    seed: int,
    shard: Shard,
    window_size: int | None,
) -> SourceFeed:
    batch_size = samples[0].size
    if columns[0].source.random_access:
        window_size = None
    return SourceFeed(
        columns,
        batch_size,
        key=samples[0].key(seed),
        order=order,
        # Two batches at least, or a window would hold no choice of rows.
        in_memory_size=None if window_size is None else max(2 * batch_size, window_size),
        shard=shard,
    )


def _common_window_size(
    variables: Sequence[TensorVariable], residents: Sequence[Resident]
) -> int | None:
    """Return the one `in_memory_size` of the minibatches of a source, None for the default."""
    if len({resident.requested_size for resident in residents}) > 1:
        # The columns are named too, since minibatches without a name share a default one.
        sizes = ", ".join(
            f"{resident.requested_size} for {variable.name!r} of {resident.column.name!r}"
            for variable, resident in zip(variables, residents, strict=True)
        )
        raise ValueError(
            f"`in_memory_size` must be the same for all minibatches of one source, got {sizes}.\n"
            "Hint: pass the same to each of them."
        )
    return residents[0].requested_size
