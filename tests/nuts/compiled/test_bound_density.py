"""Densities with data: their draws cut into variables, and their coordinates."""

import numpy as np

from bayou.nuts.compiled.bound_density import DrawLayout


def test_flat_draws_split_into_outputs() -> None:
    outputs = DrawLayout(("a", "b", "c"), ("float64", "bool", "float32"), ((), (2, 2), (0,)))
    assert outputs.size == 5
    draws = np.arange(30.0).reshape(2, 3, 5)
    values = outputs.split(draws)
    np.testing.assert_array_equal(values["a"], [[0, 5, 10], [15, 20, 25]])
    assert values["b"].shape == (2, 3, 2, 2)
    assert values["b"].dtype == bool
    assert values["c"].shape == (2, 3, 0)
    assert values["c"].dtype == np.float32
