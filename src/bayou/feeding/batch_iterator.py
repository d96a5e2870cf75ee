"""`by.Batches`: batches of a source for any code, as dicts of arrays that a thread prefetches."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bayou.arguments import seed_number, whole_number
from bayou.feeding.feed import step_bytes
from bayou.feeding.source_batches import SourceFeed
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted
from bayou.sources.base.field import choose_fields
from bayou.sources.base.source import Column
from bayou.sources.open import as_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from bayou.arguments import RandomSeed
    from bayou.feeding.feed import Arrays
    from bayou.feeding.source_batches import AnyOrder
    from bayou.sources.base.source import Source

type Batch = dict[str, NDArray[Any]]
# The name of an entry of a batch, the number of the input that it is in, and the column of that
# input, None for all of it.
type Entry = tuple[str, int, int | None]

# The most bytes and steps that are gathered at a time. Two such chunks are in memory. Larger ones
# would save little of the cost of a call, and be out of the cache when they are used.
CHUNK_BYTES = 2**22
CHUNK_STEPS = 2**8
# The name of the importance weights in a batch.
WEIGHT = "weight"


class Batches:
    """Batches of the rows of a source, for code outside of PyMC: dicts of arrays by name.

    An iterator over batches, which ends with its last epoch or when it is closed. The rows of a
    batch depend only on the seed, the number of the batch (the step) and the arguments, never on
    timing. An interrupted run can therefore continue with the same rows: see :meth:`state` and
    :meth:`seek`.

    Parameters
    ----------
    source : Source, or an object that :func:`bayou.source` takes
        The rows: arrays, a data frame, files, ...
    batch_size : int
        The number of rows of a batch.
    columns : list of str, or dict of str to str or list of str, optional
        The fields of a batch; by default all. The keys of a dict are the names in the batch;
        several fields under one name form a matrix, as in ``{"x": ["x1", "x2"], "y": "y"}``.
    order : {"epoch", "sequential", "uniform"}, Weighted or Stratified, default "epoch"
        "epoch": every row once in random order before any row comes again; a batch may continue
        across the end of an epoch. "sequential": in the order of the source. "uniform": drawn with
        replacement. :class:`bayou.Weighted` and :class:`bayou.Stratified`: drawn by probabilities
        or strata; each batch then has an entry "weight", the importance weights, of shape
        (batch_size,).
    random_seed : int, sequence of int, Generator, RandomState or None, default None
        Seed of the order. None draws a new seed, which :meth:`state` returns.
    in_memory_size : int, optional
        The number of rows in memory at a time, for a source that is read block by block, such as
        Parquet. If it is at least the number of rows, they are loaded once. Otherwise blocks are
        read in random order, and rows are shuffled within windows of half this size. By default as
        many rows as fit into a quarter of the free memory.
    epochs : int, optional
        The number of epochs (passes over all rows) to iterate over; the last batch may then be
        shorter. By default, the iterator does not end.
    shard : Shard, optional
        The part of each batch that this process reads, if several processes share the batches; by
        default all of it.

    Raises
    ------
    TypeError
        If a field is text, bayou cannot read rows from `source`, or an argument has another type.
    ValueError
        If an argument is out of range, or the source cannot be read in that order.

    Notes
    -----
    The arrays of a batch may be changed. They are views of up to 4 MiB of consecutive batches,
    which stay in memory as long as one of the arrays does; copy an array to keep it for long. In
    all, `in_memory_size` rows, parts of a block and twice 4 MiB of batches are in memory. An error
    of the source is raised at the batch that it concerns; the next call tries again. The reading
    thread ends with :meth:`close`, at the end of a ``with`` block, or when the object is garbage
    collected.

    Examples
    --------
    >>> source = by.source({"x": np.arange(5), "y": np.arange(5) / 2})
    >>> for batch in by.Batches(source, 2, order="sequential", epochs=1):
    ...     print(batch["x"], batch["y"])
    [0 1] [0.  0.5]
    [2 3] [1.  1.5]
    [4] [2.]
    """

    def __init__(
        self,
        source: object,
        batch_size: int,
        *,
        columns: Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        order: AnyOrder = "epoch",
        random_seed: RandomSeed | None = None,
        in_memory_size: int | None = None,
        epochs: int | None = None,
        shard: Shard | None = None,
    ) -> None:
        if shard is not None and not isinstance(shard, Shard):
            raise TypeError(
                f"`shard` must be a by.Shard, got {shard!r}.\n"
                "Hint: by.Shard(index, num_shards) is the part of process `index`, counted from 0."
            )
        seed = seed_number(random_seed)
        # 63 bits, so that a state can be stored where integers are signed.
        self._seed = secrets.randbits(63) if seed is None else seed
        inputs, self._entries = _inputs(as_source(source, "source"), columns)
        if isinstance(order, Weighted | Stratified):
            self._entries = [*self._entries, _weight_entry(len(inputs), self._entries)]
        self._feed = SourceFeed(
            inputs,
            batch_size,
            key=stream_key(self._seed),
            order=order,
            in_memory_size=in_memory_size,
            shard=shard,
            epochs=epochs,
        )
        self._most = max(1, min(CHUNK_STEPS, CHUNK_BYTES // max(1, step_bytes([self._feed]))))
        self._step = 0
        self._batches: Iterator[Batch] = iter(())
        self._pending: tuple[int, int, Future[Arrays]] | None = None
        # The number of steps of the next chunk. It doubles up to the most, so that the first batch
        # does not wait for a full chunk.
        self._count = 1
        # After an error in a chunk, its steps are gathered one by one, up to this one, so that only
        # the batch that it concerns is lost.
        self._single_until = 0
        self._executor: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "bayou-batches")

    @property
    def num_rows(self) -> int:
        """The number of rows of the source."""
        return self._feed.num_rows

    @property
    def num_batches(self) -> int | None:
        """The number of batches of all epochs; None if they do not end."""
        return self._feed.num_batches

    def state(self) -> dict[str, int]:
        """Return the state that a later run resumes from: the seed, and the step of the next batch.

        Make the batches again with the same arguments and ``random_seed=state["random_seed"]``,
        then call ``seek(state["step"])``. The state can be written as JSON.

        Returns
        -------
        dict of str to int
            ``random_seed`` and ``step``.
        """
        return {"random_seed": self._seed, "step": self._step}

    def seek(self, step: int) -> None:
        """Continue with the batch of a step, as if all batches before it had been taken.

        Parameters
        ----------
        step : int
            The step, counted from 0; at most `num_batches`.

        Raises
        ------
        ValueError
            If it is out of range.
        """
        hint = "steps are numbered from 0; the step of a saved state is state['step']."
        step = whole_number("step", step, 0, hint)
        if self.num_batches is not None and step > self.num_batches:
            raise ValueError(
                f"`step` must be at most the number of batches, {self.num_batches}, got {step}.\n"
                "Hint: raise `epochs`, or leave it out for batches without end."
            )
        self._step, self._count, self._single_until = step, 1, 0
        self._batches, self._pending = iter(()), None

    def close(self) -> None:
        """End the threads, and free the rows in memory."""
        self._batches, self._pending = iter(()), None
        if self._executor is not None:
            self._feed.close()
            self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def __enter__(self) -> Self:
        """Return the batches, to be closed at the end of the block."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Close the batches."""
        self.close()

    def __iter__(self) -> Self:
        """Return the iterator itself, which continues from its current step."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch."""
        batch = next(self._batches, None)
        while batch is None:
            self._batches = self._next_chunk()
            batch = next(self._batches, None)
        self._step += 1
        return batch

    def _next_chunk(self) -> Iterator[Batch]:
        """Wait for the chunk of the next step, and start to gather the one after it."""
        if self._executor is None:
            raise ValueError(
                "The batches must be open to be read, got closed batches.\n"
                "Hint: make them again, and continue with seek(step)."
            )
        if self._step == self.num_batches:
            raise StopIteration
        first, count, future = self._pending or self._submit(self._executor, self._step)
        self._pending = None
        try:
            arrays = future.result()
        except Exception:
            if count == 1:
                raise
            self._single_until = first + count
            return iter(())
        if first + count != self.num_batches:
            self._pending = self._submit(self._executor, first + count)
        return _cut(arrays, self._entries)

    def _submit(self, executor: ThreadPoolExecutor, first: int) -> tuple[int, int, Future[Arrays]]:
        count = 1 if first < self._single_until else self._count
        if self.num_batches is not None:
            # The last batch, which may be shorter, is a chunk of its own.
            count = min(count, max(1, self.num_batches - 1 - first))
        self._count = min(2 * self._count, self._most)
        return first, count, executor.submit(_gather, self._feed, first, count)


