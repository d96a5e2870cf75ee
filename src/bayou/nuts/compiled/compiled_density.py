"""The log density of a PyMC model for nutpie, built once for data of any length.

Containers, other shared variables and the lengths of the free variables are arguments of its
graphs, which ``numba_density`` and ``jax_density`` compile. Private parts of PyMC and PyTensor are
used in this file and in ``jax_code`` only; of Numba in ``numba_code``.
"""

from __future__ import annotations

import logging
import math
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.gradient import NullTypeGradError
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors

from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.errors import failure_text
from bayou.fitting.guides.coordinates import Frame
from bayou.models.initial_point import StartCandidates
from bayou.models.interpret import SharedInterpreter
from bayou.models.rewrite import (
    full_data_model,
    same_structure,
    structure_of,
    terms_without_sparse,
)
from bayou.nuts.compiled.bound_density import DrawLayout
from bayou.nuts.compiled.density_graphs import DensityGraphs
from bayou.nuts.compiled.numba_density import NumbaDensity
from bayou.nuts.compiled.shared_code import graph_key
from bayou.nuts.operations.known_bounds import drop_known_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import ContainerArrays, Numbers
    from bayou.models.interpret import ContainerValues
    from bayou.models.rewrite import Structure
    from bayou.nuts.compiled.bound_density import BoundDensity

_logger = logging.getLogger(__name__)

# nutpie tries as many starting points for each chain before it gives up.
STARTS = 10


@dataclass(frozen=True, eq=False)
class CompiledDensity:
    """The log density of a model, compiled when it is given data.

    Attributes
    ----------
    structure : tuple
        The structure of the model that it was compiled from.
    arguments : tuple of SharedVariable
        All that may change without another compilation.
    start : callable
        (seed, values of shared variables by their containers, attempt) -> starting values of the
        free variables, transformed and jittered.
    output_names, output_dtypes : tuple of str
        The variables of a draw: the free ones, and deterministics.
    output_shapes : callable
        (values of the free variables, values of shared variables by their containers) -> the shape
        of each output.
    graphs : DensityGraphs
        Position and data -> log density and gradient, or flat draw.
    """

    structure: Structure
    arguments: tuple[SharedVariable, ...]
    start: Callable[..., list[NDArray[np.float64]]]
    output_names: tuple[str, ...]
    output_dtypes: tuple[str, ...]
    output_shapes: Callable[[Sequence[Numbers], ContainerValues], list[NDArray[np.int64]]]
    graphs: DensityGraphs

    def is_of(self, model: pm.Model, names: Sequence[str] | None = None) -> bool:
        """Return whether the model has the structure that was compiled, and draws these names."""
        return same_structure(self.structure, structure_of(model)) and (
            self.output_names == _drawn_names(model, names)
        )

    def bind(
        self, arrays: ContainerArrays | None = None, backend: str = "numba", num_lanes: int = 1
    ) -> BoundDensity:
        """Return the density at data, compiled unless its code is there.

        Parameters
        ----------
        arrays : mapping of SharedVariable to ndarray, optional
            Values to use instead of the present ones.
        backend : {"auto", "numba", "jax"}, default "numba"
            What compiles it. Numba's code takes data of any length, which it reads in place.
        num_lanes : int, default 1
            The number of chains that JAX computes for at once.

        Raises
        ------
        ValueError
            If `backend` is "jax", and JAX cannot compile the density.
        """
        values_of = values_by_container(arrays or {})
        point = self.start(0, values_of)
        draw_layout = DrawLayout(
            self.output_names,
            self.output_dtypes,
            tuple(tuple(shape.tolist()) for shape in self.output_shapes(point, values_of)),
        )
        lengths = np.array([n for value in point for n in value.shape], dtype=np.int64)
        values = tuple(
            np.require(
                values_of.get(variable.container, variable.get_value(borrow=True)),
                dtype=variable.type.dtype,
                requirements="C",
            )
            for variable in self.arguments
        )
        size = sum(value.size for value in point)
        common: dict[str, Any] = {
            "size": size,
            "draw_layout": draw_layout,
            "candidate": partial(self._start_position, values_of),
            "frame": Frame(np.zeros(size), np.ones(size)),
        }
        chosen = self.graphs.choose_backend(values) if backend == "auto" else backend
        if chosen == "jax":
            from bayou.nuts.compiled.jax_density import bind_jax

            try:
                return bind_jax(self.graphs, lengths, values, num_lanes, common)
            except NotImplementedError as error:
                if backend == "jax":
                    raise ValueError(
                        f'`backend="jax"` is not possible for `model`: {failure_text(error)}.\n'
                        'Hint: leave `backend` out, or pass "numba".'
                    ) from error
                _logger.info("Numba compiles the density, since JAX cannot: %s", error)
        logp, expand = self.graphs.numba_code()
        return NumbaDensity(**common, logp=logp, expand=expand, arguments=(lengths, *values))

    def _start_position(
        self, shared_values: ContainerValues, seed: int, attempt: int
    ) -> NDArray[np.float64]:
        values = self.start(seed, shared_values, attempt)
        return np.concatenate([value.ravel() for value in values], dtype=np.float64)


_densities: weakref.WeakKeyDictionary[pm.Model, CompiledDensity] = weakref.WeakKeyDictionary()


def compiled_density(model: pm.Model, names: Sequence[str] | None = None) -> CompiledDensity:
    """Return the compiled density of a model; the same one until the model's structure changes.

    Parameters
    ----------
    model : pymc.Model
        A model with continuous free variables and no generator. Its minibatches are replaced by
        the data that they draw from.
    names : sequence of str, optional
        The deterministics to draw beside the free variables; by default all. One with a value for
        each row takes as much memory as the data, for each draw.

    Returns
    -------
    CompiledDensity

    Raises
    ------
    TypeError
        If the density depends on a shared variable that is no array.
    """
    density = _densities.get(model)
    if density is None or not density.is_of(model, names):
        density = _densities[model] = compile_density(model, names)
    return density


