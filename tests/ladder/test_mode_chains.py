"""What the diagnostics of chains say, and the errors of their moments."""

import numpy as np
import pytest

from bayou.ladder.mode_chains import diagnose, errors_of_chains


def statistics(num_draws: int = 1000, diverging: float = 0.0, cut: float = 0.0) -> dict:
    random = np.random.default_rng(1)
    shape = (4, num_draws)
    return {
        "lp": random.normal(size=shape),
        "energy": random.normal(size=shape),
        "diverging": np.arange(4 * num_draws).reshape(shape) < diverging * 4 * num_draws,
        "reached_max_treedepth": np.full(shape, fill_value=cut > 0),
    }


def draws(apart: float = 0.0) -> np.ndarray:
    places = apart * np.arange(4)[:, None, None]
    return places + np.random.default_rng(0).normal(size=(4, 1000, 2))


@pytest.mark.parametrize(
    ("values", "stats", "doubt"),
    [
        (draws(), statistics(), None),
        (draws(), statistics(diverging=0.0005), None),
        (draws(), statistics(diverging=0.01), "1.00% of the trajectories diverged"),
        (draws(), statistics(cut=1.0), "100% of the trajectories of a chain were cut"),
        (draws(apart=1.0), statistics(), "R-hat of 'x' is"),
        (draws()[:, :60], statistics(60), "the effective sample size of 'x' is"),
    ],
)
def test_doubts_are_named(values: np.ndarray, stats: dict, doubt: str | None) -> None:
    doubts = diagnose({"x": values, "other": values * np.nan}, stats, ["x"]).doubts
    assert not doubts if doubt is None else doubts[0].startswith(doubt)


def test_log_density_that_does_not_move_is_a_doubt() -> None:
    stats = statistics()
    stats["lp"] = np.linspace(0, 1, 1000) + stats["lp"] / 1000
    assert (
        "the effective sample size of 'log density' is"
        in diagnose({"x": draws()}, stats, ["x"]).doubts[-1]
    )


def test_errors_of_independent_draws_are_those_of_normal_theory() -> None:
    values = np.random.default_rng(3).normal(5, 3, size=(4, 2500, 50))
    errors = errors_of_chains({"x": values})["x"]
    assert errors.shape == (50, 4)
    # Of a quantile: root of p (1 - p) / n, over the density there.
    quantile = np.sqrt(0.05 * 0.95) / 0.10313
    expected = np.array([1, np.sqrt(0.5), quantile, quantile]) / 100
    np.testing.assert_allclose(errors.mean(axis=0), expected, rtol=0.06)


def test_errors_grow_with_autocorrelation() -> None:
    random = np.random.default_rng(4)
    values = np.zeros((4, 4000, 20))
    for draw in range(1, 4000):
        values[:, draw] = 0.8 * values[:, draw - 1] + 0.6 * random.normal(size=(4, 20))
    # Nine times as many draws as independent ones.
    errors = errors_of_chains({"x": values})["x"][:, 0].mean()
    assert errors == pytest.approx(3 / np.sqrt(16000), rel=0.1)
