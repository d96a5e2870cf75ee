"""Variances of thousands of elements from the products of a Hessian.

The inverse of a matrix of size x size is not computed. Random signs `v` have the mean of
``v * (inverse @ v)`` at its diagonal (Hutchinson 1990; Bekas, Kokiopoulou and Saad 2007), with an
error that the other entries make. What is large among them is common to all elements, such as the
shift between two sets of effects: the first solutions span it, and it is computed by itself (Meyer,
Musco, Musco and Woodruff 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.passes.conjugate_gradients import solve_by_products

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

# Random signs whose solutions span the common directions, and those that the rest is known from.
COMMON_PROBES = 8
PROBES = 16
TOLERANCE = 1e-4
MAX_ITERATIONS = 100
# A direction is common if its variance is so many times that of an element by itself.
COMMON_VARIANCE = 2.0


@dataclass(frozen=True)
class ProbedVariances:
    """The diagonal of the inverse of a matrix, and the largest directions of that inverse.

    Attributes
    ----------
    variances, errors : ndarray, shape (size,)
        The diagonal, and its standard errors.
    factor : ndarray, shape (size, rank)
        The inverse is about ``identity + factor @ factor.T``.
    """

    variances: Array
    errors: Array
    factor: Array


def probe_variances(product: Callable[[Array], Array], size: int, seed: int) -> ProbedVariances:
    """Estimate the diagonal of the inverse of a symmetric positive definite matrix.

    Parameters
    ----------
    product : callable
        From vectors, shape (num_vectors, size), to their products with the matrix, whose diagonal
        is about one.
    size : int
        Its size.
    seed : int
        Decides the random signs.
    """
    generator = np.random.default_rng(seed)
    first = np.where(generator.random((COMMON_PROBES, size)) < 0.5, -1.0, 1.0)
    spanned = solve_by_products(product, first, TOLERANCE, MAX_ITERATIONS)
    # Orthonormal rows that hold the common directions, what the inverse makes of them, and its
    # values in their span.
    basis = np.linalg.qr(spanned.T)[0].T
    solved_basis = solve_by_products(product, basis, TOLERANCE, MAX_ITERATIONS)
    inner = basis @ solved_basis.T
    inner = (inner + inner.T) / 2

    def outside(vectors: Array) -> Array:
        return vectors - vectors @ basis.T @ basis

    signs = outside(np.where(generator.random((PROBES, size)) < 0.5, -1.0, 1.0))
    solved = solve_by_products(product, signs, TOLERANCE, MAX_ITERATIONS)
    products = signs * outside(solved)
    of_basis = 2 * (basis * solved_basis).sum(axis=0) - (basis * (inner @ basis)).sum(axis=0)
    values, turns = np.linalg.eigh(inner)
    is_common = values > COMMON_VARIANCE
    return ProbedVariances(
        variances=of_basis + products.mean(axis=0),
        errors=products.std(axis=0, ddof=1) / np.sqrt(PROBES),
        factor=(basis.T @ turns[:, is_common]) * np.sqrt(values[is_common] - 1),
    )
