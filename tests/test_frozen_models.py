"""New data for models that PyMC's own tools froze, and for models without containers."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from pymc.model.transform.optimization import freeze_dims_and_data

import bayou as by
from tests.column_models import FRAME, QUIET, written

EFFECT = np.array([0.5, -0.5])


def test_data_of_a_frozen_model_are_not_changed() -> None:
    model = written()
    frozen = freeze_dims_and_data(model)
    message = (
        r"^`new_data` must be for data that can change, .*'x', 'y'\] are frozen\.\nHint: change"
    )
    with pytest.raises(TypeError, match=message):
        by.set_data(FRAME, model=frozen)
    with pytest.raises(TypeError, match=r"in which \['y'\] are frozen\.\nHint: change"):
        by.set_data({"y": FRAME["y"]}, model=frozen)
    with pytest.raises(ValueError, match=r"(?s)'all' with:\n.*are frozen\.\nHint: change"):
        by.sample_many({"all": FRAME}, model=frozen, **QUIET)
    fit = by.fit(10, model=frozen, tolerance=1e3, correction=None, **QUIET)
    with pytest.raises(ValueError, match=r"got the frozen .*\nHint: pass the model from"):
        by.predict(fit, FRAME, **QUIET)
    predictions = by.predict(fit, FRAME.iloc[:3], model=model, draws=2, **QUIET)
    assert predictions["predictions"]["outcome"].shape == (1, 2, 3)


def test_a_model_without_containers_takes_no_new_data() -> None:
    with pm.Model() as model:
        pm.Normal("outcome", pm.Normal("mu"), 1, observed=[1.0, 2.0])
    with pytest.raises(TypeError, match=r"got a model that has none\.\nHint: write its data"):
        by.set_data(FRAME, model=model)
    fit = by.fit(10, model=model, tolerance=1e3, correction=None, **QUIET)
    with pytest.raises(ValueError, match=r"are arrays in its graph\.\nHint: write them as by\.D"):
        by.predict(fit, FRAME, **QUIET)
