"""PyTensor graphs as JAX functions."""

from __future__ import annotations

import jax
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.raise_op import Assert

from bayou.density.jax_function import jax_function, replaced


def test_it_computes_what_the_graphs_do() -> None:
    x, scale = pt.dvector("x"), pytensor.shared(np.array(2.0), name="scale")
    place = scale.type("scale")
    function = jax_function([x, place], [(x * scale).sum(), x + scale], {scale: place})
    total, more = jax.jit(function)(np.arange(3.0), 3.0)
    assert float(total) == 9
    np.testing.assert_array_equal(more, [3.0, 4.0, 5.0])


def test_the_graphs_stay_as_they_are() -> None:
    x, y = pt.dvector("x"), pt.dvector("y")
    output = x * 2
    [copy] = replaced([output], {x: y})
    assert copy is not output
    assert output.owner.inputs[0] is x
    assert copy.owner.inputs[0] is y


def test_an_input_of_another_static_shape_takes_the_place() -> None:
    data = pytensor.shared(np.ones(3), shape=(3,))
    place = pt.dvector("data")
    function = jax_function([place], [(data * 2).sum()], {data: place})
    assert float(function(np.ones(5))[0]) == 10


def test_parameters_out_of_range_are_not_checked() -> None:
    scale = pt.dscalar("scale")
    density = pm.logp(pm.Normal.dist(0, scale), 1.0)
    [value] = jax_function([scale], [density], {})(-1.0)
    assert not np.isfinite(value)


@pytest.mark.filterwarnings("error")
def test_assertions_in_a_graph_are_left_out_without_a_warning() -> None:
    x = pt.dvector("x")
    checked = Assert("three rows")(x, pt.eq(x.shape[0], 3))
    assert len(jax_function([x], [checked * 1], {})(np.ones(2))[0]) == 2
