from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.nuts.term_densities import term_densities


def test_terms_of_the_density() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Minibatch(np.zeros(30), 5), total_size=30)
        pm.Potential("bound", pm.math.log(mu))
    terms = term_densities(model, [np.array(-1.0)])
    assert terms["mu"] == pytest.approx(-0.5 - np.log(2 * np.pi) / 2)
    assert terms["y"] == pytest.approx(np.full(30, terms["mu"]))
    assert np.isnan(terms["bound"])
