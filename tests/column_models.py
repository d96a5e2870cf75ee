"""A model of the columns of a frame: a matrix, categories and an outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm

import bayou as by

QUIET: dict[str, Any] = {"progressbar": False, "random_seed": 1}
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(80, 2)), columns=["x1", "x2"])
FRAME["group"] = RNG.choice(["u", "v"], 80)
FRAME["y"] = FRAME["x1"] - FRAME["x2"] + RNG.normal(size=80)


def written() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", FRAME, columns=["x1", "x2"], dims=("row", "feature"))
        group = by.Data("group", FRAME, columns="group", dims="row", categories="groups")
        y = by.Data("y", FRAME, columns="y", dims="row")
        b, a = pm.Normal("b", dims="feature"), pm.Normal("a", dims="groups")
        pm.Normal("outcome", x @ b + a[group], 1, observed=y, dims="row")
    return model
