"""Programs: the density of PyMC for every container, its terms and values; compiled once."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
from scipy.stats import norm

import bayou as by
from bayou.density.build import compile_program

DATA = np.random.default_rng(0).normal(size=12)


def point_of(program: Any, position: np.ndarray) -> dict[str, Any]:
    return dict(zip(program.layout.names, program.layout.split(position), strict=True))


def mixed_model() -> pm.Model:
    """Observed variables and potentials between free ones, of several transforms."""
    with pm.Model(coords={"group": ["u", "v", "w"]}) as model:
        scale = pm.HalfNormal("scale", dims="group")
        pm.Potential("pull", -(scale**2).sum())
        share = pm.Beta("share", 2, 2)
        pm.Normal("y", share, scale[np.arange(12) % 3], observed=DATA)
        center = pm.Normal("center", scale.sum(), 1)
        pm.Deterministic("twice", 2 * share)
        pm.Poisson("k", pm.math.exp(center), observed=[1, 2])
    return model


def test_density_terms_and_constrained_values_are_those_of_pymc() -> None:
    model = mixed_model()
    program = compile_program(model)
    position = np.random.default_rng(1).normal(size=program.layout.size)
    point = point_of(program, position)
    assert float(program.density(position, ())) == pytest.approx(
        float(model.compile_logp()(point)), rel=1e-10
    )
    terms = program.terms(position, ())
    assert set(terms) == {"scale", "share", "center", "y", "k", "pull"}
    for name, term in terms.items():
        expected = model.compile_logp(vars=[model[name]], sum=False)(point)[0]
        np.testing.assert_allclose(term, expected, rtol=1e-10)
    values = program.constrain(position, ())
    assert set(values) == {"scale", "share", "center", "twice"}
    np.testing.assert_allclose(values["scale"], np.exp(point["scale_log__"]))
    np.testing.assert_allclose(values["share"], 1 / (1 + np.exp(-point["share_logodds__"])))
    np.testing.assert_allclose(values["center"], point["center"])
    np.testing.assert_allclose(values["twice"], 2 * values["share"])


def test_masks_of_data_are_built_in_and_a_change_of_them_builds_the_program_again() -> None:
    is_seen = np.arange(12) % 3 > 0
    with pm.Model() as model:
        seen, y = by.Data("seen", is_seen, dims="row"), by.Data("y", DATA, dims="row")
        slope = pm.Normal("slope")
        pm.Normal("of seen", (slope * y)[seen], 1, observed=y[seen])
        pm.Potential("of others", -(slope**2) * y[(~seen).nonzero()] ** 2)
    for values in (is_seen, ~is_seen):
        by.set_data({"seen": values}, model=model)
        program = compile_program(model)
        density = float(program.density(np.array([0.7]), program.data_values()))
        mean = 0.7 * DATA[values]
        expected = norm.logpdf(0.7) + norm.logpdf(DATA[values], mean).sum()
        assert density == pytest.approx(expected - (0.7 * DATA[~values] @ DATA[~values] * 0.7))
        assert compile_program(model) is program


def test_elements_on_the_log_scale_are_marked() -> None:
    layout = compile_program(mixed_model()).layout
    marked = dict(zip(layout.names, layout.split(layout.is_log), strict=True))
    assert marked["scale_log__"].tolist() == [True] * 3
    assert not marked["share_logodds__"]
    assert not marked["center"]


def test_the_start_is_that_of_the_model() -> None:
    with pm.Model() as model:
        pm.Normal("a", initval=3.0)
        pm.Exponential("b", 1, initval=2.0)
    program = compile_program(model)
    np.testing.assert_allclose(program.start(1), [3.0, np.log(2)])


def test_containers_are_inputs() -> None:
    with pm.Model() as model:
        x = by.Data("x", DATA)
        batch = by.Minibatch(DATA, 4)
        mu = pm.Normal("mu")
        pm.Normal("y", mu * x, 1, observed=DATA)
        pm.Normal("z", mu, 1, observed=batch, total_size=12)
    program = compile_program(model)
    assert [variable.name for variable in program.fed] == [batch.name]
    assert program.data == (x,)
    [value] = program.data_values()
    np.testing.assert_array_equal(value, DATA)

    def exact(x: np.ndarray, rows: np.ndarray) -> float:
        half_squares = 0.25 + ((DATA - 0.5 * x) ** 2).sum() + 3 * ((rows - 0.5) ** 2).sum()
        return -0.5 * half_squares - 0.5 * np.log(2 * np.pi) * 25

    def found(x: np.ndarray, rows: np.ndarray) -> float:
        return float(program.density(np.array([0.5]), (rows, x)))

    rows = DATA[:4]
    assert found(DATA, rows) == pytest.approx(exact(DATA, rows), rel=1e-10)
    assert found(-DATA, 2 * rows) == pytest.approx(exact(-DATA, 2 * rows), rel=1e-10)
    with model:
        by.set_data({"x": DATA + 1})
    np.testing.assert_array_equal(program.data_values()[0], DATA + 1)


def test_a_batch_that_is_used_twice_is_fed_once() -> None:
    with pm.Model() as model:
        batch = by.Minibatch(DATA, 4)
        mu = pm.Normal("mu", shape=2)
        pm.Normal("y", mu[0], 1, observed=batch, total_size=12)
        pm.Normal("z", mu[1] + batch, 1, observed=by.Minibatch(2 * DATA, 4), total_size=12)
    program = compile_program(model)
    assert len(program.fed) == 2


def test_values_that_depend_on_a_batch_are_left_out() -> None:
    with pm.Model() as model:
        batch = by.Minibatch(DATA, 4)
        x = by.Data("x", DATA)
        mu = pm.Normal("mu")
        pm.Deterministic("of_batch", mu * batch)
        pm.Deterministic("of_data", mu * x)
        pm.Normal("y", mu, 1, observed=batch, total_size=12)
    program = compile_program(model)
    values = program.constrain(np.array([2.0]), program.data_values())
    assert set(values) == {"mu", "of_data"}
    np.testing.assert_allclose(values["of_data"], 2 * DATA)


def test_unnamed_shared_variables_are_data() -> None:
    import pytensor

    one, two = pytensor.shared(np.ones(3)), pytensor.shared(np.zeros(3))
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu * one + two, 1, observed=np.ones(3))
    program = compile_program(model)
    assert set(program.data) == {one, two}
    values = dict(zip(program.data, program.data_values(), strict=True))
    np.testing.assert_array_equal(values[one], np.ones(3))
    before = float(program.density(np.array([0.5]), program.data_values()))
    two.set_value(np.full(3, 0.5))
    after = float(program.density(np.array([0.5]), program.data_values()))
    assert after - before == pytest.approx(3 * 0.125)


def test_a_model_is_compiled_once_and_again_when_it_changes() -> None:
    model = mixed_model()
    program = compile_program(model)
    assert compile_program(model) is program
    assert compile_program(mixed_model()) is not program
    with model:
        pm.Deterministic("half", model["share"] / 2)
    changed = compile_program(model)
    assert changed is not program
    assert "half" in changed.constrain(changed.start(0), ())


def test_a_changed_length_of_a_dim_is_compiled_again() -> None:
    with pm.Model(coords={"row": range(4)}) as model:
        pm.Normal("effect", dims="row")
    program = compile_program(model)
    assert program.layout.shapes == ((4,),)
    model.set_dim("row", 4, coord_values="abcd")
    assert compile_program(model) is program
    model.set_dim("row", 2, coord_values="ab")
    assert compile_program(model).layout.shapes == ((2,),)


def test_programs_go_with_their_models(collect_garbage: Callable[[], object]) -> None:
    model = mixed_model()
    compile_program(model)
    gone = weakref.ref(model)
    del model
    collect_garbage()
    assert gone() is None


def test_minibatches_of_pymc_are_refused() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=pm.Minibatch(DATA, batch_size=4), total_size=12)
    with pytest.raises(
        TypeError, match=r"bayou, got pm.Minibatch .*\nHint: make it with by.Minibatch"
    ):
        compile_program(model)


def test_nothing_to_fit() -> None:
    with pm.Model() as model:
        pm.Normal("y", 0, 1, observed=DATA)
    with pytest.raises(ValueError, match=r"free variable, got none.\nHint: give a prior"):
        compile_program(model)


def test_discrete_variables_are_refused() -> None:
    with pm.Model() as model:
        pm.Normal("mu")
        pm.Poisson("k", 3)
        pm.Bernoulli("flag", 0.5)
    with pytest.raises(TypeError, match=r"got discrete \['k', 'flag'\].\nHint: sum discrete"):
        compile_program(model)


def weighted(model: pm.Model, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the density of the first rows with weights, and the term of each row alone."""
    program = compile_program(model)
    inputs = (DATA[: len(weights)],)
    position = np.array([0.5])
    return (
        float(program.density(position, inputs, weights)),
        np.asarray(program.terms(position, inputs)["y"]),
    )


