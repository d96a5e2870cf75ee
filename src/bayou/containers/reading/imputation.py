"""Data containers with missing values that PyMC imputes; what PyMC asks of them is met here alone.

PyMC imputes where ``observed.astype(dtype)`` has a ``mask``: it makes a free variable of the masked
entries, and observes ``observed.data[~mask]``. Data of a masked array would be copied into the
model; these remain a data container.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Arrays


class ImputedVariable(TensorSharedVariable):
    """A shared variable of floats, NaN where PyMC imputes them once it is observed."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which entries are missing, as PyMC asks for them."""
        return self.tag.mask  # type: ignore[no-any-return]

    @property
    def data(self) -> ImputedVariable:
        """The values with those that are missing, as PyMC asks for them."""
        return self

    def astype(self, dtype: Any) -> Any:
        """Return the same values and missing ones in a dtype."""
        return self if np.dtype(dtype) == np.dtype(self.type.dtype) else _Cast(self, dtype)


@dataclass(frozen=True)
class _Cast:
    """An imputed variable in another dtype, cast where it is not missing."""

    variable: ImputedVariable
    dtype: Any

    @property
    def ndim(self) -> int:
        return self.variable.type.ndim  # type: ignore[no-any-return]

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.variable.mask

    @property
    def data(self) -> _Cast:
        return self

    def __getitem__(self, observed: NDArray[np.bool_]) -> Any:
        """Return the entries that PyMC observes; NaN would be cast to any integer."""
        return pt.cast(self.variable[observed], self.dtype)


def check_masks(arrays: Arrays) -> None:
    """Refuse new values of containers that miss others than those that the model imputes.

    Raises
    ------
    ValueError
        If there are such, since PyMC made a free variable of the missing ones.
    """
    for variable, array in arrays.items():
        if isinstance(variable, ImputedVariable) and (
            array.shape != variable.mask.shape or (np.isnan(array) != variable.mask).any()
        ):
            raise ValueError(
                f"New values of {variable.name!r} must miss the same {variable.mask.sum()} of "
                f"{variable.mask.size} values, which the model imputes, got "
                f"{np.isnan(array).sum()} missing of {array.size}.\n"
                "Hint: build the model anew for them; to leave rows out too, build containers with "
                "missing='drop' before those with missing='impute'."
            )


def refuse_unimputed(variable: Any, missing: NDArray[np.bool_]) -> None:
    """Refuse missing values for a container that had none when the model was built."""
    if missing.any() and not isinstance(variable, ImputedVariable):
        raise ValueError(
            f"New values of {variable.name!r} must hold no missing values, which the model does "
            f"not impute, since it was built without, got {missing.sum()} of {missing.size}.\n"
            "Hint: build the model anew for them."
        )


def imputed(name: str, array: NDArray[Any], mask: NDArray[np.bool_]) -> ImputedVariable:
    """Return a shared variable for values of which some are missing.

    Parameters
    ----------
    name : str
        The container.
    array : ndarray of floats
        The values, NaN where they are missing.
    mask : ndarray of bool, of the same shape
        Where they are.
    """
    kind = TensorType(array.dtype, shape=(None,) * array.ndim)
    variable = ImputedVariable(type=kind, value=array, strict=True, name=name)
    variable.tag.mask = mask
    return variable
