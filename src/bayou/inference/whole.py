"""A model over all of its rows: the data themselves in the place of the minibatches drawn of them.

PyMC writes the length of a batch into the shape of a variable, so the variables are made anew, not
only their density; the shared variables, and with them later changes of the data, stay the same.
PyMC's insides that this takes are touched in this file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm
from pymc.data import MinibatchOp
from pymc.variational.minibatch_rv import MinibatchRandomVariable, get_scaling
from pytensor.graph.traversal import ancestors, toposort
from pytensor.tensor.type_other import NoneConst

from bayou.inference.start import interpreted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable


def whole_model(model: pm.Model) -> pm.Model:
    """Return the model without minibatches; the model itself if it has none.

    Parameters
    ----------
    model : pymc.Model
        A model that no generator feeds.

    Returns
    -------
    pymc.Model
        With the same value variables, for its density and its deterministics; it has no dims.
    """
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    made = _made_anew([*variables, *model.rvs_to_values.values()])
    if not made:
        return model
    for variable in variables:
        made.setdefault(variable, variable).name = variable.name
    whole = pm.Model(model=None, check_bounds=model.check_bounds)
    for name in ("free_RVs", "observed_RVs", "potentials", "deterministics"):
        getattr(whole, name).extend(made[variable] for variable in getattr(model, name))
    for variable, value in model.rvs_to_values.items():
        whole.rvs_to_values[made[variable]] = made.get(value, value)
        whole.values_to_rvs[made.get(value, value)] = made[variable]
        whole.rvs_to_transforms[made[variable]] = model.rvs_to_transforms[variable]
    for variable, initial_value in model.rvs_to_initial_values.items():
        whole.rvs_to_initial_values[made[variable]] = initial_value
    return whole


def minibatch_scales(model: pm.Model) -> dict[str, float]:
    """Return how many times its rows in memory the total size of each observed minibatch is."""
    scales = {}
    for variable in model.observed_RVs:
        rows = _made_anew([model.rvs_to_values[variable]]).get(model.rvs_to_values[variable])
        if rows is not None and isinstance(variable.owner.op, MinibatchRandomVariable):
            scale = get_scaling(variable.owner.inputs[1:], rows.shape)
            scales[variable.name] = float(interpreted([], [scale])()[0])
    return scales


def _made_anew(graphs: Sequence[Variable]) -> dict[Variable, Variable]:
    """Map each variable that depends on a minibatch to one that depends on its data."""
    made = {
        variable: variable.owner.inputs[variable.index].astype(variable.dtype)
        for variable in ancestors(graphs)
        if variable.owner is not None and isinstance(variable.owner.op, MinibatchOp)
    }
    for node in toposort(graphs):
        if made.keys().isdisjoint(node.outputs) and not made.keys().isdisjoint(node.inputs):
            # The operation of total_size takes None for an axis, and holds it as a variable.
            inputs = (
                None if NoneConst.equals(variable) else made.get(variable, variable)
                for variable in node.inputs
            )
            anew = node.op.make_node(*inputs)
            made.update(zip(node.outputs, anew.outputs, strict=True))
    return made