def _gather(feed: SourceFeed, first: int, count: int) -> Arrays:
    """Return the batches of some steps, all of one size."""
    part = feed.part(first)
    arrays = tuple(
        np.empty((count, part.stop - part.start, *shape[1:]), dtype)
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )
    feed.fill(first, arrays)
    return arrays


def _cut(arrays: Arrays, entries: Sequence[Entry]) -> Iterator[Batch]:
    for step in range(len(arrays[0])):
        yield {
            name: arrays[number][step] if column is None else arrays[number][step, :, column]
            for name, number, column in entries
        }


def _inputs(
    source: Source, columns: Sequence[str] | Mapping[str, str | Sequence[str]] | None
) -> tuple[list[Column], list[Entry]]:
    """Return the columns to feed, and the entries of a batch that are cut from them."""
    if isinstance(columns, str):
        raise TypeError(
            f"`columns` must be a list or a dict of names, got the text {columns!r}.\n"
            f"Hint: write columns=[{columns!r}]."
        )
    if isinstance(columns, Mapping):
        named = {
            name: field if isinstance(field, str) else tuple(field)
            for name, field in columns.items()
        }
        inputs = [Column(source, field) for field in named.values()]
        return inputs, [(name, number, None) for number, name in enumerate(named)]
    fields = choose_fields(source.fields, list(source.fields) if columns is None else list(columns))
    # Single numbers of one dtype are fed as the columns of a matrix: one access to memory gets all
    # of a row, where separate arrays take one each.
    groups: dict[tuple[str | None, np.dtype], list[str]] = {}
    for field in fields:
        alone = field.shape != () or field.dtype == object or field.categories is not None
        groups.setdefault((field.name if alone else None, field.dtype), []).append(field.name)
    inputs, entries = [], {}
    for number, names in enumerate(groups.values()):
        inputs.append(Column(source, names[0] if len(names) == 1 else tuple(names)))
        for index, name in enumerate(names):
            entries[name] = (name, number, None if len(names) == 1 else index)
    return inputs, [entries[field.name] for field in fields]


def _weight_entry(number: int, entries: Sequence[Entry]) -> Entry:
    if WEIGHT in [name for name, _, _ in entries]:
        raise ValueError(
            f'`columns` must not hold "{WEIGHT}", which names the weights of `order`, got a field '
            f'of that name.\nHint: rename it, as in columns={{"w": "{WEIGHT}"}}.'
        )
    return WEIGHT, number, None
