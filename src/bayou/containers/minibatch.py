"""Random slices of data along any axes, as a PyTensor variable that any expression takes.

An evaluation costs the gather of the rows drawn; the data stay where they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.tensor.variable import TensorVariable

from bayou.containers.reading.labelled_array import to_array
from bayou.containers.variables.random_rows import random_slice, step_variable
from bayou.containers.variables.resident_rows import as_column, read_resident
from bayou.containers.variables.source_variable import advance_window, resident_of, source_variable
from bayou.sampling.axes import axis_samples, memory_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.sampling.axes import AxisSample, BatchSize, MemorySize
    from bayou.sources.base.source import Column, Source

_INTERPRETED = Mode(linker="py", optimizer="fast_compile")
_alive: weakref.WeakSet[Minibatch] = weakref.WeakSet()


class Minibatch(TensorVariable):
    """Random slices of data, uniform with replacement, in as many axes as wished.

    Each evaluation draws new rows. Minibatches of one ``random_seed`` and size draw the same rows
    when they are evaluated together, so a predictor and its outcome stay aligned. An observed
    minibatch needs ``total_size``, which scales its log-likelihood to all of the data.

    Parameters
    ----------
    data : array_like of numbers, Column or Source, shape (num_rows, ...)
        The data. Floats are cast to ``pytensor.config.floatX``, integers and booleans keep their
        dtype. Of a source, one field, ``source["y"]``, or several as a matrix,
        ``source[["x1", "x2"]]``; those of one source are fed the same rows.
    batch_size : int, None, or list of int, (size, seed), None or Ellipsis, default 128
        Rows of a batch: an int samples the first axis. A list has an entry an axis: an int or a
        (size, seed) samples it, None takes it whole, one Ellipsis takes all the axes that the
        list does not reach whole. A seed that is repeated within a list gives independent draws.
        None takes everything.
    dtype : dtype, optional
        Cast the data to this dtype, losses included: it is asked for.
    broadcastable : sequence of bool, optional
        Axes of the batch that are known to have length 1 and may broadcast; by default none.
    name : str, default "Minibatch"
        Name of the variable.
    random_seed : int, default 42
        The seed of axes that have none of their own.
    update_shared_f : callable, optional
        Returns new data for :meth:`update_shared`.
    in_memory_size : int, None, or list of int, slice, None or Ellipsis, optional
        The part of the data to keep: an int keeps that many leading rows; a list has an entry an
        axis. Of a source, the number of rows in memory, by default all if they take a quarter of
        the free memory at most; :func:`bayou.fit` goes through all of them in any case, in the
        memory of these rows: while it runs, the container holds the first 1,024 of them.

    Attributes
    ----------
    shared : TensorSharedVariable
        The data that batches are drawn from.
    minibatch : TensorVariable
        The random slice, this variable itself; ``{x.minibatch: x.shared}`` replaces it by all of
        the data.
    step : StepVariable
        Counts the evaluations; rows are a pure function of the seed and the step.

    Raises
    ------
    TypeError
        If ``batch_size`` or ``in_memory_size`` has an entry of a wrong kind, or the data are no
        numbers.
    ValueError
        If a size is below 1 or has too many axes, or the data have missing values or no rows.

    Notes
    -----
    Brings back the Minibatch of PyMC3. Rows are drawn by a counter-based generator, so that the
    rows of step ``t`` are known without the steps before it.

    Examples
    --------
    >>> data = np.random.default_rng(0).random((100, 100))
    >>> by.Minibatch(data, batch_size=10).eval().shape
    (10, 100)
    >>> by.Minibatch(data, batch_size=[(10, 1), (5, 2)], dtype="int32").eval().shape
    (10, 5)
    """

    def __init__(
        self,
        data: ArrayLike | Column | Source,
        batch_size: BatchSize = 128,
        dtype: DTypeLike | None = None,
        broadcastable: Sequence[bool] | None = None,
        name: str = "Minibatch",
        random_seed: int = 42,
        update_shared_f: Callable[[], ArrayLike] | None = None,
        in_memory_size: MemorySize = None,
    ) -> None:
        column = as_column(data, None if dtype is None else _number_dtype(dtype))
        if column is None:
            array = _numbers(data, dtype, name)
            array = array[memory_slices(in_memory_size, array.ndim)]
            _check_rows(array.shape)
        else:
            resident = read_resident(column, in_memory_size, f"`data` of minibatch {name!r}")
            array = resident.array
        samples = axis_samples(batch_size, random_seed, array.ndim)
        if column is not None and not resident.is_complete:
            _check_streamed(samples, batch_size)
        flags = _broadcast_flags(broadcastable, array.shape, samples)
        if update_shared_f is not None and not callable(update_shared_f):
            raise TypeError(
                f"`update_shared_f` must be callable, got {update_shared_f!r}.\n"
                "Hint: pass a function that returns the new data."
            )
        self.shared: TensorSharedVariable = (
            pytensor.shared(np.asarray(array, order="C"), name=f"{name}_data")
            if column is None
            else source_variable(resident, f"{name}_data")
        )
        self.step = step_variable(f"{name}_step")
        self.update_shared_f = update_shared_f
        batch = random_slice(self.shared, self.step, samples, flags)
        super().__init__(batch.type, batch.owner, 0, name)
        batch.owner.outputs[0] = self
        _alive.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore an unpickled minibatch, and have it aligned with the others."""
        self.__dict__.update(state)
        _alive.add(self)

    @property
    def minibatch(self) -> Minibatch:
        """The random slice: this variable itself."""
        return self

    def set_value(self, value: ArrayLike) -> None:
        """Draw from other data from now on.

        Parameters
        ----------
        value : array_like
            Data of the same rank, with any number of rows; cast to the dtype of the minibatch if
            that loses nothing.

        Raises
        ------
        TypeError, ValueError
            If the rank differs, an axis is empty, values are missing or the cast would lose
            values.
        """
        array = to_array(value, f"`value` of minibatch {self.name!r}", self.dtype).array
        if array.ndim != self.ndim:
            raise ValueError(
                f"`value` must have {self.ndim} axes like the minibatch {self.name!r}, got shape "
                f"{array.shape}.\nHint: make a new Minibatch for data of another rank."
            )
        _check_rows(array.shape)
        self.shared.set_value(np.asarray(array, order="C"))

    def update_shared(self) -> None:
        """Draw from the next rows of the source, or what ``update_shared_f`` returns, from now on.

        Of a source, as many rows as are in memory, in their order; after its last rows come its
        first. All containers that hold the same rows of the source go on together. A fit needs no
        call of this: it goes through all of the source by itself.

        Raises
        ------
        NotImplementedError
            If the minibatch is of no source and was made without ``update_shared_f``.
        """
        if self.update_shared_f is None and resident_of(self.shared) is not None:
            advance_window(self.shared)
            return
        if self.update_shared_f is None:
            raise NotImplementedError(
                f"The minibatch {self.name!r} has no `update_shared_f`.\n"
                "Hint: pass a function that returns new data as `update_shared_f`, or use "
                "`set_value`."
            )
        self.set_value(self.update_shared_f())

    def eval(self, inputs_to_values: dict[Any, Any] | None = None, **kwargs: Any) -> Any:
        """Draw the next batch, without waiting for a compiler.

        Parameters
        ----------
        inputs_to_values : dict, optional
            As for every PyTensor variable.
        **kwargs
            Passed to :func:`pytensor.function`; ``mode`` is by default the interpreter's.

        Returns
        -------
        ndarray
            The batch.
        """
        kwargs.setdefault("mode", _INTERPRETED)
        return super().eval(inputs_to_values, **kwargs)

    def clone(self, **kwargs: Any) -> TensorVariable:
        """Return a variable like this one, without an owner, its tags copied.

        Parameters
        ----------
        **kwargs
            ``name``, the name of the copy; by default the same.

        Returns
        -------
        TensorVariable
            A variable of the same type that depends on nothing.
        """
        variable = TensorVariable(self.type, None, None, kwargs.pop("name", self.name), **kwargs)
        variable.tag = copy(self.tag)
        return variable


