"""The flat position: all free variables of a model in one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """The variables within a flat position, one after the other.

    Attributes
    ----------
    names : tuple of str
        The value variables, such as "sigma_log__".
    shapes : tuple of tuple of int
        Of each of them.
    logs : tuple of (bool or tuple of bool)
        Whether each is a logarithm; a tuple has one for each element along the last axis.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    logs: tuple[bool | tuple[bool, ...], ...]

    @property
    def is_log(self) -> NDArray[np.bool_]:
        """Whether each element is a logarithm in the space of the model, shape (size,)."""
        of_each = zip(self.logs, self.shapes, strict=True)
        flags = [np.broadcast_to(logs, shape).ravel() for logs, shape in of_each]
        return np.concatenate([np.empty(0, dtype=bool), *flags])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of elements of each variable."""
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @property
    def size(self) -> int:
        """The length of the position."""
        return sum(self.sizes)

    def split(self, position: Any) -> list[Any]:
        """Return the variables of flat positions.

        Parameters
        ----------
        position : array of NumPy or JAX, shape (..., size)
            One position, or several along leading axes.

        Returns
        -------
        list of array, shapes (..., *shape)
            One for each variable.

        Examples
        --------
        >>> layout = Layout(("a", "b"), ((), (2,)), (False, True))
        >>> layout.split(np.array([1.0, 2.0, 3.0]))
        [array(1.), array([2., 3.])]
        """
        edges = np.cumsum(self.sizes)[:-1]
        return [
            position[..., end - size : end].reshape((*position.shape[:-1], *shape))
            for end, size, shape in zip([*edges, self.size], self.sizes, self.shapes, strict=True)
        ]
