"""Reads and checks the arguments of ``Minibatch``."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import seed_number
from bayou.containers.reading.labelled_array import to_array
from bayou.sources.base.source import Column
from bayou.sources.kinds import is_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

    from bayou.arguments import RandomSeed
    from bayou.containers.variables.dims import Numbers
    from bayou.sampling.axes import AxisSample, BatchSize


def one_array[**P](init: Callable[P, None]) -> Callable[P, None]:
    """Have a call in PyMC's form, ``Minibatch(X, y, batch_size=512)``, raise an error that helps.

    Python itself would complain of "multiple values for argument 'batch_size'".
    """

    @wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        _, *arrays = args
        if len(arrays) > 1 and "batch_size" in kwargs:
            raise _several_arrays(len(arrays), kwargs["batch_size"])
        if _is_data(kwargs.get("batch_size", arrays[1] if len(arrays) > 1 else None)):
            raise _several_arrays(2)
        init(*args, **kwargs)

    return checked


def _is_data(value: object) -> bool:
    """Whether a value is data, and not a batch size."""
    return isinstance(value, Column) or is_source(value) or bool(getattr(value, "shape", ()))


def _several_arrays(number: int, batch_size: object = 512) -> TypeError:
    return TypeError(
        f"`data` must be one array, got {number}.\n"
        f"Hint: make a minibatch of each, x = by.Minibatch(X, {batch_size}) and "
        f"y = by.Minibatch(y, {batch_size}): those of one random_seed draw the same rows, and "
        "by.align_minibatches([x, y]) brings them back in step. Or build the model with by.Data "
        f"and fit it by by.fit(batch_size={batch_size})."
    )


def read_numbers(data: object, dtype: DTypeLike | None, name: str) -> Numbers:
    """Return data as an array: floats as floatX and others as they are, or all as ``dtype``."""
    array: Numbers = to_array(data, f"`data` of minibatch {name!r}").array
    return array if dtype is None else array.astype(number_dtype(dtype))


def read_seed(random_seed: RandomSeed | None) -> int:
    """Return the number that a seed stands for, a new one for None."""
    seed = seed_number(random_seed)
    return int(np.random.default_rng().integers(2**63)) if seed is None else seed


def number_dtype(dtype: DTypeLike) -> np.dtype:
    """Return the argument `dtype` as a dtype of numbers or booleans."""
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = np.dtype(object)
    if target.kind not in "biuf":
        raise TypeError(
            f"`dtype` must be a boolean, integer or float dtype, got {dtype!r}.\n"
            'Hint: use a name such as "int32" or "float64".'
        )
    return target


def check_not_empty(shape: tuple[int, ...]) -> None:
    """Check that data have rows, and no other axis of length 0."""
    if 0 in shape:
        raise ValueError(
            f"`data` must have at least one row in every axis, got shape {shape}.\n"
            "Hint: check the filter or the `in_memory_size` that left nothing."
        )


def check_batches_of_rows(samples: Sequence[AxisSample], batch_size: BatchSize) -> None:
    """Check that batches are of rows, for a source that is read in windows of rows."""
    if [sample.axis for sample in samples] != [0]:
        raise ValueError(
            f"`batch_size` must be a number of rows for a source of which a part is in memory, got "
            f"{batch_size!r}.\nHint: sample the first axis, or raise `in_memory_size`."
        )


def broadcast_flags(
    broadcastable: Sequence[bool] | None, shape: tuple[int, ...], samples: Sequence[AxisSample]
) -> tuple[bool, ...]:
    """Return which axes may broadcast, and check that these have length 1 in every batch."""
    if broadcastable is None:
        return (False,) * len(shape)
    flags = tuple(broadcastable)
    lengths = list(shape)
    for sample in samples:
        lengths[sample.axis] = sample.size
    if len(flags) != len(shape) or any(not isinstance(flag, bool | np.bool) for flag in flags):
        raise TypeError(
            f"`broadcastable` must hold a bool for each of the {len(shape)} axes, got "
            f"{broadcastable!r}.\nHint: True is for axes of length 1."
        )
    if any(flag and length != 1 for flag, length in zip(flags, lengths, strict=True)):
        raise ValueError(
            f"`broadcastable` may be True for axes of length 1 alone, got {broadcastable!r} for "
            f"batches of shape {tuple(lengths)}.\nHint: sample one row of that axis, or leave it."
        )
    return flags
