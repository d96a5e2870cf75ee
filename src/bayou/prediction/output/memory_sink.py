"""The sink that keeps all draws of predictions in memory, as a DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayou.prediction.output.template import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.output.template import PredictionTemplate


class MemorySink:
    """A sink that keeps all draws in memory.

    Parameters
    ----------
    template : PredictionTemplate
        The dataset to be filled.
    """

    def __init__(self, template: PredictionTemplate) -> None:
        self.template = template
        self._arrays = {
            variable.name: np.empty((template.num_draws, *variable.shape), variable.dtype)
            for variable in template.row_variables
        }

    @property
    def reduction(self) -> Callable[[Arrays], Arrays]:
        """All draws, as they are."""
        return list

    def put(self, start: int, count: int, values: Arrays) -> None:
        """Keep the predictions of some rows, shapes (draws, ...)."""
        for variable, array in zip(self.template.row_variables, values, strict=True):
            self._arrays[variable.name][:, *variable.row_slices(start, count)] = array

    def flush(self, num_rows: int) -> None:
        """Do nothing: memory does not survive a crash."""

    def finish(self, shared: Arrays) -> None:
        """Keep the predictions that are the same for all rows."""
        names = [variable.name for variable in self.template.shared_variables]
        self._arrays |= dict(zip(names, shared, strict=True))

    @property
    def tree(self) -> xr.DataTree:
        """The finished predictions, in the group ``predictions``."""
        values = {
            variable.name: self.template.by_chain(self._arrays[variable.name])
            for variable in self.template.variables
        }
        return xr.DataTree.from_dict({GROUP: self.template.dataset(values)})
