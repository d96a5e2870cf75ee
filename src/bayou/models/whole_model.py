"""A model over all of its rows: the data themselves in the place of the minibatches drawn of them.

The shared variables, and with them later changes of the data, stay the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.data import MinibatchOp
from pytensor.graph.traversal import ancestors

from bayou.models.rewrite import graphs_of, is_scaled, made_anew, remade_model, scale_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
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
    graphs = graphs_of(model)
    data = _data_of_minibatches(graphs)
    return remade_model(model, made_anew(graphs, data)) if data else model


def minibatch_scales(model: pm.Model) -> dict[str, float]:
    """Return how many times its rows in memory the total size of each observed minibatch is."""
    scales = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        data = _data_of_minibatches([value])
        if data and is_scaled(variable):
            rows = made_anew([value], data)[value]
            scales[variable.name] = scale_at(variable, rows.shape)
    return scales


def _data_of_minibatches(graphs: Sequence[Variable]) -> dict[Variable, Variable]:
    return {
        variable: variable.owner.inputs[variable.index].astype(variable.dtype)
        for variable in ancestors(graphs)
        if variable.owner is not None and isinstance(variable.owner.op, MinibatchOp)
    }
