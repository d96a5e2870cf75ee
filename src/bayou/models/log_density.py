"""The log density of a model as PyMC writes it: one graph for each variable and potential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.graph.basic import Variable


def log_density_terms(model: pm.Model) -> list[Variable]:
    """Return the log densities of the variables, then of the potentials, unsummed.

    Raises
    ------
    ValueError
        If the model takes a random variable of another model: names it.
    """
    try:
        return model.logp(sum=False)  # type: ignore[no-any-return]
    except ValueError:
        foreign = _foreign_variables(model)
        if not foreign:
            raise
        raise ValueError(
            f"`model` must hold all random variables that it takes, got {foreign} of another "
            "model.\nHint: make them inside of this model, or fit the model that they are of."
        ) from None


def _foreign_variables(model: pm.Model) -> list[str]:
    """Return the names of random variables in the graphs that the model does not list."""
    graphs = [*model.basic_RVs, *model.potentials]
    listed = {*graphs, *model.deterministics}
    # Draws without a name, of pm.Normal.dist(), are of no model.
    return sorted(
        {
            variable.name
            for variable in ancestors(graphs)
            if variable.owner is not None
            and isinstance(variable.owner.op, RandomVariable)
            and variable not in listed
            and variable.name not in (None, *model.named_vars)
        }
    )


def is_log_transformed(model: pm.Model, value: Variable) -> bool:
    """Return whether a value variable is the logarithm of the free variable that it is of."""
    transform = model.rvs_to_transforms[model.values_to_rvs[value]]
    return getattr(transform, "name", None) == "log"
