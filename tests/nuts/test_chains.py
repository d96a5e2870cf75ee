"""Chains that cannot start, or fail, say which variable is at fault."""

import dataclasses
import time

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.nuts.chains import bind_data, explain_failure, run_chains, start_error
from bayou.nuts.compiled.compiled_density import CompiledDensity, compiled_density
from bayou.nuts.compiled.jax_density import JaxDensity
from bayou.nuts.settings import NutsSettings
from bayou.nuts.trace import ChainBatches, NutpieTrace


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0])
        pm.Normal("observed", pm.Normal("mu"), 1, observed=y)
    return model


@pytest.fixture(scope="module")
def density(model: pm.Model) -> CompiledDensity:
    return compiled_density(model)


def test_data_are_bound_and_checked(model: pm.Model, density: CompiledDensity) -> None:
    bound = bind_data(model, density, {model["y"]: np.zeros(5)})
    assert bound.draw_layout.names == ("mu",)
    assert bound.is_finite_at_start(0)
    with pytest.raises(
        ValueError, match=r"where the chains start, got -inf from 'observed', first in row 2\.\nH"
    ):
        bind_data(model, density, {model["y"]: np.array([0, 1, np.inf])})


def test_failures_are_explained_by_the_density(model: pm.Model, density: CompiledDensity) -> None:
    failure = RuntimeError("no memory")
    finite = bind_data(model, density)
    assert explain_failure(failure, model, density, finite) is failure
    arrays = {model["y"]: np.array([np.nan])}
    explained = explain_failure(failure, model, density, density.bind(arrays), arrays)
    assert isinstance(explained, ValueError)
    assert "got nan from 'observed'" in str(explained)


def test_a_finite_density_without_a_finite_gradient(
    model: pm.Model, density: CompiledDensity
) -> None:
    error = start_error(model, density.start, None)
    assert "got a gradient that is not finite" in str(error)


def test_chains_end_at_a_deadline_with_what_they_have(
    model: pm.Model, density: CompiledDensity
) -> None:
    looked: list[int] = []

    def is_enough(_: NutpieTrace, number: int) -> bool:
        looked.append(number)
        return False

    bound = bind_data(model, density)
    settings = NutsSettings(draws=10**8, tune=100, chains=2)
    begin = time.monotonic()
    trace = run_chains(
        bound, settings, 1, progressbar=False, is_enough=is_enough, deadline=begin + 1
    )
    assert 0 < ChainBatches.of(trace).num_draws < settings.draws
    assert looked[:3] == [250, 375, 562]
    # Chains that end by themselves do not wait for it.
    trace = run_chains(
        bound,
        NutsSettings(draws=300, tune=100, chains=2),
        1,
        progressbar=False,
        is_enough=is_enough,
        deadline=begin + 1000,
    )
    assert ChainBatches.of(trace).num_draws == 300


def test_a_fault_in_a_thread_of_the_sampler_is_an_error(density: CompiledDensity) -> None:
    class Broken(JaxDensity):
        def _expand(self, coordinates: object) -> dict[str, np.ndarray]:
            raise ValueError

    bound = density.bind(backend="jax")
    assert isinstance(bound, JaxDensity)
    fields = {field.name: getattr(bound, field.name) for field in dataclasses.fields(bound)}
    words = r"must be able to compute densities and draws, got .*\.\nHint: pass the other backend"
    with pytest.raises(RuntimeError, match=words):
        run_chains(Broken(**fields), NutsSettings(draws=5, tune=5, chains=1), 1, progressbar=False)
