"""Systems of equations with a Hessian that is known by its products alone.

All right-hand sides go through the rows together, so that an iteration is one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]


def solve_by_products(
    product: Callable[[Array], Array],
    right: Array,
    tolerance: float,
    max_iterations: int,
    start: Array | None = None,
) -> Array:
    """Solve symmetric positive definite systems by conjugate gradients (Hestenes and Stiefel 1952).

    Parameters
    ----------
    product : callable
        From vectors, shape (num_vectors, size), to their products with the matrix, whose diagonal
        is about one.
    right : ndarray, shape (num_vectors, size)
        The right-hand sides.
    tolerance : float
        The norm of a residual, of that of its right-hand side, at which it is solved.
    max_iterations : int
        The most products.
    start : ndarray, shape (num_vectors, size), optional
        Where to begin; by default at zero.

    Returns
    -------
    ndarray, shape (num_vectors, size)
        In a direction in which the matrix is not positive, the last iterate before it; the
        right-hand side itself, if that is the first one.

    Examples
    --------
    >>> matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> solve_by_products(lambda vectors: vectors @ matrix, np.array([[1.5, 0.0]]), 1e-9, 10)
    array([[ 2., -1.]])
    """
    solution = np.zeros_like(right) if start is None else start.copy()
    residual = right - product(solution) if start is not None else right.copy()
    direction, squares = residual.copy(), (residual**2).sum(axis=1)
    wanted = tolerance**2 * (right**2).sum(axis=1)
    is_open = squares > wanted
    for iteration in range(max_iterations):
        if not is_open.any():
            break
        products = product(direction)
        curvature = (direction * products).sum(axis=1)
        is_negative = is_open & ~(curvature > 0)
        if iteration == 0 and start is None:
            solution[is_negative] = right[is_negative]
        is_open &= ~is_negative
        length = np.where(is_open, squares / np.where(is_open, curvature, 1.0), 0.0)[:, None]
        solution += length * direction
        residual -= length * products
        new_squares = (residual**2).sum(axis=1)
        ratio = np.where(is_open, new_squares / np.where(is_open, squares, 1.0), 0.0)[:, None]
        direction = residual + ratio * direction
        squares = new_squares
        is_open &= squares > wanted
    return solution
