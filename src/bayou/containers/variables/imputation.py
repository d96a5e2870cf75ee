"""Containers with missing values that PyMC imputes; the only file that knows how PyMC does it.

PyMC imputes where ``observed.astype(dtype)`` has a ``mask``: it makes a free variable of the masked
entries and observes ``observed.data[~mask]``. A masked array would be copied into the model as a
constant; the variable here has these attributes and remains a data container.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import ContainerArrays


class ImputedVariable(TensorSharedVariable):
    """A shared variable of floats, NaN at the entries that PyMC imputes once it is observed."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """True at the missing entries, of the shape of the value; PyMC reads it."""
        return self.tag.mask  # type: ignore[no-any-return]

    @property
    def data(self) -> ImputedVariable:
        """The variable itself, which PyMC indexes by the mask."""
        return self

    def astype(self, dtype: DTypeLike) -> ImputedVariable | _Cast:
        """Return the variable in another dtype, with its mask."""
        return self if np.dtype(dtype) == np.dtype(self.type.dtype) else _Cast(self, dtype)


@dataclass(frozen=True)
class _Cast:
    """An imputed variable in another dtype, cast at the entries that are not missing."""

    variable: ImputedVariable
    dtype: DTypeLike

    @property
    def ndim(self) -> int:
        return self.variable.type.ndim  # type: ignore[no-any-return]

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.variable.mask

    @property
    def data(self) -> _Cast:
        return self

    def __getitem__(self, observed: NDArray[np.bool_]) -> TensorVariable:
        """Return the entries that PyMC observes: indexed first, since NaN has no integer value."""
        return pt.cast(self.variable[observed], self.dtype)


def imputed_variable(
    name: str, array: NDArray[np.generic], mask: NDArray[np.bool_]
) -> ImputedVariable:
    """Return a shared variable with missing values.

    Parameters
    ----------
    name : str
        The name of the container.
    array : ndarray of floats
        The values, NaN where they are missing.
    mask : ndarray of bool, of the same shape
        True where they are missing.
    """
    kind = TensorType(array.dtype, shape=(None,) * array.ndim)
    variable = ImputedVariable(type=kind, value=array, strict=True, name=name)
    variable.tag.mask = mask
    return variable


def check_masks(arrays: ContainerArrays) -> None:
    """Check that new values are missing at the entries that the model imputes, and no others.

    Raises
    ------
    ValueError
        If others are missing: PyMC made a free variable for those when the model was built.
    """
    for variable, array in arrays.items():
        if isinstance(variable, ImputedVariable) and (
            array.shape != variable.mask.shape or (np.isnan(array) != variable.mask).any()
        ):
            raise ValueError(
                f"New values of {variable.name!r} must miss the same {variable.mask.sum()} of "
                f"{variable.mask.size} values, which the model imputes, got "
                f"{np.isnan(array).sum()} missing of {array.size}.\n"
                "Hint: build the model anew for them; to drop rows too, build containers with "
                "missing='drop' before those with missing='impute'."
            )


def check_imputed(variable: Variable, missing: NDArray[np.bool_]) -> None:
    """Check that a container which gets missing values had some when the model was built.

    Raises
    ------
    ValueError
        If it had none, so that the model imputes none.
    """
    if missing.any() and not isinstance(variable, ImputedVariable):
        raise ValueError(
            f"New values of {variable.name!r} must hold no missing values, which the model does "
            f"not impute, since it was built without, got {missing.sum()} of {missing.size}.\n"
            "Hint: build the model anew for them."
        )
