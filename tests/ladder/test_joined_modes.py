"""Chains of several modes as those of one posterior."""

import numpy as np

from bayou.ladder.joined_modes import are_alike, join_modes
from bayou.ladder.mode_chains import ChainRun


def run_at(place: float, num_draws: int = 1000, seed: int = 0) -> ChainRun:
    values = place + np.random.default_rng(seed).normal(size=(4, num_draws))
    return ChainRun({"x": values}, {"lp": -(values**2)}, (), 1.0 + seed / 1000, 500.0 - seed, 1)


def test_chains_of_one_mode_are_alike() -> None:
    assert are_alike([run_at(0, 1000), run_at(0, 400, seed=1)], ["x"])
    assert not are_alike([run_at(0), run_at(3)], ["x"])


def test_modes_are_as_frequent_as_their_masses() -> None:
    joined = join_modes([run_at(0), run_at(100, 400, seed=1)], np.array([0.75, 0.25]), seed=1)
    far = joined.draws["x"] > 50
    assert far.shape == (4, 400)
    assert (far.sum(axis=1) == 100).all()
    # In random order, with the statistics of the same draws.
    assert abs(far[:, :200].mean() - 0.25) < 0.1
    np.testing.assert_array_equal(joined.statistics["lp"], -(joined.draws["x"] ** 2))
    assert (joined.rhat, joined.ess, joined.divergences) == (1.001, 499.0, 2)
