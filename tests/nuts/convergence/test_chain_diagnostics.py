"""Diagnostics of chains are ArviZ's, for the worst element of a variable."""

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from bayou.nuts.convergence.chain_diagnostics import (
    element_diagnostics,
    statistic_diagnostics,
    variable_diagnostics,
)


def draws(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 200, *shape))


def test_the_numbers_are_those_of_arviz() -> None:
    values = draws(0, 2, 3)
    found = variable_diagnostics(values)
    dataset = xr.Dataset({"x": (("chain", "draw", "a", "b"), values)})
    assert found == {
        "rhat": float(arviz_stats.rhat(dataset)["x"].max()),
        "ess_bulk": float(arviz_stats.ess(dataset)["x"].min()),
        "ess_tail": float(arviz_stats.ess(dataset, method="tail", prob=(0.05, 0.95))["x"].min()),
    }


def test_statistics_of_the_worst_chain() -> None:
    flags = np.zeros((4, 200), bool)
    flags[1, :10] = flags[2, :4] = True
    energy = draws(1)
    energy[3] = np.cumsum(energy[3])
    found = statistic_diagnostics(
        {"diverging": flags, "reached_max_treedepth": flags, "energy": energy}
    )
    assert (found["divergences"], found["reached_max_treedepth"]) == (14.0, 0.05)
    dataset = xr.Dataset({"energy": (("chain", "draw"), energy)})
    expected = arviz_stats.bfmi(xr.DataTree.from_dict({"sample_stats": dataset}))
    assert found["bfmi"] == pytest.approx(float(expected["energy"].min()), rel=1e-12)


@pytest.mark.parametrize("kind", ["shift", "spread", "slow"])
def test_the_worst_of_many_elements_is_found(kind: str) -> None:
    values = draws(2, 300)
    match kind:
        case "shift":
            values[1, :, 217] += 0.4
        case "spread":
            values[1, :, 217] *= 1.7
        case "slow":
            for draw in range(1, 200):
                values[:, draw, 217] += 0.8 * values[:, draw - 1, 217]
    found = variable_diagnostics(values)
    every = element_diagnostics(np.moveaxis(values, -1, 0))
    assert found["rhat"] == every["rhat"].max()
    if kind == "slow":
        assert found["ess_bulk"] == every["ess_bulk"].min()


def test_elements_that_never_move_hide_no_others() -> None:
    values = np.zeros((4, 200, 300))
    values[..., 7] = draws(3)
    values[2, :, 7] += 3
    assert variable_diagnostics(values)["rhat"] > 1.3


def test_variables_without_elements_and_single_chains_have_no_numbers() -> None:
    assert np.isnan(list(variable_diagnostics(np.zeros((4, 200, 0))).values())).all()
    found = variable_diagnostics(draws(4)[:1])
    assert np.isnan(found["rhat"])
    assert found["ess_bulk"] > 50
