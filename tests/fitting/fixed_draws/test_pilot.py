"""The pilot: coordinates in which a correlated normal is a standard one, and a start without."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.fitting.fixed_draws.optimize import START_SCALE
from bayou.fitting.fixed_draws.pilot import fit_pilot, rotate_frame
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.task import Task

X = np.random.default_rng(0).normal(size=(300, 2)) @ np.array([[1.0, 0.9], [0.0, 0.5]])
Y = X @ [1.0, -1.0]
COVARIANCE = np.linalg.inv(X.T @ X + np.eye(2))
MEAN = COVARIANCE @ X.T @ Y


def task_of(model: pm.Model) -> Task:
    program = compile_program(model)
    feeds = program_feeds(program, "epoch", 1)
    return Task(program, program.start(1), 1, 1, feeds, lambda _: None)


@pytest.fixture(scope="module")
def task() -> Task:
    with pm.Model() as model:
        slopes = pm.Normal("slopes", shape=2)
        x, y = by.Minibatch(X, 30), by.Minibatch(Y, 30)
        pm.Normal("y", x @ slopes, 1, observed=y, total_size=300)
    return task_of(model)


def test_coordinates_are_those_of_the_covariance(task: Task) -> None:
    pilot = fit_pilot(task, rotated=True)
    np.testing.assert_array_equal(pilot.location, 0)
    np.testing.assert_array_equal(pilot.scale, 1)
    assert pilot.latent is None
    # From a sample of rows that counts each of them several times, scaled to all.
    np.testing.assert_allclose(pilot.frame.factor @ pilot.frame.factor.T, COVARIANCE, rtol=0.1)
    np.testing.assert_allclose(pilot.frame.origin, MEAN, atol=0.05)


def test_without_rotation_the_model_keeps_its_coordinates(task: Task) -> None:
    pilot = fit_pilot(task, rotated=False)
    assert pilot.frame.factor.ndim == 1
    np.testing.assert_array_equal(pilot.frame.positions(pilot.location), pilot.location)
    np.testing.assert_allclose(pilot.location, MEAN, atol=0.05)
    # An independent normal has the deviations that each has given the other; eight draws give them
    # to a factor of two.
    ratio = pilot.scale * np.diag(X.T @ X + np.eye(2)) ** 0.5
    assert (np.abs(np.log2(ratio)) < 1).all()


def test_coordinates_are_taken_anew_at_a_mean(task: Task) -> None:
    frame = rotate_frame(task, Frame(np.zeros(2), np.ones(2)), np.array([5.0, 3.0]), np.ones(2))
    assert frame is not None
    np.testing.assert_allclose(frame.origin, [5, 3])
    np.testing.assert_allclose(frame.factor @ frame.factor.T, COVARIANCE, rtol=0.1)


def improper(density: Any) -> pm.Model:
    with pm.Model() as model:
        x = pm.Flat("x", initval=0.5)
        pm.Potential("density", density(x))
    return model


def test_without_a_finite_optimum_it_starts_at_the_start() -> None:
    task = task_of(improper(lambda x: 0 * x))
    pilot = fit_pilot(task, rotated=True)
    np.testing.assert_array_equal(pilot.location, task.start)
    np.testing.assert_array_equal(pilot.scale, START_SCALE)


def test_without_a_minimum_there_are_no_new_coordinates() -> None:
    task = task_of(improper(lambda x: x**2))
    frame = Frame(np.zeros(1), np.ones(1))
    assert rotate_frame(task, frame, np.zeros(1), np.ones(1)) is None
