"""Batches of a source for any code: dicts of arrays, gathered ahead in the background."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bayou.arguments import whole_number
from bayou.feeding.feed import step_bytes
from bayou.feeding.source_feed import SourceFeed
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted
from bayou.sources.base.field import choose_fields
from bayou.sources.base.source import Column
from bayou.sources.open import source as as_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from bayou.feeding.feed import Arrays
    from bayou.feeding.source_feed import AnyOrder
    from bayou.sources.base.source import Source

type Batch = dict[str, NDArray[Any]]
# The name of a field, the input that it is in, and the column of it, if it has several.
type Place = tuple[str, int, int | None]

# Steps are gathered together up to these limits, which bound the memory: two such chunks.
CHUNK_BYTES = 2**22
CHUNK_STEPS = 2**8
WEIGHT = "weight"


class Batches:
    """Batches of the rows of a source, as dicts of field name to array.

    An iterator: it goes on where it stands, until it is closed or its epochs are over. Which rows
    form a batch depends on the seed, the step and the arguments alone, so that :meth:`seek` is
    exact and a run that was cut off goes on with the very rows that it would have had.

    Parameters
    ----------
    source : Source, or what :func:`bayou.source` takes
        The rows.
    batch_size : int
        Rows of a batch.
    columns : list of str, or dict of str to str or list of str, optional
        The fields that are wanted, all by default. A dict gives them names: several fields under
        one name form a matrix, as in ``{"x": ["x1", "x2"], "y": "y"}``.
    order : str, Weighted or Stratified, optional
        "epoch" (the default): every row once in random order before any comes again; batches run
        on across the end of an epoch. "sequential": in the order of the source. "uniform": with
        replacement. :class:`bayou.Weighted` and :class:`bayou.Stratified`: with importance weights,
        which batches then have as "weight".
    random_seed : int, optional
        Decides the order; drawn if left out, and told by :meth:`state`.
    in_memory_size : int, optional
        The rows that are resident, of a source whose rows cannot be taken where they are. If that
        is all of them, they are loaded once; else blocks come in random order, and rows are
        shuffled within windows of half this size. By default as many as a quarter of the free
        memory holds.
    epochs : int, optional
        End after so many; the last batch may then be shorter. By default there is no end.
    shard : Shard, optional
        The part of every batch that this worker takes; by default all of it.

    Raises
    ------
    TypeError
        If a field is text, there is no source of such an object, or an argument is of another kind.
    ValueError
        If an argument is out of range, or the rows cannot be had in that order.

    Notes
    -----
    The arrays of a batch are the caller's own, to keep and to change; a batch that is kept holds on
    to up to 4 MiB of its neighbours. Memory is bounded by ``in_memory_size`` rows, a piece of a
    block, and two such stretches of batches. An error of the source is raised at the batch that it
    concerns; asking again tries again. The threads end with :meth:`close`, at the end of a ``with``
    block, or when the object is collected.

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
        source: Any,
        batch_size: int,
        *,
        columns: Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        order: AnyOrder = "epoch",
        random_seed: int | None = None,
        in_memory_size: int | None = None,
        epochs: int | None = None,
        shard: Shard | None = None,
    ) -> None:
        if shard is not None and not isinstance(shard, Shard):
            raise TypeError(
                f"`shard` must be a bayou.Shard, got {shard!r}.\n"
                "Hint: Shard(index, num_shards) is the part of worker `index`, from 0."
            )
        if random_seed is None:
            random_seed = secrets.randbits(63)
        self._seed = whole_number("random_seed", random_seed, 0, "any whole number will do.")
        inputs, self._places = _inputs(as_source(source), columns)
        if isinstance(order, Weighted | Stratified):
            self._places = [*self._places, _weight_place(len(inputs), self._places)]
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
        # Chunks grow, so that the first batch is there soon.
        self._count = 1
        # Steps before this one are gathered one by one, after an error among them.
        self._careful = 0
        self._executor: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "bayou-batches")

    @property
    def num_rows(self) -> int:
        """The rows of the source."""
        return self._feed.num_rows

    @property
    def num_batches(self) -> int | None:
        """The batches of all epochs; None if they do not end."""
        return self._feed.num_batches

    def state(self) -> dict[str, int]:
        """Return what a later run needs to go on: the seed, and the step of the next batch.

        Make the same batches with ``random_seed=state["random_seed"]``, and go on with
        ``seek(state["step"])``. It can be written as JSON.

        Returns
        -------
        dict of str to int
            ``random_seed`` and ``step``.
        """
        return {"random_seed": self._seed, "step": self._step}

    def seek(self, step: int) -> None:
        """Go on with the batch of a step, as if all batches before it had been taken.

        Parameters
        ----------
        step : int
            From 0; at most ``num_batches``.

        Raises
        ------
        ValueError
            If there is no such step.
        """
        hint = "steps are numbered from 0; the step of a saved state is state['step']."
        step = whole_number("step", step, 0, hint)
        if self.num_batches is not None and step > self.num_batches:
            raise ValueError(
                f"`step` must be at most the number of batches, {self.num_batches}, got {step}.\n"
                "Hint: raise `epochs`, or leave it out for batches without end."
            )
        self._step, self._count, self._careful = step, 1, 0
        self._batches, self._pending = iter(()), None

    def close(self) -> None:
        """End the threads and let go of all rows."""
        self._batches, self._pending = iter(()), None
        if self._executor is not None:
            self._feed.close()
            self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def __enter__(self) -> Self:
        """Return the batches, which the end of the block closes."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Close the batches."""
        self.close()

    def __iter__(self) -> Self:
        """Return the iterator itself: it goes on where it stands."""
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
        """Wait for the chunk of the next step, and have the one after it gathered."""
        if self._executor is None:
            raise ValueError(
                "The batches must be open to be read, got closed ones.\n"
                "Hint: make them again and `seek` the step to go on with."
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
            self._careful = first + count
            return iter(())
        if first + count != self.num_batches:
            self._pending = self._submit(self._executor, first + count)
        return _cut(arrays, self._places)

    def _submit(self, executor: ThreadPoolExecutor, first: int) -> tuple[int, int, Future[Arrays]]:
        count = 1 if first < self._careful else self._count
        if self.num_batches is not None:
            # The last one, which may be shorter, is had by itself.
            count = min(count, max(1, self.num_batches - 1 - first))
        self._count = min(2 * self._count, self._most)
        return first, count, executor.submit(_gather, self._feed, first, count)


def _gather(feed: SourceFeed, first: int, count: int) -> Arrays:
    """Return the batches of some steps; a step after the last whole one comes by itself."""
    part = feed.part(first)
    arrays = tuple(
        np.empty((count, part.stop - part.start, *shape[1:]), dtype)
        for shape, dtype in zip(feed.shapes, feed.dtypes, strict=True)
    )
    feed.fill(first, arrays)
    return arrays


def _cut(arrays: Arrays, places: Sequence[Place]) -> Iterator[Batch]:
    for step in range(len(arrays[0])):
        yield {
            name: arrays[number][step] if column is None else arrays[number][step, :, column]
            for name, number, column in places
        }


def _inputs(
    source: Source, columns: Sequence[str] | Mapping[str, str | Sequence[str]] | None
) -> tuple[list[Column], list[Place]]:
    """Return the columns that are fed, and where in them each name of a batch is."""
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
    # Fields of one dtype lie side by side, so that a row is in one place.
    groups: dict[Any, list[str]] = {}
    for field in fields:
        alone = field.shape != () or field.dtype == object or field.categories is not None
        groups.setdefault((field.name if alone else None, field.dtype), []).append(field.name)
    inputs, found = [], {}
    for number, names in enumerate(groups.values()):
        inputs.append(Column(source, names[0] if len(names) == 1 else tuple(names)))
        for index, name in enumerate(names):
            found[name] = (name, number, None if len(names) == 1 else index)
    return inputs, [found[field.name] for field in fields]


def _weight_place(number: int, places: Sequence[Place]) -> Place:
    if WEIGHT in [name for name, _, _ in places]:
        raise ValueError(
            f'`columns` must not hold "{WEIGHT}", which names the weights of `order`, got a field '
            f'of that name.\nHint: rename it, as in columns={{"w": "{WEIGHT}"}}.'
        )
    return WEIGHT, number, None
