"""Gradients by the free variables of a model, as PyMC3 had them."""

import numpy as np
import pytensor

import bayou.pymc3 as pm
from bayou.pymc3 import theano
from bayou.pymc3.theano import tensor as tt
from bayou.pymc3.theano.tensor import value_variables


def test_grad_takes_one_variable_or_several():
    x, y = tt.dscalars("x", "y")
    values = {x: 2.0, y: 3.0}
    assert theano.grad(x * y, x).eval(values) == 3
    assert [gradient.eval(values) for gradient in tt.grad(x * y, [x, y])] == [3, 2]


def test_free_variables_stand_for_their_values():
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, sd=2.0)
        y = pm.Normal("y", x, observed=np.ones(3))
    value = model.rvs_to_values[x]
    assert value_variables(x) is value
    assert value_variables([x, [value, y]]) == [value, [value, y]]
    assert value_variables(3) == 3
    slope = theano.function([x], tt.grad(model.logpt, x))
    np.testing.assert_allclose(slope(0.5), 0.5 / 4 + 3 * 0.5)


def test_other_names_are_those_of_pytensor():
    assert tt.exp is pytensor.tensor.exp
