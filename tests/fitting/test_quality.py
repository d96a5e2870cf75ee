"""by.fit by default against known posteriors: the small versions of benchmarks/quality.py."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bayou as by

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quality")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["contextual", "centred", "noncentred", "normal"])
def test_default_fit_is_near_the_truth(quality: ModuleType, name: str) -> None:
    case = quality.CASES[name]
    fit = by.fit(model=case.model(), random_seed=1, progressbar=False)
    errors = quality.measure(quality.fit_moments(fit), case.truth())
    assert errors.within(case.limits, seconds=0), errors


def test_flights_have_143_parameters_and_their_cells_the_same_posterior(
    quality: ModuleType,
) -> None:
    single, cells = quality.models.late_flights(), quality.models.late_flight_cells()
    names = {variable.name for variable in cells.value_vars}
    assert names == {variable.name for variable in single.value_vars}
    assert sum(np.size(value) for value in cells.initial_point().values()) == 143
    truth = quality.stored_truth("flights")
    assert sum(np.size(truth[name]["mean"]) for name in names) == 143
    counted = cells.rvs_to_values[cells["late"]].data
    assert counted.shape == (9461,)
    assert counted.sum() == quality.models.flights()["late"].sum() == 77_630


def test_measure_takes_the_largest_and_the_average_of_what_both_hold(quality: ModuleType) -> None:
    truth = {"a": {"mean": [0.0, 1.0], "sd": [1.0, 2.0]}, "b": {"mean": 5.0, "sd": 1.0}}
    found = {"a": {"mean": [0.0, 2.0], "sd": [1.0, 1.0]}, "b": {"mean": 5.1, "sd": 1.0}, "c": {}}
    errors = quality.measure(found, truth)
    assert (errors.mean, errors.worst_mean) == (0.5, "a")
    assert (errors.std, errors.worst_std) == (0.5, "a")
    assert errors.average_mean == pytest.approx(0.2)
    assert errors.average_std == pytest.approx(0.5 / 3)
    assert errors.within(quality.Limits(1, 0.5, 0.5), seconds=1)
    assert not errors.within(quality.Limits(1, 0.5, 0.5), seconds=2)
    assert not errors.within(quality.Limits(1, 0.4, 0.5), seconds=1)
    assert not errors.within(quality.Limits(1, 0.5, 0.5, average_std=0.1), seconds=1)


def test_a_fit_that_ends_in_an_error_misses_its_target(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality.sys, "executable", "false")
    line, within = quality.judge("bayou", "normal", 1)
    assert not within
    assert "missed: `bayou` must fit normal, got: no message" in line
