"""Checks of a model before NUTS: continuous free variables, and all rows in memory."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pytensor.graph.traversal import ancestors

from bayou.batching.data_checks import check_imputed_values
from bayou.batching.row_dim import check_some_rows
from bayou.batching.total_size_checks import check_in_memory_total_sizes
from bayou.containers.index_bounds import check_indices
from bayou.containers.variables.source_variable import check_complete
from bayou.density.build import check_free_variables
from bayou.models.inputs import depends_on_generator
from bayou.models.random_variables import check_simulators

if TYPE_CHECKING:
    import pymc as pm


def check_model(model: pm.Model) -> None:
    """Check that NUTS can sample from a model.

    Raises
    ------
    IndexError
        If whole numbers of a container are none of the levels of a variable that they index.
    TypeError
        If a free variable or an imputed missing value is discrete, or a variable is simulated.
    ValueError
        If there is no free variable, no container of what is observed has a row, the model computes
        with missing values, or not all of its rows are in memory.
    """
    check_simulators(model)
    check_imputed_values(model)
    check_indices(model)
    check_free_variables(model)
    check_some_rows(model)
    _check_rows(model)


def _check_rows(model: pm.Model) -> None:
    """Check that all rows are in memory: NUTS would take the other rows for not observed."""
    graphs = {
        variable.name: (variable, model.rvs_to_values.get(variable, variable))
        for variable in model.named_vars.values()
    }
    if depends_on_generator(*itertools.chain.from_iterable(graphs.values())):
        generated = [name for name, graph in graphs.items() if depends_on_generator(*graph)]
        raise ValueError(
            f"`model` must hold all of its rows, got {generated}, fed by a generator.\n"
            "Hint: use by.fit, or put the rows into a by.Data."
        )
    check_complete(ancestors([part for graph in graphs.values() for part in graph]))
    check_in_memory_total_sizes(model)
