"""Densities of many positions on all of the data: values, gradients and products with Hessians.

Each is one compiled function over a group of positions; rows come in blocks, so that memory is that
of one block for one group. The sums over blocks are done in NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.density.compiled_functions import FunctionKey
from bayou.feeding.row_padding import pad_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from bayou.density.program import Inputs, Program

    type Array = NDArray[np.float64]
    type Density = Callable[..., jax.Array]

# A group of positions times a block of rows makes intermediate arrays of about this many numbers.
GROUP_NUMBERS = 2**19
MAX_POSITIONS = 16
MAX_DIRECTIONS = 64
GROUP_STEP = 8


@dataclass(frozen=True)
class Block:
    """A part of the rows.

    Attributes
    ----------
    inputs : tuple of array
        The inputs of the program.
    share : float
        The share of all rows.
    num_rows : int
        The number of rows, those that only fill it up included.
    weights : ndarray, shape (num_rows,), or None
        How much each row counts, with a mean of one; None where each counts alike.
    """

    inputs: Inputs
    share: float
    num_rows: int
    weights: Array | None = None


@dataclass(frozen=True)
class EvaluatorKey(FunctionKey):
    """A function over a group of positions, and the rows whose latent variables these end with."""

    function: Callable[..., Any]
    num_joint_rows: int | None


@dataclass(frozen=True)
class Evaluator:
    """A program on all of its rows.

    The blocks together are all rows. The density of a block scales its rows up to all of them, so
    the mean of the densities, weighted by the shares, is the density of all rows.

    Attributes
    ----------
    program : Program
        The model.
    blocks : iterable of Block
        Gone through once for each sum.
    num_joint_rows : int, optional
        The number of rows whose latent variables are the end of the position; by default they are
        inputs, if there are any.
    """

    program: Program
    blocks: Iterable[Block]
    num_joint_rows: int | None = None

    @property
    def density(self) -> Callable[..., jax.Array]:
        """(position, inputs, weights) -> log density."""
        if self.num_joint_rows is None:
            return self.program.density
        return partial(self.program.joint_density, self.num_joint_rows)

    def densities(self, positions: Array) -> Array:
        """Return log densities, shape (num_positions,), of positions (num_positions, size)."""
        (values,) = self._sum(_densities, MAX_POSITIONS, positions)
        return values

    def gradients(self, positions: Array) -> tuple[Array, Array]:
        """Return log densities and their gradients, shapes (num_positions,) and as positions."""
        values, gradients = self._sum(_gradients, MAX_POSITIONS, positions)
        return values, gradients

    def hessian_products(self, position: Array, directions: Array) -> tuple[Array, Array]:
        """Return the gradient at a position, and the Hessian there times each direction.

        Shapes (size,) and (num_directions, size), from directions (num_directions, size).
        """
        gradients, products = self._sum(_hessian_products, MAX_DIRECTIONS, directions, position)
        return gradients[0], products

    def _sum(
        self, function: Callable[..., Any], most: int, many: Array, *others: Array
    ) -> list[Array]:
        """Sum over the blocks what a function gives for each of many, in groups of up to most."""
        compiled = self.program.compiled.get_or_compile(
            EvaluatorKey(function, self.num_joint_rows),
            lambda: jax.jit(partial(function, self.density)),
        )
        sums: list[Array] = []
        for block in self.blocks:
            group = _group_size(len(many), max(1, min(most, GROUP_NUMBERS // block.num_rows)))
            parts = []
            for start in range(0, len(many), group):
                some = many[start : start + group]
                values = compiled(block.inputs, block.weights, pad_rows(some, group), *others)
                parts.append([np.asarray(value, np.float64)[: len(some)] for value in values])
            found = [block.share * np.concatenate(each) for each in zip(*parts, strict=True)]
            sums = [old + new for old, new in zip(sums, found, strict=True)] if sums else found
        return sums


def _group_size(count: int, most: int) -> int:
    """Cut evenly, so that little is filled up, and in few lengths, since each is compiled."""
    even = math.ceil(count / math.ceil(count / most))
    return min(most, math.ceil(even / GROUP_STEP) * GROUP_STEP)


def _densities(
    density: Density, inputs: Inputs, weights: jax.Array | None, positions: jax.Array
) -> tuple[jax.Array]:
    return (jax.vmap(lambda position: density(position, inputs, weights))(positions),)


def _gradients(
    density: Density, inputs: Inputs, weights: jax.Array | None, positions: jax.Array
) -> tuple[jax.Array, jax.Array]:
    gradient = jax.value_and_grad(lambda position: density(position, inputs, weights))
    values, gradients = jax.vmap(gradient)(positions)
    return values, gradients


def _hessian_products(
    density: Density,
    inputs: Inputs,
    weights: jax.Array | None,
    directions: jax.Array,
    position: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    gradient = jax.grad(lambda position: density(position, inputs, weights))
    # The position is not mapped over, so what depends on it alone is computed once.
    values, products = jax.vmap(lambda direction: jax.jvp(gradient, (position,), (direction,)))(
        directions
    )
    return values, products
