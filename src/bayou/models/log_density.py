"""The log density of a model as PyMC writes it: one graph for each variable and potential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.distributions.transforms import Ordered
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


def log_elements(
    model: pm.Model, value: Variable, shape: tuple[int, ...]
) -> bool | tuple[bool, ...]:
    """Return which elements of a value variable are logs, in the space of the model.

    Parameters
    ----------
    model : pymc.Model
        The model.
    value : Variable
        The value variable of a free variable.
    shape : tuple of int
        Its shape.

    Returns
    -------
    bool or tuple of bool
        True if it is the log of its variable. For elements in order, one for each along the last
        axis: they are the sums of a first element and of increments, whose logs are the others.
    """
    transform = model.rvs_to_transforms[model.values_to_rvs[value]]
    if isinstance(transform, Ordered):
        return (transform.positive, *[True] * (shape[-1] - 1))
    return getattr(transform, "name", None) == "log"
