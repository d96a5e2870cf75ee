"""The variables of a model that a result of NUTS has: `var_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm


def chosen_variables(model: pm.Model, var_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the variables to keep: by default all that are not observed.

    Raises
    ------
    TypeError
        If `var_names` is no sequence of names.
    ValueError
        If it is empty, or has a name that is none of a free variable or a deterministic.
    """
    available = [variable.name for variable in model.unobserved_RVs]
    if var_names is None:
        return tuple(available)
    if isinstance(var_names, str) or not all(isinstance(name, str) for name in var_names):
        raise TypeError(
            f"`var_names` must be a list of names, got {var_names!r}.\n"
            f"Hint: write var_names=[{available[0]!r}]."
        )
    chosen = set(var_names)
    unknown = sorted(chosen - set(available))
    if unknown or not chosen:
        got = f"got {listed(unknown)}" if unknown else "got none"
        raise ValueError(
            f"`var_names` must be names of free variables or deterministics, {got}.\n"
            f"Hint: `model` has {listed(available)}."
        )
    return tuple(name for name in available if name in chosen)
