import numpy as np
import pytest
from scipy import stats

import bayou.pymc3 as pm
from bayou.pymc3 import theano
from bayou.pymc3.theanof import GeneratorOp


class Sampler:
    def __init__(self):
        self.data = np.random.default_rng(1).random((1000, 10))

    def __next__(self):
        return self.data[:50]


@pytest.fixture(autouse=True)
def _package_stream():
    before = pm.tt_rng()
    yield
    pm.set_tt_rng(before)


def test_each_evaluation_draws_afresh():
    x = pm.tt_rng(1).uniform(size=(10,), low=2, high=5)
    evaluate = theano.function([], [x, x + 0])
    draws = [evaluate() for _ in range(3)]
    for one, other in draws:
        np.testing.assert_array_equal(one, other)
        assert one.shape == (10,)
        assert ((one >= 2) & (one < 5)).all()
    assert len({float(one[0]) for one, _ in draws}) == 3
    assert (x.eval() != x.eval()).all()


def test_two_variables_of_a_stream_differ_and_a_seed_repeats_them():
    def draws(stream):
        x, y = stream.normal(size=(4,)), stream.normal(size=(4,))
        return theano.function([], [x, y])()

    x, y = draws(pm.tt_rng(1))
    assert (x != y).all()
    np.testing.assert_array_equal(draws(pm.tt_rng(1)), [x, y])
    assert (draws(pm.tt_rng(2))[0] != x).all()


def test_the_package_has_one_stream_that_can_be_set():
    assert pm.tt_rng() is pm.tt_rng()
    pm.set_tt_rng(1)
    one = pm.tt_rng().uniform(size=(3,)).eval()
    stream = pm.tt_rng(1)
    pm.set_tt_rng(stream)
    assert pm.tt_rng() is stream
    np.testing.assert_array_equal(pm.tt_rng().uniform(size=(3,)).eval(), one)


@pytest.mark.parametrize(
    ("name", "parameters", "law"),
    [
        ("uniform", {}, stats.uniform),
        ("uniform", {"low": -1, "high": 3}, stats.uniform(-1, 4)),
        ("normal", {}, stats.norm),
        ("normal", {"avg": 2, "std": 3}, stats.norm(2, 3)),
    ],
)
def test_streams_have_theano_s_laws(name, parameters, law):
    draws = getattr(pm.tt_rng(5), name)(size=(2000,), **parameters).eval()
    assert draws.dtype == theano.config.floatX
    assert stats.kstest(draws, law.cdf).pvalue > 0.01


def test_binomial_counts_successes():
    draws = pm.tt_rng(5).binomial(size=(2000,), n=4, p=0.25).eval()
    assert set(draws) <= set(range(5))
    assert abs(draws.mean() - 1) < 0.1


def test_a_replacement_of_other_length_reaches_the_size_of_a_draw():
    source = Sampler()
    x = pm.generator(source)
    noise = pm.tt_rng().normal(size=x.shape).T
    product = x.dot(noise)
    sums, updates = theano.scan(lambda row: row.sum(), product, n_steps=product.shape[0])
    assert not updates
    assert sums.eval().shape == (50,)
    data = theano.shared(source.data)
    assert theano.clone(sums, {x: data**2}).eval().shape == (1000,)


def test_floatx_casts_arrays_lists_and_numbers():
    for value in (np.ones(2, "int8"), [1, 2], 3):
        assert pm.floatX(value).dtype == theano.config.floatX


def test_generator_op_makes_a_variable_of_an_adapter():
    x = GeneratorOp(pm.GeneratorAdapter(iter(np.arange(3.0))))()
    assert x.tag.test_value == 0
    evaluate = theano.function([], x)
    assert [float(evaluate()) for _ in range(3)] == [0, 1, 2]
