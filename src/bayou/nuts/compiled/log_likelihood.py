"""The log likelihood of each observation at draws, as PyMC's `compute_log_likelihood` has it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pytensor.tensor as pt
from pymc.model.transform.conditioning import remove_value_transforms
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors

from bayou.density.jax_function import jax_function
from bayou.models.interpret import SharedInterpreter
from bayou.models.rewrite import full_data_model, terms_without_sparse

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.models.posterior_tree import NamedArrays

# Draws are evaluated in groups whose log likelihoods are about so many numbers.
GROUP_NUMBERS = 2**21


def num_observations(model: pm.Model) -> int:
    """Return the number of log likelihoods of a draw.

    Raises
    ------
    ValueError
        If no variable is observed.
    """
    if not model.observed_RVs:
        raise ValueError(
            "`log_likelihood` must be False for a model without observed variables, got True.\n"
            "Hint: a Potential has no observations; write it as the distribution of its data."
        )
    full_model = full_data_model(model)
    sizes = [full_model.rvs_to_values[variable].size for variable in full_model.observed_RVs]
    return int(sum(int(size) for size in SharedInterpreter([], sizes)([], {})))


def log_likelihood(model: pm.Model, draws: NamedArrays) -> dict[str, NDArray[Any]]:
    """Return the log likelihood of each observation of each observed variable.

    Parameters
    ----------
    model : pymc.Model
    draws : mapping of str to ndarray, shape (chains, draws, ...)
        All free variables.

    Returns
    -------
    dict of str to ndarray, shape (chains, draws, ...)
        By the names of observed variables.
    """
    plain = remove_value_transforms(full_data_model(model))
    observed = plain.observed_RVs
    graphs = terms_without_sparse(plain.logp(vars=observed, sum=False))
    values = [plain.rvs_to_values[variable] for variable in plain.free_RVs]
    constants = {
        variable: pt.constant(variable.get_value(borrow=True))
        for variable in ancestors(graphs)
        if isinstance(variable, SharedVariable)
    }
    function = jax.jit(jax.vmap(jax_function(values, graphs, constants)))
    arrays = [np.asarray(draws[variable.name]) for variable in plain.free_RVs]
    num_chains, num_draws = arrays[0].shape[:2]
    flat = [array.reshape(-1, *array.shape[2:]) for array in arrays]
    size = sum(math.prod(part.shape[1:]) for part in function(*[array[:1] for array in flat]))
    group = max(1, min(len(flat[0]), GROUP_NUMBERS // max(1, size)))
    parts: list[list[NDArray[Any]]] = [[] for _ in graphs]
    for begin in range(0, len(flat[0]), group):
        # The last group is as long as the others, so that one length is compiled.
        first = max(0, min(begin, len(flat[0]) - group))
        found = function(*[array[first : first + group] for array in flat])
        for part, new in zip(parts, found, strict=True):
            part.append(np.asarray(new)[begin - first :])
    return {
        variable.name: np.concatenate(part).reshape(num_chains, num_draws, *part[0].shape[1:])
        for variable, part in zip(observed, parts, strict=True)
    }
