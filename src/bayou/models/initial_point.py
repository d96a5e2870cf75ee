"""Where a fit or a chain starts: PyMC's own starting points, evaluated without a compiler.

What this takes of the insides of PyMC is touched in this file alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import find_rng_nodes, replace_rng_nodes, reseed_rngs
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable


type Held = Mapping[Any, NDArray[Any]]  # by what holds the value of a shared variable


def start_function(
    model: pm.Model, *, jitter: bool, prior: bool = False
) -> Callable[..., list[NDArray[Any]]]:
    """Return a function of a seed to the starting values of the free variables, transformed.

    It takes other values of shared variables than the present ones as a second argument.

    Parameters
    ----------
    model : pymc.Model
        The model.
    jitter : bool
        Whether values are moved at random by up to 1, as PyMC does for its chains.
    prior : bool, default False
        Whether values are drawn from their prior, where that can be drawn from.
    """
    strategies = dict(model.rvs_to_initial_values)
    if prior:
        flat = (pm.Flat, pm.HalfFlat)
        kinds = tuple(kind.rv_type for kind in flat)
        strategies |= {
            variable: "prior"
            for variable in model.free_RVs
            if not isinstance(variable.owner.op, kinds)
        }
    expressions = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=strategies,
        jitter_rvs=set(model.free_RVs) if jitter else None,
        return_transformed=True,
    )
    evaluate, outputs = _interpreted_on([], replace_rng_nodes(expressions))
    generators = find_rng_nodes(outputs)
    # nutpie asks for starting points from its threads.
    lock = threading.Lock()

    def start(seed: int, held: Held | None = None) -> list[NDArray[Any]]:
        with lock:
            reseed_rngs(generators, seed)
            return evaluate([], held or {})

    return start


def interpreted_on(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> Callable[[Sequence[NDArray[Any]], Held], list[NDArray[Any]]]:
    """Return a function like :func:`interpreted`, of inputs and of values of shared variables.

    A shared variable without one has its present value.
    """
    return _interpreted_on(inputs, outputs)[0]


def _interpreted_on(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[Callable[[Sequence[NDArray[Any]], Held], list[NDArray[Any]]], list[Variable]]:
    shared = [
        variable
        for variable in graph_inputs(outputs)
        if isinstance(variable, SharedVariable)
        and isinstance(variable.get_value(borrow=True), np.ndarray)
    ]
    places = [variable.type() for variable in shared]
    containers = [variable.container for variable in shared]
    graphs = clone_replace(list(outputs), dict(zip(shared, places, strict=True)))
    function = interpreted([*inputs, *places], graphs)

    def evaluate(values: Sequence[NDArray[Any]], held: Held) -> list[NDArray[Any]]:
        now = (held.get(container, container.storage[0]) for container in containers)
        return [np.asarray(value) for value in function(*values, *now)]

    return evaluate, function.maker.fgraph.outputs


def interpreted(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Any:
    """Return a function for work that is too little to pay a compiler for, even inside a loop.

    Without checks of parameters, as in compiled code: what is impossible has a density of zero.
    """
    mode = Mode("py", "fast_compile").including("local_remove_check_parameter")
    with pytensor.config.change_flags(cxx=""):
        return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
