"""Steps: what a chunk ends with does not depend on how steps are cut into chunks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.errors import DivergenceError
from bayou.feeding.feed import ItemFeed
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.device import gather_on_device
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.steps import (
    CHUNK_BYTES,
    CHUNK_STEPS,
    Chunk,
    Recipe,
    average_row_normals,
    chunk_steps,
    init_state,
    run_steps,
)

RECIPE = Recipe(MeanField(), ADAM)
FRAME = Frame(np.zeros(1), np.ones(1))
DATA = np.random.default_rng(0).normal(2.0, 1.0, size=60)


@pytest.fixture(scope="module")
def program() -> Program:
    with pm.Model() as model:
        observed = by.Minibatch(DATA, 6)
        pm.Normal("y", pm.Normal("mu"), 1, observed=observed, total_size=60)
    return compile_program(model)


def inputs_of(program: Program, order: Any = "epoch") -> StepInputs:
    return StepInputs(program_feeds(program, order, 1), program.data_values(), jax.random.key(1))


def start() -> Any:
    return init_state(RECIPE, MeanFieldParams(jnp.zeros(1), jnp.zeros(1)))


def run(program: Program, num_steps: int, length: int, **options: Any) -> list[Chunk]:
    options = {"inputs": inputs_of(program), "state": start()} | options
    return list(
        run_steps(program, RECIPE, FRAME, rates=np.full(num_steps, 0.1), length=length, **options)
    )


# Few lengths, since each is compiled.
@given(st.integers(1, 20), st.sampled_from([3, 8]))
def test_chunks_of_any_length_end_alike(program: Program, num_steps: int, length: int) -> None:
    chunks, [whole] = run(program, num_steps, length), run(program, num_steps, 20)
    assert [len(chunk.losses) for chunk in chunks[:-1]] == [length] * (len(chunks) - 1)
    np.testing.assert_allclose(
        np.concatenate([chunk.losses for chunk in chunks]), whole.losses, rtol=1e-12
    )
    end, expected = chunks[-1].state.params, whole.state.params
    np.testing.assert_allclose(end.location, expected.location, rtol=1e-12)
    # The mean of a chunk is over its steps.
    means = [len(chunk.losses) * chunk.mean.location for chunk in chunks]
    np.testing.assert_allclose(sum(means) / num_steps, whole.mean.location, rtol=1e-12)


def test_steps_go_on_by_their_number(program: Program) -> None:
    first, second = run(program, 8, 4)
    [again] = run(program, 4, 4, first=4, state=first.state)
    np.testing.assert_array_equal(again.losses, second.losses)
    np.testing.assert_array_equal(again.state.params.location, second.state.params.location)


def test_other_numbers_of_steps_compile_nothing(program: Program) -> None:
    run(program, 7, 4)
    before = program.compiled.num_compilations()
    run(program, 9, 4)
    run(program, 1, 4)
    assert program.compiled.num_compilations() == before


def test_rows_on_the_device_are_the_same(program: Program) -> None:
    host = inputs_of(program)
    device = gather_on_device(host, 2**20)
    assert device is not host
    one, other = (run(program, 10, 10, inputs=inputs)[0] for inputs in (host, device))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-12)


def test_weights_of_rows_count(program: Program) -> None:
    # All rows alike, but by an order that feeds their weights.
    weighted = run(program, 300, 300, inputs=inputs_of(program, by.Weighted(np.ones(60))))
    assert float(weighted[0].state.params.location[0]) == pytest.approx(DATA.mean(), abs=0.5)
    zero = StepInputs(inputs_of(program).feeds, (), jax.random.key(1), row_weights=np.zeros(6))
    [alone] = run(program, 300, 300, inputs=zero)
    # Without its rows the posterior is the prior.
    assert abs(float(alone.mean.location[0])) < 0.5


def test_a_divergence_names_the_step_in_any_chunk() -> None:
    with pm.Model() as model:
        items = by.generator(iter([np.ones(2)] * 50))
        pm.Normal("y", pm.Normal("mu"), 1, observed=items, total_size=2)
    program = compile_program(model)
    values = iter([np.array([1.0, np.inf if step == 13 else 2.0]) for step in range(50)])
    feed = ItemFeed(lambda: next(values), "items", np.ones(2))
    inputs = StepInputs((feed,), (), jax.random.key(1))
    with pytest.raises(DivergenceError, match=r"got -inf from 'y' at step 13.\nHint") as caught:
        run(program, 20, 5, inputs=inputs)
    assert caught.value.names == ("y",)


def test_the_length_of_a_chunk_is_chosen_by_bytes(program: Program) -> None:
    assert chunk_steps(program, RECIPE, inputs_of(program)) == CHUNK_STEPS
    wide = Recipe(MeanField(), ADAM, num_particles=CHUNK_BYTES // 8 // 10)
    assert chunk_steps(program, wide, inputs_of(program)) == 9
    huge = Recipe(MeanField(), ADAM, num_particles=CHUNK_BYTES)
    assert chunk_steps(program, huge, inputs_of(program)) == 1


def test_a_model_without_variables_of_rows_has_no_average(program: Program) -> None:
    assert average_row_normals(program, RECIPE, start()) is None
    assert start().copy().latent is None
