"""by.fit: against exact posteriors, from every container, reproducible, and clear when it fails."""

import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayou as by
from bayou.density.build import compile_program
from bayou.errors import DivergenceError

NUM_ROWS = 2000
DATA = np.random.default_rng(0).normal(2.0, 1.0, size=NUM_ROWS)
# A normal mean with a flat prior: the posterior is normal with these moments.
MEAN, STD = DATA.mean(), 1 / np.sqrt(NUM_ROWS)


def normal_model(observed: Any, **kwargs: Any) -> pm.Model:
    with pm.Model() as model:
        mu = pm.Flat("mu")
        pm.Normal("y", mu, 1, observed=observed, **kwargs)
    return model


def items(size: int, stop: int = 10**9) -> Iterator[np.ndarray]:
    random = np.random.default_rng(1)
    for _ in range(stop):
        yield random.choice(DATA, size)


OBSERVED = {
    "array": lambda: (DATA, None),
    "data": lambda: (DATA, None),
    "minibatch": lambda: (by.Minibatch(DATA, 200), NUM_ROWS),
    "minibatch of two axes": lambda: (
        by.Minibatch(DATA.reshape(50, 40), [10, 20]),
        (50, 40),
    ),
    "minibatch with Ellipsis": lambda: (by.Minibatch(DATA.reshape(50, 40), [10]), (50, ...)),
    "generator": lambda: (by.generator(items(200)), NUM_ROWS),
}


@pytest.mark.parametrize("source", OBSERVED)
def test_exact_posterior_of_a_mean(source: str) -> None:
    observed, total_size = OBSERVED[source]()
    # Items come with replacement, so that it takes more of them to know a deviation to 5%.
    num_steps = 20_000 if source == "generator" else 4000
    model = normal_model(observed, total_size=total_size)
    fit = by.fit(num_steps, model=model, random_seed=1, progressbar=False)
    noise = 0 if source in ("array", "data") else 0.5
    assert abs(float(fit.mean["mu"]) - MEAN) < (0.05 + noise) * STD
    assert float(fit.std["mu"]) == pytest.approx(STD, rel=0.05)
    assert fit.elbo.shape == (num_steps,)
    # The evidence is finite for a proper posterior: here the ELBO of its exact form is known.
    exact = stats.norm.logpdf(DATA, MEAN, 1).sum() + 0.5 * np.log(2 * np.pi) + np.log(STD)
    assert fit.elbo[-1000:].mean() == pytest.approx(exact, abs=0.05 if noise == 0 else 30)


def test_results_have_the_models_dims_space_and_data() -> None:
    with pm.Model(coords={"side": ["left", "right"]}):
        x = by.Data("x", np.arange(6.0).reshape(3, 2), dims=("row", "side"))
        b = pm.Normal("b", dims="side")
        scale = pm.HalfNormal("scale", dims="side")
        pm.Deterministic("twice", 2 * b, dims="side")
        pm.Normal("y", x * b, scale, observed=np.ones((3, 2)), dims=("row", "side"))
        fit = by.fit(200, random_seed=1, progressbar=False)
    tree = fit.sample(50, random_seed=2)
    posterior = tree.posterior
    assert set(posterior.data_vars) == {"b", "scale", "twice"}
    assert posterior["b"].dims == ("chain", "draw", "side")
    assert posterior["b"].shape == (1, 50, 2)
    assert list(posterior["side"].values) == ["left", "right"]
    assert (posterior["scale"] > 0).all()
    np.testing.assert_allclose(posterior["twice"], 2 * posterior["b"])
    np.testing.assert_array_equal(tree.constant_data["x"], x.get_value())
    np.testing.assert_array_equal(tree.observed_data["y"], np.ones((3, 2)))
    assert set(fit.mean.data_vars) == {"b", "scale_log__"}
    assert fit.std["b"].dims == ("side",)
    assert (fit.std["scale_log__"] > 0).all()
    xr_again = fit.sample(50, random_seed=2).posterior
    assert xr_again.equals(posterior)
    assert not fit.sample(50, random_seed=3).posterior.equals(posterior)


