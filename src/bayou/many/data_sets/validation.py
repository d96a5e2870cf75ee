"""Checks of each data set of a call: values for the same containers, and at least one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bayou.batching.row_dim import no_rows_error, observed_containers
from bayou.containers.data_change import plan_change
from bayou.containers.reading.new_values import is_container
from bayou.containers.variables.dims import dims_of
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection

    import pymc as pm

    from bayou.containers.data_change import DataChange
    from bayou.containers.variables.dims import ContainerArrays


class DataSetReader:
    """Reads and checks the data sets of a call, one after another.

    Parameters
    ----------
    model : pymc.Model
        The model whose containers have new data.
    in_memory : collection
        The new data of all data sets, if they are in memory; else empty. Each data set must have
        values for the containers that these name together, or that the first one has.
    """

    def __init__(self, model: pm.Model, in_memory: Collection[object] = ()) -> None:
        self._model = model
        self._containers = _named_containers(model, in_memory)
        self._is_first_the_rule = self._containers is None
        self._observed = observed_containers(model)

    def read(self, new_data: object) -> DataChange:
        """Return the values that :func:`bayou.set_data` would put into the model.

        Parameters
        ----------
        new_data : mapping, table or Exception
            New data, or what reading them raised.

        Raises
        ------
        Exception
            That exception, or what :func:`bayou.set_data` raises.
        ValueError
            If the values are for other containers than those of other data sets, or no container of
            what is observed has a row.
        """
        if isinstance(new_data, Exception):
            raise new_data
        data = plan_change(self._model, new_data, count_labels=True)
        self._check_containers(data.names)
        self._check_rows(data.arrays)
        return data

    def _check_containers(self, names: frozenset[str]) -> None:
        if self._containers is None:
            self._containers = names
        missing, unexpected = sorted(self._containers - names), sorted(names - self._containers)
        if missing:
            raise ValueError(
                f"`datasets` must have values for the same containers each, got one without "
                f"{listed(missing)}, which others have.\n"
                "Hint: add them; the model's own values belong to no data set."
            )
        if unexpected and self._is_first_the_rule:
            raise ValueError(
                f"`datasets` must have values for the same containers each, got one with "
                f"{listed(unexpected)}, which the first does not have.\n"
                "Hint: add them to all data sets, or to none."
            )

    def _check_rows(self, arrays: ContainerArrays) -> None:
        """Check that something is observed: the posterior would be the prior otherwise."""
        lengths = [
            len(arrays.get(variable, variable.get_value(borrow=True)))
            for variable in self._observed
        ]
        if lengths and not any(lengths):
            raise no_rows_error(dims_of(self._model, self._observed[0])[0])


def _named_containers(model: pm.Model, in_memory: Collection[object]) -> frozenset[str] | None:
    """Return the containers that data sets name together; None if one of them is no mapping."""
    names: set[str] = set()
    for new_data in in_memory:
        if not isinstance(new_data, Mapping):
            return None
        names |= {model[name].name for name in new_data if is_container(model, name)}
    return frozenset(names) or None
