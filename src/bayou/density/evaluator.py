"""Log densities of many positions on all rows: values, gradients and products with Hessians.

Each is one compiled function over a group of positions and a block of rows, so that memory is that
of one group on one block for each core. The sums over blocks are done in NumPy, in their order.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np

from bayou.cluster.cores import usable_cores
from bayou.density.compiled_functions import FunctionKey
from bayou.feeding.map_ahead import map_ahead
from bayou.feeding.row_padding import pad_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from bayou.density.program import Inputs, Program

    type Array = NDArray[np.float64]
    type Density = Callable[..., jax.Array]
    type Derivatives = Callable[..., Sequence[jax.Array]]

_logger = logging.getLogger(__name__)

# A group of positions times a block of rows is about this many numbers: 4 MiB for an intermediate
# array. It bounds memory: on 100,000 rows x 20, gradients at 16 positions took the same time with
# 2**17 to 2**21, within the noise of two busy cores.
GROUP_NUMBERS = 2**19
# The most positions of a call, however few the rows are.
MAX_POSITIONS = 16
# A direction shares the forward pass of its position, so more of them go together.
MAX_DIRECTIONS = 64
# Groups have a multiple of so many positions, so that few lengths are compiled.
GROUP_STEP = 8
# Errors of JAX while it traces a derivative that it has no rule for.
NO_DERIVATIVE = (NotImplementedError, TypeError, ValueError)
# Of a direction: third derivatives enter with its square, and rounding with its inverse.
_DIFFERENCE_STEPS = {"float64": 1e-4, "float32": 1e-2}


@dataclass(frozen=True)
class Block:
    """A part of the rows.

    Attributes
    ----------
    inputs : tuple of array
        The inputs of the program.
    share : float
        The share of the block in all rows. The shares of all blocks add up to one.
    num_rows : int
        The number of rows, padding included.
    weights : ndarray, shape (num_rows,), or None
        How much each row counts, with a mean of one and 0 for padding. None if each counts alike.
    """

    inputs: Inputs
    share: float
    num_rows: int
    weights: Array | None = None


@dataclass(frozen=True)
class EvaluatorKey(FunctionKey):
    """A function over a group of positions, of which terms, and the rows that these end with."""

    function: Derivatives
    num_joint_rows: int | None
    without_rows: bool


@dataclass(frozen=True)
class Evaluator:
    """The log density of a program on all of its rows, with its derivatives.

    The density of a block is scaled from its rows to all of them, so the mean of the densities,
    weighted by the shares of the blocks, is the density of all rows.

    Attributes
    ----------
    program : Program
        The model.
    blocks : iterable of Block
        All rows. Each evaluation goes through them once.
    num_joint_rows : int, optional
        The number of rows whose latent variables are the end of the position. By default they are
        inputs, if there are any.
    without_rows : bool, default False
        Whether to leave out the terms that depend on rows, which leaves the priors.
    max_positions : int, default 16
        The most positions of a call. One group size for all calls compiles once.
    """

    program: Program
    blocks: Iterable[Block]
    num_joint_rows: int | None = None
    without_rows: bool = False
    max_positions: int = MAX_POSITIONS

    def densities(self, positions: Array) -> Array:
        """Return log densities.

        Parameters
        ----------
        positions : ndarray, shape (num_positions, size)

        Returns
        -------
        ndarray, shape (num_positions,)
        """
        (values,) = self._sum_blocks(_densities, self.max_positions, positions)
        return values

    def gradients(self, positions: Array) -> tuple[Array, Array]:
        """Return log densities and their gradients.

        Parameters
        ----------
        positions : ndarray, shape (num_positions, size)

        Returns
        -------
        ndarray, shape (num_positions,), and ndarray, shape (num_positions, size)
        """
        values, gradients = self._sum_blocks(_gradients, self.max_positions, positions)
        return values, gradients

    def hessian_products(self, position: Array, directions: Array) -> tuple[Array, Array]:
        """Return the gradient at a position, and the Hessian there times each direction.

        Parameters
        ----------
        position : ndarray, shape (size,)
        directions : ndarray, shape (num_directions, size)

        Returns
        -------
        ndarray, shape (size,), and ndarray, shape (num_directions, size)

        Notes
        -----
        Where JAX has no second derivative of an operation of the model, the products are
        differences of gradients.
        """
        gradients, products = self._sum_blocks(
            _hessian_products, MAX_DIRECTIONS, directions, position
        )
        return gradients[0], products

    def hessians(self, positions: Array, directions: Array) -> tuple[Array, Array]:
        """Return the gradients at positions, and the Hessian at each times each direction.

        Rows that are not in memory are read once for all positions.

        Parameters
        ----------
        positions : ndarray, shape (num_positions, size)
        directions : ndarray, shape (num_directions, size)

        Returns
        -------
        ndarray, shape (num_positions, size), and ndarray, shape (num_positions, num_directions,
        size)
        """

        def of_block(block: Block) -> tuple[Array, Array]:
            of_rows = replace(self, blocks=[block])
            values = [of_rows.hessian_products(position, directions) for position in positions]
            gradients, products = zip(*values, strict=True)
            return np.stack(gradients), np.stack(products)

        # The first block by itself, so that two threads do not compile the same.
        blocks = iter(self.blocks)
        gradients, products = of_block(next(blocks))
        for more_gradients, more_products in map_ahead(of_block, blocks, usable_cores()):
            gradients += more_gradients
            products += more_products
        return gradients, products

    @property
    def _density(self) -> Density:
        """(position, inputs, weights) -> log density of a block."""
        if self.without_rows:
            return partial(_density_without_rows, self.program)
        if self.num_joint_rows is None:
            return self.program.density
        return partial(self.program.joint_density, self.num_joint_rows)

    def _sum_blocks(
        self, function: Derivatives, max_group: int, vectors: Array, *arguments: Array
    ) -> list[Array]:
        """Return the weighted sums over the blocks of what a function returns for each vector.

        Parameters
        ----------
        function : callable
            (density, inputs, weights, group of vectors, *arguments) -> arrays with the group as
            their leading axis.
        max_group : int
            The most vectors in a group.
        vectors : ndarray, shape (num_vectors, size)
            Positions or directions.
        *arguments : ndarray
            Passed on.

        Notes
        -----
        ``jax.lax.map(..., batch_size=)`` in the place of these groups gives the same bits. On
        100,000 rows x 20 and 8 to 128 vectors (JAX 0.12, two busy cores) it took 0.6 to 1.1 times
        the time and as much memory, but it compiles again for each number of vectors, which took
        0.4 to 3 s. These groups have few lengths, and compile once for each.

        Blocks go to as many threads as there are cores, beside the threads of XLA: gradients at 8
        positions of 327,346 rows in blocks of 16,384 took 0.053 s where one block after another
        took 0.066 s, products with 143 directions 0.20 s in the place of 0.26 s (two idle cores).
        """

        def sum_block(block: Block) -> list[Array]:
            most = max(1, min(max_group, GROUP_NUMBERS // block.num_rows))
            size = _group_size(len(vectors), most)
            compiled = self._compile(function, block, pad_rows(vectors[:size], size), *arguments)
            groups = []
            for start in range(0, len(vectors), size):
                group = vectors[start : start + size]
                values = compiled(block.inputs, block.weights, pad_rows(group, size), *arguments)
                # Sums of many blocks are in float64, whatever the model computes in.
                groups.append([np.asarray(value, np.float64)[: len(group)] for value in values])
            return [block.share * np.concatenate(parts) for parts in zip(*groups, strict=True)]

        blocks = iter(self.blocks)
        # The first one by itself, so that two threads do not compile the same.
        sums = sum_block(next(blocks))
        for of_block in map_ahead(sum_block, blocks, usable_cores()):
            sums = [old + new for old, new in zip(sums, of_block, strict=True)]
        return sums

    def _compile(
        self, function: Derivatives, block: Block, *arguments: Array
    ) -> Callable[..., Sequence[jax.Array]]:
        """Return a function over a group of positions, compiled when it is first called."""

        def compile_function() -> Callable[..., Sequence[jax.Array]]:
            compiled = jax.jit(partial(function, self._density))
            if function is _hessian_products:
                try:
                    # The call after this takes the same trace.
                    compiled.eval_shape(block.inputs, block.weights, *arguments)
                except NO_DERIVATIVE as error:
                    _logger.info("Second derivatives are differences of first ones: %s", error)
                    compiled = jax.jit(partial(_hessian_differences, self._density))
            return compiled

        key = EvaluatorKey(function, self.num_joint_rows, self.without_rows)
        return self.program.compiled.get_or_compile(key, compile_function)


def _group_size(count: int, most: int) -> int:
    """Return the length of groups: even ones, for little padding, and a multiple of a step."""
    even = math.ceil(count / math.ceil(count / most))
    return min(most, math.ceil(even / GROUP_STEP) * GROUP_STEP)


def _density_without_rows(
    program: Program, position: jax.Array, inputs: Inputs, _: jax.Array | None
) -> jax.Array:
    """Return the log density of the terms that do not depend on rows."""
    terms = program.terms(position, inputs)
    total = jax.numpy.zeros((), position.dtype)
    for term in program.summands:
        if not term.takes_rows:
            total += terms[term.name].sum()
    return total


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


def _hessian_differences(
    density: Density,
    inputs: Inputs,
    weights: jax.Array | None,
    directions: jax.Array,
    position: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Return what :func:`_hessian_products` does, from first derivatives alone."""
    gradient = jax.grad(lambda position: density(position, inputs, weights))
    step = _DIFFERENCE_STEPS[str(position.dtype)]

    def product(direction: jax.Array) -> jax.Array:
        ahead, behind = gradient(position + step * direction), gradient(position - step * direction)
        difference: jax.Array = (ahead - behind) / (2 * step)
        return difference

    values = jax.numpy.broadcast_to(gradient(position), directions.shape)
    return values, jax.vmap(product)(directions)
