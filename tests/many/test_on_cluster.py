"""Calls with `cluster=` from end to end: the results of one machine, whichever workers die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.cluster.workers import Workers, start_workers
from bayou.many import dispatch as dispatching
from bayou.nuts.compiled import compiled_density as compiled
from bayou.prediction import cluster_run as prediction_cluster
from tests.shops import SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("two_cores"),
    # Draws are few, to be quick.
    pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning"),
]

RNG = np.random.default_rng(0)
SHOPS = pd.DataFrame(
    {"price": RNG.normal(size=6), "sold": RNG.normal(size=6), "kind": list("abacab")}
)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a regression on named columns, categories among them."""
    with pm.Model(coords={"term": ["level", "slope"]}) as model:
        price = by.Data("price", SHOPS, columns="price", dims="row")
        kind = by.Data("kind", SHOPS, columns="kind", dims="row", categories="kinds")
        sold = by.Data("sold", SHOPS, columns="sold", dims="row")
        b = pm.Normal("b", dims="term")
        effect = pm.Normal("effect", dims="kinds")
        mean = b[0] + b[1] * price + effect[kind]
        pm.Normal("observed", mean, 1, observed=sold, dims="row")
    return model


def data_sets(number: int) -> dict[str, dict[str, Any]]:
    found = {}
    for key in range(number):
        rng = np.random.default_rng(key)
        rows = 3 + key % 3
        found[f"{key:02}"] = {
            "price": rng.normal(size=rows),
            "kind": rng.choice(list("abc"), rows),
            "sold": rng.normal(size=rows),
        }
    return found


def assert_same(found: xr.DataTree, expected: xr.DataTree) -> None:
    for group in ("posterior", "sample_stats"):
        if group in expected:
            xr.testing.assert_equal(found[group].to_dataset(), expected[group].to_dataset())
    tables = [tree["diagnostics"].to_dataset().drop_vars("seconds") for tree in (found, expected)]
    xr.testing.assert_equal(*tables)


def counting(start: Any, index: int) -> Any:
    """Start a worker that counts how often it compiles."""
    real, counts = compiled.compile_density, []

    def compile_density(*arguments: Any) -> Any:
        counts.append(0)
        return real(*arguments)

    compiled.compile_density = compile_density
    held = start(index)
    object.__setattr__(held, "counts", counts)
    return held


def about(held: Any) -> tuple[int, int]:
    return os.getpid(), len(held.counts)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Workers]:
    """Return the workers that calls start, which count how often they compile."""
    found: list[Workers] = []

    @contextmanager
    def spied(cluster: by.Ray, start: Any) -> Iterator[Workers]:
        with start_workers(cluster, partial(counting, start)) as pool:
            found.append(pool)
            yield pool

    monkeypatch.setattr(dispatching, "start_workers", spied)
    return found


def test_a_killed_worker_loses_no_data_set(model: pm.Model, pools: list[Workers]) -> None:
    data = list(data_sets(80).values())
    data += [{"price": [1.0]}, {**data[0], "sold": [0.0, 0.0, np.inf]}]
    compilations = []

    def killing() -> Iterator[Any]:
        victim = 0
        for number, values in enumerate(data):
            if number == 40:
                victim, count = pools[0].result(pools[0].submit(0, about))
                compilations.append(count)
            if number == 60:
                os.kill(victim, signal.SIGKILL)
            yield values

    with pytest.warns(UserWarning, match="2 of 82 data sets failed: 80, 81"):
        found = by.sample_many(killing(), model=model, cluster=by.Ray(2), **SETTINGS)
    assert compilations == [1]
    with pytest.warns(UserWarning, match="2 of 82 data sets failed"):
        expected = by.sample_many(data, model=model, **SETTINGS)
    assert_same(found, expected)
    assert by.verify(found, model)


def test_an_interrupted_run_goes_on_elsewhere(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets(24)

    def interrupted() -> Iterator[Any]:
        yield from list(data.values())[:20]
        raise KeyboardInterrupt

    settings = {**SETTINGS, "model": model, "out": tmp_path / "many.zarr"}
    with pytest.warns(UserWarning, match="The keyboard stopped the call after"):
        by.sample_many(interrupted(), **settings, cluster=by.Ray(1))
    found = by.sample_many(data.values(), **settings)
    assert_same(found, by.sample_many(data.values(), model=model, **SETTINGS))


def predicted(model: pm.Model, data: Any, **settings: Any) -> Any:
    draws = {"b": RNG_DRAWS[..., :2], "effect": RNG_DRAWS[..., 2:]}
    dims = {"b": "term", "effect": "kinds"}
    posterior = xr.Dataset(
        {name: (("chain", "draw", dims[name]), array) for name, array in draws.items()},
        {"term": ["level", "slope"], "kinds": list("abc")},
    )
    settings = {"model": model, "random_seed": 1, "progressbar": False, **settings}
    return by.predict(posterior, data, **settings)


def own_densities() -> pm.Model:
    def density(value: Any, mean: Any) -> Any:
        return -((value - mean) ** 2)

    def drawn(mean: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.normal(mean, 0.5**0.5, size)

    with pm.Model() as model:
        x = by.Data("x", np.arange(3.0), dims="row")
        y = by.Data("y", np.arange(3.0), dims="row")
        slope = pm.CustomDist("slope", 0.0, logp=density, random=drawn)
        pm.CustomDist("observed", slope * x, logp=density, random=drawn, observed=y, dims="row")
    return model


def test_densities_of_ones_own_are_predicted() -> None:
    draws = xr.Dataset({"slope": (("chain", "draw"), np.ones((1, 5)))})
    settings: dict[str, Any] = {"model": own_densities(), "random_seed": 1, "progressbar": False}
    found = by.predict(draws, {"x": np.arange(9.0)}, cluster=by.Ray(1), **settings)
    expected = by.predict(draws, {"x": np.arange(9.0)}, **settings)
    np.testing.assert_array_equal(found.predictions["observed"], expected.predictions["observed"])


RNG_DRAWS = np.random.default_rng(1).normal(size=(2, 10, 5))


def test_predictions(model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"price": RNG.normal(size=5000), "kind": RNG.choice(list("abc"), 5000)}
    expected = predicted(model, rows)

    def kill(held: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def killing(cluster: by.Ray, start: Any) -> Iterator[Workers]:
        with start_workers(cluster, start) as pool:
            pool.submit(0, kill)
            yield pool

    with monkeypatch.context() as patch:
        patch.setattr(prediction_cluster, "start_workers", killing)
        found = predicted(model, rows, cluster=by.Ray(1))
    np.testing.assert_array_equal(found.predictions["observed"], expected.predictions["observed"])
    ends = [predicted(model, rows, out=tmp_path / "here.parquet")]
    ends += [predicted(model, rows, out=tmp_path / "there.parquet", cluster=by.Ray(1))]
    tables = [next(iter(end.read(0, list(end.fields)))) for end in ends]
    for name, values in tables[0].items():
        np.testing.assert_array_equal(tables[1][name], values)


def test_calibration(model: pm.Model, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"draws": 50, "tune": 60, "chains": 2, "random_seed": 1}
    settings |= {"progressbar": False}
    expected = by.calibrate(model, 30, **settings)
    out = tmp_path / "calibration.zarr"
    by.calibrate(model, 20, **settings, out=out)
    found = by.calibrate(model, 30, **settings, out=out, cluster=by.Ray(1))
    xr.testing.assert_identical(found.pit, expected.pit)
    again = by.calibrate(model, 30, **settings | {"random_seed": None}, out=out)
    xr.testing.assert_identical(again.pit, expected.pit)
