"""Convergence of many data sets: ArviZ's numbers of each, and one warning for all."""

import numpy as np

from bayou.many.results.convergence import worst_convergence


def test_convergence_is_that_of_arviz_for_one_at_a_time() -> None:
    from arviz_stats.base.array import array_stats

    draws = np.random.default_rng(0).normal(size=(3, 4, 100, 2))
    draws[0, :, :, 1] = np.nan
    found = worst_convergence([draws[..., 0], draws])
    assert found["rhat"][0] == array_stats.rhat(draws[0, ..., 0], chain_axis=0, draw_axis=1)
    both = [array_stats.ess(draws[1, ..., part], chain_axis=0, draw_axis=1) for part in (0, 1)]
    assert found["ess_bulk"][1] == min(both)
    assert found["ess_tail"].shape == (3,)
