"""An ordinary model in minibatches: the same as one that is written with minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pymc.exceptions import ImputationWarning
from pymc.model.transform.optimization import freeze_dims_and_data

import bayou as by
from bayou.batching.batched import batched_program, program_of_rows
from bayou.batching.row_dim import find_rows
from bayou.density.build import compile_program
from bayou.models.inputs import sampling_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.density.program import Program

random = np.random.default_rng(1)
NUM_ROWS = 600
X = random.normal(size=(NUM_ROWS, 2))
Y = X @ [1.0, -0.5] + random.normal(size=NUM_ROWS)


def ordinary(x: Any = X, y: Any = Y, *, total_size: int | None = None) -> pm.Model:
    with pm.Model(coords={"feature": ["a", "b"]}) as model:
        rows = by.Data("x", x, dims=("row", "feature"))
        outcome = by.Data("outcome", y, dims="row")
        slopes = pm.Normal("slopes", dims="feature")
        mean = pm.Deterministic("mean", rows @ slopes, dims="row")
        pm.Normal("y", mean, 1, observed=outcome, dims="row", total_size=total_size)
    return model


def by_hand() -> pm.Model:
    with pm.Model(coords={"feature": ["a", "b"]}) as model:
        slopes = pm.Normal("slopes", dims="feature")
        mean = by.Minibatch(X, 50) @ slopes
        pm.Normal("y", mean, 1, observed=by.Minibatch(Y, 50), total_size=NUM_ROWS)
    return model


def fit(model: pm.Model, n: int = 800, **options: Any) -> by.Fit:
    return by.fit(n, model=model, random_seed=1, progressbar=False, **options)


def test_it_is_the_model_written_with_minibatches() -> None:
    one, other = fit(ordinary(), batch_size=50), fit(by_hand())
    np.testing.assert_allclose(one.mean["slopes"], other.mean["slopes"], rtol=1e-10)
    np.testing.assert_allclose(one.elbo, other.elbo, rtol=1e-10)


@pytest.mark.parametrize("total_size", [None, NUM_ROWS])
def test_it_is_scaled_to_all_rows(total_size: int | None) -> None:
    model = ordinary(total_size=total_size)
    batched = by.batched(model, batch_size=50)
    slopes = {"slopes": np.array([0.3, 0.4])}
    assert batched["y"].shape[0].eval() == 50
    density = batched.compile_logp()
    mean = np.mean([density(slopes) for _ in range(4000)])
    assert mean == pytest.approx(float(model.compile_logp()(slopes)), rel=0.01)


def test_the_model_stays_as_it_is() -> None:
    model = ordinary()
    before = float(model.compile_logp()({"slopes": np.zeros(2)}))
    fit(model, batch_size=50)
    assert float(model.compile_logp()({"slopes": np.zeros(2)})) == before
    assert len(model.coords["row"] or range(NUM_ROWS)) == NUM_ROWS


def test_pymc_fits_it() -> None:
    batched = by.batched(ordinary(), batch_size=100)
    with batched:
        found = pm.fit(30, progressbar=False, random_seed=1)
    assert found.mean.eval().shape == (2,)
    assert batched.named_vars_to_dims["y"] == ("row",)
    assert batched.coords["feature"] == ("a", "b")


def test_a_potential_of_rows_is_scaled() -> None:
    with pm.Model() as model:
        z = by.Data("z", Y, dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Potential("likelihood", -0.5 * (z - mu) ** 2)
        pm.Normal("y", mu, 100, observed=z)
    found = fit(model, 3000, batch_size=50)
    assert float(found.std["mu"]) == pytest.approx(NUM_ROWS**-0.5, rel=0.1)


def test_a_potential_alone_has_rows() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        z = by.Data("z", Y, dims="row")
        pm.Potential("likelihood", -0.5 * (z - mu) ** 2, dims="row")
    assert float(fit(model, 3000, batch_size=50).mean["mu"]) == pytest.approx(Y.mean(), abs=0.1)


def test_rows_that_nothing_ties_together() -> None:
    with pm.Model() as model:
        y = by.Data("outcome", Y[:30], dims="row")
        pm.Normal("y", pm.Normal("effect", dims="row"), 1, observed=y, dims="row")
    with pytest.raises(
        ValueError, match=r"all variables have a value for each row, got \['effect'"
    ):
        by.fit(batch_size=10, model=model)
    assert fit_all(model).converged


def test_new_data_are_those_of_the_batches() -> None:
    model = ordinary()
    fit(model, batch_size=50)
    by.set_data({"x": X[:200], "outcome": Y[:200] + 2 * X[:200, 0]}, model=model)
    found = fit(model, 3000, batch_size=50)
    assert float(found.mean["slopes"][0]) == pytest.approx(3.0, abs=0.3)
    assert float(found.std["slopes"][0]) == pytest.approx(200**-0.5, rel=0.25)


def test_results_speak_of_the_model() -> None:
    model = ordinary()
    found = fit(model, batch_size=50)
    tree = found.sample(10)
    assert tree.observed_data["y"].shape == (NUM_ROWS,)
    assert list(tree.posterior["feature"].values) == ["a", "b"]
    assert np.isfinite(found.elbo_estimate(100).value)


def test_it_is_saved_and_read_again(tmp_path: Path) -> None:
    model = ordinary()
    found = fit(model, batch_size=50)
    found.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=ordinary())
    np.testing.assert_array_equal(again.mean["slopes"], found.mean["slopes"])
    assert list(again.sample(5).posterior) == list(found.sample(5).posterior)


def test_resumed_it_has_the_same_bits(tmp_path: Path) -> None:
    whole = fit(ordinary(), 1200, batch_size=50)

    def stop(num_steps: int, losses: Any) -> None:
        if num_steps >= 512:
            raise StopIteration

    path = tmp_path / "checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        fit(ordinary(), 1200, batch_size=50, checkpoint=path, callback=stop)
    resumed = fit(ordinary(), 1200, batch_size=50, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.mean["slopes"], whole.mean["slopes"])
    with pytest.raises(ValueError, match="batching"):
        fit(ordinary(), 1200, batch_size=60, checkpoint=path, resume=True)


def without_dims() -> pm.Model:
    with pm.Model() as model:
        mean = by.Data("x", X) @ pm.Normal("slopes", shape=2)
        pm.Normal("y", mean, 1, observed=by.Data("outcome", Y))
    return model


@pytest.mark.parametrize("build", [ordinary, without_dims])
def test_all_rows_of_another_number_compile_nothing(build: Callable[[], pm.Model]) -> None:
    model = build()
    fit_all(model)
    found = program_of_rows(model)
    assert found is not None
    program = found[1]
    sizes = program.compiled.num_compilations()
    for count in (580, 300, 77):
        by.set_data({"x": X[:count], "outcome": Y[:count]}, model=model)
        expected = np.linalg.solve(X[:count].T @ X[:count] + np.eye(2), X[:count].T @ Y[:count])
        np.testing.assert_allclose(fit_all(model).mean["slopes"], expected, atol=0.003)
    assert program_of_rows(model) == found
    assert program.compiled.num_compilations() == sizes


def test_batches_of_one_row_are_not_all_rows() -> None:
    model = ordinary()
    fit_all(model)
    assert not batched_program(model, 1, None, validate=True)[1].feeds_all_rows


@pytest.mark.parametrize("options", [{"method": "fullrank_advi"}, {"n": 4000}])
def test_steps_on_all_rows_of_another_number_compile_nothing(options: dict[str, Any]) -> None:
    model = ordinary()
    fit_all(model, **options)
    found = program_of_rows(model)
    assert found is not None
    program = found[1]
    sizes = program.compiled.num_compilations()
    for count in (580, 300, 77):
        by.set_data({"x": X[:count], "outcome": Y[:count]}, model=model)
        expected = np.linalg.solve(X[:count].T @ X[:count] + np.eye(2), X[:count].T @ Y[:count])
        fit = fit_all(model, **options)
        error = fit.mean["slopes"] - expected
        assert np.abs(error / fit.std["slopes"]).max() < 0.15
    assert program.compiled.num_compilations() == sizes


@pytest.mark.parametrize("order", ["uniform", by.Weighted(np.ones(NUM_ROWS))])
def test_an_order_of_rows_needs_batches(order: Any) -> None:
    with pytest.raises(ValueError, match="`order` must come with rows in batches, got"):
        fit_all(ordinary(), order=order)


def fit_all(model: pm.Model, **options: Any) -> by.Fit:
    return by.fit(model=model, random_seed=1, progressbar=False, **options)


def test_deterministics_of_all_rows_are_kept() -> None:
    assert fit_all(ordinary()).sample(3).posterior["mean"].shape == (1, 3, NUM_ROWS)


def test_a_likelihood_that_is_none_of_rows_is_fitted_whole() -> None:
    with pm.Model() as model:
        z = by.Data("z", Y, dims="row")
        pm.Normal("y", pm.Normal("slope") * (z - z.mean()), 1, observed=z, dims="row")
    assert program_of_rows(model) is None
    assert fit_all(model).converged


@pytest.mark.parametrize("options", [{"n": 2000, "method": "advi"}, {}])
def test_all_rows_along_another_axis_than_the_first(options: dict[str, Any]) -> None:
    with pm.Model() as model:
        x = by.Data("x", X.T, dims=("feature", "row"))
        mean = pm.Normal("slopes", dims="feature") @ x
        pm.Normal("y", mean, 1, observed=by.Data("outcome", Y, dims="row"), dims="row")
    np.testing.assert_allclose(fit_all(model, **options).mean["slopes"], [1, -0.5], atol=0.15)


@pytest.mark.parametrize("options", [{}, {"batch_size": 10}])
def test_no_rows_are_refused(options: dict[str, Any]) -> None:
    model = ordinary()
    by.set_data({"x": X[:0], "outcome": Y[:0]}, model=model)
    with pytest.raises(ValueError, match="The data must have at least one row, got none along"):
        fit_all(model, **options)


def test_an_axis_other_than_the_first() -> None:
    with pm.Model() as model:
        x = by.Data("x", X.T, dims=("feature", "row"))
        mean = pm.Normal("slopes", dims="feature") @ x
        pm.Normal("y", mean, 1, observed=by.Data("outcome", Y, dims="row"), dims="row")
    found = fit(model, 3000, batch_size=50)
    np.testing.assert_allclose(found.mean["slopes"], [1, -0.5], atol=0.15)


def test_of_several_dims_one_is_named() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("a", Y, dims="row"))
        pm.Normal("z", mu, 1, observed=by.Data("b", Y[:30], dims="item"))
    with pytest.raises(ValueError, match=r"one of \['item', 'row'\], got none"):
        find_rows(model)
    with pytest.raises(ValueError, match=r"one of \['item', 'row'\], got 'day'"):
        find_rows(model, "day")
    assert find_rows(model, "item").num_rows == 30


def test_rows_without_a_dim() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("a", Y))
        pm.Normal("z", mu, 1, observed=by.Data("b", Y[:10]))
    with pytest.raises(
        ValueError, match=r"(?s)must come with a name for the dim.*\nHint: name the"
    ):
        by.fit(batch_size=10, model=model)


def test_potential_of_all_rows_at_once() -> None:
    with pm.Model() as model:
        pm.Potential("p", -((by.Data("a", Y, dims="row") - pm.Normal("mu")) ** 2).sum())
    with pytest.raises(
        ValueError, match=r"(?s)no potential of \['p'\] has a value for each row.*\nHint: leave"
    ):
        by.fit(batch_size=10, model=model)


def test_containers_of_other_lengths() -> None:
    with pm.Model() as model:
        a = pm.Data("a", Y, dims="row")
        pm.Normal("y", pm.Normal("mu") + a, 1, observed=by.Data("b", Y, dims="row"))
        a.set_value(Y[:10])
    with pytest.raises(ValueError, match=r"one number of rows, got {'a': 10, 'b': 600}"):
        find_rows(model)


def test_a_wrong_total_size() -> None:
    with pytest.raises(ValueError, match=r"`total_size` of 'y' must be .* 600, got 500"):
        by.fit(batch_size=10, model=ordinary(total_size=500))


def test_batches_of_batches() -> None:
    with pytest.raises(ValueError, match="must be left out where the model holds minibatches"):
        by.fit(batch_size=10, model=by_hand())


@pytest.mark.parametrize("batch_size", [0, 2.5, True])
def test_sizes_that_are_none(batch_size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="`batch_size` must be"):
        by.fit(batch_size=batch_size, model=ordinary())


def test_imputed_values() -> None:
    values = np.where(np.arange(NUM_ROWS) == 3, np.nan, Y)
    with pm.Model() as model:
        y = by.Data("outcome", {"y": values}, columns="y", dims="row", missing="impute")
        with pytest.warns(ImputationWarning):
            pm.Normal("y", pm.Normal("mu"), 1, observed=y)
    with pytest.raises(ValueError, match="where missing values are imputed, got 'y'"):
        by.fit(batch_size=10, model=model)
    assert np.isfinite(fit_all(model).mean["y_unobserved"])


def test_more_rows_than_there_are() -> None:
    with pytest.raises(
        ValueError, match=r'^`batch_size` must .* order="epoch", got 601 for 600 rows'
    ):
        by.fit(batch_size=601, model=ordinary())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_dim": "row"}, "`batch_dim` must come with a `batch_size`"),
        ({"validate": False}, "`validate=False` must come with batches"),
        ({"batch_size": 10, "method": "dadvi"}, "`batch_size` must be left out with method="),
    ],
)
def test_arguments_that_would_have_no_effect(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        by.fit(model=ordinary(), **options)


def test_models_are_not_kept_alive(collect_garbage: Callable[[], object]) -> None:
    import weakref

    model = ordinary()
    fit(model, 100, batch_size=50)
    alive = weakref.ref(model)
    del model
    collect_garbage()
    assert alive() is None


def test_it_is_built_once() -> None:
    model = ordinary()

    def program() -> Program:
        return batched_program(model, 50, None, validate=True)[1]

    first = program()
    assert program() is first
    assert batched_program(model, 60, None, validate=True)[1] is not first
    assert first.batching == (50, "row")
    with model:
        pm.Normal("more")
    assert program() is not first
    assert compile_program(model).batching is None


def test_the_model_of_the_context_is_taken() -> None:
    model = ordinary()
    with model:
        assert by.batched(batch_size=50)["y"].shape[0].eval() == 50
    with pytest.raises(TypeError, match=r"^`model` must be passed outside .* got None"):
        by.batched(batch_size=50)


def rows_drawn(random_seed: Any) -> np.ndarray:
    batched = by.batched(ordinary(), batch_size=20, random_seed=random_seed)
    return pm.draw(batched.rvs_to_values[batched["y"]])


def test_seeds_are_taken_as_pymc_does() -> None:
    np.testing.assert_array_equal(rows_drawn(42), rows_drawn(np.int64(42)))
    np.testing.assert_array_equal(rows_drawn([1, 2]), rows_drawn(np.array([1, 2])))
    np.testing.assert_array_equal(
        rows_drawn(np.random.default_rng(3)), rows_drawn(np.random.default_rng(3))
    )
    assert not np.array_equal(rows_drawn(None), rows_drawn(None))
    with pytest.raises(ValueError, match=r"^`random_seed` must be None, a whole number"):
        rows_drawn("seed")


def linear_data() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    return x, x @ [1.0, 0.0, -1.0] + rng.normal(size=200)


def arrays_alone() -> None:
    x, y = linear_data()
    pm.Normal("y", pt.as_tensor(x) @ pm.Normal("b", shape=3), 1, observed=y)


def containers_without_dims() -> None:
    x, y = linear_data()
    mean = by.Data("x", x) @ pm.Normal("b", shape=3)
    pm.Normal("y", mean, 1, observed=by.Data("outcome", y))


def rows_of_the_second_axis() -> None:
    x, y = linear_data()
    mean = pm.Normal("b", shape=3) @ by.Data("x", x.T)
    pm.Normal("y", mean, 1, observed=by.Data("outcome", y))


def array_beside_a_dim() -> None:
    x, y = linear_data()
    mean = pt.as_tensor(x) @ pm.Normal("b", shape=3)
    pm.Normal("y", mean, 1, observed=pm.Data("outcome", y, dims="row"), dims="row")


@pytest.mark.parametrize(
    "write", [arrays_alone, containers_without_dims, rows_of_the_second_axis, array_beside_a_dim]
)
def test_rows_that_are_known_by_their_number(write: Callable[[], None]) -> None:
    with pm.Model() as model:
        write()
    _, program = batched_program(model, 20, None, validate=True)
    assert {sample.size for v in program.fed for sample in sampling_of(v)} == {20}
    fed = [storage_of(variable).get_value() for variable in program.fed]
    b = np.array([0.3, -0.2, 0.1])
    # All rows as one batch have the density of the model.
    found = program.density(b, (*fed, *program.data_values()))
    assert float(found) == pytest.approx(float(model.compile_logp()({"b": b})), rel=1e-10)


def test_an_array_that_has_the_number_of_rows_by_chance() -> None:
    x, y = linear_data()
    with pm.Model() as model:
        scale = by.Data("scale", np.ones(200), dims="other")
        b = pm.Normal("b", shape=3)
        mean = by.Data("x", x, dims=("row", "f")) @ b + np.ones(200).sum() * scale.mean()
        pm.Normal("y", mean, 1, observed=by.Data("outcome", y, dims="row"), dims="row")
    _, program = batched_program(model, 20, None, validate=True)
    assert {storage_of(variable).name for variable in program.fed} == {"x", "outcome"}


def test_a_frozen_model_has_rows() -> None:
    x, y = linear_data()
    with pm.Model() as model:
        mean = by.Data("x", x, dims=("row", "f")) @ pm.Normal("b", shape=3)
        pm.Normal("y", mean, 1, observed=by.Data("outcome", y, dims="row"), dims="row")
    frozen = freeze_dims_and_data(model)
    _, program = batched_program(frozen, 20, None, validate=True)
    assert {storage_of(variable).name for variable in program.fed} == {"x", "outcome"}
    assert program_of_rows(frozen) is not None
