"""A density that Numba compiled, with data: nutpie calls its machine code without Python."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.nuts.compiled.bound_density import BoundDensity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers

    type Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class NumbaDensity(BoundDensity):
    """Machine code with the data that it reads in place.

    Attributes
    ----------
    logp, expand : numba CFunc
        Coordinates -> log density and gradient; coordinates -> flat draw.
    arguments : tuple of ndarray
        What the density is computed from, besides the position.
    """

    backend = "numba"

    logp: Any
    expand: Any
    arguments: tuple[Numbers, ...]

    @cached_property
    def _arrays(self) -> list[Numbers]:
        from bayou.nuts.compiled.numba_code import table_arrays

        return table_arrays(self.frame, self.arguments)

    @cached_property
    def _pointers(self) -> NDArray[np.uintp]:
        return np.array([array.ctypes.data for array in self._arrays], dtype=np.uintp)

    def gradients(self, coordinates: Array) -> tuple[Array, Array]:
        """Return log densities and gradients; see :class:`BoundDensity`."""
        points = np.ascontiguousarray(coordinates, np.float64)
        values, gradients = np.empty(len(points)), np.empty(points.shape)
        call = self.logp.ctypes
        kinds = call.argtypes[1:]
        table = self._pointers.ctypes.data_as(kinds[3])
        for index, point in enumerate(points):
            arrays = (point, gradients[index], values[index : index + 1])
            pointers = [
                array.ctypes.data_as(kind) for array, kind in zip(arrays, kinds[:3], strict=True)
            ]
            if call(self.size, *pointers, table) != 0:
                values[index] = gradients[index] = np.nan
        return values, gradients

    @property
    def nutpie_model(self) -> Any:
        """The model that nutpie samples from."""
        from nutpie.compile_pymc import CompiledPyMCModel

        size = self.draw_layout.size
        return CompiledPyMCModel(
            dims={},
            _coords={},
            _n_dim=self.size,
            _shapes={"draws": (size,)},
            compiled_logp_func=self.logp,
            compiled_expand_func=self.expand,
            initial_point_func=self.find_start,
            # Keeps the arrays alive for as long as nutpie has pointers to them.
            shared_data=dict(enumerate(self._arrays)),
            shared_var_keys={},
            user_data=self._pointers,
            n_expanded=size,
            shape_info=(["draws"], [slice(0, size)], [(size,)]),
            logp_func=None,
            expand_func=None,
        )
