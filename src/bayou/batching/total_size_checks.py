"""Checks of the total_size of observed variables: that it is given, and the number of all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.source_variable import window_of
from bayou.models.inputs import is_fed, uncast
from bayou.models.scaling.total_size import has_total_size, minibatch_scales, row_scale

if TYPE_CHECKING:
    from collections.abc import Collection

    import pymc as pm

    from bayou.batching.row_dim import ModelRows


def check_minibatch_total_sizes(model: pm.Model) -> None:
    """Check that observed minibatches have a total_size, and that their source has as many rows."""
    scales: dict[str, float] = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        if not is_fed(value):
            continue
        if not has_total_size(variable):
            raise ValueError(
                f"`total_size` must be given for {variable.name!r}, which observes a minibatch, "
                "got none.\n"
                "Hint: pass total_size=len(data), or the fit would be of one batch alone; or write "
                "the model with by.Data, whose rows are counted: docs/migrate/pymc.md."
            )
        for window in filter(None, map(window_of, ancestors([value]))):
            # Computed for the first window alone, since it rebuilds the graphs of all minibatches.
            scales = scales or minibatch_scales(model)
            total_size = scales[variable.name] * window.size
            if not np.isclose(total_size, window.num_rows, rtol=1e-9):
                raise ValueError(
                    f"`total_size` of {variable.name!r} must be the number of rows of its source, "
                    f"{window.num_rows}, got {total_size:.0f}.\n"
                    "Hint: pass total_size=source.num_rows."
                )


def check_row_total_sizes(model: pm.Model, rows: ModelRows) -> None:
    """Check that a total_size which the user wrote is the number of rows.

    Raises
    ------
    ValueError
        If it is another number: names the variable.
    """
    num_rows = rows.num_rows
    for variable in model.observed_RVs:
        if variable.name not in rows.observed or not has_total_size(variable):
            continue
        value = model.rvs_to_values[variable]
        storage, axis = rows.storages[uncast(value)]
        num_in_memory = storage.get_value(borrow=True).shape[axis]
        # PyMC keeps the total_size as the factor of the density.
        total_size = row_scale(variable, value.shape) * num_in_memory
        if not np.isclose(total_size, num_rows, rtol=1e-9):
            raise ValueError(
                f"`total_size` of {variable.name!r} must be the number of its rows, {num_rows}, "
                f"got {total_size:.0f}.\nHint: leave it out; bayou counts the rows."
            )


def check_has_total_size(model: pm.Model, names: Collection[str]) -> None:
    """Check that what is observed in batches has a total_size, of which PyMC only warns."""
    for variable in model.observed_RVs:
        if variable.name in names and not has_total_size(variable):
            raise ValueError(
                f"`total_size` must be given for {variable.name!r}, which is observed in batches, "
                "got none: the likelihood would count the rows of a batch only.\n"
                "Hint: pass total_size=len(data), the number of all rows, to the distribution."
            )


def check_in_memory_total_sizes(model: pm.Model) -> None:
    """Check that the total_size of observed minibatches is the number of their rows in memory.

    Raises
    ------
    ValueError
        If it is another number: names the variable.
    """
    for name, scale in minibatch_scales(model).items():
        if not np.isclose(scale, 1):
            raise ValueError(
                f"`total_size` of {name!r} must be the number of its rows in memory, got "
                f"{scale:g} times as many.\n"
                "Hint: keep all rows in memory for NUTS, or use by.fit."
            )
