"""The progress of a fit: averages by steps, other coordinates, and the arrays of a checkpoint."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.fit_state import FitState
from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState, init_state

RECIPE = Recipe(MeanField(), ADAM)


def state(value: float = 0.0) -> StepState:
    return init_state(RECIPE, MeanFieldParams(jnp.full(2, value), jnp.zeros(2)))


def start() -> FitState:
    return FitState(Frame(np.zeros(2), np.ones(2)), state())


def chunk(value: float, num_steps: int) -> Chunk:
    params = MeanFieldParams(np.full(2, value), np.full(2, -value))
    return Chunk(state(value), params, np.full(num_steps, value))


def test_an_average_weighs_chunks_by_their_steps() -> None:
    progress = start()
    for value, num_steps in ((100.0, 256), (1.0, 256), (4.0, 128)):
        progress.add(chunk(value, num_steps), np.full(num_steps, 0.1), np.full(2, value))
    assert progress.num_steps == 640
    average = progress.average(1)
    np.testing.assert_allclose(average.location, 2.0)
    np.testing.assert_allclose(average.log_scale, -2.0)
    np.testing.assert_allclose(progress.average(2).location, 4.0)


def test_coordinates_may_change_on_the_way() -> None:
    progress = start()
    progress.add(chunk(1.0, 4), np.full(4, 0.1), np.array([1.0, 2.0]))
    rotated = Frame(np.array([10.0, 20.0]), np.array([2.0, 4.0]))
    progress.restart(rotated, state())
    np.testing.assert_array_equal(progress.current_average().location, 0)
    for value in (3.0, 5.0):
        progress.add(chunk(value, 4), np.full(4, 0.1), np.array([1.0, -1.0]))
    # The path is of positions, the ELBO is of nats there, and averages are of these coordinates.
    np.testing.assert_allclose(progress.path, [[1, 2], [12, 16], [12, 16]])
    np.testing.assert_allclose(progress.elbo[0], -1)
    np.testing.assert_allclose(progress.elbo[1], np.log(8) - 3)
    np.testing.assert_allclose(progress.current_average().location, 5)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_recorded_chunks_come_back(counts: list[int]) -> None:
    progress = start()
    for number, count in enumerate(counts):
        progress.add(chunk(float(number), count), np.full(count, 0.1), np.zeros(2))
    arrays = progress.to_arrays()
    assert {name: len(array) for name, array in arrays.items() if name in ("losses", "rates")} == {
        "losses": sum(counts),
        "rates": sum(counts),
    }
    # A file has no arrays without axes: these come back with one.
    in_file = {name: np.atleast_1d(array) for name, array in arrays.items()}
    again = start()
    for number, recorded in enumerate(again.chunks_of(in_file)):
        again.add(recorded, np.full(len(recorded.losses), 0.1), np.zeros(2))
        np.testing.assert_array_equal(recorded.mean.location, number)
    assert again.counts == counts
    assert_same(again.state, progress.state)
    assert_same(again.means, progress.means)


def assert_same(one: Any, other: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for leaf, same in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(leaf, same)
        assert np.shape(leaf) == np.shape(same)
