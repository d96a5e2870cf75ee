"""The provenance of a model: fingerprints of its definition and of the data that it holds now."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pymc as pm
import pytensor

from bayou.containers.variables.dims import evaluate_length, length_of
from bayou.containers.variables.source_variable import window_of
from bayou.errors import failure_text, warn
from bayou.provenance.describe import current_values, describe
from bayou.provenance.fingerprint import window_fingerprints
from bayou.provenance.model_fingerprint import variable_fingerprints
from bayou.provenance.named_inputs import model_inputs
from bayou.provenance.record import Provenance, present_recipe, provenance_attrs
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Iterable


def provenance_for_result(model: pm.Model) -> Provenance | None:
    """Return what :func:`provenance_of` does, for a result that is to be computed.

    Returns
    -------
    Provenance or None
        None if the model cannot be described, which must not keep it from being fitted or sampled.

    Warns
    -----
    UserWarning
        If there is none.
    """
    try:
        return provenance_of(model)
    # It reads whatever a model may hold, whose errors have no type in common.
    except Exception as error:
        warn(
            f"The result has no record of its model and data: {failure_text(error)}.\n"
            "Hint: by.verify cannot compare them; all else is as usual."
        )
    return None


def many_attrs(model: pm.Model) -> dict[str, str]:
    """Return the attributes of results of many data sets that record their model."""
    provenance = provenance_for_result(model)
    return provenance_attrs(None if provenance is None else provenance.of_many())


def provenance_of(model: pm.Model) -> Provenance:
    """Return the provenance of a model and the data that it holds now.

    It costs a pass over the values in memory. Rows of a source that are not in memory are read when
    the record is saved or compared for the first time, and once.
    """
    description = describe(model)
    storage = {data.name: data.storage for data in model_inputs(model)}
    streams = {name: window_of(variable) for name, variable in storage.items()}
    windows = {name: window for name, window in streams.items() if window is not None}

    @cache
    def unread() -> dict[str, str]:
        return dict(zip(windows, window_fingerprints(list(windows.values())), strict=True))

    containers = {
        container.name: {
            "columns": None if container.columns is None else list(container.columns),
            "categories": None
            if container.categories is None
            else _labels_fingerprint(container.categories),
            "source": container.source,
            "rows": container.num_rows,
            "dtype": container.dtype,
            "shape": list(current_values(storage[container.name]).shape[1:]),
            "observed_by": list(container.observed_by),
            "fingerprint": container.fingerprint,
        }
        for container in description.containers
    }
    return Provenance(
        versions={"pymc": pm.__version__, "pytensor": pytensor.__version__},
        dims={dim: dim_fingerprint(model, dim) for dim in _free_dims(model)},
        variables=variable_fingerprints(model),
        containers=containers,
        unread=unread,
        recipe=present_recipe(),
    )


def _free_dims(model: pm.Model) -> list[str]:
    """List the dims of free variables. Draws are matched to the model by their labels."""
    dims: dict[str | None, None] = {}
    for variable in model.free_RVs:
        dims |= dict.fromkeys(model.named_vars_to_dims.get(variable.name, ()))
    return [dim for dim in dims if dim is not None]


def dim_fingerprint(model: pm.Model, dim: str) -> str:
    """Return the fingerprint of the labels of a dim: of 0, 1, ... for a dim without labels."""
    labels = model.coords.get(dim)
    if labels is None:
        labels = range(evaluate_length(length_of(model, dim), {}))
    return _labels_fingerprint(labels)


def _labels_fingerprint(labels: Iterable[object]) -> str:
    return digest(*map(str, labels))
