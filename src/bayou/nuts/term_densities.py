"""The log density of a model by its variables and potentials, computed without compilation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.models.interpret import SharedInterpreter
from bayou.models.rewrite import full_data_model, terms_without_sparse
from bayou.nuts.compiled.compiled_density import values_by_container

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import ContainerArrays


def term_densities(
    model: pm.Model, values: Sequence[NDArray[np.float64]], arrays: ContainerArrays | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return the log densities of each variable and potential at values of the free variables.

    They are not summed: those of a variable have its leading axes.

    Parameters
    ----------
    model : pymc.Model
    values : sequence of ndarray
        Of the free variables, transformed.
    arrays : mapping of SharedVariable to ndarray, optional
        Values of shared variables to use instead of the present ones.
    """
    full_model = full_data_model(model)
    variables = [*full_model.basic_RVs, *full_model.potentials]
    terms = terms_without_sparse(full_model.logp(variables, sum=False))
    inputs = [full_model.rvs_to_values[variable] for variable in full_model.free_RVs]
    densities = SharedInterpreter(inputs, terms)(values, values_by_container(arrays or {}))
    return {variable.name: density for variable, density in zip(variables, densities, strict=True)}
