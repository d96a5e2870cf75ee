"""The choice of a start: mixtures end in the best of several optima, other models keep theirs."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
from pymc.distributions.transforms import ordered

import bayou as by
from bayou.density.build import compile_program
from bayou.density.evaluator import Evaluator
from bayou.fitting.fixed_draws import start_choice
from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.start_choice import (
    ATTEMPTS,
    LOOK_ITERATIONS,
    MOST_FITTED,
    SHORT_ITERATIONS,
    Start,
    choose_start,
)
from bayou.fitting.rows.all_rows import all_row_blocks
from bayou.fitting.rows.task import Task

RANDOM = np.random.default_rng(11)
GROUP = RANDOM.choice(3, 400, p=[0.2, 0.5, 0.3])
Y = RANDOM.normal(np.array([-4.0, 0.0, 5.0])[GROUP], np.array([1.0, 0.7, 1.5])[GROUP])


def mixture(begin: list[float]) -> pm.Model:
    with pm.Model() as model:
        w = pm.Dirichlet("w", np.ones(3))
        mu = pm.Normal("mu", 0, 10, shape=3, transform=ordered, initval=begin)
        s = pm.HalfNormal("s", 3, shape=3)
        pm.NormalMixture("y", w=w, mu=mu, sigma=s, observed=Y)
    return model


def chosen(model: pm.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return the model's own start, and the one that is chosen."""
    own, start = choice_of(model)
    return own, start.position


def choice_of(model: pm.Model) -> tuple[np.ndarray, Start]:
    """Return the model's own start, and what is chosen."""
    program = compile_program(model)
    task = Task(program, program.start(1), 1, 1, (), lambda _: None)
    evaluator = Evaluator(program, all_row_blocks(program))
    noise = antithetic_normals(1, 8, program.layout.size)
    return task.start, choose_start(task, evaluator, noise)


def test_the_other_labelling_of_a_mixture_is_told() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10, shape=2, initval=[-1.0, 1.0])
        pm.NormalMixture("y", w=[0.5, 0.5], mu=mu, sigma=1, observed=np.r_[Y[:40] - 9, Y[:40] + 9])
    _, start = choice_of(model)
    [(other, nats)] = start.others
    assert other[0] > 4 > -4 > other[1]
    assert nats == pytest.approx(0, abs=0.5)


def test_no_optimum_far_below_the_best_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _losses(monkeypatch, [3.0, *[12.0] * NUM_OTHERS], converged=True)
    assert choice_of(mixture([-1.0, 0.0, 1.0]))[1].others == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:The fit may have missed:bayou.ConvergenceWarning")
def test_a_mixture_ends_in_the_best_optimum_wherever_it_starts(seed: int) -> None:
    # From here, the own start leads to two components in the middle.
    model = mixture([-1.0, 0.0, 1.0])
    fit = by.fit(model=model, random_seed=seed, progressbar=False, correction=None)
    draws = fit.sample(2000, random_seed=1).posterior
    np.testing.assert_allclose(draws["mu"].mean(("chain", "draw")), [-4, 0, 5], atol=0.4)
    np.testing.assert_allclose(draws["s"].mean(("chain", "draw")), [1, 0.7, 1.5], atol=0.35)


def test_a_model_without_components_has_one_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(start_choice, "minimize", refuse)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=Y)
    own, start = chosen(model)
    assert start is own or (start == own).all()


def _losses(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], *, converged: bool
) -> list[tuple[float, int]]:
    """Have short fits end with these losses, one after another; return those that ran."""
    ran: list[tuple[float, int]] = []

    def minimize(_: Any, frame: Any, __: Any, num_iterations: int, ___: Any) -> Any:
        ran.append((losses[len(ran)], num_iterations))
        size = len(frame.origin)
        loss = np.array([ran[-1][0]])
        return start_choice.Optimum(frame, np.zeros(size), np.zeros(size), loss, converged, "")

    monkeypatch.setattr(start_choice, "minimize", minimize)
    return ran


NUM_OTHERS = len(ATTEMPTS)


def test_optima_that_are_no_better_are_not_fitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _losses(monkeypatch, [10.0, 9.5, *[10.2] * (NUM_OTHERS - 1)], converged=True)
    own, start = chosen(mixture([-1.0, 0.0, 1.0]))
    assert len(ran) == 1 + NUM_OTHERS
    np.testing.assert_array_equal(start, own)


def test_a_start_that_is_best_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [3.0, *range(20, 20 + NUM_OTHERS), *range(20, 20 + MOST_FITTED)]
    ran = _losses(monkeypatch, [float(loss) for loss in losses], converged=False)
    own, start = chosen(mixture([-1.0, 0.0, 1.0]))
    assert len(ran) == 1 + NUM_OTHERS + MOST_FITTED
    np.testing.assert_array_equal(start, own)


@pytest.mark.slow
def test_the_starts_that_look_best_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [20.0] * NUM_OTHERS
    looks[3] = looks[6] = 12.0
    ran = _losses(monkeypatch, [10.0, *looks, 3.0, 3.5, 20.0, 20.0], converged=False)
    _, start = chosen(mixture([-1.0, 0.0, 1.0]))
    assert [iterations for _, iterations in ran] == [
        SHORT_ITERATIONS,
        *[LOOK_ITERATIONS] * NUM_OTHERS,
        *[SHORT_ITERATIONS - LOOK_ITERATIONS] * MOST_FITTED,
    ]
    program = compile_program(mixture([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(start, program.start(1, ATTEMPTS[3]))


def test_an_optimum_that_one_start_alone_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [20.0] * NUM_OTHERS
    looks[1] = 3.0
    _losses(monkeypatch, [10.0, *looks], converged=True)
    with pytest.warns(by.ConvergenceWarning) as caught:
        own, start = chosen(mixture([-1.0, 0.0, 1.0]))
    assert str(caught[0].message) == (
        f"The fit may have missed the best optimum: of {1 + NUM_OTHERS} starts, one alone led to "
        "the best one found.\n"
        "Hint: fit with other random seeds and compare their `elbo_estimate()`, or give `initval=` "
        "to the parameters."
    )
    program = compile_program(mixture([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(start, program.start(1, ATTEMPTS[1]))
    assert (start != own).any()
