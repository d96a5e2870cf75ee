"""Models that JAX cannot compile are refused by the names of their variables."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor import wrap_py

import bayou as by


@wrap_py(itypes=[pt.dscalar], otypes=[pt.dscalar])
def opaque(value: np.ndarray) -> np.ndarray:
    return np.asarray(value * 2.0)


def test_an_operation_without_jax_code() -> None:
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Normal("plain", x, 1, observed=0.0)
        pm.Potential("strange", -(opaque(x) ** 2))
    words = (
        r"`model` must be .*, got one in 'strange' that it cannot: .*\nHint: .*no gradient either"
    )
    with pytest.raises(TypeError, match=words):
        by.fit(model=model, progressbar=False)


def test_an_operation_with_a_gradient_alone() -> None:
    with pm.Model() as model:
        pm.Potential("strange", -pt.kve(2.5, pm.HalfNormal("x")))
    with pytest.raises(TypeError, match=r"got one in 'strange' .*\nHint: by\.sample compiles it"):
        by.fit(model=model, progressbar=False)


def test_a_deterministic_without_jax_code() -> None:
    with pm.Model() as model:
        pm.Deterministic("strange", opaque(pm.Normal("x")))
    with pytest.raises(TypeError, match=r"got one in 'strange' .*\nHint: by\.sample compiles it"):
        by.fit(model=model, progressbar=False)


def test_shapes_that_depend_on_values() -> None:
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        pm.Potential("positive", -(x[x > 0] ** 2).sum())
        pm.Potential("fine", -(x**2))
    with pytest.raises(TypeError, match="got one in 'positive' that it cannot") as caught:
        by.fit(model=model, progressbar=False)
    assert "Hint: by.sample" in str(caught.value)
