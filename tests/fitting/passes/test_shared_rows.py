"""Passes whose rows workers share: the fit of one process, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.feeding.layout import ColumnLayout
from bayou.fitting import method_choice
from bayou.fitting.passes import pass_fit, pass_rows
from bayou.fitting.passes.shared_rows import SharedRows, even_parts, shared_rows
from tests.warm_workers import WarmWorkers

NUM_ROWS = 24_000
RNG = np.random.default_rng(1)
X = RNG.normal(size=(NUM_ROWS, 2))
LATE = (RNG.random(NUM_ROWS) < 1 / (1 + np.exp(-X @ [0.5, -0.3]))).astype(float)
TWO = by.Ray(num_workers=2)


def logistic_regression() -> pm.Model:
    with pm.Model() as model:
        x, late = by.Data("x", X, dims=("row", "column")), by.Data("late", LATE, dims="row")
        slope = pm.Normal("slope", dims="column")
        pm.Bernoulli("observed", logit_p=x @ slope, observed=late, dims="row")
    return model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    table = {"x": X[:, 0], "z": X[:, 1], "late": LATE}
    pq.write_table(pa.table(table), path, row_group_size=5000)
    return path


def regression_in_windows(path: Path) -> pm.Model:
    rows = by.scan(path)
    with pm.Model() as model:
        x = by.Minibatch(rows[["x", "z"]], 500, in_memory_size=6000)
        late = by.Minibatch(rows["late"], 500, in_memory_size=6000)
        slope = pm.Normal("slope", shape=2)
        pm.Bernoulli("observed", logit_p=x @ slope, observed=late, total_size=NUM_ROWS)
    return model


@pytest.fixture(autouse=True)
def on_warm_workers(warm_workers: WarmWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fits take processes that are there, in the place of Ray's."""
    starting = partial(shared_rows, start_pool=warm_workers)
    monkeypatch.setattr(method_choice, "shared_rows", starting)


def fit(model: pm.Model, **options: Any) -> by.Fit:
    return by.fit(model=model, random_seed=1, progressbar=False, **options)


@pytest.fixture(scope="module")
def alone() -> by.Fit:
    return fit(logistic_regression())


def assert_same(one: by.Fit, other: by.Fit) -> None:
    assert one.converged is True
    assert one.reason == other.reason
    assert one.correction == other.correction
    assert one.passes == pytest.approx(other.passes)
    np.testing.assert_allclose(one.elbo, other.elbo, rtol=1e-8)
    np.testing.assert_allclose(one.mean["slope"], other.mean["slope"], rtol=1e-8)
    np.testing.assert_allclose(one.std["slope"], other.std["slope"], rtol=1e-8)


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of what workers sum, as they do."""
    names: list[str] = []
    sums = SharedRows.sums

    def watched(self: SharedRows, function: Any, *arguments: Any) -> Any:
        names.append(function.__name__)
        return sums(self, function, *arguments)

    monkeypatch.setattr(SharedRows, "sums", watched)
    return names


@pytest.mark.parametrize("batch_size", [None, pytest.param(500, marks=pytest.mark.slow)])
def test_two_workers_end_where_one_process_does(
    alone: by.Fit, summed: list[str], batch_size: int | None
) -> None:
    shared = fit(logistic_regression(), cluster=TWO, batch_size=batch_size)
    assert_same(shared, alone)
    assert summed.count("hessians") == 1
    assert set(summed) == {"hessians", "gradients"}


@pytest.mark.slow
def test_a_killed_worker_costs_its_parts_alone(alone: by.Fit, warm_workers: WarmWorkers) -> None:
    def process_of(index: int) -> int:
        process = warm_workers.result(warm_workers.submit(index, lambda _: os.getpid()))
        return int(process)

    before: list[int] = []

    def kill(num_passes: int, _: Any) -> None:
        if num_passes == 2:
            before.extend(map(process_of, range(2)))
            os.kill(before[1], signal.SIGKILL)

    shared = fit(logistic_regression(), cluster=TWO, callback=kill)
    assert_same(shared, alone)
    assert process_of(0) == before[0]
    assert process_of(1) != before[1]


@pytest.mark.slow
def test_workers_read_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The sample is a part of the rows, which workers read too.
    monkeypatch.setattr(pass_rows, "SAMPLE_ROWS", 17_000)
    taken: list[int] = []
    take = SharedRows.take

    def watched(self: SharedRows, layout: ColumnLayout, blocks: Any, rows: Any, size: int) -> Any:
        taken.append(len(rows))
        return take(self, layout, blocks, rows, size)

    monkeypatch.setattr(SharedRows, "take", watched)
    shared = fit(regression_in_windows(file), cluster=TWO)
    # Whole blocks.
    assert taken == [15_360]
    assert_same(shared, fit(regression_in_windows(file)))


@pytest.mark.slow
def test_a_source_that_cannot_be_divided_is_said(tmp_path: Path) -> None:
    table = {"x": X[:, 0], "z": X[:, 1], "late": LATE}
    pq.write_table(pa.table(table), tmp_path / "one.parquet", row_group_size=NUM_ROWS)
    model = regression_in_windows(tmp_path / "one.parquet")
    with pytest.warns(UserWarning, match=r"Only 1 of 2 workers .*\nHint: write the rows in sev"):
        shared = fit(model, cluster=TWO)
    assert_same(shared, fit(model))


@contextmanager
def no_workers(*_: Any, **__: Any) -> Iterator[Any]:
    raise AssertionError("no worker is to be started")
    yield


@pytest.mark.parametrize(
    ("num_rows", "options", "text"),
    [
        (9000, {}, "which do not do here, .*: it has no more than 16384 rows.\nHint: pass a batch"),
        (NUM_ROWS, {"method": "dadvi"}, "which do not do here, .*: options that only steps take"),
    ],
)
def test_what_passes_do_not_do_is_refused_before_workers_start(
    num_rows: int, options: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(method_choice, "shared_rows", no_workers)
    with pm.Model() as model:
        late = by.Data("late", LATE[:num_rows], dims="row")
        pm.Bernoulli("observed", logit_p=pm.Normal("b"), observed=late, dims="row")
    with pytest.raises(ValueError, match=text):
        fit(model, cluster=TWO, **options)


def test_all_rows_at_once_that_are_not_nearly_normal_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pass_fit, "NEARLY_NORMAL", 0.0)
    text = "where passes over all rows do not do, .*: the posterior is not nearly normal.\nHint: "
    with pytest.raises(ValueError, match=text):
        fit(logistic_regression(), cluster=TWO)


@given(
    units=st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), number=st.integers(1, 9)
)
def test_parts_are_all_rows_in_whole_units(units: list[int], number: int) -> None:
    parts = even_parts(np.array(units), number)
    assert [row for part in parts for row in part] == list(range(sum(units)))
    assert 1 <= len(parts) <= number
    assert {part.stop for part in parts} <= set(np.cumsum(units).tolist())
    # None is further from an even one than a unit.
    assert max(map(len, parts)) <= sum(units) / number + 2 * max(units)
