"""Predictions on disk: as in memory, continued after an interruption, refused for others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from tests.prediction.small_models import (
    DRAWS,
    RNG,
    X,
    flights,
    late_model,
    posterior,
    predictions,
)


class InterruptedSource(by.Source):
    """A source in blocks, whose fourth block is interrupted in one pass over them."""

    fields: ClassVar = {
        name: by.Field(name, np.dtype(float)) for name in ("distance", "hour", "carrier")
    }
    blocks: tuple[int, ...] = (1024, 1024, 1024, 1024, 904)
    interrupted_read = -1

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows
        self.reads = 0

    def read(self, block: int, names: list[str]) -> Iterator[by.Table]:
        if block == 3:
            self.reads += 1
            if self.reads == self.interrupted_read:
                raise KeyboardInterrupt
        rows = slice(block * 1024, block * 1024 + self.blocks[block])
        yield {name: self.rows[name][rows] for name in names}


@pytest.mark.parametrize("ending", ["zarr", "parquet"])
def test_an_interrupted_run_goes_on(ending: str, tmp_path: Path) -> None:
    # A piece of rows is 1024 rows here.
    chunk_rows, num_rows = 1024, 5000
    frame = flights(num_rows)
    columns = {name: frame[name].to_numpy() for name in ("distance", "hour")}
    columns["carrier"] = np.where(frame["carrier"] == "UA", 2.0, 0.0)
    rows = InterruptedSource(columns)
    common: dict[str, Any] = {
        "model": distance_model(),
        "tree": posterior().isel(draw=slice(20)),
        "random_seed": None,
        "chunk_rows": chunk_rows,
    }
    predictions(data=rows, **common)
    rows.interrupted_read = 2 * rows.reads
    out = tmp_path / f"y.{ending}"
    with pytest.raises(KeyboardInterrupt):
        predictions(out=out, data=rows, **common)
    assert not out.exists()
    folder = out.with_name(f"y.{ending}.partial")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert 0 < manifest["done"] < num_rows
    for changes, message in (
        (
            {"data": columns | {"distance": columns["distance"] + 1}},
            "`data` must be those that `out` was begun with",
        ),
        ({"draws": 7}, "`out` must be continued .*, got a change of posterior"),
        ({"random_seed": 5}, "got a change of random_seed"),
        ({"chunk_rows": 2048}, "got a change of chunk_rows: 1024 in .*, 2048 now"),
    ):
        with pytest.raises(ValueError, match=message):
            predictions(out=out, **({"data": columns} | common | changes))
    resumed = predictions(out=out, data=columns, **common | {"chunk_rows": None})
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    seed = manifest["identity"]["random_seed"]
    whole = predictions(data=columns, **(common | {"random_seed": seed})).predictions["y"].values
    if ending == "zarr":
        assert resumed.predictions.attrs["random_seed"] == seed
        assert np.array_equal(resumed.predictions["y"].values, whole)
    else:
        assert int(pq.read_schema(out).metadata[b"bayou.random_seed"]) == seed
        found = pd.read_parquet(out)
        assert list(found["row"]) == list(range(num_rows))
        np.testing.assert_allclose(found["y_mean"], whole[0].mean(axis=0))
    with pytest.raises(ValueError, match=r"`out` must be a new path, got .* there already"):
        predictions(out=out, data=columns, **common)


def distance_model() -> pm.Model:
    with pm.Model() as model:
        table = {"distance": X[:, 0], "hour": X[:, 1], "carrier": X[:, 1]}
        x = by.Data("x", table, columns=["distance", "hour", "carrier"], dims=("flight", "column"))
        b = pm.Normal("b", shape=2)
        pm.Normal("y", x[:, :2] @ b + x[:, 2], 0.5, observed=X[:, 0], dims="flight")
    return model


def test_zarr_holds_what_memory_would(tmp_path: Path) -> None:
    model, tree, new = (
        late_model(flights(30)),
        posterior(b=RNG.normal(size=(1, DRAWS, 2))),
        flights(9),
    )
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="carriers")
    names = ["y", "mu", "odds"]
    memory = predictions(model, tree, new, var_names=names).predictions
    disk = predictions(model, tree, new, var_names=names, out=tmp_path / "y.zarr").predictions
    assert not disk["y"].variable._in_memory
    xr.testing.assert_identical(disk.dataset[names].load(), memory.dataset[names])


def test_parquet_holds_summaries(tmp_path: Path) -> None:
    model, tree, new = late_model(flights(30)), posterior(), flights(9)
    mu = predictions(model, tree, new, var_names="mu").predictions["mu"]
    source = predictions(model, tree, new, var_names="mu", out=tmp_path / "mu.parquet")
    assert source.num_rows == 9
    found = pd.read_parquet(tmp_path / "mu.parquet")
    assert list(found["flight"]) == list(new.index)
    np.testing.assert_allclose(found["mu_mean"], mu.mean(("chain", "draw")))
    np.testing.assert_allclose(found["mu_sd"], mu.values[0].std(axis=0, ddof=1))
    for percent in (2.5, 25, 50, 75, 97.5):
        expected = np.quantile(mu.values[0], percent / 100, axis=0)
        np.testing.assert_allclose(found[f"mu_q{percent:g}"], expected)


def test_parquet_refuses_what_has_no_rows(tmp_path: Path) -> None:
    model = late_model(flights(30))
    with model:
        pm.Deterministic("odds", pm.math.exp(model["e"]), dims="carriers")
    with pytest.raises(ValueError, match=r"must differ from row to row .* got \['odds'\]"):
        predictions(
            model, posterior(), flights(5), var_names=["odds"], out=tmp_path / "odds.parquet"
        )
    assert list(tmp_path.iterdir()) == []
