"""by.fit on rows that are not in memory: the posterior of all of them, resumable, refusals."""

import pickle
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.models.inputs import storage_of

NUM_ROWS = 20_000
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(NUM_ROWS, 2))
# The mean drifts, and the rows are sorted by time: a window in that order sees a part of it.
DRIFT = np.linspace(-3, 3, NUM_ROWS)
Y = X @ [1.0, -2.0] + DRIFT + RANDOM.normal(size=NUM_ROWS)
DESIGN = np.column_stack([np.ones(NUM_ROWS), X])
PRECISION = DESIGN.T @ DESIGN / 4 + np.eye(3) / 100
MEAN = np.linalg.solve(PRECISION, DESIGN.T @ Y / 4)
STD = np.sqrt(np.diag(np.linalg.inv(PRECISION)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    table = pa.table({"x1": X[:, 0], "x2": X[:, 1], "y": Y})
    pq.write_table(table, folder / "rows.parquet", row_group_size=300)
    by.shuffle(by.scan(folder / "rows.parquet"), folder / "store", random_seed=1)
    return folder


SOURCES: dict[str, Any] = {
    "windows": lambda folder: (by.scan(folder / "rows.parquet"), 5000),
    "store": lambda folder: (by.scan(folder / "store"), 5000),
    "in memory": lambda folder: (by.scan(folder / "rows.parquet"), None),
}


def model_of(source: by.Source, size: int | None, **kwargs: Any) -> pm.Model:
    options: dict[str, Any] = {"batch_size": 200, "in_memory_size": size} | kwargs
    with pm.Model() as model:
        x = by.Minibatch(source[["x1", "x2"]], **options)
        y = by.Minibatch(source["y"], **options)
        b = pm.Normal("b", 0, 10, shape=3)
        pm.Normal("y", b[0] + x @ b[1:], 2, observed=y, total_size=NUM_ROWS)
    return model


def fit(model: pm.Model, **kwargs: Any) -> by.Fit:
    return by.fit(model=model, **({"random_seed": 1, "progressbar": False} | kwargs))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "windows")) for name in SOURCES],
)
def test_the_posterior_is_that_of_all_rows(name: str, folder: Path) -> None:
    found = fit(model_of(*SOURCES[name](folder)))
    assert found.converged
    # A window is no data that draws could be checked against.
    assert ("observed_data" in found.sample(10).children) == (name == "in memory")
    assert found.correction == "linear_response"
    np.testing.assert_allclose((found.mean["b"] - MEAN) / STD, 0, atol=0.1)
    np.testing.assert_allclose(found.std["b"], STD, rtol=0.01)
    names = {thread.name.rsplit("_", 1)[0] for thread in threading.enumerate()}
    assert names.isdisjoint({"bayou-window", "bayou-feed"})


@pytest.mark.slow
def test_what_all_rows_tell_is_read_in_blocks(folder: Path) -> None:
    source, size = SOURCES["windows"](folder)
    streaming = fit(model_of(source, size), n=2000)
    resident = fit(model_of(source, None), n=2000)
    np.testing.assert_allclose(streaming.std["b"], resident.std["b"], rtol=1e-6)
    elbos = [found.elbo_estimate(200, random_seed=1) for found in (streaming, resident)]
    assert elbos[0][0] == pytest.approx(elbos[1][0], rel=1e-4)
    assert streaming.khat() < 0.7


@pytest.mark.parametrize("name", [pytest.param("windows", marks=pytest.mark.slow), "store"])
def test_a_resumed_fit_is_the_fit_that_never_stopped(
    name: str, folder: Path, tmp_path: Path
) -> None:
    source, size = SOURCES[name](folder)
    options: dict[str, Any] = {"n": 2500, "correction": None}
    whole = fit(model_of(source, size), **options)

    def stop(done: int, losses: np.ndarray) -> None:
        if done > 1200:
            raise StopIteration

    path = tmp_path / "fit.checkpoint"
    with pytest.warns(by.ConvergenceWarning):
        fit(model_of(source, size), **options, checkpoint=path, checkpoint_seconds=0, callback=stop)
    resumed = fit(model_of(source, size), **options, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.elbo, whole.elbo)
    assert resumed.mean.equals(whole.mean)


