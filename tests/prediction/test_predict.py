"""by.predict: moments as of PyMC's own predictions, rows by name, pieces, files, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.prediction import run as prediction_run

ROWS, DRAWS = 40, 500
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 2))
GROUP = RNG.integers(0, 3, ROWS)
COUNTS = RNG.integers(0, 5, ROWS)
NEW = RNG.normal(size=(7, 2))
NEW_GROUP = np.array([0, 1, 2, 0, 1, 2, 0])

type Likelihood = Callable[[Any, Any, Any], Any]


def posterior(**values: Any) -> xr.Dataset:
    arrays = {"b": RNG.normal(0.3, 0.1, (1, DRAWS, 2)), "e": RNG.normal(0, 0.3, (1, DRAWS, 3))}
    return xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_dim_{i}" for i in range(array.ndim - 2))), array)
            for name, array in (arrays | values).items()
        }
    )


def regression(likelihood: Likelihood, observed: Any = COUNTS) -> pm.Model:
    with pm.Model(coords={"feature": ["f", "g"], "group": ["A", "B", "C"]}) as model:
        x = by.Data("x", X, dims=("row", "feature"))
        group = by.Data("group_of", GROUP, dims="row")
        y = by.Data("y_data", observed, dims=("row", "feature")[: np.ndim(observed)])
        b = pm.Normal("b", dims="feature")
        e = pm.Normal("e", dims="group")
        likelihood(pm.Deterministic("mu", x @ b + e[group], dims="row"), x, y)
    return model


def new_data() -> dict[str, Any]:
    return {"x": NEW, "group_of": NEW_GROUP}


def predictions(model: pm.Model, tree: Any, data: Any = None, **kwargs: Any) -> Any:
    kwargs = {"random_seed": 1, "progressbar": False} | kwargs
    return by.predict(tree, new_data() if data is None else data, model=model, **kwargs)


def bernoulli(mu: Any, x: Any, y: Any) -> Any:
    return pm.Bernoulli("y", logit_p=mu, observed=y, dims="row")


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


@pytest.mark.parametrize("likelihood", [bernoulli, OTHERS["poisson"]], ids=["jax", "pytensor"])
def test_pieces_and_chunks_change_nothing(
    likelihood: Likelihood, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tree = regression(likelihood), posterior().isel(draw=slice(20))
    monkeypatch.setattr("bayou.prediction.graph.predictor.JAX_ELEMENTS", 16)
    monkeypatch.setattr("bayou.prediction.graph.predictor.PYTENSOR_ELEMENTS", 16)
    rows = {"x": RNG.normal(size=(100, 2)), "group_of": RNG.integers(0, 3, 100)}
    trees = [predictions(model, tree, rows, chunk_rows=size) for size in (None, 1, 40)]
    first = trees[0].predictions.dataset
    assert all(first.identical(other.predictions.dataset) for other in trees[1:])
    # The rows of other pieces are drawn by other numbers, and those of other draws too.
    y = first["y"].values[0]
    assert len({tuple(row) for row in y}) == 20
    assert not np.array_equal(y[:, :16], y[:, 16:32])


def test_what_is_computed_in_one_call_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayou.prediction.graph.predictor.JAX_ELEMENTS", 16)
    monkeypatch.setattr("bayou.prediction.graph.engines.ABREAST", 8)
    rows = {"x": RNG.normal(size=(100, 2)), "group_of": RNG.integers(0, 3, 100)}
    tree = posterior().isel(draw=slice(75))
    found = []
    # Of pieces: one, three and all; of draws: some, and all.
    for many, call_bytes in ((128, 0), (128, 3 * 128 * 16 * 20), (32, 2**23)):
        monkeypatch.setattr("bayou.prediction.graph.engines.MANY", many)
        monkeypatch.setattr("bayou.prediction.graph.engines.CALL_BYTES", call_bytes)
        model = regression(bernoulli)
        with model:
            # The axis of the rows is not the first one.
            pm.Deterministic("sides", pm.math.stack([model["mu"], -model["mu"]]))
        names = ["y", "sides"]
        found.append(predictions(model, tree, rows, var_names=names).predictions.dataset)
    assert found[0]["sides"].shape == (1, 75, 2, 100)
    assert len(np.unique(found[0]["y"].values[0], axis=0)) == 75
    assert found[0].identical(found[1])
    assert found[0].identical(found[2])


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
    assert "XLA compilation of jit(many)" in caplog.text
    caplog.clear()
    for name in ("jax_engine", "pytensor_engine", "interpreted"):
        monkeypatch.setattr(f"bayou.prediction.graph.predictor.{name}", None)
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


def flights(num_rows: int) -> pd.DataFrame:
    generator = np.random.default_rng(num_rows)
    return pd.DataFrame(
        {
            "distance": generator.normal(size=num_rows),
            "hour": generator.normal(size=num_rows),
            "carrier": generator.choice(["UA", "AA", "DL"], num_rows),
            "late": generator.random(num_rows) < 0.4,
        },
        index=pd.Index([f"flight {row}" for row in range(num_rows)], name="flight"),
    )


def late_model(frame: pd.DataFrame) -> pm.Model:
    with pm.Model() as model:
        x = by.Data(
            "x",
            frame,
            columns=["distance", "hour"],
            dims=("flight", "feature"),
            export_index_as_coords=True,
        )
        carrier = by.Data("code", frame, columns="carrier", dims="flight", categories="carriers")
        late = by.Data("late", frame, columns="late", dims="flight")
        b = pm.Normal("b", dims="feature")
        e = pm.Normal("e", dims="carriers")
        mu = pm.Deterministic("mu", x @ b + e[carrier], dims="flight")
        pm.Bernoulli("y", logit_p=mu, observed=late, dims="flight")
    return model


def test_columns_are_matched_by_name_and_rows_labelled() -> None:
    model, tree, new = late_model(flights(30)), posterior(), flights(5)
    permuted = new.assign(other="text")[["other", "hour", "carrier", "distance"]]
    mu = predictions(model, tree, permuted, var_names="mu").predictions["mu"]
    assert list(mu["flight"].values) == list(new.index)
    codes = np.searchsorted(["AA", "DL", "UA"], new["carrier"])
    expected = tree["b"].values @ new[["distance", "hour"]].values.T + tree["e"].values[:, :, codes]
    np.testing.assert_allclose(mu.values, expected, rtol=1e-12)


def test_columns_that_are_coords_are_matched_by_name_too() -> None:
    frame = flights(30)[["distance", "hour"]].rename_axis("feature", axis="columns")
    with pm.Model() as model:
        x = by.Data("x", frame, dims=("flight", "feature"), export_index_as_coords=True)
        b = pm.Normal("b", dims="feature")
        pm.Deterministic("mu", x @ b, dims="flight")
        pm.Normal("y", model["mu"], observed=frame["hour"].values, dims="flight")
    tree, new = posterior(), flights(5)
    mu = predictions(model, tree, {"x": new[["hour", "distance"]]}, var_names="mu").predictions[
        "mu"
    ]
    np.testing.assert_allclose(mu.values, tree["b"].values @ new[["distance", "hour"]].values.T)
    assert list(mu["flight"].values) == list(new.index)
    with pytest.raises(ValueError, match=r"a frame without \['hour'\]\.\nHint: the columns are"):
        predictions(model, tree, {"x": new[["distance"]]}, var_names="mu")


def test_rows_come_from_files_in_chunks(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayou.prediction.graph.predictor.JAX_ELEMENTS", 16)
    model, tree, new = late_model(flights(30)), posterior().isel(draw=slice(10)), flights(100)
    new.to_parquet(tmp_path / "new.parquet", row_group_size=30)
    source = by.scan(tmp_path / "new.parquet")
    of_file = predictions(model, tree, source, chunk_rows=32).predictions["y"]
    of_frame = predictions(model, tree, new).predictions["y"]
    assert np.array_equal(of_file.values, of_frame.values)


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
        r"`var_names` must be among \['y', 'mu'\], got \['z'\]\.\nHint: those are what",
    ),
    "no name": ({"var_names": []}, r"`var_names` must be among"),
    "too many draws": ({"draws": 501}, r"`draws` must be at most 500, .* got 501\.\nHint: "),
    "no draws": ({"draws": 0}, r"`draws` must be a whole number of at least 1, got 0\.\nHint: "),
    "no chunk": ({"chunk_rows": 0}, r"`chunk_rows` must be a whole number of at least 1, got 0"),
    "seed": ({"random_seed": -1}, r"`random_seed` must be a whole number of at least 0, got -1"),
    "ending": ({"out": "y.csv"}, r"`out` must end in \"\.zarr\" or \"\.parquet\", got 'y\.csv'"),
    "folder": ({"out": "/no/such/y.zarr"}, r"`out` must be in a folder that is there"),
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictions(regression(bernoulli), posterior(), **arguments)


DATA: dict[str, tuple[Any, str]] = {
    "lacking": (
        {"x": NEW},
        r"`data` must have rows for the containers \['group_of'\], got \['x'\]",
    ),
    "lengths": (
        {"x": NEW, "group_of": [0, 1]},
        r"as many rows for each container, got 7 in 'x', 2 in 'group_of'",
    ),
    "axes": ({"x": NEW[:, 0], "group_of": NEW_GROUP}, r"`data\['x'\]` must have 2 axes"),
    "no rows": ({"x": NEW[:0], "group_of": NEW_GROUP[:0]}, "`data` must have at least one row"),
    "nothing": ({}, r"`data` must map names of containers to rows for \['x', 'group_of'\]"),
    "table": (pd.DataFrame({"a": [1.0]}), r"`data` must map names .* got a DataFrame\.\nHint: "),
    "missing": ({"x": NEW * np.nan, "group_of": NEW_GROUP}, "must hold no missing values"),
    "width": ({"x": NEW[:, :1], "group_of": NEW_GROUP}, r"`data` must fit the model"),
    "index": ({"x": NEW, "group_of": NEW_GROUP + 3}, r"`data` must fit the model"),
}


@pytest.mark.parametrize(("data", "message"), DATA.values(), ids=DATA)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictions(regression(bernoulli), posterior(), data)


def test_an_index_out_of_range_is_found_in_any_row() -> None:
    rows = {"x": RNG.normal(size=(5000, 2)), "group_of": RNG.integers(0, 3, 5000)}
    rows["group_of"][4321] = 3
    with pytest.raises(ValueError, match=r"`data` must fit the model, .* index 3 is out of bounds"):
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


def test_rows_of_two_dims_are_refused() -> None:
    with pm.Model() as model:
        b = pm.Normal("b", shape=2)
        for name in ("flight", "port"):
            x = by.Data(f"x_{name}", X[:, 0], dims=name)
            pm.Normal(f"y_{name}", b[0] * x, observed=x, dims=name)
    with pytest.raises(
        ValueError, match=r"must be of rows of one dim, got .* \['flight', 'port'\]"
    ):
        predictions(model, posterior(), {"x_flight": [1.0], "x_port": [1.0]})
    found = predictions(model, posterior(), {"x_port": [1.0]}, var_names="y_port").predictions
    assert found["y_port"].sizes["port"] == 1


def test_containers_without_rows_take_new_values() -> None:
    with pm.Model(coords={"group": ["A", "B"]}) as model:
        level = by.Data("level", [1.0, 2.0], dims="group")
        group = by.Data("group_of", [0, 1, 1], dims="row")
        b = pm.Normal("b", shape=2)
        pm.Deterministic("mu", (level * b)[group], dims="row")
        pm.Normal("y", model["mu"], observed=by.Data("y_data", [1.0, 2.0, 3.0], dims="row"))
    tree, data = posterior(), {"group_of": [1, 0], "level": [10.0, 20.0]}
    found = predictions(model, tree, data, var_names="mu").predictions["mu"]
    np.testing.assert_allclose(found.values, tree["b"].values[..., ::-1] * [20, 10])
    kept = predictions(model, tree, {"group_of": [1, 0]}, var_names="mu").predictions["mu"]
    np.testing.assert_allclose(kept.values, tree["b"].values[..., ::-1] * [2, 1])


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


def test_text_is_coded_by_the_table_of_its_container() -> None:
    model, tree = late_model(flights(30)), posterior()
    rows = {"x": flights(2), "code": ["UA", "AA"]}
    found = predictions(model, tree, rows, var_names="mu").predictions["mu"]
    codes = predictions(model, tree, rows | {"code": np.array([2, 0])}, var_names="mu")
    assert np.array_equal(found.values, codes.predictions["mu"].values)
    with pytest.raises(ValueError, match="must be of the categories of the dim 'carriers'"):
        predictions(model, tree, rows | {"code": ["UA", "XX"]})


def test_lacking_columns_are_listed() -> None:
    model = late_model(flights(30))
    with pytest.raises(ValueError, match=r"'hour' \(for 'x'\), 'carrier' \(for 'code'\)"):
        predictions(model, posterior(), flights(5)[["distance"]])


def test_fit_needs_a_model() -> None:
    with pytest.raises(TypeError, match="`model` must be a PyMC model, got None"):
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


def interrupted_run(monkeypatch: pytest.MonkeyPatch, out: Any, **arguments: Any) -> None:
    """Predict until the second chunk, and be interrupted there."""
    real, calls = prediction_run.Run._unit, []

    def unit(self: Any, sink: Any, begin: int, rows: Any) -> None:
        calls.append(begin)
        if begin:
            raise KeyboardInterrupt
        real(self, sink, begin, rows)

    with monkeypatch.context() as patched:
        patched.setattr(prediction_run.Run, "_unit", unit)
        with pytest.raises(KeyboardInterrupt):
            predictions(out=out, **arguments)
    assert 0 in calls


@pytest.mark.parametrize("ending", ["zarr", "parquet"])
def test_an_interrupted_run_goes_on(
    ending: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayou.prediction.graph.predictor.JAX_ELEMENTS", 16)
    rows = {"x": RNG.normal(size=(100, 2)), "group_of": RNG.integers(0, 3, 100)}
    common: dict[str, Any] = {
        "model": regression(JAX["normal"]),
        "tree": posterior().isel(draw=slice(20)),
        "chunk_rows": 32,
        "random_seed": None,
    }
    out = tmp_path / f"y.{ending}"
    interrupted_run(monkeypatch, out, data=rows, **common)
    assert not out.exists()
    assert out.with_name(f"y.{ending}.partial").is_dir()
    for change, message in {
        "data": "`data` must be those that `out` was begun with",
        "draws": "`out` must be gone on with as it was begun, got a change of posterior",
        "random_seed": "got a change of random_seed",
        "chunk_rows": "got a change of chunk_rows: 32 in .*, 64 now",
    }.items():
        other: dict[str, Any] = {
            "data": {"data": rows | {"x": rows["x"] + 1}},
            "draws": {"draws": 7},
            "random_seed": {"random_seed": 5},
            "chunk_rows": {"chunk_rows": 64},
        }[change]
        with pytest.raises(ValueError, match=message):
            predictions(out=out, **({"data": rows} | common | other))
    puts: list[int] = []
    real = prediction_run.Run._unit
    monkeypatch.setattr(
        prediction_run.Run,
        "_unit",
        lambda self, sink, begin, rows: (
            puts.append(begin),
            real(self, sink, begin, rows),
        )[1],
    )
    resumed = predictions(out=out, data=rows, **common)
    assert sorted(set(puts)) == [32, 64, 96]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    seed = resumed.predictions.attrs["random_seed"] if ending == "zarr" else seed_of(out)
    whole = predictions(data=rows, **(common | {"random_seed": int(seed)})).predictions["y"].values
    if ending == "zarr":
        assert np.array_equal(resumed.predictions["y"].values, whole)
    else:
        found = pd.read_parquet(out)
        assert list(found["row"]) == list(range(100))
        np.testing.assert_allclose(found["y_mean"], whole[0].mean(axis=0))
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .* there already"):
        predictions(out=out, data=rows, **common)


def seed_of(path: Any) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_schema(path).metadata[b"bayou.random_seed"])


def test_zarr_holds_what_memory_would(tmp_path: Any) -> None:
    model, tree, new = (
        late_model(flights(30)),
        posterior(b=RNG.normal(size=(1, DRAWS, 2))),
        flights(9),
    )
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="carriers")
    names = ["y", "mu", "odds"]
    memory = predictions(model, tree, new, var_names=names).predictions
    disk = predictions(model, tree, new, var_names=names, out=tmp_path / "y.zarr").predictions
    assert not disk["y"].variable._in_memory
    xr.testing.assert_identical(disk.dataset[names].load(), memory.dataset[names])


def test_parquet_holds_summaries(tmp_path: Any) -> None:
    model, tree, new = late_model(flights(30)), posterior(), flights(9)
    mu = predictions(model, tree, new, var_names="mu").predictions["mu"]
    source = predictions(model, tree, new, var_names="mu", out=tmp_path / "mu.parquet")
    assert source.num_rows == 9
    found = pd.read_parquet(tmp_path / "mu.parquet")
    assert list(found["flight"]) == list(new.index)
    np.testing.assert_allclose(found["mu_mean"], mu.mean(("chain", "draw")))
    np.testing.assert_allclose(found["mu_sd"], mu.values[0].std(axis=0, ddof=1))
    for percent in (2.5, 25, 50, 75, 97.5):
        expected = np.quantile(mu.values[0], percent / 100, axis=0)
        np.testing.assert_allclose(found[f"mu_q{percent:g}"], expected)


def test_parquet_refuses_what_has_no_rows(tmp_path: Any) -> None:
    model = late_model(flights(30))
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="carriers")
    with pytest.raises(ValueError, match=r"must differ from row to row .* got \['odds'\]"):
        predictions(
            model, posterior(), flights(5), var_names=["odds"], out=tmp_path / "odds.parquet"
        )
    assert list(tmp_path.iterdir()) == []


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


def of_levels(labels: Any = ("A", "B", "C"), features: Any = ("f", "g", "h")) -> pm.Model:
    with pm.Model(coords={"group": labels, "feature": features}) as model:
        group = by.Data("group_of", GROUP, dims="row")
        e = pm.Normal("e", dims=("group", "feature"))
        pm.Deterministic("mu", e[group, 0], dims="row")
        pm.Normal("y", model["mu"], observed=by.Data("y_data", X[:, 0], dims="row"), dims="row")
    return model


def levels(labels: Any = ("A", "B", "C")) -> xr.Dataset:
    coords = {"group": list(labels), "feature": ["f", "g", "h"]}
    values = np.arange(9.0).reshape(1, 1, 3, 3).repeat(2, axis=1)
    return xr.Dataset({"e": (("chain", "draw", "group", "feature"), values)}, coords)


def mean_of(tree: Any, model: pm.Model, **kwargs: Any) -> Any:
    found = predictions(model, tree, {"group_of": [0, 1, 2]}, var_names="mu", **kwargs)
    return found.predictions["mu"].values[0, 0]


@pytest.mark.parametrize(
    ("there", "labels", "expected"),
    [
        (("A", "B", "C"), ("C", "A", "B"), [6, 0, 3]),
        ((1, 2, 0), (0, 1, 2), [6, 0, 3]),
        ((1, 2, 0), None, [6, 0, 3]),
        ((0, 1, 2), None, [0, 3, 6]),
        ((0.5, np.nan, 1.5), (np.nan, 1.5, 0.5), [3, 6, 0]),
        (
            pd.date_range("2020", periods=3),
            pd.date_range("2020", periods=3)[::-1].to_pydatetime(),
            [6, 3, 0],
        ),
    ],
)
def test_draws_go_to_labels(there: Any, labels: Any, expected: list[float]) -> None:
    model = of_levels() if labels is None else of_levels(tuple(labels))
    if labels is None:
        model.coords["group"] = None
    np.testing.assert_array_equal(mean_of(levels(there), model), expected)


def test_axes_of_draws_are_matched_by_name() -> None:
    tree = levels().transpose("feature", "draw", "group", "chain")
    np.testing.assert_array_equal(mean_of(tree, of_levels()), [0, 3, 6])
    both = of_levels(("B", "A", "C"), ("g", "f", "h"))
    np.testing.assert_array_equal(mean_of(tree, both), [4, 1, 7])


def test_draws_without_labels_go_by_their_place() -> None:
    np.testing.assert_array_equal(mean_of(levels().drop_vars("group"), of_levels()), [0, 3, 6])
    renamed = levels(range(3)).rename(group="e_dim_0")
    np.testing.assert_array_equal(mean_of(renamed, of_levels()), [0, 3, 6])


@pytest.mark.parametrize(
    ("there", "labels", "got"),
    [
        (("A", "B", "C"), ("A", "X", "Y"), "'X', 'Y' in the model, 'B', 'C' in the draws alone"),
        (("A", "B", "C"), ("A", "B"), "none in the model, 'C' in the draws alone"),
        ((0, 1, 2), ("A", "B", "C"), "'A', 'B', 'C' in the model, 0, 1, 2 in the draws alone"),
        (("A", "A", "B"), ("A", "B", "B"), "some more than once: 'A', 'B', 'B' in the model"),
        (range(4, 7), tuple("ABCDE"), r"'A', 'B', 'C', \.\.\. \(5\) in the model"),
    ],
)
def test_draws_of_other_labels_are_refused(there: Any, labels: Any, got: str) -> None:
    message = rf"The dim 'group' of `model` must have the labels .* of 'e' .*{got}.*\nHint: pass"
    with pytest.raises(ValueError, match=message):
        mean_of(levels(there), of_levels(labels))


def test_labels_of_what_is_not_asked_for_are_not_compared() -> None:
    model, tree = of_levels(), levels()
    with model:
        pm.Normal("other", dims="feature")
    tree["other"] = (("chain", "draw", "there"), np.zeros((1, 2, 2)))
    tree = tree.assign_coords(there=["p", "q"])
    np.testing.assert_array_equal(mean_of(tree, model), [0, 3, 6])


def test_draws_without_a_chain_are_refused() -> None:
    tree = levels().assign(e=levels()["e"].isel(chain=0), z=(("chain",), [1.0]))
    with pytest.raises(ValueError, match=r"of 'e' must have the dims chain and draw, got \['draw'"):
        mean_of(tree, of_levels())


def test_draws_of_a_fit_go_to_labels() -> None:
    model = of_levels()
    fit = by.fit(30, "advi", model=model, random_seed=1, progressbar=False, correction=None)
    own = mean_of(fit, model)
    np.testing.assert_array_equal(mean_of(fit, of_levels(("C", "A", "B"))), own[[2, 0, 1]])
    with pytest.raises(ValueError, match=r"The dim 'group' of `model` must .*'X' in the model"):
        mean_of(fit, of_levels(("A", "B", "X")))
    model.coords["group"] = ("B", "A", "C")
    with pytest.raises(ValueError, match=r"The dim 'group' must .* 'e' was fitted with.*\nHint"):
        mean_of(fit, model)


@pytest.mark.parametrize("code", [-1, 3])
def test_codes_of_no_category_are_refused(code: int) -> None:
    rows = {"x": flights(2), "code": [0, code]}
    message = (
        r"`data\['code'\]`, of data container 'code', must hold codes from 0 to 2, of 'AA', 'DL', "
        rf"'UA', got {code} in row 1\.\nHint: pass the categories themselves"
    )
    with pytest.raises(ValueError, match=message):
        predictions(late_model(flights(30)), posterior(), rows)


def test_data_without_rows_are_refused_by_name() -> None:
    model, none = late_model(flights(30)), flights(30).iloc[:0]
    for data, what in ((none, "`data`"), ({"x": none, "code": []}, r"`data\['x'\]`")):
        with pytest.raises(
            ValueError, match=rf"^{what} must have at least one row, got .*\nHint: check the filter"
        ):
            predictions(model, posterior(), data)


def test_rows_with_missing_values_are_not_left_out() -> None:
    with pm.Model() as model:
        x = by.Data("x", {"x": [1.0, np.nan, 2.0]}, columns="x", dims="row", missing="drop")
        b = pm.Normal("b", shape=2)
        pm.Normal("y", b[0] * x, observed=by.Data("y_data", [1.0, 2.0]), dims="row")
    message = (
        r"got some: 'x' in row 1\.\nHint: missing='drop' is for the rows that are fitted: .*na"
    )
    with pytest.raises(ValueError, match=message):
        predictions(model, posterior(), {"x": [1.0, None]})


def test_a_free_variable_of_rows_is_had_by_a_deterministic() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0], dims="row")
        eta = pm.Normal("eta", x, 0.5, dims="row")
        pm.Deterministic("eta of new rows", eta, dims="row")
        pm.Normal("y", eta, observed=by.Data("y_data", COUNTS, dims="row"), dims="row")
    with pytest.raises(ValueError, match=r"got \['eta'\].*\nHint: .* make a pm\.Deterministic"):
        predictions(model, posterior(), {"x": NEW[:, 0]}, var_names="eta")
    found = predictions(model, posterior(), {"x": NEW[:, 0]}, var_names="eta of new rows")
    assert found.predictions["eta of new rows"].shape == (1, DRAWS, 7)


def test_one_of_many_data_sets_is_picked() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.arange(3.0), dims="row")
        y = by.Data("y", np.zeros(3), dims="row")
        pm.Normal("obs", pm.Normal("b", shape=2)[0] * x, 0.1, observed=y, dims="row")
    values = np.array([[1.0, 0.0], [-1.0, 0.0]])[:, None, None] + np.zeros((2, 2, 20, 2))
    variables = {"b": (("dataset", "chain", "draw", "b_dim_0"), values)}
    # As by.sample_many returns it.
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(variables, {"dataset": ["up", "down"]})})
    with pytest.raises(
        ValueError,
        match=r"of one data set, got the dim 'dataset' of 'up', 'down'\.\nHint: pick one: "
        r"by\.predict\(tree\.posterior\.sel\(dataset='up'\)",
    ):
        predictions(model, tree, {"x": [1.0]})
    found = predictions(model, tree.posterior.sel(dataset="down"), {"x": [2.0, 0.0]})
    assert found.predictions["obs"].mean(("chain", "draw")).round().values.tolist() == [-2, 0]
    other = tree.posterior.to_dataset().sel(dataset="down")
    xr.testing.assert_identical(predictions(model, other, {"x": [2.0, 0.0]}), found)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([1.0, 2.0], r"labels of the dim 'group', got none.*\nHint: .*assign_coords\(group="),
        ([1.0, np.nan], r"Draws of 'b' must be numbers, got NaN\.\nHint: .*dropna\('group'"),
    ],
)
def test_data_sets_of_other_levels_need_their_labels(values: list[float], match: str) -> None:
    with pm.Model(coords={"group": ["m", "n"]}) as model:
        group = by.Data("group_of", [0, 1], dims="row")
        y = by.Data("y", np.zeros(2), dims="row")
        pm.Normal("obs", pm.Normal("b", dims="group")[group], 0.1, observed=y, dims="row")
    draws = np.broadcast_to(values, (1, 20, 2))
    one = xr.Dataset({"b": (("chain", "draw", "group"), draws)}, {"dataset": "a"})
    with pytest.raises(ValueError, match=match):
        predictions(model, one, {"group_of": [0, 1]})
    if np.isfinite(values).all():
        labelled = one.assign_coords(group=["n", "m"])
        found = predictions(model, labelled, {"group_of": [0, 1]}).predictions["obs"]
        assert found.mean(("chain", "draw")).round().values.tolist() == [2, 1]