def test_deterministics_of_a_batch_are_left_out() -> None:
    with pm.Model() as model:
        x = by.Minibatch(DATA, 20)
        mu = pm.Normal("mu")
        pm.Deterministic("residual", x - mu)
        pm.Normal("y", mu, 1, observed=x, total_size=NUM_ROWS)
    fit = by.fit(10, model=model, progressbar=False)
    tree = fit.sample(5)
    assert set(tree.posterior.data_vars) == {"mu"}
    assert tree.observed_data["y"].shape == (NUM_ROWS,)


def test_same_seed_same_bits() -> None:
    def run(seed: int) -> by.Fit:
        model = normal_model(by.Minibatch(DATA, 50), total_size=NUM_ROWS)
        return by.fit(600, model=model, random_seed=seed, progressbar=False)

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.elbo, again.elbo)
    assert first.mean.equals(again.mean)
    assert (first.elbo != other.elbo).all()


def test_minibatches_are_aligned_whatever_was_evaluated_before() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=500)
    with pm.Model() as model:
        x_batch, y_batch = by.Minibatch(x, 50), by.Minibatch(3 * x, 50)
        slope = pm.Flat("slope")
        pm.Normal("y", slope * x_batch, 0.1, observed=y_batch, total_size=500)
    x_batch.eval()
    fit = by.fit(3000, model=model, random_seed=1, progressbar=False)
    # Rows out of step would give a slope of 0; the posterior has an sd of 0.0045.
    assert float(fit.mean["slope"]) == pytest.approx(3, abs=0.0045)


def test_new_data_compile_nothing() -> None:
    observed = by.Minibatch(DATA, 50)
    model = normal_model(observed, total_size=NUM_ROWS)
    by.fit(300, model=model, progressbar=False, correction=None)
    program = compile_program(model)
    observed.set_value(DATA[:700] + 1)
    fit = by.fit(4000, model=model, random_seed=1, progressbar=False, correction=None)
    assert float(fit.mean["mu"]) == pytest.approx(DATA[:700].mean() + 1, abs=0.02)
    assert compile_program(model) is program
    sizes = program.compiled.num_compilations()
    assert set(sizes.values()) == {1}, sizes


def test_a_changed_model_is_compiled_again() -> None:
    model = normal_model(DATA)
    program = compile_program(model)
    with model:
        pm.Potential("pull", -(model["mu"] ** 2))
    assert compile_program(model) is not program


def test_set_data_reaches_the_fit() -> None:
    with pm.Model():
        y = by.Data("y_data", DATA, dims="row")
        mu = pm.Flat("mu")
        pm.Normal("y", mu, 1, observed=y, dims="row")
        by.fit(10, progressbar=False)
        by.set_data({"y_data": DATA[:500] + 5})
        fit = by.fit(4000, random_seed=1, progressbar=False)
    assert float(fit.mean["mu"]) == pytest.approx(DATA[:500].mean() + 5, abs=1e-2)
    assert fit.sample(3).observed_data["y"].shape == (500,)


