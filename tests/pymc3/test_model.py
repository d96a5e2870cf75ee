import numpy as np
import pytensor.tensor as pt
import pytest
from scipy import stats

import bayou.pymc3 as pm
from bayou.pymc3 import theano


def density(observed, total_size):
    with pm.Model() as model:
        pm.Normal("x", observed=observed, total_size=total_size)
    return float(theano.function([], model.logpt)())


def batches(rows):
    number = 0
    while True:
        yield np.full((rows, 100), float(number))
        number += 1


def test_total_size_scales_by_the_rows_that_are_there():
    one = density([[1]], None)
    assert density([[1]], 1) == one
    assert density([[1]], 2) == 2 * one
    np.testing.assert_allclose(density([[1, 1]], 6), 12 * one)


@pytest.mark.parametrize(
    ("observed", "total_size"),
    [
        ([[1, 1], [1, 1]], []),
        ([[1, 1], [1, 1]], [2, 2]),
        ([[1], [1]], [2, 2]),
        ([[1, 1]], [2, 2]),
        ([[1, 1]], [2]),
        ([[1, 1]], 2),
        ([[1]], [2, 2]),
        ([[1]], [2, Ellipsis, 2]),
        ([[1], [1]], [Ellipsis, 2]),
        ([[1], [1]], (None, 2)),
    ],
)
def test_total_size_per_axis(observed, total_size):
    np.testing.assert_allclose(density(observed, total_size), 4 * stats.norm.logpdf(1))


@pytest.mark.parametrize(
    ("total_size", "error", "message"),
    [
        ([2, Ellipsis, 2, 2], ValueError, "Length of"),
        ([2, 2, 2], ValueError, "Length of"),
        ("foo", TypeError, "Unrecognized `total_size`: must hold int, None or .* got 'foo'"),
        (["foo"], TypeError, r"Unrecognized .*, got \['foo'\].\nHint: pass the length"),
        (2.5, TypeError, r"Unrecognized .*, got 2.5"),
        ([Ellipsis, Ellipsis], ValueError, r"Double Ellipsis in `total_size`: one at most, got \["),
    ],
)
def test_total_size_that_is_wrong(total_size, error, message):
    with pm.Model() as model, pytest.raises(error, match=message):
        pm.Normal("x", observed=[[1]], total_size=total_size)
    assert not model.basic_RVs


@pytest.mark.parametrize(
    ("batch_size", "total_size"),
    [
        ([2, None, 3, Ellipsis, 2], (4, None, 5, Ellipsis, 7)),
        ([2, None, 3], (4, None, 5)),
        ([2, Ellipsis, 3], (4, Ellipsis, 7)),
        (2, 4),
    ],
)
def test_a_minibatch_scales_to_its_data(batch_size, total_size):
    data = np.ones((4, 3, 5, 6, 7))
    np.testing.assert_allclose(
        density(pm.Minibatch(data, batch_size), total_size), data.size * stats.norm.logpdf(1)
    )


def test_generators_of_other_lengths_give_the_same_density():
    with pm.Model() as one:
        pm.Normal("x", observed=batches(10), total_size=100)
    with pm.Model() as other:
        pm.Normal("x", observed=pm.generator(batches(20)), total_size=100)
    first, second = (theano.function([], model.logpt) for model in (one, other))
    for number in range(5):
        expected = 100 * 100 * stats.norm.logpdf(number)
        np.testing.assert_allclose([first(), second()], expected)


def test_gradient_with_respect_to_a_variable_of_the_model():
    with pm.Model() as fed:
        m = pm.Normal("m")
        pm.Normal("x", m, observed=pm.generator(batches(10)), total_size=1000)
    gradient = theano.function([m], theano.tensor.grad(fed.logpt, m))
    with pm.Model() as full:
        m = pm.Normal("m")
        data = theano.shared(np.ones((1000, 100)))
        pm.Normal("x", m, observed=data)
    expected = theano.function([m], theano.grad(full.logpt, [m]))
    for number in range(5):
        data.set_value(np.full((1000, 100), float(number)))
        np.testing.assert_allclose(gradient(1), expected(1)[0])


