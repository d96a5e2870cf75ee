"""Where values lie among draws, and what is said of it."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayou.many.results.calibration import Calibration, pit_values


def calibration(values: np.ndarray) -> Calibration:
    return Calibration(xr.Dataset({"mu": (("dataset",), values)}), "nuts", {})


@pytest.mark.parametrize("distinct", [1, 3, 10**6])
def test_places_of_draws_of_the_same_distribution_are_uniform(distinct: int) -> None:
    generator = np.random.default_rng(0)
    draws = generator.integers(distinct, size=(20, 5000))
    places = pit_values(generator.integers(distinct, size=5000), draws, generator)
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


def test_the_plot_says_what_is_printed() -> None:
    generator = np.random.default_rng(0)
    slope = np.stack([generator.uniform(size=300), generator.beta(0.4, 0.4, size=300)], axis=1)
    pit = {
        "mu": (("dataset",), generator.uniform(size=300) ** 0.2),
        "b": (("dataset", "term"), slope),
        "level": (("dataset",), generator.uniform(size=300)),
    }
    found = Calibration(xr.Dataset(pit), "nuts", {})
    assert "mu     NOT calibrated  (p < 0.001)" in repr(found)
    panels = found.plot().viz["plot"]
    level = panels["level"].item()
    assert [text.get_text() for text in level.texts] == [f"p = {found.p_values['level']:.2g}"]
    assert repr(found).endswith(f"level  calibrated  (p = {found.p_values['level']:.2g})")
    assert (level.get_xlabel(), level.get_ylabel()) == ("PIT: rank in the posterior", "Δ ECDF")
    for panel in (level, panels["mu"].item(), *panels["b"].values.tolist()):
        low, high = panel.get_ylim()
        drawn = np.concatenate([line.get_ydata() for line in panel.lines])
        assert low < drawn.min() <= drawn.max() < high
    # ArviZ marks places where a p-value is small that is not corrected.
    marked = {name: panels[name].item().collections[0].get_offsets() for name in ("mu", "level")}
    assert np.ma.count(marked["mu"]) > 0
    assert np.ma.count(marked["level"]) == 0


def test_the_plot_takes_options_of_arviz() -> None:
    found = calibration(np.random.default_rng(0).uniform(size=50))
    panel = found.plot(visuals={"ylabel": False}, coverage=True).viz["plot"]["mu"].item()
    assert panel.get_ylabel() == ""
    assert panel.texts[0].get_text().startswith("p = ")
