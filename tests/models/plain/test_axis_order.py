"""Random variables in another order of axes: of the same density, as draws and no transposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.tensor.random.op import RandomVariable

from bayou.models.plain.axis_order import (
    data_without_transpose,
    draw_in_order,
    inverse,
    transposed_from,
)

MEANS = np.arange(6.0).reshape(2, 3)
DRAWS = {
    "of parameters": pm.Normal.dist(MEANS, np.array([1.0, 2.0, 3.0])),
    "of a size": pm.Normal.dist(0.5, np.array([1.0, 2.0, 3.0]), shape=(2, 3)),
    "of a size alone": pm.Normal.dist(0.5, 2.0, shape=(2, 3)),
    "several axes": pm.MvNormal.dist(np.zeros(2), np.diag([1.0, 2.0]), shape=(2, 3, 2)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_density_is_that_of_the_transposed_value(name: str) -> None:
    draw: Any = DRAWS[name]
    order = (1, 0, 2)[: draw.ndim]
    found = draw_in_order(draw, order)
    assert found is not None
    assert isinstance(found.owner.op, RandomVariable)
    value = np.random.default_rng(1).normal(size=draw.shape.eval())
    expected = pm.logp(draw, value).eval()
    np.testing.assert_allclose(pm.logp(found, value.transpose(order)).eval(), expected.T)


def test_draw_in_its_order_is_itself() -> None:
    draw = DRAWS["of a size"]
    assert draw_in_order(draw, (0, 1)) is draw


def test_axes_of_one_draw_stay_last() -> None:
    assert draw_in_order(DRAWS["several axes"], (2, 0, 1)) is None


def test_composed_distribution_has_no_parameters_to_put_in_order() -> None:
    censored = pm.Censored.dist(pm.Normal.dist(MEANS), lower=0, upper=1)
    assert draw_in_order(censored, (1, 0)) is None


def test_inverse_undoes_an_order() -> None:
    order = (2, 0, 1)
    assert tuple(order[axis] for axis in inverse(order)) == (0, 1, 2)


def test_transposes_of_data_are_left_out() -> None:
    data = pytensor.shared(np.arange(6).reshape(2, 3))
    value, order = data_without_transpose(data.transpose(1, 0).astype("float64"))
    assert order == (1, 0)
    np.testing.assert_array_equal(value.eval(), data.get_value().astype(float))
    assert transposed_from(data) == (data, (0, 1))
    added = pt.expand_dims(data, 0)
    assert transposed_from(added) == (added, (0, 1, 2))
