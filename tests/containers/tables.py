"""The same rows as every kind of table, and a model of containers of each kind of column."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pymc as pm
import xarray as xr

import bayou as by
from bayou.containers.data import Data

ROWS = {
    "hour": [5, 6, 7, 8],
    "distance": [227.0, 1416.0, 719.5, 1065.0],
    "carrier": ["UA", "AA", "UA", "B6"],
    "late": [True, False, True, True],
    "day": [dt.date(2013, 1, 1), dt.date(1969, 12, 31), dt.date(2013, 1, 2), dt.date(2013, 3, 1)],
    "at": pd.to_datetime(
        ["2013-01-01T06:00", "2013-01-01T12:00", "2013-01-02T00:00", "1969-12-31T18:00"]
    ),
}
FRAME = pd.DataFrame(ROWS)
DAYS = [[15706.0, 15706.25], [-1.0, 15706.5], [15707.0, 15707.0], [15765.0, -0.25]]


def dataset() -> xr.Dataset:
    arrays = {name: np.asarray(values) for name, values in ROWS.items()}
    arrays["day"] = arrays["day"].astype("M8[ns]")
    arrays["carrier"] = arrays["carrier"].astype(object)
    return xr.Dataset({name: ("flight", array) for name, array in arrays.items()})


TABLES = {
    "pandas": lambda: FRAME,
    "pandas objects": lambda: FRAME.astype(object),
    "pandas arrow": lambda: pa.Table.from_pandas(FRAME).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas categorical": lambda: FRAME.astype({"carrier": "category"}),
    "polars": lambda: pl.from_pandas(FRAME),
    "polars categorical": lambda: pl.from_pandas(FRAME).with_columns(
        pl.col("carrier").cast(pl.Enum(["AA", "B6", "UA"]))
    ),
    "polars lazy": lambda: pl.from_pandas(FRAME).lazy(),
    "pyarrow": lambda: pa.Table.from_pandas(FRAME, preserve_index=False),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(FRAME, preserve_index=False)),
    "xarray": dataset,
    "dict of arrays": lambda: {name: np.asarray(values) for name, values in ROWS.items()},
    "dict of lists": lambda: {name: list(values) for name, values in ROWS.items()},
    "source": lambda: by.source(pl.from_pandas(FRAME)),
}


def flights(table: Any) -> pm.Model:
    """A model of containers that are built from each kind of column."""
    with pm.Model() as model:
        Data("x", table, columns=["distance", "hour"], dims=("flight", "feature"))
        Data("late", table, columns="late", dims="flight")
        Data("carrier_code", table, columns="carrier", dims="flight", categories="carriers")
        Data("days", table, columns=["day", "at"], dims=("flight", "when"))
    return model
