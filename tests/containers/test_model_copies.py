"""Containers in models that PyMC's own tools make of others."""

import numpy as np
import pandas as pd
import pymc as pm

import bayou as by


def test_new_data_of_a_model_with_an_intervention() -> None:
    frame = pd.DataFrame({"a": np.arange(5.0), "b": np.ones(5), "y": np.zeros(5)})
    with pm.Model() as model:
        x = by.Data("x", frame, columns=["a", "b"], dims=("row", "feature"))
        y = by.Data("y", frame, columns="y", dims="row")
        slopes = pm.Normal("slopes", dims="feature")
        pm.Normal("observed", x @ slopes, 1, observed=y, dims="row")
    changed = pm.do(model, {"slopes": np.array([1.0, -1.0])})
    by.set_data(frame.iloc[:3], changed)
    assert changed["x"].get_value().shape == (3, 2)
