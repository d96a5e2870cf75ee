"""Results of many data sets in memory, joined into one tree at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from bayou.many.results.common_labels import CommonLabels
from bayou.many.results.outcome import TABLE
from bayou.many.results.stacked import fitting_labels, join_padded, stack_outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.many.results.outcome import Failure, Key, Outcome, ResultAxes
    from bayou.many.results.stacked import Groups


class InMemoryResults:
    """Results in memory, of a call that starts without any.

    Parameters
    ----------
    axes : ResultAxes
    """

    def __init__(self, axes: ResultAxes) -> None:
        self.axes = axes
        self.done: dict[Key, str] = {}
        self.failed: dict[Key, Failure] = {}
        self._common_labels = CommonLabels(axes.coords)
        self._parts: list[Groups] = []

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Add the results of some more data sets."""
        self._parts.append(stack_outcomes(self.axes, outcomes))
        self._common_labels.update(
            outcome.labels for outcome in outcomes if outcome.failure is None
        )
        for outcome in outcomes:
            self.done[outcome.key] = outcome.fingerprint
            if outcome.failure is not None:
                self.failed[outcome.key] = outcome.failure

    def tree(self) -> xr.DataTree:
        """Return all results, in the order in which they were added; only once."""
        groups: dict[str, xr.Dataset] = {}
        for group in ("posterior", "sample_stats", TABLE):
            # Parts are dropped once they are joined, so that draws are in memory twice for one
            # group at most.
            parts = [part.pop(group) for part in self._parts if group in part]
            if not parts:
                continue
            variables = {
                name: xr.Variable(variable.dims, join_padded([part[name].values for part in parts]))
                for name, variable in parts[0].items()
            }
            coords = fitting_labels(self._common_labels.coords, variables)
            groups[group] = xr.Dataset(variables, coords, dict(self.axes.attrs))
        return xr.DataTree.from_dict(groups)