def test_progress_is_shown_and_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    model = normal_model(DATA)
    by.fit(10, model=model, progressbar=False)
    assert capsys.readouterr().err == ""
    by.fit(10, model=model)
    assert "10/10" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"n": 0}, "`n` must be a whole number of at least 1, got 0.\nHint"),
        ({"n": 2.5}, "`n` must be a whole number of at least 1, got 2.5"),
        ({"n": True}, "`n` must be a whole number of at least 1, got True"),
        ({"method": "svgd"}, "`method` must be one of .*, got 'svgd'.\nHint"),
    ],
)
def test_wrong_arguments(kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        by.fit(model=normal_model(DATA), **kwargs)


def test_wrong_number_of_draws() -> None:
    fit = by.fit(2, model=normal_model(DATA), progressbar=False)
    with pytest.raises(ValueError, match=r"`draws` must be a whole number of at least 1, got 0"):
        fit.sample(0)


def test_outside_of_a_model() -> None:
    with pytest.raises(TypeError, match=r"with model:` block, got None.\nHint: write the call"):
        by.fit()


def test_models_that_cannot_be_fitted() -> None:
    with pm.Model() as model:
        pm.Normal("y", 0, 1, observed=DATA)
    with pytest.raises(ValueError, match=r"must have a free variable, got none.\nHint"):
        by.fit(model=model)
    with pm.Model() as model:
        pm.Poisson("k", 3)
    with pytest.raises(TypeError, match=r"only continuous free variables, got discrete \['k'\]"):
        by.fit(model=model)
    with pytest.raises(TypeError, match=r"must hold minibatches of bayou, got pm.Minibatch"):
        by.fit(model=normal_model(pm.Minibatch(DATA, batch_size=10), total_size=NUM_ROWS))


def test_an_infinite_start_names_the_node() -> None:
    with pm.Model() as model:
        rate = pm.Exponential("rate", 1)
        pm.Exponential("wait", rate, observed=[1.0, -1.0, 2.0])
    with pytest.raises(
        ValueError, match=r"finite where the fit starts, got -inf from 'wait'.\nHint"
    ):
        by.fit(model=model, progressbar=False)


def test_a_divergence_names_the_step_and_the_node() -> None:
    steps = [np.array([1.0, 2.0])] * 300
    steps[270] = np.array([1.0, np.inf])
    model = normal_model(by.generator(iter(steps)), total_size=600)
    with pytest.raises(DivergenceError, match=r"got -inf from 'y' at step 270.\nHint"):
        by.fit(300, model=model, progressbar=False)


def test_a_generator_that_ends_early() -> None:
    model = normal_model(by.generator(items(200, stop=30)), total_size=NUM_ROWS)
    with pytest.raises(ValueError, match=r"must yield an item for each step .* got no more.\nHint"):
        by.fit(100, model=model, progressbar=False)


def test_items_of_several_shapes_are_refused() -> None:
    steps = iter([np.ones(3), np.ones(4)])
    model = normal_model(by.generator(steps), total_size=NUM_ROWS)
    with pytest.raises(
        ValueError, match=r"items of one shape to be fitted, got \(4,\) after \(3,\)"
    ):
        by.fit(2, model=model, progressbar=False)


def test_generator_items_are_used_once_each_and_in_order() -> None:
    taken = []

    def recorded() -> Iterator[np.ndarray]:
        for index in range(1000):
            taken.append(index)
            yield DATA[index : index + 1]

    variable = by.generator(recorded())
    by.fit(600, model=normal_model(variable, total_size=NUM_ROWS), progressbar=False)
    assert variable.eval().item() == DATA[600]


def test_densities_of_many_kinds_agree_with_pymc() -> None:
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(3))
        scale = pm.LKJCholeskyCov("scale", n=2, eta=2, sd_dist=pm.Exponential.dist(1))[0]
        center = pm.Uniform("center", -1, 3)
        mean = pt.stack([center, weights[0]])
        pm.MvNormal("pair", mean, chol=scale, observed=DATA[:20].reshape(10, 2))
    program = compile_program(model)
    position = program.start(3)
    point = dict(zip(program.layout.names, program.layout.split(position), strict=True))
    assert float(jax.jit(program.density)(position, ())) == pytest.approx(
        float(model.compile_logp()(point)), rel=1e-10
    )


def test_a_potential_of_a_batch_is_taken_as_the_user_scaled_it() -> None:
    with pm.Model() as model:
        mu = pm.Flat("mu")
        batch = by.Minibatch(DATA, 200)
        pm.Potential("y", 10 * pm.logp(pm.Normal.dist(mu, 1), batch).sum())
    fit = by.fit(20_000, model=model, random_seed=1, progressbar=False)
    assert str(fit.correction).startswith("none: the potential 'y' is of the rows of one batch")
    assert abs(float(fit.mean["mu"]) - MEAN) < 0.5 * STD
    assert float(fit.std["mu"]) == pytest.approx(STD, rel=0.05)
    with pytest.raises(
        ValueError, match=r"linear_response.* potential 'y' is of the rows of one batch, and it nee"
    ):
        by.fit(model=model, correction="linear_response", progressbar=False)
    with pytest.raises(ValueError, match=r"since the potential 'y' is of the .*\nHint: observe a"):
        fit.khat()


def test_batches_of_more_rows_than_the_data() -> None:
    model = normal_model(by.Minibatch(DATA[:50], 60), total_size=50)
    with pytest.raises(
        ValueError, match=r"^`batch_size` must be at most .*, got 60 for 50 rows .*\nHint: in this"
    ):
        by.fit(100, model=model, progressbar=False)
    fit = by.fit(2000, model=model, order="uniform", random_seed=1, progressbar=False)
    assert float(fit.std["mu"]) == pytest.approx(1 / np.sqrt(50), rel=0.05)


