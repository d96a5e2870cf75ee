"""Parameters out of the range of their distributions are refused, by every compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by

type Likelihood = Callable[[Any, Any], Any]
ROW: dict[str, Any] = {"dims": "row"}
# Of a number that is 1 in the rows that are fitted and -1 in a new one.
LIKELIHOODS: dict[str, tuple[Likelihood, str]] = {
    "jax, whole numbers": (
        lambda t, y: pm.Bernoulli("y", p=t / 2, observed=y, **ROW),
        "a bernoulli takes a probability from 0 to 1",
    ),
    "jax, reals": (
        lambda t, y: pm.Normal("y", 0, t, observed=y, **ROW),
        "a normal takes a scale of at least 0",
    ),
    "jax, vectors": (
        lambda t, y: pm.Categorical("y", p=pm.math.stack([t, 1 - t], 1), observed=y, **ROW),
        "a categorical takes probabilities from 0 to 1",
    ),
    "pytensor": (
        lambda t, y: pm.Poisson("y", t, observed=y, **ROW),
        "a poisson takes a mean of at least 0",
    ),
    "multinomial": (
        lambda t, y: pm.Multinomial(
            "y", n=y, p=pm.math.stack([t / 2, 1 - t / 2], 1), observed=pm.math.stack([y, 0 * y], 1)
        ),
        "a multinomial takes a number of at least 0 and probabilities from 0 to 1",
    ),
    "no range that is known": (
        lambda t, y: pm.Wald("y", mu=t, lam=1, observed=y, **ROW),
        "some for which they cannot be: mean <= 0",
    ),
}


@pytest.mark.parametrize(("likelihood", "words"), LIKELIHOODS.values(), ids=LIKELIHOODS)
@pytest.mark.parametrize("last", [False, True])
def test_rows_that_cannot_be_drawn_are_refused(
    likelihood: Likelihood, words: str, last: bool
) -> None:
    with pm.Model() as model:
        x = by.Data("x", np.ones(20), dims="row")
        # Among many draws, one.
        a = pm.Normal("a")
        y = by.Data("observed", np.ones(20, int), dims="row")
        likelihood(x * a, y)
    values = np.ones((1, 20))
    values[0, -1 if last else 0] = -1
    draws = xr.Dataset({"a": (("chain", "draw"), values)})
    message = rf"(?s)^`data` must give parameters that 'y' can be drawn with, .*{words}.*\nHint: ch"
    if "cannot be" in words and not last:
        # The first draw shows whether the rows fit the model.
        message = r"(?s)^`data` must fit the model, got .*: mean <= 0\nHint: .* in the range of"
    new = {"x": np.ones(3), "observed": np.ones(3, int)}
    if "multinomial" not in words:
        del new["observed"]
    with pytest.raises(ValueError, match=message):
        by.predict(draws, new, model=model, random_seed=1, progressbar=False)
    kept = by.predict(draws.isel(draw=[3]), new, model=model, random_seed=1, progressbar=False)
    assert kept["predictions"]["y"].shape[:3] == (1, 1, 3)


def test_a_variable_that_is_drawn_once_is_refused_too() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.ones(3), dims="row")
        scale = pm.Normal("scale")
        shift = pm.Normal("shift", 0, scale)
        pm.Normal("y", shift + x, 1, observed=by.Data("observed", np.ones(3), dims="row"), **ROW)
    draws = xr.Dataset({"scale": (("chain", "draw"), [[-1.0]])})
    with pytest.raises(ValueError, match=r"'y' can be drawn with, got .* a scale of at least 0"):
        by.predict(draws, {"x": np.ones(3)}, model=model, random_seed=1, progressbar=False)
