"""Graphs run without a compiler, on other values of shared variables than the present ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.logprob.utils import ParameterValueError

from bayou.models.interpret import SharedInterpreter, compile_interpreter


def test_outputs_are_those_of_the_graphs() -> None:
    x, y = pt.dvector("x"), pt.dscalar("y")
    function = compile_interpreter([x, y], [x.sum() * y, x + 1])
    total, more = function(np.array([1.0, 2.0]), np.array(3.0))
    assert float(total) == 9
    np.testing.assert_array_equal(more, [2.0, 3.0])


def test_an_input_may_be_unused() -> None:
    assert compile_interpreter([pt.dscalar("unused")], [pt.constant(2.0)])(1.0) == [2.0]


def test_parameters_out_of_range_are_not_checked() -> None:
    scale = pt.dscalar("scale")
    density = pm.logp(pm.Normal.dist(0, scale), 1.0)
    with np.errstate(invalid="ignore"):
        [value] = compile_interpreter([scale], [density])(-1.0)
    assert not np.isfinite(value)
    with pytest.raises(ParameterValueError):
        density.eval({scale: -1.0})


def test_lengths_that_do_not_fit_raise() -> None:
    x = pt.dvector("x")
    function = compile_interpreter([x], [x + np.ones(3)])
    with pytest.raises((ValueError, AssertionError), match=r"3"):
        function(np.ones(2))


def test_shared_values_take_the_place_of_present_ones() -> None:
    shared, x = pytensor.shared(np.array([1.0, 2.0])), pt.dscalar("x")
    evaluate = SharedInterpreter([x], [(shared * x).sum()])
    assert evaluate([np.array(2.0)], {}) == [6.0]
    # A clone has the same container.
    values = {shared.clone().container: np.array([5.0, 5.0, 5.0])}
    assert evaluate([np.array(2.0)], values) == [30.0]
    shared.set_value(np.array([4.0]))
    assert evaluate([np.array(2.0)], {}) == [8.0]


def test_random_generators_stay_in_the_graph() -> None:
    draw = pm.Normal.dist()
    evaluate = SharedInterpreter([], [draw])
    assert len(evaluate.graphs) == 1
    assert np.isfinite(evaluate([], {})[0])


def test_threads_do_not_mix_their_values() -> None:
    x = pt.dvector("x")
    evaluate = compile_interpreter([x], [pt.exp(pt.log(x)).sum() / x.shape[0]])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: float(evaluate(np.full(n, float(n)))[0]), range(1, 400)))
    np.testing.assert_allclose(found, np.arange(1, 400))


def test_reals_of_any_precision() -> None:
    x = pt.fvector("x")
    assert compile_interpreter([x], [x.sum()])(np.ones(3))[0].dtype == "float32"
