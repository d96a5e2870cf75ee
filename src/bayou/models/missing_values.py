"""Observed variables with missing values, which PyMC splits into an observed and a free part."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pymc as pm


def imputed_names(model: pm.Model) -> set[str]:
    """Return the names of observed variables with missing values, and of their observed parts.

    PyMC writes such a variable ``y`` as the observed part ``y_observed``, the free variable
    ``y_unobserved`` and the deterministic ``y``, which joins them.
    """
    free = {variable.name for variable in model.free_RVs}
    names = (variable.name.removesuffix("_observed") for variable in model.observed_RVs)
    return {
        part
        for name in names
        if f"{name}_unobserved" in free
        for part in (name, f"{name}_observed")
    }
