"""The dataset of predictions before it has values: names, shapes, dtypes, dims, coords, attrs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


# The group of a DataTree of predictions, as ArviZ names it.
GROUP = "predictions"


type Coords = Mapping[str, NDArray[np.generic]]
"""The labels of each dim, in an array that files can hold."""


@dataclass(frozen=True)
class PredictedVariable:
    """One predicted variable.

    Attributes
    ----------
    name : str
        Its name in the model.
    dtype : numpy.dtype
        The dtype of the predictions.
    shape : tuple of int
        The shape of one draw, for all rows.
    dims : tuple of str
        The dim of each axis of one draw.
    row_axis : int or None
        The axis of the rows; None for a variable that is the same for all rows.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    row_axis: int | None

    def row_slices(self, start: int, count: int) -> tuple[slice, ...]:
        """Return the index of ``count`` rows from ``start`` on, in the array of one draw."""
        return tuple(
            slice(start, start + count) if axis == self.row_axis else slice(None)
            for axis in range(len(self.shape))
        )


@dataclass(frozen=True)
class PredictionTemplate:
    """A dataset of predictions without values.

    Attributes
    ----------
    variables : tuple of PredictedVariable
        The predicted variables.
    chains, draws : ndarray of int64
        The labels of the chains and of the draws.
    coords : dict of str to sequence
        The labels of the dims of the variables; 0, 1, ... where the model has none.
    num_rows : int
        The number of rows.
    attrs : dict
        The attributes of the dataset.
    row_labels : dict of str to sequence
        The labels of the dims of the rows, for rows that have labels.
    """

    variables: tuple[PredictedVariable, ...]
    chains: NDArray[np.int64]
    draws: NDArray[np.int64]
    coords: Coords
    num_rows: int
    attrs: Mapping[str, object]
    row_labels: Coords

    @property
    def num_draws(self) -> int:
        """The number of draws in all chains."""
        return len(self.chains) * len(self.draws)

    @property
    def row_bytes(self) -> int:
        """The size of all draws of all variables for one row, in bytes."""
        return self.num_draws * sum(
            int(np.prod(variable.shape, dtype=np.int64)) * variable.dtype.itemsize // self.num_rows
            for variable in self.row_variables
        )

    @property
    def row_variables(self) -> tuple[PredictedVariable, ...]:
        """The variables that differ from row to row."""
        return tuple(variable for variable in self.variables if variable.row_axis is not None)

    @property
    def shared_variables(self) -> tuple[PredictedVariable, ...]:
        """The variables that are the same for all rows."""
        return tuple(variable for variable in self.variables if variable.row_axis is None)

    def dataset(self, values: Mapping[str, object]) -> xr.Dataset:
        """Return values by name, shapes (chains, draws, ...), with dims, coords and attributes."""
        by_name = {variable.name: variable for variable in self.variables}
        variables = {
            name: (("chain", "draw", *by_name[name].dims), array) for name, array in values.items()
        }
        coords = {"chain": self.chains, "draw": self.draws} | {
            dim: np.asarray(labels) for dim, labels in {**self.coords, **self.row_labels}.items()
        }
        return xr.Dataset(variables, coords, dict(self.attrs))

    def by_chain[Number: np.generic](self, values: NDArray[Number]) -> NDArray[Number]:
        """Return values of all draws, shape (draws, ...), as (chains, draws, ...)."""
        return values.reshape(len(self.chains), len(self.draws), *values.shape[1:])