def align_minibatches(batches: Iterable[Minibatch] | None = None) -> None:
    """Bring minibatches back in step: all go back to their first step.

    A minibatch that was evaluated by itself is ahead of those that it is aligned with.

    Parameters
    ----------
    batches : iterable of Minibatch, optional
        The minibatches to align; by default all that exist.

    Raises
    ------
    TypeError
        If an element is no Minibatch; nothing is aligned then.

    Examples
    --------
    >>> x = by.Minibatch(np.arange(100), 5)
    >>> y = by.Minibatch(np.arange(100), 5)
    >>> first = x.eval()
    >>> by.align_minibatches([x, y])
    >>> bool((x.eval() == y.eval()).all())
    True
    """
    if isinstance(batches, TensorVariable) or not isinstance(batches, Iterable | None):
        raise TypeError(
            f"`batches` must be a list of Minibatch variables, got {batches!r}.\n"
            "Hint: write by.align_minibatches([x, y]), or pass nothing to align all of them."
        )
    chosen = list(_alive) if batches is None else list(batches)
    for batch in chosen:
        if not isinstance(batch, Minibatch):
            raise TypeError(
                f"`batches` must hold Minibatch variables, got {batch!r}.\n"
                "Hint: pass a list of by.Minibatch, or nothing to align all of them."
            )
    for batch in chosen:
        batch.step.set_value(np.array(0))


def _numbers(data: Any, dtype: DTypeLike | None, name: str) -> NDArray[Any]:
    """Return data as an array: floats as floatX, the rest as it is, or all as ``dtype``."""
    array = to_array(data, f"`data` of minibatch {name!r}").array
    return array if dtype is None else array.astype(_number_dtype(dtype))


def _number_dtype(dtype: DTypeLike) -> np.dtype[Any]:
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


def _check_rows(shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise ValueError(
            f"`data` must have at least one row in every axis, got shape {shape}.\n"
            "Hint: check the filter or the `in_memory_size` that left nothing."
        )


def _check_streamed(samples: Sequence[AxisSample], batch_size: BatchSize) -> None:
    """Refuse batches other than of rows, where the rows come in windows."""
    if [sample.axis for sample in samples] != [0]:
        raise ValueError(
            f"`batch_size` must be a number of rows for a source of which a part is in memory, got "
            f"{batch_size!r}.\nHint: sample the first axis, or raise `in_memory_size`."
        )


def _broadcast_flags(
    broadcastable: Sequence[bool] | None, shape: tuple[int, ...], samples: Sequence[AxisSample]
) -> tuple[bool, ...]:
    """Check which axes may broadcast: those of length 1 in every batch."""
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
