import importlib

import numpy as np
import pytensor
import pytest

import bayou.pymc3 as pm
from bayou.pymc3 import theano
from bayou.pymc3.theano import tensor as tt


@pytest.mark.parametrize("value", [np.full((5, 3), 2.0), [[2.0]], 2.0])
def test_clone_replaces_by_arrays(value):
    x = tt.dmatrix("x") if np.ndim(value) else tt.dscalar("x")
    y = theano.clone(x**2, {x: value})
    np.testing.assert_array_equal(y.eval(), np.square(value))


def test_clone_refuses_arrays_that_lose_values():
    x = tt.lvector("x")
    with pytest.raises(TypeError, match="float64"):
        theano.clone(x + 1, {x: np.array([1.5])})


def test_clone_replaces_by_variables_and_several_outputs():
    x, y = tt.dvectors("x", "y")
    one, other = theano.clone([x + 1, x * 2], {x: y})
    np.testing.assert_array_equal(one.eval({y: [1.0]}), [2])
    np.testing.assert_array_equal(other.eval({y: [1.0]}), [2])
    copy = theano.clone(x + 1)
    assert copy.eval({x: [1.0]}) == 2


def test_a_minibatch_is_replaced_by_data_and_by_its_storage():
    data = np.arange(12.0).reshape(6, 2)
    x = pm.Minibatch(data, batch_size=3)
    square = x**2
    test = np.ones((10, 2))
    assert (test**2 == theano.clone(square, {x: test}).eval()).all()
    np.testing.assert_array_equal(theano.clone(square, {x.minibatch: x.shared}).eval(), data**2)


def test_function_passes_its_keywords_on():
    x = tt.dscalar("x")
    total = theano.shared(0.0)
    add = theano.function([x], total, updates=[(total, total + x)])
    assert [float(add(2)), float(add(3))] == [0, 2]
    assert total.get_value() == 5


def test_scan_returns_outputs_and_updates():
    sums, updates = theano.scan(
        lambda row, total: row + total,
        sequences=tt.arange(4.0),
        outputs_info=tt.constant(0.0, "s", dtype="float64"),
    )
    assert not updates
    np.testing.assert_array_equal(sums.eval(), [0, 1, 3, 6])


def test_all_other_names_are_pytensor_s():
    assert theano.config is pytensor.config
    assert theano.shared is pytensor.shared
    assert theano.tensor is tt
    assert tt.exp is pytensor.tensor.exp
    assert importlib.import_module("bayou.pymc3.theano.tensor") is tt
    for module in (theano, tt):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018
