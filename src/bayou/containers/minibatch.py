"""Random rows of data, in any axes, as a PyTensor variable that any expression takes.

The rows are a pure function of the seed and a step that each evaluation advances, so that
minibatches of one seed stay aligned. An evaluation costs the gather of its rows; the data stay
where they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.tensor.variable import TensorVariable

from bayou.containers.minibatch_arguments import (
    broadcast_flags,
    check_batches_of_rows,
    check_not_empty,
    number_dtype,
    one_array,
    read_numbers,
    read_seed,
)
from bayou.containers.reading.labelled_array import to_array
from bayou.containers.variables.random_rows import random_slice, step_variable
from bayou.containers.variables.resident_rows import as_column, read_resident
from bayou.containers.variables.source_variable import (
    advance_window,
    resident_of,
    source_variable,
)
from bayou.sampling.axes import axis_samples, memory_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, DTypeLike
    from pytensor.graph.basic import Variable
    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.arguments import RandomSeed
    from bayou.containers.variables.dims import Numbers
    from bayou.sampling.axes import BatchSize, MemorySize
    from bayou.sources.base.source import Column, Source

_INTERPRETED = Mode(linker="py", optimizer="fast_compile")
_alive: weakref.WeakSet[Minibatch] = weakref.WeakSet()


class Minibatch(TensorVariable):
    """Random rows of data, drawn uniformly with replacement, along one axis or several.

    Each evaluation draws new rows. Minibatches with the same ``random_seed`` and size draw the same
    rows when they are evaluated together, so that predictors and outcome stay aligned. As
    ``observed=``, a minibatch needs ``total_size``, which scales its log-likelihood to all rows.

    A model that is written with :class:`bayou.Data` needs no minibatches: with ``batch_size=``,
    ``bayou.fit`` creates and scales them itself.

    Parameters
    ----------
    data : array_like of numbers, Column or Source, shape (num_rows, ...)
        The data. Floats are cast to ``pytensor.config.floatX``; integers and booleans keep their
        dtype. From a :func:`bayou.source`: one field, ``source["y"]``, or several as a matrix,
        ``source[["x1", "x2"]]``. Minibatches of the same source get the same rows.
    batch_size : int, None, or list of int, (size, seed), None or Ellipsis, default 128
        The number of rows of a batch, of shape (batch_size, ...). A list has an entry for each
        axis: an int or a (size, seed) pair draws that many entries along it, None takes all of it,
        and one Ellipsis stands for the axes that the list leaves out. If a seed occurs twice in a
        list, its axes are still drawn independently. None takes all of the data.
    dtype : dtype, optional
        The dtype to cast the data to, even if values change.
    broadcastable : sequence of bool, optional
        True for axes of a batch that have length 1 and may broadcast. By default none.
    name : str, default "Minibatch"
        The name of the variable.
    random_seed : int, sequence of int, NumPy generator or None, default 42
        The seed of the axes that have no seed of their own. From a generator, a seed is drawn,
        which advances it. None takes a new seed, so that the minibatch is not aligned with any
        other.
    update_shared_f : callable, optional
        Returns new data for :meth:`update_shared`.
    in_memory_size : int, None, or list of int, slice, None or Ellipsis, optional
        For an array, the part of it to use: an int uses that many rows from the start, a list has
        an entry for each axis. For a source, the number of rows to have in memory at a time, its
        *window*; by default all rows, if they take at most a quarter of the free memory.
        :func:`bayou.fit` reads all rows, whatever the window. While it runs, it uses the memory of
        the window, and the container holds only the first 1,024 rows.

    Attributes
    ----------
    shared : TensorSharedVariable
        The data that rows are drawn from.
    minibatch : TensorVariable
        This variable itself, as in PyMC3. ``clone_replace(graph, {x.minibatch: x.shared})``
        replaces it by all of the data.
    step : StepVariable
        The number of evaluations so far. The rows are a pure function of the seed and the step.

    Raises
    ------
    TypeError
        If there are several arrays, ``batch_size`` or ``in_memory_size`` has an entry of a wrong
        type, or the data are not numbers.
    ValueError
        If a size is below 1, there are more entries than axes, or the data have missing values or
        no rows.

    See Also
    --------
    bayou.align_minibatches : Reset minibatches so that they draw the same rows again.
    bayou.Batches : Batches of a source for code outside of PyMC, in exact epochs.

    Notes
    -----
    Modelled on the ``Minibatch`` of PyMC3. ``pm.Minibatch`` takes several arrays in one call; here
    each array has a minibatch of its own, aligned by the seed.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> design, outcome = random.normal(size=(1000, 3)), random.normal(size=1000)
    >>> x, y = by.Minibatch(design, 10), by.Minibatch(outcome, 10)
    >>> with pm.Model() as model:
    ...     b = pm.Normal("b", shape=3)
    ...     likelihood = pm.Normal("y", x @ b, observed=y, total_size=1000)
    >>> x.eval().shape, y.eval().shape
    ((10, 3), (10,))

    Ten rows and five columns, each by a seed of its own:

    >>> by.Minibatch(random.random((100, 100)), [(10, 1), (5, 2)]).eval().shape
    (10, 5)
    """

    @one_array
    def __init__(
        self,
        data: ArrayLike | Column | Source,
        batch_size: BatchSize = 128,
        dtype: DTypeLike | None = None,
        broadcastable: Sequence[bool] | None = None,
        name: str = "Minibatch",
        random_seed: RandomSeed | None = 42,
        update_shared_f: Callable[[], ArrayLike] | None = None,
        in_memory_size: MemorySize = None,
    ) -> None:
        column = as_column(data, None if dtype is None else number_dtype(dtype))
        if column is None:
            array = read_numbers(data, dtype, name)
            array = array[memory_slices(in_memory_size, array.ndim)]
            check_not_empty(array.shape)
        else:
            resident = read_resident(column, in_memory_size, f"`data` of minibatch {name!r}")
            array = resident.array
        samples = axis_samples(batch_size, read_seed(random_seed), array.ndim)
        if column is not None and not resident.is_complete:
            check_batches_of_rows(samples, batch_size)
        flags = broadcast_flags(broadcastable, array.shape, samples)
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
        # PyMC recognizes a minibatch by the owner of the observed variable: take its place there.
        batch.owner.outputs[0] = self
        _alive.add(self)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a pickled minibatch, and count it among those that are aligned."""
        self.__dict__.update(state)
        _alive.add(self)

    @property
    def minibatch(self) -> Minibatch:
        """The variable itself, under the name that it has in PyMC3."""
        return self

    def set_value(self, value: ArrayLike) -> None:
        """Set the data that rows are drawn from.

        Parameters
        ----------
        value : array_like of numbers, shape (num_rows, ...)
            Data of the same rank, with any number of rows. Cast to the dtype of the minibatch if
            that loses nothing.

        Raises
        ------
        TypeError
            If the data are not numbers.
        ValueError
            If the rank differs, an axis is empty, values are missing or the cast would change some.
        """
        array = to_array(value, f"`value` of minibatch {self.name!r}", self.dtype).array
        if array.ndim != self.ndim:
            raise ValueError(
                f"`value` must have {self.ndim} axes like the minibatch {self.name!r}, got shape "
                f"{array.shape}.\nHint: make a new Minibatch for data of another rank."
            )
        check_not_empty(array.shape)
        self.shared.set_value(np.asarray(array, order="C"))

    def update_shared(self) -> None:
        """Replace the data that rows are drawn from by the next data.

        The next data are what ``update_shared_f`` returns. Without it, they are the next rows of
        the source, as many as are in memory now; after the last rows come the first ones. All
        containers that have the same rows of the source in memory move on together.
        :func:`bayou.fit` reads all of a source by itself, without calls to this method.

        Raises
        ------
        NotImplementedError
            If there is neither a source nor an ``update_shared_f``.
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

    def eval(
        self, inputs_to_values: dict[Variable, ArrayLike] | None = None, **kwargs: object
    ) -> Numbers:
        """Draw the next batch without compilation, by PyTensor's interpreter.

        Parameters
        ----------
        inputs_to_values : dict of Variable to value, optional
            Values of inputs, as for every PyTensor variable; a minibatch has none.
        **kwargs
            Passed to :func:`pytensor.function`. ``mode`` is the interpreter's by default.

        Returns
        -------
        ndarray
            The batch.
        """
        kwargs.setdefault("mode", _INTERPRETED)
        batch: Numbers = super().eval(inputs_to_values, **kwargs)
        return batch

    def clone(self, **kwargs: object) -> TensorVariable:
        """Return a variable of the same type, name and tags that depends on nothing.

        Parameters
        ----------
        **kwargs
            ``name``, the name of the copy; by default the same.

        Returns
        -------
        TensorVariable
            A variable without an owner.
        """
        variable = TensorVariable(self.type, None, None, kwargs.pop("name", self.name), **kwargs)
        variable.tag = copy(self.tag)
        return variable


def align_minibatches(batches: Iterable[Minibatch] | None = None) -> None:
    """Set minibatches back to their first step, so that those of one seed draw the same rows again.

    Each evaluation of a minibatch advances its step. One that was evaluated by itself is ahead of
    the others, and their rows no longer belong together. :func:`bayou.fit` needs no call of this:
    it feeds minibatches of one seed the same rows, whatever their steps.

    Parameters
    ----------
    batches : iterable of Minibatch, optional
        The minibatches to align; by default all that exist.

    Raises
    ------
    TypeError
        If one of them is no Minibatch. None is aligned then.

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
