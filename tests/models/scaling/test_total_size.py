"""The total_size of observed variables: put on, taken off, and read as a factor."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.models.scaling.total_size import (
    has_total_size,
    minibatch_scales,
    row_scale,
    scale_for_shape,
    with_total_size,
    without_total_size,
)

Y = np.arange(12.0).reshape(6, 2)


def observed(total_size: object) -> object:
    with pm.Model():
        return pm.Normal("y", 0, 1, observed=Y, total_size=total_size)


def test_it_is_taken_off() -> None:
    plain, scaled = observed(None), observed(60)
    assert [has_total_size(variable) for variable in (plain, scaled)] == [False, True]
    assert without_total_size(plain) is plain
    assert not has_total_size(without_total_size(scaled))


@pytest.mark.parametrize(
    ("total_size", "factor"),
    [(None, 5), (60, 5), ((None, 20), 5 * 10), ((60, None), 5), ((60, 20), 5 * 10)],
)
def test_that_of_the_first_axis_is_replaced(total_size: object, factor: float) -> None:
    variable = with_total_size(observed(total_size), 30)
    assert has_total_size(variable)
    assert not has_total_size(without_total_size(variable))
    assert scale_for_shape(variable, Y.shape) == pytest.approx(factor)
    assert row_scale(variable, Y.shape) == pytest.approx(5)


def test_scales_of_minibatches_count_the_rows_in_memory() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(Y[:, 0], 2)
        pm.Normal("batch", mu, 1, observed=batch, total_size=60)
        pm.Normal("unscaled", mu, 1, observed=2 * Y[:, 0])
        pm.Normal("no batch", mu, 1, observed=Y[:, 0], total_size=12)
    assert minibatch_scales(model) == {"batch": 10.0}
