"""The diagonal of an inverse from products: its common directions, and the rest by signs."""

import numpy as np

from bayou.fitting.passes.probed_variances import probe_variances

SIZE = 300


def test_the_variances_of_a_matrix_with_a_common_direction() -> None:
    # All elements have one direction in common, and each has some correlation with two others.
    common = np.random.default_rng(0).normal(size=SIZE)
    common /= np.linalg.norm(common)
    neighbours = np.roll(np.eye(SIZE), 1, axis=0)
    inverse = np.eye(SIZE) + 0.1 * (neighbours + neighbours.T) + 40 * np.outer(common, common)
    matrix = np.linalg.inv(inverse)
    probed = probe_variances(lambda vectors: vectors @ matrix, SIZE, 1)
    variances = np.diag(inverse)
    errors = np.abs(probed.variances / variances - 1)
    assert errors.mean() < 0.07
    assert errors.max() < 0.25
    assert (np.abs(probed.variances - variances) < 6 * probed.errors + 0.02).all()
    assert probed.factor.shape == (SIZE, 1)
    largest = np.linalg.eigvalsh(inverse).max()
    np.testing.assert_allclose((probed.factor**2).sum() + 1, largest, rtol=0.05)
