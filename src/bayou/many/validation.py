"""What a data set of many gives a model: refused if others give more, or where it has no rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytensor.graph.traversal import ancestors

from bayou.batching.minibatch_model import no_rows
from bayou.containers.data_change import plan_change
from bayou.containers.variables.dims import dims_of
from bayou.text import listed

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.compile.sharedvalue import SharedVariable

    from bayou.containers.data_change import DataChange
    from bayou.containers.variables.dims import ContainerArrays


class Given:
    """What the data sets of a call give.

    Parameters
    ----------
    model : pymc.Model
        Whose containers they are for.
    names : frozenset of str, optional
        The containers that they give values for together; by default, each has to give those that
        the first gives.
    """

    def __init__(self, model: pm.Model, names: frozenset[str] | None) -> None:
        self._model = model
        self._names = names
        self._are_known = names is not None
        self._observed = _observed_containers(model)

    def read(self, new_data: Any) -> DataChange:
        """Return what a data set gives.

        Raises
        ------
        Exception
            Where it is none: what :func:`bayou.set_data` raises, or what it is itself.
        ValueError
            If it does not give what others do, or has no row of what is observed.
        """
        if isinstance(new_data, Exception):
            raise new_data
        found = plan_change(self._model, new_data, count_labels=True)
        self._check_names(found.names)
        self._check_rows(found.arrays)
        return found

    def _check_names(self, names: frozenset[str]) -> None:
        if self._names is None:
            self._names = names
        lacking, beyond = sorted(self._names - names), sorted(names - self._names)
        if lacking:
            raise ValueError(
                f"`datasets` must give values for the same containers each, got one without "
                f"{listed(tuple(lacking))}, which others give.\n"
                "Hint: give them too; the model's own values belong to no data set."
            )
        if beyond and not self._are_known:
            raise ValueError(
                f"`datasets` must give values for the same containers each, got one with "
                f"{listed(tuple(beyond))}, which the first does not give.\n"
                "Hint: give them in all data sets, or in none."
            )

    def _check_rows(self, arrays: ContainerArrays) -> None:
        """Refuse data of which nothing is observed: the posterior would be the prior."""
        lengths = [
            len(arrays.get(variable, variable.get_value(borrow=True)))
            for variable in self._observed
        ]
        if lengths and not any(lengths):
            raise no_rows(dims_of(self._model, self._observed[0])[0])


def _observed_containers(model: pm.Model) -> list[SharedVariable]:
    """List the containers with axes that variables are observed at; none if one is at none."""
    found: dict[SharedVariable, None] = {}
    for variable in model.observed_RVs:
        above = set(ancestors([model.rvs_to_values[variable]]))
        own = [held for held in model.root.data_vars if held in above and held.type.ndim]
        if not own:
            return []
        found |= dict.fromkeys(own)
    return list(found)
