"""Rows in the memory of the device: the same rows as from the host, where they fit."""

from typing import Any

import jax
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.feeding.feed import empty_slots
from bayou.fitting.rows.device import device_memory, gather_on_device, take_all_rows
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.step_inputs import StepInputs

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3))
TABLE = RANDOM.normal(size=(50, 20))
NUM_BYTES = X.nbytes + X[:, 0].nbytes + TABLE.nbytes


@pytest.fixture(scope="module")
def program() -> Program:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("x", mu, 1, observed=by.Minibatch(X, 5), total_size=50)
        pm.Normal("y", mu, 1, observed=by.Minibatch(X[:, 0], 5), total_size=50)
        both = by.Minibatch(TABLE, [(10, 1), (4, 2)])
        pm.Normal("table", mu, 1, observed=both, total_size=(50, 20))
    return compile_program(model)


def inputs_of(program: Program) -> StepInputs:
    return StepInputs(program_feeds(program, "epoch", 1), program.data_values(), jax.random.key(1))


def rows_of(inputs: StepInputs, step: int) -> list[Any]:
    """Return the inputs of a step, gathered on the host or on the device."""
    fed: list[Any] = []
    for feed in inputs.feeds:
        slots = empty_slots(feed, 1)
        feed.fill(step, slots)
        fed += [slot[0] for slot in slots]
    return [array.take(fed) for array in inputs.device_arrays] or fed


def test_the_device_gathers_the_rows_of_the_host(program: Program) -> None:
    host = inputs_of(program)
    device = gather_on_device(host, 2 * NUM_BYTES)
    assert len(device.device_arrays) == len(program.fed)
    for step in (0, 1, 17):
        rows = zip(rows_of(host, step), rows_of(device, step), strict=True)
        for one, other in rows:
            np.testing.assert_array_equal(one, other)


def test_data_that_do_not_fit_stay_on_the_host(program: Program) -> None:
    inputs = inputs_of(program)
    assert gather_on_device(inputs, 2 * NUM_BYTES - 1) is inputs
    empty = StepInputs((), (), jax.random.key(1))
    assert gather_on_device(empty, 2**40) is empty


def test_generators_stay_on_the_host() -> None:
    with pm.Model() as model:
        observed = by.generator(iter([np.zeros(5)] * 9))
        pm.Normal("y", pm.Normal("mu"), 1, observed=observed, total_size=50)
    inputs = inputs_of(compile_program(model))
    assert gather_on_device(inputs, 2**40) is inputs


def test_a_cpu_has_no_memory_of_its_own() -> None:
    assert device_memory() == 0


def test_all_rows_are_taken_in_each_step() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Minibatch(X, 5), total_size=50)
    program = compile_program(model)
    inputs = take_all_rows(program, inputs_of(program))
    assert inputs.feeds == ()
    [rows] = rows_of(inputs, 3)
    assert inputs.row_weights is not None
    assert len(rows) == len(inputs.row_weights)
    np.testing.assert_array_equal(rows[inputs.row_weights > 0], X)


def test_all_rows_without_a_common_axis_have_no_weights(program: Program) -> None:
    inputs = take_all_rows(program, inputs_of(program))
    assert inputs.row_weights is None
    by_shape = {rows.shape: rows for rows in rows_of(inputs, 0)}
    for values in (X, X[:, 0], TABLE):
        np.testing.assert_array_equal(by_shape[values.shape], values)