def test_variables_of_another_model() -> None:
    with pm.Model():
        mu = pm.Normal("mu_of_another")
    with pm.Model() as model:
        sigma = pm.HalfNormal("sigma")
        pm.Normal("y", mu, sigma, observed=by.Minibatch(DATA, 200), total_size=NUM_ROWS)
    with pytest.raises(
        ValueError, match=r"`model` must hold all .* got \['mu_of_another'\] of ano.*\nHint: make"
    ):
        by.fit(model=model, progressbar=False)


def test_integers_that_single_precision_would_wrap_around() -> None:
    numbers = np.arange(10) + 2**40
    with pm.Model() as model:
        mu = pm.Flat("mu")
        weights = by.Data("weights", numbers)
        pm.Normal("y", mu * weights, 1, observed=np.zeros(10))
    with (
        jax.enable_x64(False),
        pytest.raises(ValueError, match=r"`floatX` must be float64 .*in 'weights'.\nHint: number"),
    ):
        by.fit(model=model, progressbar=False)


@pytest.mark.parametrize("method", ["advi", "auto"])
def test_a_number_of_steps_has_no_stopping_rule(method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = by.fit(5, method, model=normal_model(DATA), random_seed=1, progressbar=False)
    assert fit.converged is None
    assert fit.reason == "5 steps were asked for"


def test_a_stopping_rule_is_met_or_not() -> None:
    model = normal_model(DATA)
    assert by.fit(model=model, random_seed=1, progressbar=False).converged is True
    with pytest.warns(by.ConvergenceWarning, match=r"iterations did not suffice.\nHint") as caught:
        fit = by.fit(1, "dadvi", model=model, random_seed=1, progressbar=False)
    assert fit.converged is False
    # The warning is about the line above, not one of bayou.
    assert caught[0].filename == __file__


def test_a_callback_ends_a_fit_before_its_steps() -> None:
    def stop(num_steps: int, losses: np.ndarray) -> None:
        raise StopIteration

    with pytest.warns(by.ConvergenceWarning, match="a callback stopped it after 512 steps"):
        fit = by.fit(
            900, "advi", model=normal_model(DATA), random_seed=1, callback=stop, progressbar=False
        )
    assert fit.converged is False


def test_seeds_as_pymc_takes_them() -> None:
    model = normal_model(by.Minibatch(DATA, 50), total_size=NUM_ROWS)

    def elbo(seed: Any) -> np.ndarray:
        return by.fit(5, model=model, random_seed=seed, progressbar=False, correction=None).elbo

    np.testing.assert_array_equal(elbo([1, 2]), elbo(np.array([1, 2])))
    generators = [np.random.default_rng(1) for _ in range(2)]
    np.testing.assert_array_equal(elbo(generators[0]), elbo(generators[1]))
    # A generator goes on.
    assert not np.array_equal(elbo(generators[0]), elbo(np.random.default_rng(1)))
    with pytest.raises(ValueError, match=r"`random_seed` must be None, a whole .*got -1"):
        elbo(-1)


@pytest.mark.parametrize("fed", [False, True], ids=["all rows", "minibatches"])
def test_an_index_out_of_range_anywhere(fed: bool) -> None:
    index = np.arange(NUM_ROWS) % 3
    index[1234] = 3
    with pm.Model() as model:
        level = pm.Normal("level", shape=3)
        rows = by.Minibatch(index, 20) if fed else by.Data("index", index)
        observed = by.Minibatch(DATA, 20) if fed else DATA
        pm.Normal("y", level[rows], 1, observed=observed, total_size=NUM_ROWS)
    with pytest.raises(
        IndexError,
        match=r"of 'level', which has 3 levels .*, got 3 in row 1234\.\nHint: number the",
    ):
        by.fit(model=model, progressbar=False)


@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_row_outside_of_the_support_is_named_wherever_it_is(batch_size: int | None) -> None:
    shares = np.random.default_rng(1).uniform(0.1, 0.9, size=400)
    shares[317] = 1.5
    with pm.Model() as model:
        share = by.Data("share", shares, dims="row")
        pm.Beta("y", pm.math.exp(pm.Normal("mu")), 2, observed=share, dims="row")
    text = (
        r"^The log density must be finite where the fit starts, got -inf from 'y', first in row "
        r"317\.\nHint: check the observed values against the support of the likelihood, or give "
    )
    with pytest.raises(ValueError, match=text):
        by.fit(model=model, batch_size=batch_size, random_seed=1, progressbar=False)
