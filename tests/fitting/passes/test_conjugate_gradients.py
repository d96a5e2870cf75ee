"""Conjugate gradients of several right-hand sides, and where the matrix is not positive."""

import numpy as np

from bayou.fitting.passes.conjugate_gradients import solve_by_products

ROOT = np.random.default_rng(0).normal(size=(6, 6))
MATRIX = np.eye(6) + ROOT @ ROOT.T / 6
RIGHT = np.random.default_rng(1).normal(size=(3, 6))


def test_systems_are_solved_together() -> None:
    calls = []

    def product(vectors: np.ndarray) -> np.ndarray:
        calls.append(len(vectors))
        return vectors @ MATRIX

    solved = solve_by_products(product, RIGHT, 1e-10, 20)
    np.testing.assert_allclose(solved, np.linalg.solve(MATRIX, RIGHT.T).T, rtol=1e-8)
    # As many products as there are elements, each of all right-hand sides.
    assert calls == [3] * len(calls)
    assert len(calls) <= 8


def test_a_solution_to_start_from_takes_one_product() -> None:
    exact = np.linalg.solve(MATRIX, RIGHT.T).T
    calls = []

    def product(vectors: np.ndarray) -> np.ndarray:
        calls.append(vectors)
        return vectors @ MATRIX

    np.testing.assert_allclose(solve_by_products(product, RIGHT, 1e-6, 20, exact), exact)
    assert len(calls) == 1


def test_a_direction_without_curvature_is_taken_as_it_is() -> None:
    solved = solve_by_products(lambda vectors: -vectors, RIGHT, 1e-6, 20)
    np.testing.assert_array_equal(solved, RIGHT)
