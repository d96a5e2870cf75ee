"""The starting points of fits and chains: PyMC's own, evaluated without a compiler."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pymc as pm
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import find_rng_nodes, replace_rng_nodes, reseed_rngs

from bayou.models.interpret import SharedInterpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.models.interpret import ContainerValues


def start_function(
    model: pm.Model, *, jitter: bool, prior: bool = False
) -> Callable[..., list[NDArray[Any]]]:
    """Return a function of a seed to starting values of the free variables, transformed.

    Parameters
    ----------
    model : pymc.Model
        The model.
    jitter : bool
        Whether values are moved at random by up to 1, as PyMC does for its chains.
    prior : bool, default False
        Whether values are drawn from their prior, if that can be drawn from.

    Returns
    -------
    callable
        (seed, values of shared variables by their containers, by default the present ones) -> list
        of arrays, in the order of ``model.free_RVs``.
    """
    strategies = dict(model.rvs_to_initial_values)
    if prior:
        # These have no generator of random numbers.
        improper = (pm.Flat.rv_type, pm.HalfFlat.rv_type)
        strategies |= {
            variable: "prior"
            for variable in model.free_RVs
            if not isinstance(variable.owner.op, improper)
        }
    expressions = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=strategies,
        jitter_rvs=set(model.free_RVs) if jitter else None,
        return_transformed=True,
    )
    # Generators of their own, so that the model's are not seeded.
    evaluate = SharedInterpreter([], replace_rng_nodes(expressions))
    generators = find_rng_nodes(evaluate.graphs)
    # nutpie asks for starting points from its threads, and the generators are shared.
    lock = threading.Lock()

    def start(seed: int, shared_values: ContainerValues | None = None) -> list[NDArray[Any]]:
        with lock:
            reseed_rngs(generators, seed)
            return evaluate([], shared_values or {})

    return start
