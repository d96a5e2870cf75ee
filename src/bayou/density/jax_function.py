"""PyTensor graphs as JAX functions.

Gradients of these are JAX's own, or those that PyTensor derives and JAX compiles. Both are right
where a graph has no branches. Where it has, JAX takes the gradient of the branch that is not taken
times zero, which is NaN if that gradient is infinite, and PyTensor does not.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import jax
import numpy as np
import pytensor
from pytensor.compile.mode import JAX as JAX_MODE
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.link.jax.dispatch import jax_funcify

import bayou.density.jax_special_functions  # noqa: F401
from bayou.density.graph_traits import may_lose_gradients, needs_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytensor.graph.basic import Variable

    type JaxFunction = Callable[..., Sequence[jax.Array]]


def jax_function(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable],
) -> JaxFunction:
    """Return a JAX function of some inputs, which computes some outputs.

    Parameters of distributions are not checked: where they are out of range, the density is NaN or
    -inf.

    Parameters
    ----------
    inputs : sequence of Variable
        The arguments of the function.
    outputs : sequence of Variable
        Graphs, which stay as they are.
    replacements : mapping of Variable to Variable
        Variables of the graphs, and what is computed with in their place.

    Returns
    -------
    callable
        (one array for each input) -> one array for each output.
    """
    outputs = replaced(outputs, replacements)
    graph = _optimized(inputs, outputs)
    return _FunctionOfLengths(inputs, outputs) if needs_lengths(graph) else funcify(graph)


def gradients_may_be_lost(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable],
    wrt: Sequence[Variable],
) -> bool:
    """Return whether JAX's gradients of a function of :func:`jax_function` may be NaN for nothing.

    The arguments are those of :func:`with_graph_gradients`.
    """
    graph = _optimized(inputs, replaced(outputs, replacements))
    places = [list(inputs).index(variable) for variable in wrt]
    return may_lose_gradients(graph, [graph.inputs[place] for place in places])


def with_graph_gradients(
    function: JaxFunction,
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable],
    wrt: Sequence[Variable],
) -> JaxFunction:
    """Return a function like one of :func:`jax_function`, with gradients of PyTensor's.

    Parameters
    ----------
    function : callable
        What :func:`jax_function` returns.
    inputs, outputs, replacements
        What that was called with.
    wrt : sequence of Variable
        The inputs that gradients are taken with respect to; those of all others are zero.
    """
    cotangents = [output.type() for output in outputs]
    gradients = pytensor.grad(
        None,
        list(wrt),
        known_grads=dict(zip(outputs, cotangents, strict=True)),
        disconnected_inputs="ignore",
    )
    backward = jax_function([*inputs, *cotangents], gradients, replacements)
    indices = [list(inputs).index(variable) for variable in wrt]

    @jax.custom_vjp
    def with_gradients(*arguments: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(function(*arguments))

    def evaluate_forward(
        *arguments: jax.Array,
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        return tuple(function(*arguments)), arguments

    def evaluate_backward(
        arguments: tuple[jax.Array, ...], given: tuple[jax.Array, ...]
    ) -> tuple[jax.Array | None, ...]:
        slopes: list[jax.Array | None] = [None] * len(arguments)
        for index, slope in zip(indices, backward(*arguments, *given), strict=True):
            slopes[index] = jax.numpy.asarray(slope, arguments[index].dtype)
        return tuple(slopes)

    with_gradients.defvjp(evaluate_forward, evaluate_backward)
    return with_gradients


def _optimized(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> FunctionGraph:
    """Return a copy of graphs that is rewritten as it is compiled."""
    graph = FunctionGraph(list(inputs), list(outputs), clone=True)
    JAX_MODE.including("local_remove_check_parameter").optimizer.rewrite(graph)
    return graph


def replaced(
    outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]
) -> list[Variable]:
    """Return copies of graphs with some of their variables replaced."""
    # Not strict, since a container may be replaced by an input of another static shape.
    return clone_replace(list(outputs), dict(replacements), rebuild_strict=False)  # type: ignore[no-any-return]


def funcify(graph: FunctionGraph) -> JaxFunction:
    """Return a graph that is rewritten already as a JAX function."""
    with warnings.catch_warnings():
        # JAX cannot raise for lengths that do not fit. The interpreter does, which runs before.
        warnings.filterwarnings("ignore", "Skipping Assert")
        return jax_funcify(graph)  # type: ignore[no-any-return]


class _FunctionOfLengths:
    """A JAX function of a graph whose lengths are computed from those of its inputs.

    JAX knows the shapes of arguments while it traces, but not what is computed from them. So the
    graph is rewritten for each set of shapes that it is traced with: one length, one program.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self._inputs = list(inputs)
        self._outputs = list(outputs)
        self._functions: dict[tuple[tuple[int, ...], ...], JaxFunction] = {}

    def __call__(self, *arguments: jax.Array) -> Sequence[jax.Array]:
        shapes = tuple(np.shape(argument) for argument in arguments)
        if shapes not in self._functions:
            self._functions[shapes] = self._function_of(shapes)
        return self._functions[shapes](*arguments)

    def _function_of(self, shapes: tuple[tuple[int, ...], ...]) -> JaxFunction:
        inputs = [
            variable.type.clone(shape=shape)(name=variable.name)
            for variable, shape in zip(self._inputs, shapes, strict=True)
        ]
        outputs = replaced(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        # Constants of the graph must be arrays, and not be of the trace that is under way.
        with jax.ensure_compile_time_eval():
            return funcify(_optimized(inputs, outputs))
