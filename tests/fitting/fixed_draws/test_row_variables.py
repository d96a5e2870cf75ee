"""Free variables with a value for each row, in minibatches: each row keeps its own normals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.batched import batched_program
from bayou.fitting.fixed_draws import correction
from bayou.fitting.fixed_draws.row_variables import latent_response
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.device import gather_on_device
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.steps import (
    Recipe,
    average_row_normals,
    init_state,
    run_steps,
)

if TYPE_CHECKING:
    from pathlib import Path

random = np.random.default_rng(1)
NUM_ROWS = 200
X = random.normal(size=NUM_ROWS)
COUNTS = random.poisson(np.exp(0.5 + 0.3 * X + random.normal(0, 0.7, NUM_ROWS)))


def counts(num_rows: int = NUM_ROWS) -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", X[:num_rows], dims="row")
        outcome = by.Data("outcome", COUNTS[:num_rows], dims="row")
        slope, average = pm.Normal("slope"), pm.Normal("average")
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), dims="row")
        mean = pm.math.exp(average + slope * x + effect)
        pm.Poisson("y", mean, observed=outcome, dims="row")
    return model


# One model for all that leave its data alone, so that it is compiled once.
MODEL = counts()


def fit(model: pm.Model, n: int | str = "auto", **options: Any) -> by.Fit:
    return by.fit(n, batch_size=50, model=model, random_seed=1, progressbar=False, **options)


@pytest.fixture(scope="module")
def fitted() -> by.Fit:
    return fit(MODEL)


@pytest.fixture(scope="module")
def exact() -> by.Fit:
    """The same model, fitted on all rows at once, the values of the rows within its position."""
    with pytest.MonkeyPatch.context() as patch:
        # The normals of the fit, not the draws that are nearer to the posterior.
        patch.setattr("bayou.fitting.fit.check_fit", lambda _task, _model, fitted, _most: fitted)
        return by.fit(model=MODEL, random_seed=1, progressbar=False)


def test_it_agrees_with_the_fit_of_all_rows(fitted: by.Fit, exact: by.Fit) -> None:
    assert fitted.converged
    assert fitted.correction == exact.correction == "linear_response"
    for name in ("slope", "average", "spread_log__"):
        distance = abs(fitted.mean[name] - exact.mean[name]) / exact.std[name]
        assert float(distance) < 0.15
        assert float(fitted.std[name]) == pytest.approx(float(exact.std[name]), rel=0.1)
    distances = (fitted.mean["effect"] - exact.mean["effect"]) / exact.std["effect"]
    assert float((distances**2).mean() ** 0.5) < 0.1
    assert float((fitted.std["effect"] / exact.std["effect"]).mean()) == pytest.approx(1, abs=0.05)


def test_each_row_has_its_own(fitted: by.Fit) -> None:
    assert fitted.mean["effect"].dims == ("row",)
    posterior = fitted.sample(200, random_seed=1).posterior
    assert posterior["effect"].shape == (1, 200, NUM_ROWS)
    means = posterior["effect"].mean(("chain", "draw"))
    np.testing.assert_allclose(means, fitted.mean["effect"], atol=0.3)


def test_it_says_what_it_cannot_do(fitted: by.Fit) -> None:
    with pytest.raises(ValueError, match=r"since 'effect' has a value for each row\.\nHint: judge"):
        fitted.khat()
    with pytest.raises(ValueError, match="the guide is FullRank"):
        fit(MODEL, 100, method="fullrank_advi", correction="linear_response")


def test_it_is_saved_and_read_again(fitted: by.Fit, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=MODEL)
    np.testing.assert_array_equal(again.mean["effect"], fitted.mean["effect"])
    np.testing.assert_array_equal(
        again.sample(3, random_seed=1).posterior["effect"],
        fitted.sample(3, random_seed=1).posterior["effect"],
    )


def test_draws_are_of_the_rows_that_were_fitted(tmp_path: Path) -> None:
    model = counts()
    short = fit(model, 100, correction=None)
    message = (
        r"for draws of 'effect' with a value for each: 200 were fitted, got 90 now\.\nHint: by\.p"
    )
    by.set_data({"x": X[:90], "outcome": COUNTS[:90]}, model=model)
    with pytest.raises(ValueError, match=message):
        short.sample(2)
    found = by.predict(short, {"x": [0.0, 1.0]}, draws=3, random_seed=1, progressbar=False)
    assert found.predictions["y"].shape == (1, 3, 2)
    short.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=counts(90))
    with pytest.raises(ValueError, match=message):
        again.sample(2)
    by.set_data({"x": X, "outcome": COUNTS}, model=model)
    assert short.sample(2).posterior["effect"].shape == (1, 2, NUM_ROWS)


@pytest.mark.slow
def test_resumed_it_has_the_same_bits(tmp_path: Path) -> None:
    whole = fit(MODEL, 1200, correction=None)

    def stop(num_steps: int, losses: Any) -> None:
        if num_steps >= 600:
            raise StopIteration

    path = tmp_path / "checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        fit(MODEL, 1200, checkpoint=path, callback=stop)
    resumed = fit(MODEL, 1200, checkpoint=path, resume=True, correction=None)
    np.testing.assert_array_equal(resumed.mean["effect"], whole.mean["effect"])


@pytest.mark.slow
def test_other_rows_have_others() -> None:
    model = counts()
    fit(model, 100, correction=None)
    by.set_data({"x": X[:90], "outcome": COUNTS[:90]}, model=model)
    assert fit(model, 100).mean["effect"].shape == (90,)


@pytest.mark.slow
def test_an_accelerator_gathers_the_same_rows() -> None:
    _, program = batched_program(MODEL, 50, None, validate=True)
    size, row_size = program.layout.size, program.latent_layout.size
    recipe, frame = Recipe(MeanField(), ADAM), Frame(np.zeros(size), np.ones(size))
    host = StepInputs(program_feeds(program, "epoch", 1), program.data_values(), jax.random.key(1))
    device = gather_on_device(host, 2**30)
    assert device is not host
    ends = []
    for inputs in (host, device):
        params = MeanFieldParams(jnp.zeros(size), jnp.full(size, -2.0))
        rows = MeanFieldParams(jnp.zeros((NUM_ROWS, row_size)), jnp.zeros((NUM_ROWS, row_size)))
        state = init_state(recipe, params, rows)
        [chunk] = run_steps(program, recipe, frame, inputs, state, np.full(30, 0.05), length=30)
        ends.append((chunk.losses, average_row_normals(program, recipe, chunk.state)))
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pymc_has_them_whole() -> None:
    batched = by.batched(MODEL, batch_size=50)
    assert batched["effect"].eval().shape == (NUM_ROWS,)
    assert batched["y"].shape[0].eval() == 50
    assert np.isfinite(batched.compile_logp()(batched.initial_point()))


def test_weights_of_rows_are_refused() -> None:
    order = by.Weighted(np.ones(NUM_ROWS))
    with pytest.raises(ValueError, match="variables with a value for each row out"):
        fit(MODEL, 100, order=order)


def test_a_length_of_its_own() -> None:
    with pm.Model() as model:
        outcome = by.Data("outcome", COUNTS, dims="row")
        effect = pm.Normal("effect", shape=NUM_ROWS, dims="row")
        pm.Poisson("y", pm.math.exp(effect + pm.Normal("a")), observed=outcome, dims="row")
    with pytest.raises(ValueError, match="'effect' must have the length of its dim"):
        fit(model, 100)


def pairs() -> tuple[pm.Model, np.ndarray]:
    """Return a normal model of correlated pairs, and the covariance of its posterior."""
    between = np.array([[1.0, 0.8], [0.8, 1.0]])
    values = np.random.default_rng(3).normal(size=(4, 2))
    with pm.Model() as model:
        outcome = by.Data("outcome", values, dims=("row", "part"))
        mean = pm.Normal("mean", dims="part")
        x = pm.MvNormal("x", mean, between, dims=("row", "part"))
        pm.Normal("y", x, 0.5, observed=outcome, dims=("row", "part"))
    prior = np.linalg.inv(between)
    precision = np.kron(np.eye(5), prior + 4 * np.eye(2))
    precision[:2, :2] = np.eye(2) + 4 * prior
    precision[:2, 2:] = -np.tile(prior, 4)
    precision[2:, :2] = precision[:2, 2:].T
    return model, np.linalg.inv(precision)


def test_the_covariances_within_rows_of_a_normal_are_exact() -> None:
    model, expected = pairs()
    _, program = batched_program(model, 2, None, validate=True)
    zeros = MeanFieldParams(jnp.zeros(2), jnp.zeros(2))
    rows = MeanFieldParams(jnp.zeros((4, 2)), jnp.zeros((4, 2)))
    frame = Frame(np.zeros(2), np.ones(2))
    covariance, within_rows = latent_response(program, frame, zeros, rows, 1)
    np.testing.assert_allclose(covariance, expected[:2, :2], rtol=1e-8)
    for row, found in enumerate(within_rows):
        begin = 2 + 2 * row
        of_row = expected[begin : begin + 2, begin : begin + 2]
        np.testing.assert_allclose(found, of_row, rtol=1e-8)


@pytest.mark.slow
def test_draws_of_a_row_have_its_correlations(tmp_path: Path) -> None:
    model, expected = pairs()
    found = by.fit(batch_size=2, model=model, random_seed=1, progressbar=False)
    assert found.correction == "linear_response"
    found.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=model)
    for each in (found, again):
        draws = each.sample(4000, random_seed=1).posterior["x"].to_numpy()[0]
        np.testing.assert_allclose(np.cov(draws[:, 1].T), expected[4:6, 4:6], atol=0.03)
    np.testing.assert_allclose(found.std["x"][1], np.sqrt(np.diag(expected)[4:6]), rtol=0.05)


@pytest.mark.slow
def test_wide_rows_count_the_cost_and_the_memory_of_their_matrices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pm.Model(coords={"element": range(6)}) as model:
        y = by.Data("y", np.zeros((8, 6)), dims=("row", "element"))
        effect = pm.Normal("effect", 0, pm.HalfNormal("spread"), dims=("row", "element"))
        pm.Normal("o", effect, 1, observed=y, dims=("row", "element"))
    options: dict[str, Any] = {"n": 5, "batch_size": 4, "random_seed": 1, "progressbar": False}
    # Two sides of the draws, 7 elements of a row and the position, 48 of all rows.
    monkeypatch.setattr(correction, "CORRECTION_WORK", 2 * correction.FIRST_DRAWS * 7 * 48 - 1)
    with pytest.warns(
        UserWarning, match="are not corrected by linear response, since it would take"
    ):
        assert str(by.fit(model, **options).correction).startswith("none: it would take")
    monkeypatch.setattr(correction, "free_memory", lambda: 2 * 8 * 8 * 12 * 14 - 2)
    with pytest.warns(UserWarning, match=r"matrices of rows of 6 elements take 0 GB, and half of"):
        fit = by.fit(model, correction="linear_response", **options)
    assert str(fit.correction).startswith("none: ")
