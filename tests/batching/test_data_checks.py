"""Missing values that cannot be imputed are refused before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching import batched
from bayou.batching.data_checks import check_imputed_values
from bayou.fitting import fit
from bayou.nuts import sample as nuts

pytestmark = pytest.mark.filterwarnings("ignore::pymc.exceptions.ImputationWarning")
HINT = '\nHint: leave such rows out, missing="drop", or observe them as a variable with a prior'


def of_mean(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=np.arange(4.0), dims="row")


def of_mean_and_observed(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=x, dims="row")


def of_a_potential(x: Any) -> None:
    pm.Potential("y", -((pm.Normal("slope") - x) ** 2), dims="row")


def of_what_is_computed_and_observed(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope"), 1, observed=x * 2, dims="row")


def of_a_deterministic_between(x: Any) -> None:
    mean = pm.Deterministic("mean", pm.Normal("slope") * x, dims="row")
    pm.Normal("y", mean, 1, observed=np.arange(4.0), dims="row")


COMPUTED = [
    of_mean,
    of_mean_and_observed,
    of_a_potential,
    of_what_is_computed_and_observed,
    of_a_deterministic_between,
]
RUNS: dict[str, Callable[[pm.Model], Any]] = {
    "fit": lambda model: by.fit(model=model, progressbar=False),
    "fit in batches": lambda model: by.fit(model=model, batch_size=2, progressbar=False),
    "sample": lambda model: by.sample(model=model, progressbar=False),
    "batched": lambda model: by.batched(model, batch_size=2),
}


def with_missing(
    write: Callable[[Any], None], values: Any = (0.0, None, 2.0, 3.0), **options: Any
) -> pm.Model:
    with pm.Model(**options) as model:
        write(by.Data("x", {"x": list(values)}, columns="x", dims="row", missing="impute"))
    return model


@pytest.fixture(autouse=True)
def compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("This compiles.")

    for module, name in (
        (fit, "compile_program"),
        (fit, "batched_program"),
        (fit, "program_of_rows"),
        (nuts, "compiled_density"),
        (batched, "compile_program"),
    ):
        monkeypatch.setattr(module, name, refuse)


@pytest.mark.parametrize("write", COMPUTED)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_missing_values_that_the_model_computes_with(
    run: Callable[[pm.Model], Any], write: Callable[[Any], None]
) -> None:
    message = "^`missing=\"impute\"` must be of what is observed alone, got 'x', which the model "
    with pytest.raises(ValueError, match=message + "computes with." + HINT):
        run(with_missing(write))


@pytest.mark.parametrize("write", COMPUTED)
def test_without_missing_values_nothing_is_refused(write: Callable[[Any], None]) -> None:
    check_imputed_values(with_missing(write, range(4)))


def test_what_is_observed_alone_is_imputed() -> None:
    def of_observed(x: Any) -> None:
        # The length of the container is no value of it, nor is what is no part of the density.
        rows = pm.Normal("rows", 0, 1, dims="row")
        pm.Normal("more", 0, 1 / x.shape[0], shape=x.shape)
        observed = pm.Normal("z", rows, 1, observed=x, dims="row")
        pm.Normal("y", pm.Normal("slope") * observed, 1, observed=np.arange(4.0), dims="row")
        pm.Deterministic("unused", x * 2, dims="row")

    for options in ({}, {"name": "named"}):
        check_imputed_values(with_missing(of_observed, **options))
    check_imputed_values(with_missing(lambda x: pm.Normal("alone")))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("name", ["", "shop"])
def test_missing_whole_numbers(run: Callable[[pm.Model], Any], name: str) -> None:
    def count(sold: Any) -> None:
        pm.Poisson("sold", pm.Exponential("rate", 1), observed=sold, dims="row")

    full_name = "shop::sold" if name else "sold"
    message = (
        f"^`model` must have continuous free variables alone, but missing values of '{full_name}' "
        'are imputed, and are whole numbers.\nHint: leave their rows out, by.Data.*missing="drop"'
    )
    with pytest.raises(TypeError, match=message):
        run(with_missing(count, name=name))
