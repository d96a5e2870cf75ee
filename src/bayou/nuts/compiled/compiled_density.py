"""The log density of a PyMC model as machine code for nutpie, compiled once for data of any length.

Containers, other shared variables and the lengths of the free variables are arguments of the
machine code, so new values of the same rank compile nothing. A small model compiles in about two
seconds with cold caches; the values are read in place, not copied. Private parts of nutpie, and for
`by.sample` of PyMC and PyTensor, are used in this file only; of Numba in ``numba_code``.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors

from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
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
from bayou.nuts.compiled.numba_density import NumbaDensity
from bayou.nuts.compiled.shared_code import SharedCode, graph_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import ContainerArrays, Numbers
    from bayou.models.interpret import ContainerValues
    from bayou.models.rewrite import Structure
    from bayou.nuts.compiled.bound_density import BoundDensity

# nutpie tries as many starting points for each chain before it gives up.
STARTS = 10


@dataclass(frozen=True, eq=False)
class CompiledDensity:
    """The log density of a model as machine code, which takes data of any length.

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
        The free variables and deterministics.
    output_shapes : callable
        (values of the free variables, values of shared variables by their containers) -> the shape
        of each output.
    logp, expand : numba CFunc
        Position -> log density and gradient; position -> flat draw.
    """

    structure: Structure
    arguments: tuple[SharedVariable, ...]
    start: Callable[..., list[NDArray[np.float64]]]
    output_names: tuple[str, ...]
    output_dtypes: tuple[str, ...]
    output_shapes: Callable[[Sequence[Numbers], ContainerValues], list[NDArray[np.int64]]]
    logp: Any
    expand: Any

    def is_of(self, model: pm.Model) -> bool:
        """Return whether the model has the structure that was compiled."""
        return same_structure(self.structure, structure_of(model))

    def bind(self, arrays: ContainerArrays | None = None) -> BoundDensity:
        """Return the density at data, which it reads in place.

        Parameters
        ----------
        arrays : mapping of SharedVariable to ndarray, optional
            Values to use instead of the present ones.
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
        return NumbaDensity(
            size=size,
            draw_layout=draw_layout,
            candidate=partial(self._start_position, values_of),
            frame=Frame(np.zeros(size), np.ones(size)),
            logp=self.logp,
            expand=self.expand,
            arguments=(lengths, *values),
        )

    def _start_position(
        self, shared_values: ContainerValues, seed: int, attempt: int
    ) -> NDArray[np.float64]:
        values = self.start(seed, shared_values, attempt)
        return np.concatenate([value.ravel() for value in values], dtype=np.float64)


# Machine code by graph, and what it was compiled from by model.
_shared_code = SharedCode()
_densities: weakref.WeakKeyDictionary[pm.Model, CompiledDensity] = weakref.WeakKeyDictionary()


def compiled_density(model: pm.Model) -> CompiledDensity:
    """Return the compiled density of a model; the same one until the model's structure changes.

    Parameters
    ----------
    model : pymc.Model
        A model with continuous free variables and no generator. Its minibatches are replaced by
        the data that they draw from.

    Returns
    -------
    CompiledDensity

    Raises
    ------
    TypeError
        If the density depends on a shared variable that is no array.
    """
    density = _densities.get(model)
    if density is None or not density.is_of(model):
        density = _densities[model] = compile_density(model)
    return density


def compile_density(model: pm.Model) -> CompiledDensity:
    """Compile the density of a model, unless one of the same graph is compiled already."""
    full_model = full_data_model(model)
    values = [full_model.rvs_to_values[variable] for variable in full_model.free_RVs]
    by_name = {variable.name: variable for variable in full_model.unobserved_value_vars}
    outputs = [by_name[variable.name] for variable in full_model.unobserved_RVs]
    [logp] = terms_without_sparse([full_model.logp()])
    logp = rewrite_graph(logp, include=_rewrites(full_model))
    gradient = pt.concatenate([_flat(part) for part in pt.grad(logp, values)])
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
    compiled_logp, compiled_expand = _shared_code.get_or_compile(
        key, lambda: _compile_code(full_model, inputs, [logp, gradient], [draw])
    )
    return CompiledDensity(
        structure=structure_of(model),
        arguments=tuple(arguments.values()),
        start=StartCandidates(full_model, jitter=True),
        output_names=tuple(variable.name for variable in outputs),
        output_dtypes=tuple(variable.dtype for variable in outputs),
        output_shapes=SharedInterpreter(values, shapes),
        logp=compiled_logp,
        expand=compiled_expand,
    )


def _compile_code(
    model: pm.Model,
    inputs: Sequence[Variable],
    density: Sequence[Variable],
    draw: Sequence[Variable],
) -> tuple[Any, Any]:
    """Compile the functions that nutpie calls: of the density with its gradient, and of a draw."""
    from bayou.nuts.compiled.numba_code import expand_code, loader, logp_code, numba_function

    load = loader([variable.type for variable in inputs[1:]])
    return (
        logp_code(numba_function(model, inputs, density), load),
        expand_code(numba_function(model, inputs, draw), load),
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
