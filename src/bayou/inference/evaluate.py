"""Densities of many positions on all of the data: values, gradients and products with Hessians.

Each is one compiled function over a group of positions; rows come in blocks, so that memory is that
of one block for one group. The sums over blocks are done in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bayou.inference.program import Inputs, Program

    type Array = NDArray[np.float64]

# A group of positions times a block of rows makes intermediate arrays of about this many numbers.
GROUP_NUMBERS = 2**17
MAX_GROUP = 64


@dataclass(frozen=True)
class Block:
    """A part of the rows: the inputs of the program, the share of all rows and their number."""

    inputs: Inputs
    share: float
    num_rows: int


@dataclass(frozen=True)
class Evaluator:
    """A program on all of its rows.

    The blocks together are all rows. The density of a block scales its rows up to all of them, so
    the mean of the densities, weighted by the shares, is the density of all rows.
    """

    program: Program
    blocks: Sequence[Block]

    def densities(self, positions: Array) -> Array:
        """Return log densities, shape (num_positions,), of positions (num_positions, size)."""
        (values,) = self._sum("densities", _densities, positions)
        return values

    def gradients(self, positions: Array) -> tuple[Array, Array]:
        """Return log densities and their gradients, shapes (num_positions,) and as positions."""
        values, gradients = self._sum("gradients", _gradients, positions)
        return values, gradients

    def hessian_products(self, positions: Array, directions: Array) -> Array:
        """Return the Hessian at each position times the direction for it, shaped as both."""
        (products,) = self._sum("hessian products", _hessian_products, positions, directions)
        return products

    def _sum(self, name: str, function: Callable[..., Any], *arrays: Array) -> list[Array]:
        compiled = self.program.compiled
        if name not in compiled:
            compiled[name] = jax.jit(partial(function, self.program))
        rows = max(block.num_rows for block in self.blocks)
        group = int(np.clip(GROUP_NUMBERS // rows, 1, MAX_GROUP))
        parts = []
        for start in range(0, len(arrays[0]), group):
            some = [array[start : start + group] for array in arrays]
            count = len(some[0])
            filled = [_filled(array, group) for array in some]
            sums = [
                [block.share * np.asarray(value, dtype=np.float64) for value in values]
                for block in self.blocks
                for values in [compiled[name](block.inputs, *filled)]
            ]
            totals = [np.sum(values, axis=0) for values in zip(*sums, strict=True)]
            parts.append([total[:count] for total in totals])
        return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def _filled(array: Array, length: int) -> Array:
    """Repeat the last row up to a length, so that all groups are of one shape."""
    if len(array) == length:
        return array
    return np.concatenate([array, np.repeat(array[-1:], length - len(array), axis=0)])


def _densities(program: Program, inputs: Inputs, positions: jax.Array) -> tuple[jax.Array]:
    return (jax.vmap(lambda position: program.density(position, inputs))(positions),)


def _gradients(
    program: Program, inputs: Inputs, positions: jax.Array
) -> tuple[jax.Array, jax.Array]:
    density = jax.value_and_grad(lambda position: program.density(position, inputs))
    values, gradients = jax.vmap(density)(positions)
    return values, gradients


def _hessian_products(
    program: Program, inputs: Inputs, positions: jax.Array, directions: jax.Array
) -> tuple[jax.Array]:
    gradient = jax.grad(lambda position: program.density(position, inputs))

    def product(position: jax.Array, direction: jax.Array) -> Any:
        return jax.jvp(gradient, (position,), (direction,))[1]

    return (jax.vmap(product)(positions, directions),)
