"""PyTensor graphs as JAX functions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pytensor.compile.mode import JAX as JAX_MODE
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.link.jax.dispatch import jax_funcify

import bayou.density.jax_special_functions  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import jax
    from pytensor.graph.basic import Variable


def jax_function(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable],
) -> Callable[..., Sequence[jax.Array]]:
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
    graph = FunctionGraph(list(inputs), replaced(outputs, replacements), clone=True)
    JAX_MODE.including("local_remove_check_parameter").optimizer.rewrite(graph)
    with warnings.catch_warnings():
        # JAX cannot raise for lengths that do not fit. The interpreter does, which runs before.
        warnings.filterwarnings("ignore", "Skipping Assert")
        return jax_funcify(graph)  # type: ignore[no-any-return]


def replaced(
    outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]
) -> list[Variable]:
    """Return copies of graphs with some of their variables replaced."""
    # Not strict, since a container may be replaced by an input of another static shape.
    return clone_replace(list(outputs), dict(replacements), rebuild_strict=False)  # type: ignore[no-any-return]
