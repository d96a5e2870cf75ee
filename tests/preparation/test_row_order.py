from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.preparation.row_order import RowOrder, is_missing, measure_order

NO_ORDER = RowOrder("", 0.0)


@given(st.integers(0, 2**32), st.floats(0, 2), st.integers(2, 30), st.integers(2, 30))
def test_strength_is_the_variance_between_stretches(
    seed: int, spread: float, num_stretches: int, num_rows: int
) -> None:
    random = np.random.default_rng(seed)
    values = spread * random.normal(size=(num_stretches, 1))
    values = values + random.normal(size=(num_stretches, num_rows))
    found = measure_order(list(values))
    ranks = stats.rankdata(values).reshape(values.shape)
    test = stats.f_oneway(*ranks)
    rho = (test.statistic - 1) / (test.statistic - 1 + num_rows)
    if test.pvalue > 1e-6 or rho < 0.01:
        assert found == NO_ORDER
    else:
        assert found.strength == pytest.approx(rho)


@given(st.integers(2, 20), st.integers(2, 20), st.integers(0, 2**32))
def test_the_direction_is_that_of_the_rows(num_stretches: int, num_rows: int, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).normal(size=(num_stretches * num_rows)))
    stretches = np.split(values, num_stretches)
    if (found := measure_order(stretches)) != NO_ORDER:
        assert found.direction == "rising"
        assert measure_order([-part for part in stretches]).direction == "falling"
        # Ranks do not see a monotone transform.
        assert measure_order([np.exp(part) for part in stretches]) == found


def test_groups_drift() -> None:
    stretches = [np.full(50, value) for value in (0, 3, 1, 2)]
    assert measure_order(stretches) == RowOrder("drifting", 1.0)


@pytest.mark.parametrize(
    "stretches",
    [[], [np.arange(9.0)], [np.full(9, np.nan)] * 3, [np.ones(9)] * 3, [np.ones(1), np.zeros(1)]],
)
def test_too_little_shows_no_order(stretches: list[np.ndarray]) -> None:
    assert measure_order(stretches) == NO_ORDER


def test_missing_values_are_nan_and_nat() -> None:
    assert is_missing(np.array([np.nan, 1.0])).tolist() == [True, False]
    assert is_missing(np.array([1j, complex("nan")])).tolist() == [False, True]
    assert is_missing(np.array(["NaT", "2020-01-01"], "M8[D]")).tolist() == [True, False]
    assert is_missing(np.arange(2)).tolist() == [False, False]
