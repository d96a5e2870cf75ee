"""Starting points: PyMC's own, jittered or from the prior, for a seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import numpy as np
import pymc as pm
import pytest
from pymc.distributions.transforms import Chain, ordered

import bayou as by
from bayou.models.initial_point import StartCandidates, start_function


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(3))
        pm.Normal("shift", x.sum(), 1, initval="support_point")
        pm.Exponential("rate", 1, initval=np.full(2, 2.0), shape=(2,))
        pm.Flat("flat")
    return model


def test_without_jitter_it_is_the_initial_point_of_pymc(model: pm.Model) -> None:
    expected = model.initial_point()
    values = start_function(model, jitter=False)(0)
    names = [value.name for value in model.value_vars]
    for name, value in zip(names, values, strict=True):
        np.testing.assert_allclose(value, expected[name])
    np.testing.assert_allclose(values[1], np.log([2.0, 2.0]))


def test_jitter_is_up_to_one_and_decided_by_the_seed(model: pm.Model) -> None:
    plain, jittered = (start_function(model, jitter=flag) for flag in (False, True))
    for value, moved in zip(plain(0), jittered(1), strict=True):
        assert 0 < np.abs(moved - value).max() <= 1
    for one, again in zip(jittered(1), jittered(1), strict=True):
        np.testing.assert_array_equal(one, again)
    assert jittered(1)[0] != jittered(2)[0]


def test_draws_from_the_prior_leave_flat_variables_where_they_are(model: pm.Model) -> None:
    start = start_function(model, jitter=False, prior=True)
    draws = np.array([start(seed)[0] for seed in range(200)])
    assert draws.mean() == pytest.approx(0, abs=0.3)
    assert draws.std() == pytest.approx(1, abs=0.2)
    assert start(0)[2] == start(1)[2] == 0


def test_other_values_of_containers_move_the_start(model: pm.Model) -> None:
    start = start_function(model, jitter=False)
    assert start(0, {model["x"].container: np.ones(4)})[0] == 4
    assert start(0)[0] == 0


def test_generators_of_the_model_are_not_seeded(model: pm.Model) -> None:
    before = pm.draw(model["shift"], random_seed=5)
    start_function(model, jitter=True)(1)
    assert pm.draw(model["shift"], random_seed=5) == before


def test_threads_get_the_points_of_their_seeds(model: pm.Model) -> None:
    start = start_function(model, jitter=True)
    expected = [float(start(seed)[0]) for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert [float(values[0]) for values in pool.map(start, range(20))] == expected


def test_candidates_are_jittered_then_of_the_prior_then_close() -> None:
    with pm.Model() as model:
        pm.Normal("x", 100, 1000, shape=50, initval=np.zeros(50))
    candidates = StartCandidates(model, jitter=False)
    positions = [candidates(1, attempt=attempt)[0] for attempt in range(candidates.COUNT)]
    np.testing.assert_array_equal(positions[0], 0)
    kinds = np.split(np.stack(positions[1:]), 3)
    assert (np.abs(kinds[0]) <= 1).all()
    assert kinds[1].std() == pytest.approx(1000, rel=0.2)
    np.testing.assert_allclose(kinds[2], kinds[1] / 10)
    assert len(np.unique(np.stack(positions), axis=0)) == 21 + 10
    np.testing.assert_array_equal(positions[13], candidates(1, attempt=13)[0])


def test_the_first_candidate_is_the_start_of_before() -> None:
    with pm.Model() as model:
        pm.Gamma("x", 2, 1, shape=3)
    for jitter in (False, True):
        [first] = StartCandidates(model, jitter=jitter)(7)
        np.testing.assert_array_equal(first, start_function(model, jitter=jitter)(7)[0])


@pytest.mark.parametrize("chained", [False, True])
def test_draws_from_the_prior_of_ordered_values_are_sorted(chained: bool) -> None:
    transform = Chain([ordered]) if chained else ordered
    with pm.Model() as model:
        pm.Normal("cuts", 0, 10, shape=4, transform=transform, initval=np.arange(4.0))
    start = start_function(model, jitter=False, prior=True)
    draws = np.array([start(seed)[0] for seed in range(50)])
    assert np.isfinite(draws).all()
    values = np.cumsum(np.column_stack([draws[:, :1], np.exp(draws[:, 1:])]), axis=1)
    assert values.mean() == pytest.approx(0, abs=2)
    assert values.std() == pytest.approx(10, rel=0.2)


def test_a_prior_that_cannot_be_drawn_costs_no_start() -> None:
    def fail(*parameters: object, rng: object = None, size: object = None) -> NoReturn:
        raise RuntimeError("no draws")

    with pm.Model() as model:
        pm.CustomDist("x", 0.5, logp=lambda value, mu: -((value - mu) ** 2), random=fail)
        pm.Normal("y")
    candidates = StartCandidates(model, jitter=False)
    first = candidates(1)
    # Those from the prior, and near it.
    for attempt in (11, 21):
        assert [value.tolist() for value in candidates(1, attempt=attempt)] == [
            value.tolist() for value in first
        ]
    assert candidates(1, attempt=1)[1] != first[1]


def test_a_variable_without_a_start_is_named() -> None:
    with pm.Model() as model:
        pm.Normal("fine")
        pm.HalfStudentT("scale", 4, np.nan, initval="prior")
    message = (
        r"(?s)^`model` must have a value to start from for each free variable, got none for "
        r"'scale': Domain error.*\nHint: look for a parameter of its prior that is NaN"
    )
    with pytest.raises(ValueError, match=message):
        by.fit(model, progressbar=False)
