"""A density that JAX compiled, with data: one call computes the gradients of all chains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.nuts.compiled.bound_density import BoundDensity
from bayou.nuts.compiled.jax_code import is_dense, jax_code
from bayou.nuts.compiled.lanes import Lane, LaneGroups, Lanes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.nuts.compiled.density_graphs import DensityGraphs
    from bayou.nuts.compiled.jax_code import JaxCode

    type Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class JaxDensity(BoundDensity):
    """Code of JAX with its data.

    Attributes
    ----------
    code : JaxCode
        The functions.
    arguments : tuple of jax.Array
        What the density is computed from, besides the position.
    num_lanes : int
        The number of positions that a call takes.
    """

    backend = "jax"

    code: JaxCode
    arguments: tuple[jax.Array, ...]
    num_lanes: int

    def num_threads(self, num_chains: int, num_parallel: int) -> int:
        """Return the number of chains that run at a time: all, since one call computes for all."""
        return num_chains

    def gradients(self, coordinates: Array) -> tuple[Array, Array]:
        """Return log densities and gradients; see :class:`BoundDensity`."""
        rows = []
        for begin in range(0, len(coordinates), self.num_lanes):
            group = np.zeros((self.num_lanes, self.size))
            part = coordinates[begin : begin + self.num_lanes]
            group[: len(part)] = part
            rows.append(self._evaluate(group)[: len(part)])
        results = np.concatenate(rows)
        return results[:, 0], results[:, 1:]

    @cached_property
    def _rest(self) -> tuple[jax.Array, ...]:
        """What the code takes besides coordinates: their frame and the data."""
        factor = np.asarray(self.frame.factor, np.float64)
        if is_dense(self.size) and factor.ndim == 1:
            factor = np.diag(factor)
        origin = np.asarray(self.frame.origin, np.float64)
        return (jax.device_put(origin), jax.device_put(factor), *self.arguments)

    def _evaluate(self, coordinates: Array) -> Array:
        return np.asarray(self.code.evaluate(coordinates, *self._rest))

    @property
    def nutpie_model(self) -> Any:
        """The model that nutpie samples from."""
        from nutpie.compiled_pyfunc import from_pyfunc

        size = self.draw_layout.size
        groups = LaneGroups(lambda: Lanes(self._evaluate, self.num_lanes, self.size))
        return from_pyfunc(
            self.size,
            lambda: _ChainDensity(groups),
            lambda *_: self._expand,
            [np.dtype(np.float64)],
            [(size,)],
            ["draws"],
            make_initial_point_fn=self.find_start,
        )

    def _expand(self, coordinates: Array) -> dict[str, Array]:
        return {"draws": np.asarray(self.code.expand(coordinates, *self._rest))}


def bind_jax(
    graphs: DensityGraphs,
    lengths: NDArray[np.int64],
    arguments: tuple[Numbers, ...],
    num_lanes: int,
    common: dict[str, Any],
) -> JaxDensity:
    """Return a density that JAX computes, for these data.

    Parameters
    ----------
    graphs : DensityGraphs
    lengths : ndarray of int64
        The lengths of the free variables.
    arguments : tuple of ndarray
        The data.
    num_lanes : int
        The number of chains.
    common : dict
        The attributes of :class:`BoundDensity`.

    Raises
    ------
    NotImplementedError
        If JAX cannot compile the density.
    """
    code = jax_code(graphs, lengths, arguments, common["size"], num_lanes)
    return JaxDensity(
        **common, code=code, arguments=tuple(map(jax.device_put, arguments)), num_lanes=num_lanes
    )


class _ChainDensity:
    """What nutpie calls in the thread of a chain."""

    def __init__(self, groups: LaneGroups) -> None:
        self._groups = groups
        self._lane: Lane | None = None

    def __call__(self, coordinates: Array) -> tuple[float, Array]:
        # nutpie makes more of these than it has chains, so a lane is taken with the first call.
        if self._lane is None:
            self._lane = self._groups.join()
        row = self._lane(coordinates)
        return float(row[0]), row[1:]
