"""Data sets whose rows have weights, and data sets that are replaced by their distinct rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.nuts.settings import NutsSettings
from tests.many.test_nutpie_runs import pending

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = NutsSettings(draws=400, tune=300, chains=2)
# Means of 40 and of 60 observations of sd 1, with a flat prior: of 2 and of 3.
WEIGHTED: dict[str, dict[str, Any]] = {
    "two": {"y": np.array([1.0, 2.5]), "n": np.array([40.0 / 3, 80.0 / 3])},
    "three": {"y": np.array([3.0, 2.0, 4.0]), "n": np.array([20.0, 20.0, 20.0])},
}
EXPECTED = {"two": (2.0, 40**-0.5), "three": (3.0, 60**-0.5)}


def mean_model() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0], dims="row")
        by.Data("n", [1.0], dims="row")
        pm.Normal("observed", pm.Normal("mean", 0, 1000), 1, observed=y, dims="row")
    return model


def repeated(name: str) -> dict[str, Any]:
    """Rows of the same number and mean."""
    if name == "three":
        return {"y": np.repeat([3.0, 2.0, 4.0], 20)}
    return {"y": np.repeat([1.0, 2.5, 2.0], [12, 24, 4])}


def test_results_say_how_many_rows_were_distinct() -> None:
    options: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    model = mean_model()
    ones = {name: repeated(name) | {"n": np.ones(len(repeated(name)["y"]))} for name in EXPECTED}
    table = by.fit_many(ones, model=model, compress=True, **options)["diagnostics"]
    assert table["num_row"].values.tolist() == [40, 60]
    assert table["num_distinct"].values.tolist() == [3, 3]
    by.set_data(ones["three"], model)
    fit = by.fit(model=model, compress=True, **options)
    text = "60 rows as 3 distinct, each counted"
    assert by.describe(fit).compression == text
    assert f"fitted: {text}" in str(by.describe(fit))
    assert "fitted" not in str(by.describe(model))
    answer = by.posterior(model, compress=True, **options)
    assert answer.attrs["compression"] == answer.posterior.attrs["compression"] == text


def test_fits_take_weights() -> None:
    data_sets = WEIGHTED | {"wrong": {"y": np.zeros(2), "n": np.array([1.0, -1.0])}}
    with pytest.warns(UserWarning, match="1 of 3 data sets failed: 'wrong'"):
        tree = by.fit_many(
            data_sets, model=mean_model(), weights="n", random_seed=1, progressbar=False
        )
    for name, (mean, sd) in EXPECTED.items():
        draws = tree.posterior["mean"].sel(dataset=name)
        assert float(draws.mean()) == pytest.approx(mean, abs=4 * sd / 1000**0.5)
        assert float(draws.std()) == pytest.approx(sd, rel=0.1)
    error = str(tree["diagnostics"]["error"].sel(dataset="wrong").values)
    assert error.startswith(
        "ValueError: `weights` must be finite and at least 0, got -1.0 in row 1"
    )


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Any]]:
    """Posteriors of nutpie: with weights, and of the distinct rows of data sets without."""
    model = mean_model()
    data_sets = WEIGHTED | {"wrong": {"y": np.zeros(2), "n": np.array([1.0, np.inf])}}
    ones = {name: repeated(name) | {"n": np.ones(len(repeated(name)["y"]))} for name in EXPECTED}
    runs = {
        "weights": (data_sets, {"weights": "n"}),
        "both": (WEIGHTED, {"weights": "n", "compress": True}),
        "compress": (ones, {"compress": True}),
    }
    return {
        name: {
            outcome.key: outcome
            for outcome in nutpie_outcomes(model, pending(model, data), SETTINGS, **options)
        }
        for name, (data, options) in runs.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("run", ["weights", "both", "compress"])
def test_chains_take_weights_and_distinct_rows(outcomes: dict[str, Any], run: str) -> None:
    for name, (mean, sd) in EXPECTED.items():
        draws = outcomes[run][name].groups["posterior"]["mean"]
        assert draws.mean() == pytest.approx(mean, abs=4 * sd / 200**0.5)
        assert draws.std() == pytest.approx(sd, rel=0.25)
        assert outcomes[run][name].diagnostics["num_row"] == len(
            WEIGHTED[name]["y"] if run != "compress" else repeated(name)["y"]
        )
        assert outcomes[run][name].diagnostics.get("num_distinct") == {"weights": None}.get(
            run, len(WEIGHTED[name]["y"]) + (run == "compress" and name == "two")
        )
    if run == "weights":
        assert "must be finite and at least 0, got inf in row 1" in str(
            outcomes[run]["wrong"].failure
        )


@pytest.mark.slow
# Of chains this short, an R-hat may be above 1.01.
@pytest.mark.filterwarnings("ignore::bayou.errors.ConvergenceWarning")
def test_lanes_take_weights() -> None:
    pytest.importorskip("blackjax")
    tree = by.sample_many(
        WEIGHTED,
        model=mean_model(),
        weights="n",
        sampler="blackjax",
        draws=400,
        tune=300,
        chains=2,
        random_seed=1,
        progressbar=False,
    )
    for name, (mean, sd) in EXPECTED.items():
        draws = tree.posterior["mean"].sel(dataset=name)
        assert float(draws.mean()) == pytest.approx(mean, abs=4 * sd / 200**0.5)
        assert float(draws.std()) == pytest.approx(sd, rel=0.25)


def test_wrong_options_are_refused() -> None:
    model = mean_model()
    for verb in (by.sample_many, by.fit_many):
        with pytest.raises(ValueError, match=r"^`weights` must be the name of a container"):
            verb(WEIGHTED, model=model, weights="m", progressbar=False)
        with pytest.raises(ValueError, match=r'^`compress` must be "auto", True or False, got 3'):
            verb(WEIGHTED, model=model, compress=3, progressbar=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r'^`compress` must be "auto", True or False, got 3'):
        by.calibrate(model, compress=3, progressbar=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^`compress=True` must come with sampler='nutpie'"):
        by.sample_many(WEIGHTED, model=model, compress=True, sampler="blackjax", progressbar=False)