def test_rows_count_by_their_weights() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Minibatch(DATA, 4), total_size=12)
    assert compile_program(model).takes_weights
    weights = np.array([0.5, 0.0, 2.0, 1.5])
    density, terms = weighted(model, weights)
    prior = -0.5 * 0.25 - 0.5 * np.log(2 * np.pi)
    assert density == pytest.approx(prior + weights @ terms, rel=1e-12)


def with_a_potential() -> pm.Model:
    with pm.Model() as model:
        mu, batch = pm.Normal("mu"), by.Minibatch(DATA, 4)
        pm.Normal("y", mu, 1, observed=batch, total_size=12)
        pm.Potential("ridge", -((mu - batch) ** 2).sum())
    return model


def with_rows_that_depend_on_each_other() -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(DATA, 4)
        pm.MvNormal("y", mu * np.ones(4), np.eye(4), observed=batch, total_size=12)
    return model


@pytest.mark.parametrize("make", [with_a_potential, with_rows_that_depend_on_each_other])
def test_rows_that_enter_otherwise_have_no_weights(make: Callable[[], pm.Model]) -> None:
    assert not compile_program(make()).takes_weights


def test_other_numbers_of_rows_compile_nothing() -> None:
    data = np.random.default_rng(0).normal(2, 1, size=3000)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        rows = by.Minibatch(data, 50)
        pm.Normal("y", mu, 1, observed=rows, total_size=3000)
    options = {"model": model, "n": 1000, "random_seed": 1, "progressbar": False}
    first = by.fit(**options)
    compiled = compile_program(model).compiled
    known = compiled.num_compilations()
    rows.set_value(np.concatenate([data, data[:60]]) + 1)
    second = by.fit(**options)
    assert first.correction == second.correction == "linear_response"
    assert compiled.num_compilations() == known
    assert float(second.mean["mu"]) == pytest.approx(float(first.mean["mu"]) + 1, abs=0.05)
