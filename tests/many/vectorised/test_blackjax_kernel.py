"""Functions of lanes: each lane is NUTS on its own data, and a function is compiled once."""

import numpy as np
import pymc as pm
import pytest
from jax import monitoring

import bayou as by
from bayou.many.vectorised.blackjax_kernel import LaneFunctions
from bayou.many.vectorised.padding import RowProgram, row_program, stack_lanes
from bayou.models.inputs import storage_of
from bayou.nuts.settings import NutsSettings

SETTINGS = NutsSettings(draws=200, tune=200, chains=2)


@pytest.fixture(scope="module")
def rows() -> RowProgram:
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0], dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Deterministic("double", 2 * mu)
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    found = row_program(model)
    assert isinstance(found, RowProgram)
    return found


@pytest.mark.slow
def test_lanes_are_sampled_and_compiled_once(rows: RowProgram) -> None:
    functions = LaneFunctions(rows.program, SETTINGS)
    container = storage_of(rows.program.fed[0]).container
    data = [np.full(9, 5.0), np.full(4, -5.0)]
    lanes = [rows.lane({container: values}) for values in data]
    inputs, weights = stack_lanes(lanes)
    points = np.zeros((2, 2, 1))
    seeds = np.array([1, 2], np.uint64)
    assert functions.are_finite(points, inputs, weights).tolist() == [[True] * 2] * 2
    infinite = np.full((2, 2, 1), [[[0.0], [np.inf]]])
    assert functions.are_finite(infinite, inputs, weights).tolist() == [[True, False]] * 2
    positions, statistics = functions.sample(seeds, points, inputs, weights)
    assert positions.shape == (2, 2, 200, 1)
    assert {array.shape for array in statistics.values()} == {(2, 2, 200)}
    for lane, values in enumerate(data):
        # Of 400 draws, the mean is within .3 standard deviations, and these are below 0.5.
        assert abs(positions[lane].mean() - values.mean()) < 0.3
        assert positions[lane].std() == pytest.approx(len(values) ** -0.5, rel=0.3)
    values = functions.constrain(positions[0], rows.constrain_inputs(lanes[0]))
    np.testing.assert_allclose(values["double"], 2 * positions[0][..., 0])

    compiled: list[str] = []

    def listen(event: str, duration: float, **unused: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    monitoring.register_event_duration_secs_listener(listen)
    try:
        again, _ = LaneFunctions(rows.program, SETTINGS).sample(seeds, points, inputs, weights)
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    np.testing.assert_array_equal(again, positions)
