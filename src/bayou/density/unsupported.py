"""Errors for models that JAX cannot compile: they name the variable and the operation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import pytensor
from pytensor.gradient import NullTypeGradError
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import graph_inputs

from bayou.density.compiled_functions import FunctionKey
from bayou.density.jax_function import jax_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.density.program import Inputs, Program

# What JAX raises for shapes, indices and branches that depend on values; what PyTensor raises for
# an operation that it has no JAX code for.
_UNSUPPORTED = (
    NotImplementedError,
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.UnexpectedTracerError,
)
HINT = "Hint: by.sample compiles it with Numba. A deterministic can be left out of the model."
# NUTS needs gradients too.
HINT_WITHOUT_GRADIENT = (
    "Hint: the operation has no gradient either, so that by.sample refuses it: write it with "
    "pytensor.tensor, or use pm.sample, whose other steps take no gradient."
)


class UnsupportedError(TypeError):
    """The error for an operation that JAX cannot compile."""


@dataclass(frozen=True)
class _Trace(FunctionKey):
    """A trace of the density, which is kept to be made once."""


def compile_named(
    inputs: Sequence[Variable],
    graphs: Mapping[str, Variable],
    replacements: Mapping[Variable, Variable],
    *,
    are_densities: bool = False,
) -> Callable[..., Sequence[jax.Array]]:
    """Return what :func:`jax_function` does, of graphs with names.

    Parameters
    ----------
    inputs, graphs, replacements
        As :func:`jax_function` takes them, the graphs by their names.
    are_densities : bool, default False
        Whether by.sample would take gradients of the graphs.

    Raises
    ------
    TypeError
        If PyTensor has no JAX code for an operation: names its variable.
    """
    try:
        return jax_function(inputs, list(graphs.values()), replacements)
    except NotImplementedError as error:
        for name, graph in graphs.items():
            try:
                jax_function(inputs, [graph], replacements)
            except NotImplementedError as of_one:
                without_gradient = are_densities and not _has_gradient(graph)
                hint = HINT_WITHOUT_GRADIENT if without_gradient else HINT
                raise _error(name, of_one, hint) from of_one
        raise _error("the model", error) from error


def check_trace(program: Program, position: NDArray[np.floating], inputs: Inputs) -> None:
    """Check that JAX can trace the density of a program.

    Raises
    ------
    TypeError
        If it cannot: names the variable.
    """

    def trace() -> Callable[..., jax.Array]:
        jax.eval_shape(program.density, position, inputs)
        return program.density

    try:
        program.compiled.get_or_compile(_Trace(), trace)
    except _UNSUPPORTED as error:
        raise _error(_name_at_fault(program, position, inputs), error) from error


def _name_at_fault(program: Program, position: NDArray[np.floating], inputs: Inputs) -> str:
    for name in program.term_names:
        try:
            program.trace_term(name, position, inputs)
        except _UNSUPPORTED:
            return name
    return "the model"


def _has_gradient(graph: Variable) -> bool:
    """Return whether PyTensor can derive a graph by what feeds it."""
    inputs = [
        each
        for each in graph_inputs([graph])
        if not isinstance(each, Constant) and "float" in getattr(each.type, "dtype", "")
    ]
    with warnings.catch_warnings():
        # An operation may have its gradient in a form that PyTensor warns of, as pm.ode does.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            pytensor.grad(graph.sum(), inputs, disconnected_inputs="ignore")
        except (NotImplementedError, NullTypeGradError):
            return False
    return True


def _error(name: str, error: Exception, hint: str = HINT) -> UnsupportedError:
    reason = str(error).splitlines()[0].rstrip(".")
    subject = name if name == "the model" else repr(name)
    return UnsupportedError(
        f"`model` must be of operations that JAX can compile, got one in {subject} that it cannot: "
        f"{reason}.\n{hint}"
    )
