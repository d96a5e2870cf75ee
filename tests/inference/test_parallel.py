"""A fit whose steps are shared by workers: the fit of one process, whatever becomes of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pymc as pm
import pytest
import ray
from pyarrow import parquet

import bayou as by
from bayou.cluster.ray import Ray, WorkerDiedError
from bayou.inference import parallel
from bayou.inference.faults import DivergenceError
from bayou.inference.loop import Chunk, Feeding, Recipe, State
from bayou.inference.parallel import Part, Shared, SharedRun

NUM_ROWS = 4000
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(NUM_ROWS, 3))
LATE = (RNG.random(NUM_ROWS) < 1 / (1 + np.exp(-FEATURES @ [1.0, 0.5, -1.0]))).astype(np.int64)
# Not a multiple of the number of workers.
BATCH_SIZE = 101
TWO = Ray(num_workers=2)


@pytest.fixture(scope="module", autouse=True)
def _one_cluster() -> Iterator[None]:
    """Connect to one cluster for all of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init("local", num_cpus=2, log_to_driver=False)
        yield
        ray.shutdown()


def logistic(features: Any = FEATURES, late: Any = LATE) -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", features, dims=("row", "feature"))
        y = by.Data("y", late, dims="row")
        b = pm.Normal("b", shape=3)
        pm.Bernoulli("obs", logit_p=x @ b, observed=y, dims="row")
    return model


MODEL = logistic()


def run(cluster: Ray | None, model: pm.Model = MODEL, **options: Any) -> by.Fit:
    default = {"n": 1500, "batch_size": BATCH_SIZE, "random_seed": 1, "progressbar": False}
    return by.fit(model=model, cluster=cluster, **(default | options))


@pytest.fixture(scope="module")
def shared() -> by.Fit:
    return run(TWO)


def assert_same(one: by.Fit, other: by.Fit, tolerance: float = 1e-8) -> None:
    np.testing.assert_allclose(one.elbo, other.elbo, rtol=tolerance)
    np.testing.assert_allclose(one.mean["b"], other.mean["b"], rtol=tolerance)
    np.testing.assert_allclose(one.std["b"], other.std["b"], rtol=tolerance)
    assert one.converged == other.converged
    assert one.reason == other.reason
    assert one.correction == other.correction


def test_workers_end_where_one_process_does(shared: by.Fit) -> None:
    alone = run(None)
    assert_same(shared, alone)
    # They did add up in another order.
    assert not np.array_equal(shared.elbo, alone.elbo)


def test_a_killed_worker_costs_no_bit(
    shared: by.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []
    watched = parallel.SharedRun

    def watching(pool: Any, *others: Any) -> SharedRun:
        pools.append(pool)
        return watched(pool, *others)

    killed = []

    def kill(num_steps: int, losses: np.ndarray) -> None:
        if not killed:
            [pool] = pools
            killed.append(pool.result(pool.submit(1, lambda part: os.getpid())))
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(parallel, "SharedRun", watching)
    path = tmp_path / "fit.checkpoint"
    found = run(TWO, callback=kill, checkpoint=path)
    assert killed
    assert_same(found, shared, tolerance=0)
    # Which is that of a fit of one process too.
    assert run(None, checkpoint=path, resume=True).mean.equals(found.mean)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    columns = {f"x{place}": FEATURES[:, place] for place in range(3)} | {"late": LATE}
    parquet.write_table(pa.table(columns), path, row_group_size=500)
    return path


def test_workers_read_windows_and_a_callback_ends_them(file: Path) -> None:
    rows = by.scan(file)
    with pm.Model() as model:
        x = by.Minibatch(rows[["x0", "x1", "x2"]], 100, in_memory_size=1000)
        y = by.Minibatch(rows["late"], 100, in_memory_size=1000)
        b = pm.Normal("b", shape=3)
        pm.Bernoulli("obs", logit_p=x @ b, observed=y, total_size=NUM_ROWS)

    def stop(num_steps: int, losses: np.ndarray) -> None:
        raise StopIteration

    def stopped(cluster: Ray | None) -> by.Fit:
        with pytest.warns(by.ConvergenceWarning, match="a callback stopped it after 512 steps"):
            return run(cluster, model, batch_size=None, n="auto", callback=stop, random_seed=3)

    found = stopped(TWO)
    assert len(found.elbo) == 512
    assert_same(found, stopped(None))
