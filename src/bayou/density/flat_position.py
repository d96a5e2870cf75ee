"""The free variables of a model within one flat position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """Where each free variable lies in the flat position."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    logs: tuple[bool, ...]

    @property
    def is_log(self) -> NDArray[np.bool_]:
        """Tell which elements are logs of what the model speaks of, shape (size,)."""
        return np.repeat(np.array(self.logs, dtype=bool), self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of elements of each variable."""
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @property
    def size(self) -> int:
        """The length of the position."""
        return sum(self.sizes)

    def split(self, position: Any) -> list[Any]:
        """Cut a flat position, shape (..., size), into the variables, shapes (..., *shape)."""
        edges = np.cumsum(self.sizes)[:-1]
        return [
            position[..., end - size : end].reshape((*position.shape[:-1], *shape))
            for end, size, shape in zip([*edges, self.size], self.sizes, self.shapes, strict=True)
        ]
