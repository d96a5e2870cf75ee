"""Transforms of variables with named dims, for the same variables as plain tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.logprob.transforms import Transform

from bayou.containers.variables.named_dims import lowered, with_named_dims

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymc.dims.distributions.transforms import DimTransform
    from pytensor.graph.basic import Variable
    from pytensor.xtensor.type import XTensorVariable


class DimsTransform(Transform):
    """A transform of ``pymc.dims``, of plain tensors.

    Parameters
    ----------
    transform : pymc.dims.transforms.DimTransform
        It takes and returns variables with named dims.
    dims : tuple of str
        The dims of the variable, in the order of its axes.
    """

    def __init__(self, transform: DimTransform, dims: tuple[str, ...]) -> None:
        self._transform = transform
        self._dims = dims
        # PyMC has it in the name of the transformed variable.
        self.name: str = transform.name

    def forward(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the transformed variable."""
        return self._lowered(self._transform.forward, value, inputs)

    def backward(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the variable of a transformed one."""
        return self._lowered(self._transform.backward, value, inputs)

    def log_jac_det(self, value: Variable, *inputs: Variable) -> Variable:
        """Return the log of the absolute determinant of the Jacobian of ``backward``."""
        return self._lowered(self._transform.log_jac_det, value, inputs)

    def _lowered(
        self,
        function: Callable[..., XTensorVariable],
        value: Variable,
        inputs: tuple[Variable, ...],
    ) -> Variable:
        [result] = lowered([function(with_named_dims(value, self._dims), *inputs)])
        return result