STRATA = np.repeat([0, 1], [NUM_ROWS - 2000, 2000])
ORDERS = {
    "weighted": by.Weighted(np.where(STRATA, 5.0, 1.0)),
    "stratified": by.Stratified(STRATA, {0: 100, 1: 100}),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["store", "in memory"])
def test_rows_of_unequal_probability_leave_the_posterior_unbiased(
    order: str, name: str, folder: Path
) -> None:
    if name == "store":
        source = by.source({"x1": X[:, 0], "x2": X[:, 1], "y": Y})
        model = model_of(source, 5000)
    else:
        model = model_of(by.scan(folder / "rows.parquet"), None)
    found = fit(model, order=ORDERS[order], correction=None, n=20_000)
    # Without the weights, the first mean would be tens of standard deviations off.
    np.testing.assert_allclose((found.mean["b"] - MEAN) / STD, 0, atol=0.5)
    np.testing.assert_allclose(found.std["b"], STD, rtol=0.25)


def test_a_fit_is_lent_the_rows_in_memory_and_gives_them_back(folder: Path) -> None:
    source, size = SOURCES["windows"](folder)
    model = model_of(source, size)
    held = [storage_of(variable) for variable in compile_program(model).fed]
    held[0].update_shared()
    before = [variable.get_value() for variable in held]
    during = []

    def look(done: int, losses: np.ndarray) -> None:
        during.append([variable.get_value() for variable in held])
        if len(during) == 1:
            # A fit within a fit is lent nothing.
            fit(model, n=10)

    fit(model, n=1000, callback=look)
    for values, kept in zip(before, during[-1], strict=True):
        np.testing.assert_array_equal(kept, values[:1024])
    for variable, values in zip(held, before, strict=True):
        np.testing.assert_array_equal(variable.get_value(), values)


def test_rows_that_cannot_be_given_back_are_said(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"y": Y}), rows, row_group_size=1000)
    with pm.Model() as model:
        y = by.Minibatch(by.scan(rows)["y"], 100, in_memory_size=5000)
        pm.Normal("y", pm.Normal("mu"), 1, observed=y, total_size=NUM_ROWS)

    def stop(done: int, losses: np.ndarray) -> None:
        rows.unlink()
        raise StopIteration

    with (
        pytest.warns(by.ConvergenceWarning),
        pytest.warns(
            UserWarning, match=r"5000 rows again, from row 0 on.*no such file any more.\nHint: they"
        ),
    ):
        found = fit(model, n=600, callback=stop)
    assert np.isfinite(found.mean["mu"])
    np.testing.assert_array_equal(y.shared.get_value(), Y[:1024])


@pytest.mark.parametrize("statistics", [True, False])
def test_an_index_out_of_range_in_rows_on_disk(statistics: bool, tmp_path: Path) -> None:
    index = np.arange(NUM_ROWS) % 3
    index[17_345] = 3
    table = pa.table({"y": Y, "airport": index})
    rows = tmp_path / "rows.parquet"
    pq.write_table(table, rows, row_group_size=1000, write_statistics=statistics)
    source = by.scan(rows)
    with pm.Model() as model:
        level = pm.Normal("level", shape=3)
        at = by.Minibatch(source["airport"], 50, in_memory_size=5000)
        y = by.Minibatch(source["y"], 50, in_memory_size=5000)
        pm.Normal("y", level[at], 1, observed=y, total_size=NUM_ROWS)
    with pytest.raises(
        IndexError, match=r"of 'level', .* got 3 in row 17345 of the column 'airport'\.\nHint"
    ):
        fit(model)


def test_a_total_size_that_the_source_contradicts(folder: Path) -> None:
    source, size = SOURCES["windows"](folder)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal(
            "y", mu, 1, observed=by.Minibatch(source["y"], 50, in_memory_size=size), total_size=size
        )
    with pytest.raises(
        ValueError, match=r"`total_size` of 'y' must be .* its source, 20000, got 5000.\nHint: pass"
    ):
        fit(model)


