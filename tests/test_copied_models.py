"""Copies of models: their containers take columns, and leave those of the original alone."""

from __future__ import annotations

from collections.abc import Callable

import cloudpickle
import numpy as np
import pymc as pm
import pytest

import bayou as by
from tests.column_models import FRAME, QUIET, written

type Change = Callable[[pm.Model], pm.Model]
COPIES: dict[str, Change] = {
    "copy": lambda model: model.copy(),
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*COPIES])
def test_containers_of_copies_take_columns(name: str) -> None:
    model = written()
    copied = COPIES[name](model)
    fit = by.fit(model=copied, **QUIET)
    new = FRAME.iloc[:5]
    predictions = by.predict(fit, new, draws=200, **QUIET)["predictions"]["outcome"]
    effect = fit.mean["a"].to_numpy()
    mean = new[["x1", "x2"]].to_numpy() @ fit.mean["b"].to_numpy()
    mean = mean + effect[new["group"].map({"u": 0, "v": 1})]
    np.testing.assert_allclose(predictions.mean(("chain", "draw")), mean, atol=0.35)
    many = by.fit_many({"all": FRAME, "half": FRAME[::2]}, model=copied, **QUIET)
    assert set(many["diagnostics"]["error"].to_numpy()) == {""}
    by.set_data(FRAME.iloc[:20], model=copied)
    assert copied["x"].get_value().shape == (20, 2)
    assert model["x"].get_value().shape == (80, 2)
