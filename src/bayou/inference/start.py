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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable


def start_function(
    model: pm.Model, *, jitter: bool, prior: bool = False
) -> Callable[[int], list[NDArray[Any]]]:
    """Return a function of a seed to the starting values of the free variables, transformed.

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
    evaluate = interpreted([], replace_rng_nodes(expressions))
    generators = find_rng_nodes(evaluate.maker.fgraph.outputs)
    # nutpie asks for starting points from its threads.
    lock = threading.Lock()

    def start(seed: int) -> list[NDArray[Any]]:
        with lock:
            reseed_rngs(generators, seed)
            return [np.asarray(value) for value in evaluate()]

    return start


def interpreted(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Any:
    """Return a function for work that is too little to pay a compiler for, even inside a loop.

    Without checks of parameters, as in compiled code: what is impossible has a density of zero.
    """
    mode = Mode("py", "fast_compile").including("local_remove_check_parameter")
    with pytensor.config.change_flags(cxx=""):
        return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
