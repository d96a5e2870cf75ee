"""Small models, posteriors and rows that tests of predictions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import bayou as by

ROWS, DRAWS = 40, 500
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 2))
GROUP = RNG.integers(0, 3, ROWS)
COUNTS = RNG.integers(0, 5, ROWS)
NEW = RNG.normal(size=(7, 2))
NEW_GROUP = np.array([0, 1, 2, 0, 1, 2, 0])

type Likelihood = Callable[[Any, Any, Any], Any]


def posterior(**values: Any) -> xr.Dataset:
    arrays = {"b": RNG.normal(0.3, 0.1, (1, DRAWS, 2)), "e": RNG.normal(0, 0.3, (1, DRAWS, 3))}
    return xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_dim_{i}" for i in range(array.ndim - 2))), array)
            for name, array in (arrays | values).items()
        }
    )


def regression(likelihood: Likelihood, observed: Any = COUNTS) -> pm.Model:
    with pm.Model(coords={"feature": ["f", "g"], "group": ["A", "B", "C"]}) as model:
        x = by.Data("x", X, dims=("row", "feature"))
        group = by.Data("group_of", GROUP, dims="row")
        y = by.Data("y_data", observed, dims=("row", "feature")[: np.ndim(observed)])
        b = pm.Normal("b", dims="feature")
        e = pm.Normal("e", dims="group")
        likelihood(pm.Deterministic("mu", x @ b + e[group], dims="row"), x, y)
    return model


def new_data() -> dict[str, Any]:
    return {"x": NEW, "group_of": NEW_GROUP}


def predictions(model: pm.Model, tree: Any, data: Any = None, **kwargs: Any) -> Any:
    kwargs = {"random_seed": 1, "progressbar": False} | kwargs
    return by.predict(tree, new_data() if data is None else data, model=model, **kwargs)


def bernoulli(mu: Any, x: Any, y: Any) -> Any:
    return pm.Bernoulli("y", logit_p=mu, observed=y, dims="row")


def flights(num_rows: int) -> pd.DataFrame:
    generator = np.random.default_rng(num_rows)
    return pd.DataFrame(
        {
            "distance": generator.normal(size=num_rows),
            "hour": generator.normal(size=num_rows),
            "carrier": generator.choice(["UA", "AA", "DL"], num_rows),
            "late": generator.random(num_rows) < 0.4,
        },
        index=pd.Index([f"flight {row}" for row in range(num_rows)], name="flight"),
    )


def late_model(frame: pd.DataFrame) -> pm.Model:
    with pm.Model() as model:
        x = by.Data(
            "x",
            frame,
            columns=["distance", "hour"],
            dims=("flight", "feature"),
            export_index_as_coords=True,
        )
        carrier = by.Data("code", frame, columns="carrier", dims="flight", categories="carriers")
        late = by.Data("late", frame, columns="late", dims="flight")
        b = pm.Normal("b", dims="feature")
        e = pm.Normal("e", dims="carriers")
        mu = pm.Deterministic("mu", x @ b + e[carrier], dims="flight")
        pm.Bernoulli("y", logit_p=mu, observed=late, dims="flight")
    return model
