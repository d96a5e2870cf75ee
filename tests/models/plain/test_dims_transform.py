"""Transforms of pymc.dims for plain tensors: those of pymc along the same axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pymc.dims.distributions import transforms
from pymc.distributions.transforms import ZeroSumTransform

from bayou.containers.variables.named_dims import has_named_dims
from bayou.models.plain.dims_transform import DimsTransform

SHARES = np.random.default_rng(0).dirichlet(np.ones(4), size=3)
CASES: dict[str, tuple[Any, Any, np.ndarray]] = {
    "log": (transforms.log_transform, pm.distributions.transforms.log, SHARES),
    "simplex": (
        transforms.SimplexTransform("part"), pm.distributions.transforms.simplex, SHARES,
    ),
    "zerosum": (
        transforms.ZeroSumTransform(("part",)),
        ZeroSumTransform([-1]),
        SHARES - SHARES.mean(axis=1, keepdims=True),
    ),
    "interval": (
        transforms.IntervalTransform(0.0, 2.0), pm.distributions.transforms.Interval(0, 2), SHARES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_transform_is_that_of_pymc(name: str) -> None:
    named, expected, values = CASES[name]
    transform = DimsTransform(named, ("row", "part"))
    assert transform.name == named.name
    value = pt.constant(values)
    forward = transform.forward(value)
    graphs = [forward, transform.backward(forward), transform.log_jac_det(forward)]
    assert not has_named_dims(graphs)
    written = expected.forward(value)
    np.testing.assert_allclose(graphs[0].eval(), written.eval())
    np.testing.assert_allclose(graphs[1].eval(), values)
    np.testing.assert_allclose(graphs[2].eval(), expected.log_jac_det(written).eval())
