"""Importance weights: truncation, the share of the draws that count, and the power they bear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.fitting.checks.importance import effective_share, even_power, importance_weights


def test_no_draw_takes_all() -> None:
    weights = importance_weights(np.array([100.0] + [0.0] * 99))
    # A hundred draws: at most ten times the mean, before the weights add up to one again.
    assert weights[0] == 1.0
    assert importance_weights(np.array([4.0] + [0.0] * 99))[0] == pytest.approx(
        10 * (np.exp(4.0) + 99) / 100 / (10 * (np.exp(4.0) + 99) / 100 + 99)
    )


def test_draws_without_density_have_no_weight() -> None:
    weights = importance_weights(np.array([0.0, -np.inf, np.nan, 0.0]))
    np.testing.assert_allclose(weights, [0.5, 0, 0, 0.5])
    assert importance_weights(np.array([np.nan, -np.inf])).sum() == 0
    assert effective_share(np.zeros(2)) == 0


@given(st.floats(0.1, 0.9), st.floats(0.5, 20.0))
def test_at_the_power_the_share_counts(share: float, spread: float) -> None:
    log_ratios = spread * np.random.default_rng(1).normal(size=500)
    power = even_power(log_ratios, share)
    counted = effective_share(importance_weights(log_ratios, power))
    assert power == 1.0 or counted == pytest.approx(share, abs=0.01)
    assert power < 1.0 or counted >= share
