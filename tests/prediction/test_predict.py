"""by.predict from end to end: moments as PyMC's own predictions, seeds, models, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor
import pytest
import xarray as xr

import bayou as by
from tests.prediction.small_models import (
    COUNTS,
    DRAWS,
    NEW,
    NEW_GROUP,
    RNG,
    ROWS,
    Likelihood,
    X,
    bernoulli,
    flights,
    late_model,
    new_data,
    posterior,
    predictions,
    regression,
)

JAX: dict[str, Likelihood] = {
    "normal": lambda mu, x, y: pm.Normal("y", mu, 0.5, observed=y, dims="row"),
    "bernoulli": bernoulli,
    "total size": lambda mu, x, y: pm.Normal("y", mu, observed=y, total_size=1000),
    "shape of the observed": lambda mu, x, y: pm.Laplace("y", mu, 1, observed=y),
    "lognormal": lambda mu, x, y: pm.LogNormal("y", mu, 0.3, observed=y),
    "uniform": lambda mu, x, y: pm.Uniform("y", mu - 1, mu + 2, observed=y),
    "categorical": lambda mu, x, y: pm.Categorical(
        "y", logit_p=pm.math.stack([mu, 0 * mu, -mu], axis=-1), observed=y, dims="row"
    ),
    "ordered logistic": lambda mu, x, y: pm.OrderedLogistic(
        "y", eta=mu, cutpoints=[-1, 1], observed=y, dims="row"
    ),
    "mixture": lambda mu, x, y: pm.Mixture(
        "y", [0.3, 0.7], [pm.Normal.dist(mu, 1), pm.Normal.dist(3, 0.5)], observed=y
    ),
    "censored": lambda mu, x, y: pm.Censored(
        "y", pm.Normal.dist(mu, 1), lower=-0.5, upper=0.5, observed=y
    ),
}


OTHERS: dict[str, Likelihood] = {
    "poisson": lambda mu, x, y: pm.Poisson("y", pm.math.exp(mu), observed=y, dims="row"),
    "student t": lambda mu, x, y: pm.StudentT("y", nu=8, mu=mu, sigma=0.5, observed=y),
    "negative binomial": lambda mu, x, y: pm.NegativeBinomial(
        "y", mu=pm.math.exp(mu), alpha=3, observed=y
    ),
    "beta-binomial": lambda mu, x, y: pm.BetaBinomial(
        "y", alpha=pm.math.exp(mu), beta=2, n=5, observed=y
    ),
    "truncated": lambda mu, x, y: pm.Truncated(
        "y", pm.Normal.dist(mu, 1), lower=-1, upper=1, observed=y
    ),
    "zero-inflated": lambda mu, x, y: pm.ZeroInflatedPoisson("y", 0.6, pm.math.exp(mu), observed=y),
}


OF_FEATURES: dict[str, Likelihood] = {
    "multivariate normal": lambda mu, x, y: pm.MvNormal(
        "y", x + mu[:, None], [[1, 0.3], [0.3, 0.5]], observed=y, dims=("row", "feature")
    ),
    "normal of features": lambda mu, x, y: pm.Normal(
        "y", x * mu[:, None], 0.1, observed=y, dims=("row", "feature")
    ),
}


def cases() -> list[Any]:
    return [
        *(pytest.param(made, COUNTS, "jax", id=name) for name, made in JAX.items()),
        *(pytest.param(made, COUNTS, "pytensor", id=name) for name, made in OTHERS.items()),
        *(pytest.param(made, X, "jax", id=name) for name, made in OF_FEATURES.items()),
    ]


@pytest.mark.filterwarnings("ignore:The following trace variables were implicitly frozen")
@pytest.mark.parametrize(("likelihood", "observed", "compiler"), cases())
def test_moments_are_those_of_pymc(likelihood: Likelihood, observed: Any, compiler: str) -> None:
    model, tree = regression(likelihood, observed), posterior()
    found = predictions(model, tree).predictions
    assert found.attrs["compiler"] == compiler
    y = found["y"]
    by.set_data(new_data() | {"y_data": observed[:7]}, model=model)
    expected = pm.sample_posterior_predictive(
        tree, model=model, random_seed=2, progressbar=False
    ).posterior_predictive["y"]
    assert y.dims[:2] == ("chain", "draw")
    assert y.shape == expected.shape
    scale = expected.std(("chain", "draw")).values
    error = (y - expected.values).mean(("chain", "draw")).values
    # The difference of two means of DRAWS draws, of 14 elements at most: five standard errors.
    assert (np.abs(error) <= 5 * scale * np.sqrt(2 / DRAWS) + 1e-12).all()
    assert y.std(("chain", "draw")).values == pytest.approx(scale, rel=0.35, abs=1e-12)


def test_deterministics_are_those_of_pymc_exactly() -> None:
    model, tree = regression(bernoulli), posterior()
    found = predictions(model, tree, var_names="mu").predictions["mu"]
    expected = tree["b"].values @ NEW.T + tree["e"].values[:, :, NEW_GROUP]
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)


def test_what_is_the_same_for_all_rows_is_predicted_once() -> None:
    model = regression(bernoulli)
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="group")
    tree = posterior()
    found = predictions(model, tree, var_names=["odds", "y"]).predictions
    assert found["odds"].dims == ("chain", "draw", "group")
    assert list(found["group"].values) == ["A", "B", "C"]
    np.testing.assert_allclose(found["odds"].values, np.exp(tree["e"].values))


def test_a_variable_without_draws_is_drawn_once_for_all_rows() -> None:
    model = regression(lambda mu, x, y: pm.Normal("y", mu, 1e-9, observed=y, dims="row"))
    found = predictions(model, posterior().drop_vars("e"), var_names=["mu", "y"]).predictions
    assert found.attrs["drawn_from_prior"] == ["e"]
    effect = found["mu"].values[0] - posterior_mean(found)
    assert effect.std() > 0


def posterior_mean(found: xr.DataTree) -> Any:
    return found["mu"].values[0].mean(axis=0)


def test_new_levels_come_from_the_population() -> None:
    with pm.Model(coords={"month": range(12)}) as model:
        month = by.Data("month_of", np.arange(12).repeat(3), dims="row")
        y = by.Data("y_data", RNG.normal(size=36), dims="row")
        spread = pm.HalfNormal("spread")
        effect = pm.Normal("effect", 5, spread, dims="month")
        pm.Normal("y", effect[month], 0.1, observed=y, dims="row")
    tree = posterior(spread=np.full((1, DRAWS), 2.0)).drop_vars(["b", "e"])
    found = predictions(model, tree, {"month_of": np.full(2000, 3)}).predictions["y"]
    of_draws = found.mean("row")
    assert float(of_draws.mean()) == pytest.approx(5, abs=0.5)
    # One effect a draw, the same in all pieces of rows.
    assert float(of_draws.std()) == pytest.approx(2, rel=0.2)
    assert float(found.std("row").mean()) == pytest.approx(0.1, rel=0.05)


def test_latents_of_rows_are_drawn_anew() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0], dims="row")
        y = by.Data("y_data", COUNTS, dims="row")
        eta = pm.Normal("eta", x, 0.5, dims="row")
        pm.Normal("y", eta, 0.1, observed=y, dims="row")
    tree = posterior(eta=np.full((1, DRAWS, ROWS), 77.0))
    found = predictions(model, tree, {"x": NEW[:, 0]}).predictions
    assert found.attrs["drawn_from_prior"] == ["eta"]
    means = found["y"].mean(("chain", "draw")).values
    np.testing.assert_allclose(means, NEW[:, 0], atol=0.15)
    assert found["y"].std(("chain", "draw")).values == pytest.approx(0.51, rel=0.15)


def test_few_draws_are_those_of_many() -> None:
    model, tree = regression(bernoulli), posterior()
    every = predictions(model, tree).predictions["y"]
    some = predictions(model, tree, draws=5).predictions["y"]
    assert list(some["draw"].values) == [0, 100, 200, 300, 400]
    assert np.array_equal(some.values, every.sel(draw=some["draw"]).values)


def test_seeds_decide() -> None:
    model, tree = regression(bernoulli), posterior()
    one, again, other, unseeded = (
        predictions(model, tree, random_seed=seed).predictions["y"].values
        for seed in (3, 3, 4, None)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, unseeded)


def test_second_call_compiles_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, tree = regression(bernoulli), posterior()
    logged = jax.config.jax_log_compiles
    jax.config.update("jax_log_compiles", True)
    predictions(model, tree)
    assert "XLA compilation of jit(_blocks)" in caplog.text
    caplog.clear()
    monkeypatch.setattr(pytensor, "function", None)
    rows = {"x": RNG.normal(size=(2000, 2)), "group_of": RNG.integers(0, 3, 2000)}
    found = predictions(model, posterior().isel(draw=slice(300)), rows)
    jax.config.update("jax_log_compiles", logged)
    assert "XLA compilation" not in caplog.text
    assert found.predictions["y"].shape == (1, 300, 2000)


def state_of(model: pm.Model) -> Any:
    values = {variable.name: variable.get_value() for variable in model.data_vars}
    lengths = {dim: int(length.eval()) for dim, length in model.dim_lengths.items()}
    return values, dict(model.coords), lengths, list(model.named_vars)


def test_the_model_stays_as_it_is() -> None:
    model = regression(bernoulli)
    before = state_of(model)
    predictions(model, posterior())
    with pytest.raises(ValueError, match="group_of"):
        predictions(model, posterior(), {"x": NEW})
    np.testing.assert_equal(state_of(model), before)


def test_copies_of_a_model_predict_the_same() -> None:
    model, tree = regression(bernoulli), posterior()
    names = ["y", "mu"]
    first = predictions(model, tree, var_names=names).predictions.dataset
    assert first.identical(predictions(model.copy(), tree, var_names=names).predictions.dataset)


def test_chains_stay_apart() -> None:
    model = regression(bernoulli)
    tree = posterior(b=RNG.normal(size=(3, 50, 2)), e=np.zeros((3, 50, 3)))
    found = predictions(model, tree, var_names="mu").predictions["mu"]
    assert found.sizes["chain"] == 3
    np.testing.assert_allclose(found.values, tree["b"].values @ NEW.T, rtol=1e-12)


def test_predicts_after_a_fit_in_minibatches() -> None:
    x = RNG.normal(size=2000)
    y = 2 * x + RNG.normal(0, 0.1, 2000)
    with pm.Model():
        batch_x = by.Minibatch(x, 64, name="x")
        batch_y = by.Minibatch(y, 64, name="y_data")
        slope = pm.Normal("slope")
        mean = pm.Deterministic("mean", slope * batch_x)
        pm.Normal("y", mean, 0.1, observed=batch_y, total_size=2000)
        fit = by.fit(400, random_seed=1, progressbar=False)
    found = by.predict(
        fit, {"x": [1.0, -1.0, 3.0]}, var_names=["y", "mean"], draws=200, progressbar=False
    ).predictions
    assert found["mean"].mean(("chain", "draw")).values == pytest.approx([2, -2, 6], abs=0.1)
    assert found["y"].shape == (1, 200, 3)


def test_draws_of_a_fit_are_those_of_its_seed() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        b = pm.Normal("b")
        pm.Deterministic("mu", b * x)
        pm.Normal("y", b * x, 1, observed=X[:, 1])
        fit = by.fit(random_seed=1, progressbar=False)
    found = predictions(model, fit, {"x": [1.0]}, var_names="mu", draws=50, random_seed=3)
    draws = fit.sample(50, random_seed=3).posterior["b"]
    np.testing.assert_allclose(found.predictions["mu"].values[0, :, 0], draws.values[0], rtol=1e-6)


def walk(mu: Any, x: Any, y: Any) -> Any:
    steps = pm.Normal("steps", 0, 0.1, dims="row")
    return pm.Normal("y", pm.math.cumsum(steps), 0.01, observed=y, dims="row")


def centred(mu: Any, x: Any, y: Any) -> Any:
    return pm.Normal("y", mu - mu.mean(), 0.1, observed=y, dims="row")


@pytest.mark.parametrize("likelihood", [walk, centred])
def test_rows_that_depend_on_each_other_are_predicted_at_once(likelihood: Likelihood) -> None:
    model, tree = regression(likelihood), posterior()
    rows = {"x": RNG.normal(size=(3000, 2)), "group_of": RNG.integers(0, 3, 3000)}
    found = predictions(model, tree, rows, draws=20, chunk_rows=100).predictions
    assert "change with other rows" in found.attrs["rows_depend"]
    y = found["y"]
    if likelihood is centred:
        assert np.abs(y.mean("row")).max() < 0.01
    else:
        # A walk of 3000 steps of 0.1, begun once.
        assert float(y.isel(row=-1).std()) > 2


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown name": (
        {"var_names": ["z"]},
        r"`var_names` must be among \['y', 'mu'\], got \['z'\]\.\nHint: observed variables",
    ),
    "no name": ({"var_names": []}, r"`var_names` must be among"),
    "too many draws": ({"draws": 501}, r"`draws` must be at most 500, .* got 501\.\nHint: "),
    "no draws": ({"draws": 0}, r"`draws` must be a whole number of at least 1, got 0\.\nHint: "),
    "no chunk": ({"chunk_rows": 0}, r"`chunk_rows` must be a whole number of at least 1, got 0"),
    "seed": (
        {"random_seed": -1},
        "`random_seed` must be None, a whole number .* got -1",
    ),
    "ending": ({"out": "y.csv"}, r"`out` must end in \"\.zarr\" or \"\.parquet\", got 'y\.csv'"),
    "progress": ({"progressbar": "yes"}, r"`progressbar` must be True or False, got 'yes'"),
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictions(regression(bernoulli), posterior(), **arguments)


def test_model_with_nothing_to_predict_is_refused() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Potential("y", -((by.Data("x", np.zeros(3), dims="row") - mu) ** 2), dims="row")
    draws = xr.Dataset({"mu": (("chain", "draw"), np.zeros((1, 3)))})
    with pytest.raises(ValueError, match=r"observed variable or a deterministic to predict, got"):
        by.predict(draws, {"x": np.zeros(2)}, model=model)


def test_distribution_without_random_draws_is_refused() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.zeros(3), dims="row")
        pm.CustomDist("y", pm.Normal("mu"), logp=lambda y, mu: -(y - mu), observed=x, dims="row")
    draws = xr.Dataset({"mu": (("chain", "draw"), np.zeros((1, 3)))})
    with pytest.raises(
        ValueError, match=r"(?s)be drawn, got \['y'\]: .*CustomDist.*\nHint: pass `ran"
    ):
        by.predict(draws, {"x": np.zeros(2)}, model=model, progressbar=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"var_names": 3}, r"`var_names` must be a name or a sequence of names, got 3\.\nHint: "),
        ({"var_names": [["y"]]}, r"`var_names` must be .* of names, got \[\['y'\]\]\.\nHint: "),
        ({"out": 3}, r"`out` must be a path, got 3\.\nHint: "),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        predictions(regression(bernoulli), posterior(), **arguments)


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match=r"`out` must be in an existing folder, .*\nHint"):
        predictions(regression(bernoulli), posterior(), out="/no/such/y.zarr")


def test_an_index_out_of_range_is_found_in_any_row() -> None:
    rows = {"x": RNG.normal(size=(5000, 2)), "group_of": RNG.integers(0, 3, 5000)}
    rows["group_of"][4321] = 3
    with pytest.raises(
        ValueError, match=r"`data` must fit the model: 'group_of' .*got 3 in row 4321"
    ):
        predictions(regression(bernoulli), posterior(), rows, chunk_rows=1000)


@pytest.mark.filterwarnings("ignore:Data in y contains missing values")
def test_imputed_variables_are_refused_and_their_means_are_not() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0], dims="row")
        b = pm.Normal("b", shape=2)
        mean = pm.Deterministic("mean", b[0] * x, dims="row")
        pm.Normal("y", mean, observed=np.ma.masked_less(X[:, 1], -1), dims="row")
    message = r"must not be of variables with imputed values, got \['y_observed'\].*\nHint: ask for"
    with pytest.raises(ValueError, match=message):
        predictions(model, posterior(), {"x": [1.0, 2.0]})
    found = predictions(model, posterior(), {"x": [1.0, 2.0]}, var_names="mean").predictions
    assert found["mean"].shape == (1, DRAWS, 2)


def test_latents_of_a_fit_in_batches_are_drawn_anew() -> None:
    with pm.Model() as model:
        x = by.Data("x", RNG.normal(size=400), dims="row")
        y = by.Data("y_data", RNG.normal(size=400), dims="row")
        slope = pm.Normal("slope")
        eta = pm.Normal("eta", slope * x, 0.5, dims="row")
        pm.Normal("y", eta, 0.5, observed=y, dims="row")
        fit = by.fit(100, batch_size=50, random_seed=1, progressbar=False, correction=None)
    found = by.predict(fit, {"x": [0.0, 1.0]}, draws=500, random_seed=1, progressbar=False)
    assert found.predictions.attrs["drawn_from_prior"] == ["eta"]
    assert found.predictions["y"].std(("chain", "draw")).values == pytest.approx(0.7, abs=0.15)
    assert model["x"].get_value().shape == (400,)


def test_fit_needs_a_model() -> None:
    with pytest.raises(TypeError, match=r"`model` must be passed outside .* got None"):
        by.predict(posterior(), new_data())


def test_posterior_of_another_model_is_refused() -> None:
    model = regression(bernoulli)
    with pytest.raises(ValueError, match=r"without \['b', 'e'\] and with \['other'\]"):
        predictions(model, posterior().rename(b="other").drop_vars("e"))
    with pytest.raises(ValueError, match=r"without \['e'\] and with \['other'\]"):
        predictions(model, posterior().rename(e="other"))
    with pytest.raises(ValueError, match=r"Draws of 'e' must have the shape .* \(3,\), got \(4,\)"):
        predictions(model, posterior(e=np.zeros((1, DRAWS, 4))))
    with pytest.raises(ValueError, match="must have the dims chain and draw"):
        predictions(model, posterior().isel(chain=0))
    with pytest.raises(TypeError, match="must be a Fit, a DataTree or its posterior"):
        predictions(model, {"b": 1})
    with pytest.raises(ValueError, match="must have a group `posterior`"):
        predictions(model, xr.DataTree.from_dict({"prior": posterior()}))


def test_more_than_memory_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayou.prediction.plan.free_memory", lambda: 10_000)
    with pytest.raises(ValueError, match="must fit in half of the free memory") as caught:
        predictions(regression(JAX["normal"]), posterior())
    assert 'out="predictions.zarr"' in str(caught.value)


def test_predictions_say_which_data_and_model_they_are_of() -> None:
    table = {"x": np.linspace(0, 1, 20), "y": np.linspace(0, 2, 20)}
    with pm.Model() as model:
        x = by.Data("x", table, columns="x", dims="row")
        outcome = by.Data("outcome", table, columns="y", dims="row")
        pm.Normal("y", pm.Normal("slope") * x, 0.1, observed=outcome, dims="row")
        fit = by.fit(random_seed=1, progressbar=False)
    new = {"x": np.array([0.5])}
    for result in (fit, fit.sample(5)):
        predictions = by.predict(result, new, model=model, progressbar=False)
        assert by.verify(predictions, model)
    by.set_data({"x": table["x"][:5], "outcome": table["y"][:5]}, model=model)
    assert not by.verify(predictions, model)


def test_a_free_variable_of_rows_is_had_by_a_deterministic() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0], dims="row")
        eta = pm.Normal("eta", x, 0.5, dims="row")
        pm.Deterministic("eta of new rows", eta, dims="row")
        pm.Normal("y", eta, observed=by.Data("y_data", COUNTS, dims="row"), dims="row")
    tree = posterior(eta=np.zeros((1, DRAWS, ROWS)))
    with pytest.raises(ValueError, match=r"got \['eta'\].*\nHint: .* add a pm\.Deterministic"):
        predictions(model, tree, {"x": NEW[:, 0]}, var_names="eta")
    found = predictions(model, tree, {"x": NEW[:, 0]}, var_names="eta of new rows")
    assert found.predictions["eta of new rows"].shape == (1, DRAWS, 7)


def test_columns_are_matched_by_name_and_rows_labelled() -> None:
    model, tree, new = late_model(flights(30)), posterior(), flights(5)
    permuted = new.assign(other="text")[["other", "hour", "carrier", "distance"]]
    mu = predictions(model, tree, permuted, var_names="mu").predictions["mu"]
    assert list(mu["flight"].values) == list(new.index)
    codes = np.searchsorted(["AA", "DL", "UA"], new["carrier"])
    expected = tree["b"].values @ new[["distance", "hour"]].values.T + tree["e"].values[:, :, codes]
    np.testing.assert_allclose(mu.values, expected, rtol=1e-12)


def test_rows_come_from_files_in_chunks(tmp_path: Path) -> None:
    model, tree, new = late_model(flights(30)), posterior().isel(draw=slice(10)), flights(2500)
    new.to_parquet(tmp_path / "new.parquet", row_group_size=700)
    source = by.scan(tmp_path / "new.parquet")
    of_file = predictions(model, tree, source, chunk_rows=1024).predictions["y"]
    of_frame = predictions(model, tree, new).predictions["y"]
    assert np.array_equal(of_file.values, of_frame.values)


@pytest.mark.parametrize("likelihood", [bernoulli, OTHERS["poisson"]], ids=["jax", "pytensor"])
def test_pieces_and_chunks_change_nothing(
    likelihood: Likelihood,
) -> None:
    model, tree = regression(likelihood), posterior().isel(draw=slice(6))
    # Pieces have 1024 rows with JAX, and 8192 with PyTensor.
    rows = {"x": RNG.normal(size=(20_000, 2)), "group_of": RNG.integers(0, 3, 20_000)}
    trees = [predictions(model, tree, rows, chunk_rows=size) for size in (None, 1, 9000)]
    first = trees[0].predictions.dataset
    assert all(first.identical(other.predictions.dataset) for other in trees[1:])
    # The rows of other pieces are drawn by other numbers, and those of other draws too.
    y = first["y"].values[0]
    assert len({tuple(row) for row in y}) == 6
    assert not np.array_equal(y[:, :1024], y[:, 1024:2048])
    assert not np.array_equal(y[:, :8192], y[:, 8192:16384])


@pytest.mark.parametrize(
    ("likelihood", "names", "reason"),
    [
        (centred, ["y"], r"are computed at once, since rows of .* change with other rows"),
        (bernoulli, ["odds"], "are the same for all rows"),
    ],
)
def test_a_cluster_needs_rows_that_can_be_divided(
    likelihood: Likelihood, names: list[str], reason: str
) -> None:
    model = regression(likelihood)
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="group")
    message = rf"^`cluster` must be left out .* got predictions that {reason}\.\nHint: leave it out"
    with pytest.raises(ValueError, match=message):
        predictions(model, posterior(), var_names=names, cluster="ray")


@pytest.mark.parametrize("seed", [[1, 2], np.random.default_rng(3), np.random.RandomState(3)])
def test_seeds_are_taken_as_by_pymc(seed: Any) -> None:
    model, tree = regression(bernoulli), posterior().isel(draw=slice(5))
    found = predictions(model, tree, random_seed=seed).predictions
    number = found.attrs["random_seed"]
    again = predictions(model, tree, random_seed=number).predictions
    assert np.array_equal(found["y"].values, again["y"].values)
