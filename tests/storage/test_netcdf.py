"""Results are written to NetCDF and read back as they are, where a library for groups is there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by

ENGINES = [name for name in ("h5netcdf", "netCDF4") if find_spec(name)]
QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}


@pytest.mark.skipif(not ENGINES, reason="needs h5netcdf or netCDF4")
def test_draws_and_predictions_come_back(tmp_path: Path) -> None:
    coords = {
        "day": pd.date_range("2020-01-01", periods=6),
        "level": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
    }
    with pm.Model(coords=coords):
        y = by.Data("y", np.arange(6) > 2, dims="day")
        x = by.Data("x", np.arange(6.0), dims="day")
        b = pm.Normal("b", dims="level")
        pm.Bernoulli("o", logit_p=b[0] + b[1] * x, observed=y, dims="day")
        fit = by.fit(**QUIET)
    predictions = by.predict(fit, {"x": np.arange(3.0)}, draws=5, **QUIET)
    for engine in ENGINES:
        for name, tree in (("draws", fit.sample(20)), ("predictions", predictions)):
            path = tmp_path / f"{name}.{engine}.nc"
            tree.to_netcdf(path, engine=engine.lower())
            with xr.open_datatree(path, engine=engine.lower()) as read:
                assert read.identical(tree)
