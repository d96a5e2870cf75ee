"""The arguments `batch_size` and `in_memory_size` of several axes: sizes, seeds, None, Ellipsis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from types import EllipsisType
from typing import TYPE_CHECKING

from bayou.sampling.uniform import stream_key

if TYPE_CHECKING:
    import numpy as np

type BatchSize = int | Sequence[int | tuple[int, int] | EllipsisType | None] | None
type MemorySize = int | Sequence[int | slice | EllipsisType | None] | None


@dataclass(frozen=True)
class AxisSample:
    """The random rows of one axis.

    Attributes
    ----------
    axis : int
        The axis of the data.
    size : int
        The number of rows of a step.
    seed, stream : int
        Decide the rows. Axes with the same seed are sampled independently if their streams differ.
    """

    axis: int
    size: int
    seed: int
    stream: int

    def key(self, *more: int) -> np.uint64:
        """Return the key of the rows of this axis, and of further numbers, such as a fit's seed."""
        return stream_key(self.seed, self.stream, *more)


def axis_samples(batch_size: BatchSize, random_seed: int, ndim: int) -> tuple[AxisSample, ...]:
    """Return the axes that a `batch_size` samples, with the number of rows and the seed of each.

    Parameters
    ----------
    batch_size : int, None, or list of int, (size, seed), None or Ellipsis
        As :class:`bayou.Minibatch` takes it.
    random_seed : int
        The seed of the axes that have none of their own.
    ndim : int
        The number of axes of the data.

    Returns
    -------
    tuple of AxisSample
        One for each sampled axis. The k-th axis with the same seed has stream k, so that no two
        axes are sampled by the same numbers.

    Raises
    ------
    TypeError, ValueError
        If an entry is of a wrong type, a size is below 1, or there are too many entries.
    """
    hint = "Hint: use an int, or a list of int, (size, seed), None and at most one Ellipsis."
    seed = _seed(random_seed, "random_seed", random_seed)
    samples: list[AxisSample] = []
    streams: dict[int, int] = {}
    for axis, entry in _entries(batch_size, ndim, "batch_size", hint):
        if entry is None:
            continue
        size, axis_seed = entry, seed
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise TypeError(
                    f"`batch_size` takes pairs (size, seed), got {entry!r} in {batch_size!r}.\n"
                    f"{hint}"
                )
            size, axis_seed = entry[0], _seed(entry[1], "batch_size", batch_size)
        size = _size(size, "batch_size", batch_size, hint)
        # Streams are counted for each seed, so that an axis with a seed of its own has the same
        # rows whichever other axes are sampled.
        stream = streams.get(axis_seed, 0)
        streams[axis_seed] = stream + 1
        samples.append(AxisSample(axis, size, axis_seed, stream))
    return tuple(samples)


def memory_slices(in_memory_size: MemorySize, ndim: int) -> tuple[slice, ...]:
    """Return the slice of each axis that an `in_memory_size` keeps in memory.

    Parameters
    ----------
    in_memory_size : int, None, or list of int, slice, None or Ellipsis
        As :class:`bayou.Minibatch` takes it.
    ndim : int
        The number of axes of the data.

    Returns
    -------
    tuple of slice, length ndim

    Raises
    ------
    TypeError, ValueError
        If an entry is of a wrong type, a size is below 1, or there are too many entries.
    """
    hint = "Hint: use an int, or a list of int, slice, None and at most one Ellipsis."
    slices = [slice(None)] * ndim
    for axis, entry in _entries(in_memory_size, ndim, "in_memory_size", hint):
        if isinstance(entry, slice):
            if any(not isinstance(end, Integral | None) for end in _ends(entry)):
                raise TypeError(
                    f"`in_memory_size` takes slices of whole numbers, got {entry!r} in "
                    f"{in_memory_size!r}.\n{hint}"
                )
            slices[axis] = entry
        elif entry is not None:
            slices[axis] = slice(_size(entry, "in_memory_size", in_memory_size, hint))
    return tuple(slices)


def _ends(entry: slice) -> tuple[object, object, object]:
    return entry.start, entry.stop, entry.step


def _entries(value: object, ndim: int, argument: str, hint: str) -> list[tuple[int, object]]:
    """Pair the entries of a list with their axes; an Ellipsis stands for all axes between."""
    if value is None:
        return []
    if isinstance(value, Integral):
        value = [value]
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"`{argument}` must be an int, None or a list, got {value!r} of type "
            f"{type(value).__name__}.\n{hint}"
        )
    where = [position for position, entry in enumerate(value) if entry is Ellipsis]
    if len(where) > 1:
        raise ValueError(f"`{argument}` takes a single Ellipsis, got {value!r}.\n{hint}")
    count = len(value) - len(where)
    if count > ndim:
        raise ValueError(
            f"`{argument}` has {count} entries for data with {ndim} axes, got {value!r}.\n{hint}"
        )
    if not where:
        return list(enumerate(value))
    [cut] = where
    # Entries after the Ellipsis are of the last axes.
    tail = len(value) - cut - 1
    return [
        *enumerate(value[:cut]),
        *((ndim - tail + position, entry) for position, entry in enumerate(value[cut + 1 :])),
    ]


def _size(size: object, argument: str, value: object, hint: str) -> int:
    # True is a whole number in Python, but no size.
    if isinstance(size, bool) or not isinstance(size, Integral):
        raise TypeError(
            f"`{argument}` takes sizes of type int, got {size!r} of type {type(size).__name__} in "
            f"{value!r}.\n{hint}"
        )
    if size < 1:
        within = "" if isinstance(value, Integral) else f" in {value!r}"
        raise ValueError(f"`{argument}` takes sizes of at least 1, got {size}{within}.\n{hint}")
    return int(size)


def _seed(seed: object, argument: str, value: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(
            f"`{argument}` takes seeds of type int, got {seed!r} in {value!r}.\n"
            "Hint: pass a whole number of at least 0."
        )
    if seed < 0:
        raise ValueError(
            f"`{argument}` takes seeds of at least 0, got {seed} in {value!r}.\n"
            "Hint: pass a whole number of at least 0."
        )
    return int(seed)
