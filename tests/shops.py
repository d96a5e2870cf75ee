"""Shops that sell at prices: one model and its data sets, for the tests of many data sets."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import bayou as by

RNG = np.random.default_rng(0)
SHOPS = pd.DataFrame(
    {
        "shop": ["b", "a", "b", "c", "a", "b"],
        "price": RNG.normal(size=6),
        "sold": RNG.normal(size=6),
    }
)
# Draws are few, to be quick.
SETTINGS: dict[str, Any] = {
    "draws": 30,
    "tune": 40,
    "chains": 2,
    "random_seed": 3,
    "progressbar": False,
}


def shop_model() -> pm.Model:
    """Return a regression with values for each row."""
    with pm.Model(coords={"term": ["level", "slope"]}) as model:
        price = by.Data("price", SHOPS, columns="price", dims="row")
        sold = by.Data("sold", SHOPS, columns="sold", dims="row")
        b = pm.Normal("b", dims="term")
        mean = pm.Deterministic("mean", b[0] + b[1] * price, dims="row")
        pm.Deterministic("gain", mean > 0, dims="row")
        pm.Normal("observed", mean, 1, observed=sold, dims="row")
    return model


def data_sets(lengths: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Data sets of so many rows, each a function of its key."""
    found = {}
    for key, length in lengths.items():
        rng = np.random.default_rng(list(key.encode()))
        found[key] = {"price": rng.normal(size=length), "sold": rng.normal(size=length)}
    return found


def sample_many(data: Any, model: pm.Model, **settings: Any) -> xr.DataTree:
    return by.sample_many(data, model=model, **SETTINGS | settings)
