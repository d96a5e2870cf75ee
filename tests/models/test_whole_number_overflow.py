"""Whole numbers that overflow are found and named, and no others."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.models.whole_number_overflow import find_overflow, warn_of_overflow

SETTINGS: dict[str, Any] = {"random_seed": 1, "progressbar": False}


def test_a_square_in_eight_bits_is_named() -> None:
    with pm.Model() as model:
        pm.HalfStudentT("spread", nu=3, sigma=36)
        pm.Normal("y", 0, 1, observed=by.Data("data", [1.0, 2.0], dims="row"), dims="row")
    # What PyMC computes is wrong: it is the scale 4 that it takes.
    density = model.compile_logp(vars=[model["spread"]], jacobian=False)
    assert density({"spread_log__": 0.0}) == pytest.approx(
        float(pm.logp(pm.HalfStudentT.dist(nu=3, sigma=4.0), 1.0).eval()), abs=3
    )
    match = r"Whole numbers of 'spread' overflow: pow\(36, 2\) is 16 in int8, not 1296, so .*\nHint"
    for call in (by.describe, lambda model: by.fit(10, model=model, correction=None, **SETTINGS)):
        with pytest.warns(UserWarning, match=match):
            call(model)


def test_parameters_that_are_computed_of_whole_numbers() -> None:
    with pm.Model() as model:
        pm.Gamma("rate", alpha=pt.constant(20) * pt.constant(30), beta=1.5)
        pm.HalfStudentT("spread", nu=3, sigma=100)
    with pytest.warns(UserWarning, match=r"of 'rate' overflow \(and so do those of \['spread'\]\)"):
        warn_of_overflow(model)


RIGHT = {
    "decimal points": lambda: pm.HalfStudentT("s", nu=3, sigma=36.0),
    "small": lambda: pm.HalfStudentT("s", nu=3, sigma=11),
    "more bits": lambda: pm.HalfStudentT("s", nu=3, sigma=np.int64(36)),
    "no square": lambda: pm.Normal("s", 100, 100),
    "counts": lambda: pm.Binomial("s", n=120, p=0.5, observed=[100, 3]),
    "many": lambda: pm.Normal("s", np.arange(1000), 20),
    "a potential": lambda: pm.Potential("s", pm.Normal("x", 0, 50).sum() * 100),
    "no density": lambda: pm.CustomDist("s", 30, random=lambda mu, rng, size: mu, observed=[1.0]),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_no_word_of_what_is_right(kind: str) -> None:
    with pm.Model() as model:
        RIGHT[kind]()
    warn_of_overflow(model)


def test_what_is_computed_of_results_is_exact() -> None:
    thousand = pt.constant(10) * pt.constant(10)
    assert find_overflow(thousand * 1.0) is None
    assert find_overflow(thousand + pt.constant(100)) == "add(100, 100) is -56 in int8, not 200"
    assert find_overflow(pt.constant(np.int8([3, 12])) ** 2) == (
        "pow(12, 2) is -112 in int8, not 144"
    )
