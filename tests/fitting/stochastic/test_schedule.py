"""Stochastic fits: rates, the search for one, averages, when to stop, and a known posterior."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.feeding.feed import ItemFeed
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank, FullRankParams
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic import schedule as stochastic
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.fit_state import FitState
from bayou.fitting.stochastic.schedule import (
    RATES,
    UNSEARCHED_RATE,
    Stepper,
    Stop,
    check_stop,
    fixed_rates,
    run_fixed,
    run_until_stable,
    search_rate,
)
from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState, init_state

CENTER, STD = np.array([1.0, -2.0]), np.array([0.5, 3.0])
RECIPE = Recipe(MeanField(), ADAM)
RANDOM = np.random.default_rng(0)


def ignore(_: Any) -> None:
    """Take no notice."""


def stepper_of(program: Any, **changes: Any) -> Stepper:
    inputs = StepInputs((), (), jax.random.key(1))
    return Stepper(program, RECIPE, inputs, ignore, ignore, iter(()), **changes)


def state() -> StepState:
    return init_state(RECIPE, MeanFieldParams(jnp.zeros(2), jnp.zeros(2)))


def start() -> FitState:
    return FitState(Frame(np.zeros(2), np.ones(2)), state())


@pytest.fixture
def stepper(program_of: Any) -> Stepper:
    """A fit of independent normals of known moments."""
    return stepper_of(program_of(lambda x: jnp.sum(jax.scipy.stats.norm.logpdf(x, CENTER, STD)), 2))


@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
def test_fixed_rates_are_constant_then_decay_to_zero(num_steps: int) -> None:
    rates = fixed_rates(num_steps, 0.3)
    assert rates.shape == (num_steps,)
    half = (num_steps + 1) // 2
    np.testing.assert_allclose(rates[:half], 0.3)
    assert (np.diff(rates[half:]) < 0).all()
    assert (rates > 0).all()
    # The cosine is half way down at three quarters.
    if num_steps == 1000:
        assert rates[750] == pytest.approx(0.15)
        assert rates[-1] < 1e-4 * 0.3


def chunk(value: float, num_steps: int) -> Chunk:
    params = MeanFieldParams(np.full(2, value), np.full(2, -value))
    return Chunk(state(), params, np.full(num_steps, value))


@dataclass(frozen=True)
class Scripted(Stepper):
    """Steps whose losses are a function of the rate; None diverges."""

    losses: dict[float, float | None] = field(default_factory=dict)

    def advance(self, progress: FitState, rates: np.ndarray) -> None:
        loss = self.losses[rates[0]]
        if loss is None:
            raise FloatingPointError
        # The first half is the way there, and does not count.
        half = len(rates) // 2
        progress.add(chunk(1e6 / rates[0], half), rates[:half], np.zeros(2))
        progress.add(chunk(loss, half), rates[half:], np.zeros(2))


@pytest.mark.parametrize(
    ("losses", "index"),
    [
        ((10.0, 10.0, 10.0), 0),
        # Half a nat for each of two elements is as good as the least.
        ((10.9, 10.0, 12.0), 0),
        ((11.1, 10.0, 12.0), 1),
        ((50.0, 30.0, 10.0), 2),
        ((None, 12.0, 11.5), 1),
        ((None, None, 11.5), 2),
        ((None, None, None), 2),
    ],
)
def test_the_search_takes_the_largest_rate_that_is_good(
    losses: tuple[float | None, ...], index: int, program_of: Any
) -> None:
    program = program_of(jnp.sum, 2)
    scripted = stepper_of(program).__dict__ | {"losses": dict(zip(RATES, losses, strict=True))}
    assert search_rate(Scripted(**scripted), start()) == RATES[index]


def test_the_search_leaves_the_items_of_a_generator(stepper: Stepper) -> None:
    def refuse() -> Any:
        raise AssertionError

    inputs = StepInputs((ItemFeed(refuse, "items", 8),), (), jax.random.key(1))
    fed = Stepper(**stepper.__dict__ | {"inputs": inputs})
    assert search_rate(fed, start()) == UNSEARCHED_RATE


def test_the_search_changes_nothing_and_reports_nothing(stepper: Stepper) -> None:
    told: list[Any] = []
    watched = Stepper(**stepper.__dict__ | {"report": told.append, "after_chunk": told.append})
    progress = start()
    assert search_rate(watched, progress) in RATES
    assert told == []
    assert progress.num_steps == 0
    np.testing.assert_array_equal(progress.state.params.location, 0)


def test_fixed_steps_reach_the_moments(stepper: Stepper) -> None:
    progress = start()
    params = run_fixed(stepper, progress, 0.05, 4096)
    assert progress.num_steps == 4096
    np.testing.assert_array_equal(np.concatenate(progress.rates), fixed_rates(4096, 0.05))
    np.testing.assert_allclose((params.location - CENTER) / STD, 0, atol=0.02)
    np.testing.assert_allclose(np.exp(params.log_scale), STD, rtol=0.02)


def test_a_fit_stops_when_halving_the_rate_changes_nothing(stepper: Stepper) -> None:
    progress = start()
    stop = run_until_stable(stepper, progress, 0.05, 0.1)
    assert stop.converged
    assert stop.reason.startswith("halving the rate moved it by 0.0")
    np.testing.assert_allclose((stop.params.location - CENTER) / STD, 0, atol=0.1)
    np.testing.assert_allclose(np.exp(stop.params.log_scale), STD, rtol=0.1)
    rates = np.concatenate(progress.rates)
    assert len(rates) == progress.num_steps
    np.testing.assert_allclose(np.unique(rates), 0.05 * 0.5 ** np.arange(2)[::-1])


def test_a_fit_that_never_settles_says_so(program_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stochastic, "FIRST_STEPS", 4096)
    monkeypatch.setattr(stochastic, "RATE_STEPS", 4096)
    # An improper density, along which the location drifts for ever.
    drifting = stepper_of(program_of(lambda x: jnp.sum(5 * x - 0.5 * jnp.sin(x) ** 2), 2))
    progress = start()
    stop = run_until_stable(drifting, progress, 0.05, 0.001)
    assert not stop.converged
    assert stop.reason == "halving the rate 10 times moved it to the end"
    assert len(np.unique(np.concatenate(progress.rates))) == 10


def test_a_shorter_tolerance_takes_more_steps(stepper: Stepper) -> None:
    # The noise of rows is what does not vanish: without it one halving suffices for both.
    loose, tight = start(), start()
    run_until_stable(stepper, loose, 0.05, 0.1)
    run_until_stable(stepper, tight, 0.05, 1e-9)
    assert tight.num_steps > loose.num_steps


def test_recorded_chunks_are_gone_through_before_new_ones(stepper: Stepper) -> None:
    told: list[Any] = []

    def recorded() -> Iterator[Chunk]:
        yield chunk(7.0, 256)

    resumed = Stepper(**stepper.__dict__ | {"report": told.append, "recorded": recorded()})
    progress = start()
    resumed.advance(progress, np.full(512, 0.01))
    assert progress.counts == [256, 256]
    np.testing.assert_array_equal(progress.losses[0], 7.0)
    assert [len(losses) for losses in told] == [256]


@pytest.mark.parametrize("seed", [1, 2])
def test_minibatches_reach_a_conjugate_normal(seed: int) -> None:
    num_rows = 20_000
    data = np.random.default_rng(0).normal(2.0, 1.0, size=num_rows)
    with pm.Model():
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=by.Minibatch(data, 200), total_size=num_rows)
        fit = by.fit(random_seed=seed, progressbar=False)
    variance = 1 / (num_rows + 1 / 100)
    std = np.sqrt(variance)
    assert std == pytest.approx(0.00707, abs=1e-5)
    assert fit.converged
    assert float(fit.std["mu"]) == pytest.approx(std, rel=0.05)
    assert abs(float(fit.mean["mu"]) - variance * data.sum()) < 0.3 * std


@dataclass(frozen=True)
class Falling(Stepper):
    """Steps that first lie at a good place, and at a large rate fall from it for good."""

    large: float = 0.0
    begun_at: list[float] = field(default_factory=list)

    def advance(self, progress: FitState, rates: np.ndarray) -> None:
        # Each chunk of a fit notes where it begins.
        self.begun_at.append(float(progress.state.params.location[0]))
        for number in range(len(rates) // 512):
            falls = rates[0] >= self.large and number >= 4
            params = MeanFieldParams(np.full(2, 50.0 if falls else 1.0), np.zeros(2))
            state = StepState(params, RECIPE.optimizer.init(params))
            elbo = (-1e6 if falls else -3.0) + RANDOM.normal(size=512)
            progress.add(Chunk(state, params, -elbo), rates[:512], np.zeros(2))


def test_a_rate_at_which_the_elbo_falls_is_left_for_a_lower_one(stepper: Stepper) -> None:
    falling = Falling(**stepper.__dict__, large=0.04)
    progress = start()
    stop = run_until_stable(falling, progress, 0.05, 0.1)
    assert stop.converged
    # The steps at the lower rate begin where the ELBO was best.
    assert falling.begun_at == [0.0, 1.0, 1.0]
    np.testing.assert_allclose(stop.params.location, 1.0)


def test_a_fit_whose_elbo_falls_at_each_rate_did_not_converge(stepper: Stepper) -> None:
    falling = Falling(**stepper.__dict__, large=0.0)
    stop = run_until_stable(falling, start(), 0.05, 0.1)
    assert stop.converged is False
    np.testing.assert_allclose(stop.params.location, 1.0)


def test_rows_in_windows_have_levels_that_do_not_compare(stepper: Stepper) -> None:
    items = ItemFeed(lambda: iter(()), "items", 8)
    fed = Stepper(**stepper.__dict__ | {"inputs": StepInputs((items,), (), jax.random.key(1))})
    assert stepper.has_like_rows
    assert not fed.has_like_rows


def test_a_result_as_good_as_its_steps_stays_converged(stepper: Stepper) -> None:
    progress = start()
    stop = run_until_stable(stepper, progress, 0.05, 0.1)
    num_steps = progress.num_steps
    assert check_stop(stepper, progress, stop) == stop
    assert progress.num_steps == num_steps


@pytest.mark.parametrize("converged", [True, None])
def test_a_result_far_below_its_steps_did_not_converge(
    stepper: Stepper, converged: bool | None
) -> None:
    progress = start()
    stop = run_until_stable(stepper, progress, 0.05, 0.1)
    away = stop.params._replace(location=stop.params.location + 20 * STD)
    found = check_stop(stepper, progress, Stop(away, converged, "it says so"))
    assert found.converged is False
    assert found.params is away
    assert re.match(
        r"the ELBO of its result, -4\d\d\.\d* at fresh draws, is far below the .* that steps had",
        found.reason,
    )


def test_a_result_with_an_impossible_entropy_did_not_converge(program_of: Any) -> None:
    size = 12
    program = program_of(lambda x: -0.5 * jnp.sum(x**2), size)
    recipe = Recipe(FullRank(), ADAM)
    inputs = StepInputs((), (), jax.random.key(1))
    full = Stepper(program, recipe, inputs, ignore, ignore, iter(()))
    factor = 1e6 * np.tril(RANDOM.normal(size=(size, size)), -1)
    singular = FullRankParams(jnp.zeros(size), jnp.full(size, -5.0), jnp.asarray(factor))
    progress = FitState(Frame(np.zeros(size), np.ones(size)), init_state(recipe, singular))
    found = check_stop(full, progress, Stop(singular, True, "it says so"))
    assert found.converged is False
    assert re.match(
        r"its entropy is .* nats above what its standard deviations allow, so its covariance is "
        r"singular to working precision",
        found.reason,
    )