def _gradients(logp: TensorVariable, values: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return the gradients of a density; 0 by what it does not depend on, such as a pm.Flat."""
    try:
        gradients: list[TensorVariable] = pt.grad(logp, values, disconnected_inputs="ignore")
    except (NotImplementedError, NullTypeGradError) as error:
        raise TypeError(
            "`model` must be of operations with a gradient, got one without: "
            f"{failure_text(error)}.\n"
            "Hint: give the operation a `pullback`, write it with pytensor.tensor, or use "
            "pm.sample, whose other steps take no gradient."
        ) from error
    return gradients


def _drawn_names(model: pm.Model, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the free variables, and the deterministics that are among names."""
    free = {variable.name for variable in model.free_RVs}
    every = (variable.name for variable in model.unobserved_RVs)
    return tuple(name for name in every if names is None or name in free or name in names)


def compile_density(model: pm.Model, names: Sequence[str] | None = None) -> CompiledDensity:
    """Build the graphs of the density of a model, and of draws of some of its variables.

    Raises
    ------
    TypeError
        If an operation has no gradient.
    """
    full_model = full_data_model(model)
    values = [full_model.rvs_to_values[variable] for variable in full_model.free_RVs]
    by_name = {variable.name: variable for variable in full_model.unobserved_value_vars}
    outputs = [by_name[name] for name in _drawn_names(model, names)]
    [logp] = terms_without_sparse([full_model.logp()])
    logp = drop_known_checks(rewrite_graph(logp, include=_rewrites(full_model)))
    gradient = pt.concatenate([_flat(part) for part in _gradients(logp, values)])
    draw = pt.concatenate([_flat(output) for output in outputs])
    shapes = [pt.as_tensor(output.shape) for output in outputs]

    arguments = _arguments([logp, gradient, draw])
    symbols = {container: argument.type() for container, argument in arguments.items()}
    lengths = pt.lvector("lengths")
    position, parts = _split_position(values, lengths)
    inputs = [position, lengths, *symbols.values()]
    replacements = dict(zip(values, parts, strict=True)) | {
        variable: symbols[id(variable.container)] for variable in _shared([logp, gradient, draw])
    }
    logp, gradient, draw = clone_replace([logp, gradient, draw], replacements)
    key = (
        full_model.check_bounds,
        pytensor.config.floatX,
        graph_key(inputs, [logp, gradient, draw]),
    )
    return CompiledDensity(
        structure=structure_of(model),
        arguments=tuple(arguments.values()),
        start=StartCandidates(full_model, jitter=True),
        output_names=tuple(variable.name for variable in outputs),
        output_dtypes=tuple(variable.dtype for variable in outputs),
        output_shapes=SharedInterpreter(values, shapes),
        graphs=DensityGraphs(
            full_model.check_bounds, tuple(inputs), (logp, gradient), (draw,), key
        ),
    )


def values_by_container(arrays: ContainerArrays) -> ContainerValues:
    """Return values by the containers of their shared variables, which clones of these share.

    A sparse matrix is computed with by its rows, and their values are returned as well.
    """
    values = {variable.container: array for variable, array in arrays.items()}
    for variable, array in arrays.items():
        if is_sparse_variable(variable):
            split = parts_of(variable).split(array)
            values |= {part.container: part_array for part, part_array in split.items()}
    return values


def _rewrites(model: pm.Model) -> tuple[str, ...]:
    """Return the rewrites that keep the density and its gradient finite where they can be."""
    stabilizing = ("canonicalize", "stabilize")
    return stabilizing if model.check_bounds else (*stabilizing, "local_remove_check_parameter")


def _shared(graphs: Sequence[Variable]) -> list[SharedVariable]:
    return [variable for variable in ancestors(graphs) if isinstance(variable, SharedVariable)]


def _arguments(graphs: Sequence[Variable]) -> dict[int, SharedVariable]:
    """Return the shared variables by their containers: PyMC clones variables, not containers."""
    arguments: dict[int, SharedVariable] = {}
    for variable in _shared(graphs):
        if not isinstance(variable.get_value(borrow=True), np.ndarray):
            raise TypeError(
                "The density of `model` must depend on arrays only, got the shared variable "
                f"{variable} of {variable.type}.\n"
                "Hint: a Potential or Deterministic must not draw random numbers."
            )
        arguments.setdefault(id(variable.container), variable)
    return arguments


def _flat(variable: Variable) -> Variable:
    tensor = pt.as_tensor(variable, allow_xtensor_conversion=True)
    return tensor.ravel().astype("float64")


def _split_position(
    values: Sequence[Variable], lengths: Variable
) -> tuple[Variable, list[Variable]]:
    """Return a symbolic position and its parts, the free variables.

    Lengths that the types of the variables leave open are elements of `lengths`.
    """
    static = [length for value in values for length in value.type.shape]
    size = None if None in static else sum(math.prod(value.type.shape) for value in values)
    position = pt.tensor("position", dtype="float64", shape=(size,))
    parts: list[Variable] = []
    begin: int | Variable = 0
    axis = 0
    for value in values:
        shape = [
            lengths[axis + index] if length is None else length
            for index, length in enumerate(value.type.shape)
        ]
        end = begin + math.prod(shape)
        part = position[begin:end].reshape(shape, ndim=value.type.ndim)
        parts.append(value.type.filter_variable(part.astype(value.dtype)))
        begin, axis = end, axis + value.type.ndim
    return position, parts
