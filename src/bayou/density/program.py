"""A PyMC model as pure JAX functions of a position and of the rows that feed it.

Data containers and minibatches are inputs, so new data of the same shapes compile nothing.
Transforms, their Jacobians and the scaling by total_size are PyMC's own.
:func:`bayou.density.build.compile_program` builds programs.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import jax
import numpy as np
from pytensor.printing import debugprint

from bayou.density.compiled_functions import BlockSizes, CompiledFunctions, FunctionKey
from bayou.models.inputs import storage_of
from bayou.models.log_density import log_density_terms
from bayou.text import digest

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers
    from bayou.density.flat_position import Layout
    from bayou.models.inputs import GraphInputs

type AnyArray = jax.Array | Numbers
type Inputs = tuple[AnyArray, ...]  # In the order of a program's inputs.


@dataclass(frozen=True, eq=False)
class LatentRows:
    """Free variables with a value for each row, of which a batch takes those of its rows.

    Attributes
    ----------
    names : tuple of str
        The variables.
    numbers : TensorVariable
        The numbers of the rows of a batch.
    """

    names: tuple[str, ...]
    numbers: TensorVariable

    @property
    def num_rows(self) -> int:
        """The number of all rows."""
        return len(storage_of(self.numbers).get_value(borrow=True))


@dataclass(frozen=True)
class ProgramOptions:
    """All that a program depends on besides its model.

    Attributes
    ----------
    written : weakref to pymc.Model
        The model as the user wrote it, which may be another than the one in minibatches.
    feeds_all_rows : bool
        True if what is fed stands for all of the rows, False if for a batch of them.
    batching : tuple of int and str, or None
        The batch size and the batched dim, if the written model has all of its data.
    latent : LatentRows or None
        The free variables with a value for each row, which are inputs and not in the position.
    graph_gradients : bool
        True if gradients are those that PyTensor derives, False if JAX's own.
    """

    written: weakref.ref[pm.Model]
    feeds_all_rows: bool = False
    batching: tuple[int, str] | None = None
    latent: LatentRows | None = None
    graph_gradients: bool = False


@dataclass(frozen=True)
class Term:
    """A variable or potential whose log density is a summand of the model's.

    Attributes
    ----------
    name : str
        Its name in the model.
    takes_rows : bool
        Whether its density depends on rows that are fed.
    has_row_axis : bool
        Whether the leading axis of its density is that of the rows that are fed.
    is_potential : bool
        Whether it is a potential.
    """

    name: str
    takes_rows: bool
    has_row_axis: bool
    is_potential: bool


@dataclass(frozen=True, eq=False)
class ProgramFunctions:
    """The graphs of a program as functions.

    Attributes
    ----------
    terms : callable
        (one array for each variable of the position, the inputs, one array for each latent
        variable of rows) -> the log density of each term, unsummed.
    compile_interpreter : callable
        (name of a term, or None for all) -> a function of the same arguments, which runs without
        a compiler.
    compile_term : callable
        name of a term -> a JAX function of the same arguments to that term alone.
    constrain : callable
        (the same arguments; without what is fed unless some of them depend on rows) -> the value of
        each of ``constrained_names``.
    constrained_names : tuple of str
        The free variables and deterministics.
    constrained_of_rows : frozenset of str
        Those of these that depend on rows.
    start : callable
        (seed, attempt) -> starting values of the variables of the position, and those of the
        latent variables of rows.
    may_have_local_optima : callable
        () -> whether the density is of a kind that is known to have local optima.
    may_lose_gradients : callable
        () -> whether JAX's gradients of the terms may be NaN where PyTensor's are finite.
    """

    terms: Callable[..., Sequence[jax.Array]]
    compile_interpreter: Callable[[str | None], Callable[..., list[NDArray[np.floating]]]]
    compile_term: Callable[[str], Callable[..., Sequence[jax.Array]]]
    constrain: Callable[..., Sequence[jax.Array]]
    constrained_names: tuple[str, ...]
    constrained_of_rows: frozenset[str]
    start: Callable[..., tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]]
    may_have_local_optima: Callable[[], bool]
    may_lose_gradients: Callable[[], bool]


@dataclass(frozen=True)
class _Interpreter(FunctionKey):
    """The interpreter of one term, or of all for None."""

    name: str | None


@dataclass(frozen=True, eq=False)
class Program:
    """A model as JAX functions of a position and inputs.

    The inputs of a program are the arrays of ``fed``, then those of ``data``, then the numbers of
    rows ``counted``; and last, if there are latent variables of rows, their values in the rows that
    are fed, shape (num_rows, latent_layout.size).

    Attributes
    ----------
    options : ProgramOptions
        What it was built for.
    graph_inputs : GraphInputs
        What feeds the graphs of the model.
    layout : Layout
        The free variables, transformed to the real line, within the flat position.
    latent_layout : Layout
        The latent variables of rows within the values of one row.
    summands : tuple of Term
        The variables and potentials that the density is a sum over.
    functions : ProgramFunctions
        The graphs as functions of separate arguments.
    compiled : CompiledFunctions
        The functions that were compiled of this program.
    block_sizes : BlockSizes
        The numbers of rows that they were compiled for.
    """

    options: ProgramOptions
    graph_inputs: GraphInputs
    layout: Layout
    latent_layout: Layout
    summands: tuple[Term, ...]
    functions: ProgramFunctions
    compiled: CompiledFunctions = field(default_factory=CompiledFunctions)
    block_sizes: BlockSizes = field(default_factory=BlockSizes)

    @property
    def fed(self) -> tuple[TensorVariable, ...]:
        """Minibatches and generators, which change in each step; aligned ones are side by side."""
        return self.graph_inputs.fed

    @property
    def data(self) -> tuple[SharedVariable, ...]:
        """The containers whose values are inputs, which stay the same through a fit."""
        return self.graph_inputs.data

    @property
    def counted(self) -> tuple[tuple[SharedVariable, int], ...]:
        """Containers whose number of rows alone is an input, each with the axis of its rows."""
        return self.graph_inputs.counted

    @property
    def lengths(self) -> tuple[tuple[SharedVariable, Numbers], ...]:
        """The data that shapes are computed from, with the values built into the program."""
        return self.graph_inputs.lengths

    @property
    def latent(self) -> LatentRows | None:
        """The free variables with a value for each row, which are not in the position."""
        return self.options.latent

    @property
    def feeds_all_rows(self) -> bool:
        """Whether what is fed stands for all of the rows, not for a batch of them."""
        return self.options.feeds_all_rows

    @property
    def batching(self) -> tuple[int, str] | None:
        """The batch size and the batched dim, if the model is written with all of its data."""
        return self.options.batching

    @property
    def term_names(self) -> tuple[str, ...]:
        """The variables and potentials that the density is a sum over."""
        return tuple(term.name for term in self.summands)

    @property
    def terms_of_rows(self) -> tuple[str, ...]:
        """The terms with a density for each row that is fed, in its leading axis."""
        return tuple(term.name for term in self.summands if term.has_row_axis)

    @property
    def takes_weights(self) -> bool:
        """Whether rows enter in these terms alone, so that each row can be weighted."""
        return all(term.has_row_axis == term.takes_rows for term in self.summands)

    @property
    def potentials_of_batches(self) -> tuple[str, ...]:
        """The potentials with one number for a batch, which are not scaled to all rows."""
        return tuple(
            term.name
            for term in self.summands
            if term.is_potential and term.takes_rows and not term.has_row_axis
        )

    @property
    def constrains_rows(self) -> bool:
        """Whether :meth:`constrain` depends on rows, and takes what is fed."""
        return bool(self.functions.constrained_of_rows)

    def density(
        self, position: jax.Array, inputs: Inputs, weights: jax.Array | None = None
    ) -> jax.Array:
        """Return the log density, Jacobians and scaling to all rows included.

        Parameters
        ----------
        position : array, shape (size,)
            The free variables, transformed.
        inputs : tuple of array
            The inputs of the program.
        weights : array, shape (num_rows,), optional
            How much each row that is fed counts; only if ``takes_weights``.
        """
        terms = self.functions.terms(*self._arguments(position, inputs))
        if weights is not None:
            # A term of rows is their weighted sum over the leading axis; its other axes stay.
            terms = [
                jax.numpy.tensordot(weights, value, 1) if term.has_row_axis else value
                for term, value in zip(self.summands, terms, strict=True)
            ]
        return reduce(operator.add, map(jax.numpy.sum, terms))

    def joint_density(
        self,
        num_rows: int,
        position: jax.Array,
        inputs: Inputs,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """Return the log density of a position that ends with the latent variables of all rows fed.

        Parameters
        ----------
        num_rows : int
            The number of rows fed.
        position : array, shape (size + num_rows * latent_layout.size,)
            The free variables, then the latent variables row by row.
        inputs : tuple of array
            The inputs of the program, without the last one.
        weights : array, shape (num_rows,), optional
            As in :meth:`density`.
        """
        size = self.layout.size
        values = position[size:].reshape(num_rows, self.latent_layout.size)
        return self.density(position[:size], (*inputs, values), weights)

    def terms(self, position: jax.Array, inputs: Inputs) -> dict[str, jax.Array]:
        """Return the log density of each term by its name, unsummed."""
        values = self.functions.terms(*self._arguments(position, inputs))
        return dict(zip(self.term_names, values, strict=True))

    def trace_term(self, name: str, position: NDArray[np.floating], inputs: Inputs) -> None:
        """Trace one term alone with JAX, to see whether that is possible."""
        term = self.functions.compile_term(name)
        jax.eval_shape(lambda *arguments: term(*self._arguments(*arguments)), position, inputs)

    def interpreted_terms(
        self, position: NDArray[np.floating], inputs: Inputs, name: str | None = None
    ) -> dict[str, NDArray[np.floating]]:
        """Return the terms as :meth:`terms` does, without a compiler; or one term, if it is named.

        Raises
        ------
        Exception
            What PyTensor raises, where JAX would not: for an index out of range, or lengths that
            do not fit.
        """
        function = self.compiled.get_or_compile(
            _Interpreter(name), lambda: self.functions.compile_interpreter(name)
        )
        # Overflow and the like are seen in the values.
        with np.errstate(all="ignore"):
            values = function(*map(np.asarray, self._arguments(position, inputs)))
        return dict(zip(self.term_names if name is None else [name], values, strict=True))

    def constrain(self, position: jax.Array, inputs: Inputs) -> dict[str, jax.Array]:
        """Return the values of the free variables and deterministics, in the space of the model.

        It takes :meth:`constraining_inputs`.
        """
        values = self.functions.constrain(*self._arguments(position, inputs))
        return dict(zip(self.functions.constrained_names, values, strict=True))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the model as it is written: the same for any data, another for any other."""
        # A weak reference, since the program is kept by its model. Who asks has the model.
        model = self.options.written()
        assert model is not None
        text = debugprint(log_density_terms(model), file="str", print_type=True)
        names = [value.name for value in model.value_vars]
        # Saved fits hold this digest.
        return digest(f"{names}\n{text}")

    def is_current(self) -> bool:
        """Return whether the model still has the lengths that the program was built with."""
        if not all(np.array_equal(each.get_value(), length) for each, length in self.lengths):
            return False
        # The length of a dim may be computed from the shape of a container.
        return tuple(value.shape for value in self.functions.start(0)[0]) == self.layout.shapes

    def start(self, seed: int, attempt: int = 0) -> NDArray[np.float64]:
        """Return a position to start from, shape (size,).

        Further attempts are at other ones, as :class:`bayou.models.initial_point.StartCandidates`
        gives them.
        """
        values, _ = self.functions.start(seed, attempt)
        return np.concatenate([np.ravel(value) for value in values])

    @property
    def row_numbers_index(self) -> int:
        """The index in ``fed`` of the row numbers that latent variables are taken by."""
        assert self.latent is not None
        return self.fed.index(self.latent.numbers)

    def latent_start(self, num_rows: int) -> Inputs:
        """Return the last input where a fit starts; nothing without latent variables of rows."""
        if self.latent is None:
            return ()
        # The mean over rows, since the rows of a start are not those that are fed.
        values = [value.mean(axis=0).ravel() for value in self.functions.start(0)[1]]
        return (np.tile(np.concatenate(values), (num_rows, 1)),)

    def data_values(self) -> Inputs:
        """Return the present values of the data containers, and the numbers of rows."""
        values = (variable.get_value(borrow=True) for variable in self.data)
        counts = (np.array(v.get_value(borrow=True).shape[axis]) for v, axis in self.counted)
        return tuple(map(jax.numpy.asarray, (*values, *counts)))

    def constraining_inputs(self) -> Inputs:
        """Return the inputs of :meth:`constrain`: with all rows in memory, if it takes rows."""
        if not self.constrains_rows:
            return self.data_values()
        rows = (storage_of(variable).get_value(borrow=True) for variable in self.fed)
        return (*map(jax.numpy.asarray, rows), *self.data_values())

    def _arguments(self, position: AnyArray, inputs: Inputs) -> list[AnyArray]:
        """Split the position into variables, and so the last input if it is of latent variables."""
        if self.latent is None:
            return [*self.layout.split(position), *inputs]
        return [*self.layout.split(position), *inputs[:-1], *self.latent_layout.split(inputs[-1])]