def test_free_variable_with_total_size():
    with pm.Model() as model:
        pm.Normal("x", total_size=[2, Ellipsis, 2], shape=(1, 1), broadcastable=(False, False))
    evaluate = theano.function([model.x], model.logpt)
    expected = density([[1, 1], [1, 1]], [2, 2])
    np.testing.assert_allclose(evaluate(pm.floatX([[1]])), expected)
    np.testing.assert_allclose(evaluate(pm.floatX([[1, 1], [1, 1]])), expected)


def test_broadcastable_axes_keep_their_length():
    with pm.Model():
        x = pm.Normal("x", shape=(3, 1), broadcastable=(False, True))
    assert x.type.shape == (None, 1)
    assert x.eval().shape == (3, 1)


def test_free_variable_with_total_size_on_part_of_the_line_is_refused():
    with (
        pm.Model() as model,
        pytest.raises(NotImplementedError, match="free variable 'x' needs a distribution on the"),
    ):
        pm.HalfNormal("x", shape=3, total_size=30)
    assert not model.basic_RVs


def test_a_transformed_variable_does_not_stand_for_its_value():
    with pm.Model() as model:
        sd = pm.HalfNormal("sd")
        pm.Normal("x", sd=sd, observed=[1.0])
    with pytest.raises(Exception, match="not part of the computational graph"):
        theano.function([sd], model.logpt)
    value = model.rvs_to_values[sd]
    evaluate = theano.function([value], model.logpt)
    np.testing.assert_allclose(evaluate(0.0), stats.halfnorm.logpdf(1.0) + stats.norm.logpdf(1.0))


def test_logpt_is_the_density():
    with pm.Model() as model:
        x = pm.Normal("x")
    assert model.logpt.ndim == 0
    assert isinstance(model.logpt, pt.TensorVariable)
    np.testing.assert_allclose(
        theano.function([x], model.logpt)(2.0), model.compile_logp()({"x": 2.0})
    )


def test_densities_at_points():
    scale = theano.shared(2.0)
    with pm.Model() as model:
        x = pm.Normal("x", 0, scale, shape=1)
        pm.HalfNormal("s", 1)
        pm.Normal("y", x, 1, observed=[1.0])
    assert set(model.test_point) == {"x", "s_log__"}
    point = {"x": [3.0], "s_log__": 0.0}
    expected = stats.norm.logpdf(3, 0, 2)
    np.testing.assert_allclose(x.logp(point), expected)
    rest = stats.norm.logpdf(1, 3, 1) + stats.halfnorm.logpdf(1)
    np.testing.assert_allclose(model.logp(point), expected + rest)
    scale.set_value(4.0)
    np.testing.assert_allclose(x.logp(point), stats.norm.logpdf(3, 0, 4))
    assert np.isfinite(model.logp(model.test_point))
    assert model.logp([x]).ndim == 0
    with pytest.raises(KeyError, match="must have a value for each free variable, got none for"):
        model.logp({"x": [3.0]})


def test_names_and_dims():
    with pm.Model("outer", coords={"row": ["a", "b"]}) as model:
        pm.Data("data", [1.0, 2.0], dims="row")
        pm.Normal("x")
        with pm.Model("inner"):
            y = pm.Normal("y", dims="row")
    assert set(model.named_vars) == {"outer_data", "outer_x", "outer_inner_y"}
    assert model["x"].name == "outer_x"
    assert model.RV_dims == {"outer_data": ("row",), "outer_inner_y": ("row",)}
    assert model.coords["row"] == ["a", "b"]
    assert model.coords["row"] == ("a", "b")
    assert y.name == "outer_inner_y"
    assert model.name_of("outer_x") == "x"


def test_errors_of_the_data_module():
    with pytest.raises(TypeError, match=r"No model on context stack, .*\nHint: write the call"):
        pm.Data("x", [1.0])
    with pm.Model() as model:
        pm.Normal("beta")
    with pytest.raises(TypeError, match=r"must be defined as `pymc3\.Data` inside the model"):
        pm.set_data({"beta": 1.0}, model=model)