def test_fields_of_one_source_are_fed_alike(folder: Path) -> None:
    source, size = SOURCES["windows"](folder)

    def other(**kwargs: Any) -> pm.Model:
        with pm.Model() as model:
            mu = pm.Normal("mu")
            x = by.Minibatch(source["x1"], 50, in_memory_size=size)
            options = {"batch_size": 50, "in_memory_size": size} | kwargs
            y = by.Minibatch(source["y"], **options)
            pm.Normal("y", mu * x, 1, observed=y, total_size=NUM_ROWS)
        return model

    with pytest.raises(
        ValueError, match=r"of one source must have one batch_size and random_seed.*\nHint: its"
    ):
        fit(other(random_seed=3))
    with pytest.raises(
        ValueError,
        match=r"the same .*, got 4000 for 'Minibatch' of 'y', 5000 for 'Minibatch' of 'x1'.\nHint",
    ):
        fit(other(in_memory_size=4000))
    fit(other(), n=50)


def test_arrays_are_not_aligned_with_windows(folder: Path) -> None:
    source, size = SOURCES["windows"](folder)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        x = by.Minibatch(X[:, 0], 50)
        y = by.Minibatch(source["y"], 50, in_memory_size=size)
        pm.Normal("y", mu * x, 1, observed=y, total_size=NUM_ROWS)
    with pytest.raises(
        ValueError, match=r"must be fed the same rows, got an array or .*\nHint: bring them"
    ):
        fit(model)


def test_arrays_are_aligned_with_rows_that_can_be_taken() -> None:
    rows = by.source({"y": Y})
    with pm.Model() as model:
        b = pm.Normal("b", 0, 10, shape=3)
        x = by.Minibatch(X, 200)
        y = by.Minibatch(rows["y"], 200, in_memory_size=5000)
        pm.Normal("y", b[0] + x @ b[1:], 2, observed=y, total_size=NUM_ROWS)
    found = fit(model, n=20_000)
    assert found.correction == (
        "none: the rows come from a source and from elsewhere, and it needs the density of all rows"
    )
    np.testing.assert_allclose((found.mean["b"] - MEAN) / STD, 0, atol=0.25)
    with pytest.raises(ValueError, match=r"the rows come from a source and from elsewhere"):
        fit(model, correction="linear_response")


def test_fixed_draws_take_all_rows_at_each_step(folder: Path) -> None:
    model = model_of(*SOURCES["windows"](folder))
    with pytest.raises(
        ValueError,
        match=r"must have all rows in memory, but only a part .*\nHint: p",
    ):
        fit(model, method="dadvi")


def test_weights_are_of_rows_alone() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(Y, 100)
        pm.Potential("y", 200 * pm.logp(pm.Normal.dist(mu, 1), batch).sum())
    with pytest.raises(ValueError, match=r"`order` must be by name unless .*Weighted.\nHint: w"):
        fit(model, order=ORDERS["weighted"])


def test_a_fault_in_the_source_reaches_the_caller(folder: Path) -> None:
    class Failing:
        fields: ClassVar = {"y": by.Field("y", np.dtype(np.float64))}
        blocks = (10_000, 10_000)
        calls = 0

        def read(self, block: int, names: Any) -> Any:
            self.calls += 1
            if self.calls > 4:
                raise OSError("the disk is gone")
            yield {"y": Y[10_000 * block : 10_000 * (block + 1)]}

    with pm.Model() as model:
        mu = pm.Normal("mu")
        y = by.Minibatch(by.source(Failing())["y"], 100, in_memory_size=5000)
        pm.Normal("y", mu, 1, observed=y, total_size=NUM_ROWS)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        fit(model)
    [note] = caught.value.__notes__
    assert note.startswith("Containers of ['y'] must read their 5000 rows again, from row 0 on")


@pytest.mark.parametrize("name", ["store", "in memory"])
def test_a_start_knows_the_weights(name: str, folder: Path) -> None:
    source, size = SOURCES[name](folder)
    if name == "store":
        source = by.source({"x1": X[:, 0], "x2": X[:, 1], "y": Y})
    found = fit(model_of(source, size), order=ORDERS["weighted"], n=100, correction=None)
    np.testing.assert_allclose((found.mean["b"] - MEAN) / STD, 0, atol=8)


