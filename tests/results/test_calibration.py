"""Where values lie among draws, and what is said of it."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayou.results.calibration import Calibration, place


def calibration(values: np.ndarray) -> Calibration:
    return Calibration(xr.Dataset({"mu": (("dataset",), values)}), "nuts", {})


@pytest.mark.parametrize("distinct", [1, 3, 10**6])
def test_places_of_draws_of_the_same_distribution_are_uniform(distinct: int) -> None:
    generator = np.random.default_rng(0)
    draws = generator.integers(distinct, size=(20, 5000))
    places = place(generator.integers(distinct, size=5000), draws, generator)
    assert stats.kstest(places, "uniform").pvalue > 0.01


SHAPES = {
    "low": lambda uniform: uniform**0.3,
    "high": lambda uniform: 1 - uniform**0.3,
    "narrow": lambda uniform: stats.beta(0.3, 0.3).ppf(uniform),
    "wide": lambda uniform: stats.beta(4, 4).ppf(uniform),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_miscalibration_is_named(shape: str) -> None:
    found = calibration(SHAPES[shape](np.random.default_rng(0).uniform(size=300)))
    assert found.verdicts == {"mu": False}
    assert repr(found).endswith(f"posteriors are too {shape}")


def test_uniform_places_pass_and_failures_are_counted() -> None:
    found = calibration(np.random.default_rng(0).uniform(size=300))
    assert found
    told = Calibration(found.pit, "advi", {3: "ValueError: no"})
    assert repr(told).startswith("Calibration of 'advi' on 300 data sets, 1 failed:\n")