@pytest.mark.parametrize("copied", [pickle.dumps, cloudpickle.dumps, None])
def test_a_copy_still_knows_its_source(copied: Any, folder: Path) -> None:
    source, size = SOURCES["windows"](folder)
    batch = by.Minibatch(source["y"], 200, in_memory_size=size)
    other = deepcopy(batch) if copied is None else pickle.loads(copied(batch))
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 2, observed=other, total_size=NUM_ROWS)
    found = fit(model, n=2500)
    assert float(found.mean["mu"]) == pytest.approx(Y.mean(), abs=0.2 * 2 / NUM_ROWS**0.5)
    other.update_shared()


def test_two_sources_are_not_read_as_one(folder: Path) -> None:
    one, size = SOURCES["windows"](folder)
    other, _ = SOURCES["windows"](folder)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        x = by.Minibatch(one["x1"], 50, in_memory_size=size)
        y = by.Minibatch(other["y"], 50, in_memory_size=size)
        pm.Normal("y", mu * x, 1, observed=y, total_size=NUM_ROWS)
    with pytest.raises(ValueError, match=r"got an array or another source beside one"):
        fit(model)


def test_fields_of_one_source_share_a_seed_in_memory_too(folder: Path) -> None:
    source, _ = SOURCES["in memory"](folder)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        x = by.Minibatch(source["x1"], 50, random_seed=1)
        pm.Normal("y", mu * x, 1, observed=by.Minibatch(source["y"], 50), total_size=NUM_ROWS)
    with pytest.raises(ValueError, match=r"must have one batch_size and random_seed"):
        fit(model)


@pytest.mark.slow
def test_a_normal_with_every_correlation_is_settled_too(folder: Path) -> None:
    found = fit(model_of(*SOURCES["windows"](folder)), method="fullrank_advi", n=4000)
    assert found.converged
    np.testing.assert_allclose((found.mean["b"] - MEAN) / STD, 0, atol=0.15)
    np.testing.assert_allclose(found.std["b"], STD, rtol=0.1)


def test_windows_that_cannot_be_settled_say_so(folder: Path) -> None:
    model = model_of(*SOURCES["windows"](folder))
    with pytest.warns(by.ConvergenceWarning, match="no pass over all of them could settle it: the"):
        found = fit(model, method="lowrank_advi", n=1000)
    assert not found.converged


def test_a_checkpoint_is_of_all_rows_and_of_no_window(tmp_path: Path) -> None:
    values = np.sort(Y)
    rows = by.source(lambda: iter([{"y": values[:10_000]}, {"y": values[10_000:]}]))
    batch = by.Minibatch(rows["y"], 200, in_memory_size=5000)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 2, observed=batch, total_size=NUM_ROWS)
    path = tmp_path / "fit.checkpoint"
    fit(model, n=600, checkpoint=path)
    batch.update_shared()
    fit(model, n=600, checkpoint=path, resume=True)
    values[15_000:] += 1
    with pytest.raises(ValueError, match="to resume, got another data"):
        fit(model, n=600, checkpoint=path, resume=True)


def test_floats_of_a_source_are_not_cast_to_integers(folder: Path) -> None:
    with pytest.raises(TypeError, match=r"must be floats where .*, got int32 .*\nHint"):
        by.Minibatch(by.scan(folder / "rows.parquet")["y"], 8, dtype="int32")


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"must be a file in an existing folder, .*\nHint: make"
    ):
        fit(model_of(*SOURCES["in memory"](folder)), checkpoint=folder / "none" / "x")


def test_rows_that_are_gone_at_the_end_cost_no_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("bayou.fitting.stochastic.advi.polish", fail)
    model = model_of(*SOURCES["windows"](folder))
    message = "it ended by OSError: the disk is gone before it was settled on all rows"
    with pytest.warns(by.ConvergenceWarning, match=message):
        found = fit(model, n=600)
    assert found.converged is False
    assert len(found.elbo) == 600
