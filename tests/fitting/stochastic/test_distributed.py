"""A fit whose steps are shared by workers: the fit of one process, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pymc as pm
import pytest
import ray
from jax.errors import JaxRuntimeError
from pyarrow import parquet

import bayou as by
from bayou.batching.batched import batched_program
from bayou.cluster.jax_processes import AXIS, Team
from bayou.cluster.ray import Ray
from bayou.containers.variables import resident_rows as resident
from bayou.density.prng import noise_key
from bayou.errors import DivergenceError, WorkerDiedError
from bayou.feeding import memory
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.feeds import program_feeds
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic import distributed as parallel
from bayou.fitting.stochastic.advi import ADAM
from bayou.fitting.stochastic.distributed import DistributedRun
from bayou.fitting.stochastic.fit_worker import FitWorker
from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState, init_state, run_steps
from bayou.sampling.shard import Shard

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
        with warnings.catch_warnings():
            # JAX warns of any fork.
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
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
    default = {"n": 700, "batch_size": BATCH_SIZE, "random_seed": 1, "progressbar": False}
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


@pytest.mark.slow
def test_workers_end_where_one_process_does(shared: by.Fit) -> None:
    alone = run(None)
    assert_same(shared, alone)
    # They did add up in another order.
    assert not np.array_equal(shared.elbo, alone.elbo)


@pytest.mark.slow
def test_densities_of_ones_own() -> None:
    def density(value: Any, mean: Any) -> Any:
        return -((value - mean) ** 2)

    with pm.Model() as model:
        y = by.Data("y", FEATURES[:, 0], dims="row")
        b = pm.Normal("b", shape=2)
        pm.CustomDist("obs", b.sum(), logp=density, observed=y, dims="row")
    options: dict[str, Any] = {"n": 100, "correction": None}
    assert_same(run(TWO, model, **options), run(None, model, **options))


@pytest.mark.slow
def test_a_killed_worker_costs_no_bit(shared: by.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []
    watched = parallel.DistributedRun

    def watching(pool: Any, *others: Any) -> DistributedRun:
        pools.append(pool)
        return watched(pool, *others)

    killed = []

    def kill(num_steps: int, losses: np.ndarray) -> None:
        if not killed:
            [pool] = pools
            killed.append(pool.result(pool.submit(1, lambda part: os.getpid())))
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(parallel, "DistributedRun", watching)
    found = run(TWO, callback=kill)
    assert killed
    assert_same(found, shared, tolerance=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    columns = {f"x{place}": FEATURES[:, place] for place in range(3)} | {"late": LATE}
    parquet.write_table(pa.table(columns), path, row_group_size=500)
    return path


@pytest.mark.slow
def test_what_workers_began_on_windows_one_process_ends(file: Path, tmp_path: Path) -> None:
    rows = by.scan(file)
    with pm.Model() as model:
        x = by.Minibatch(rows[["x0", "x1", "x2"]], 100, in_memory_size=1000)
        y = by.Minibatch(rows["late"], 100, in_memory_size=1000)
        b = pm.Normal("b", shape=3)
        pm.Bernoulli("obs", logit_p=x @ b, observed=y, total_size=NUM_ROWS)

    def stop(num_steps: int, losses: np.ndarray) -> None:
        raise StopIteration

    path = tmp_path / "fit.checkpoint"
    with pytest.warns(by.ConvergenceWarning, match="a callback stopped it after 512 steps"):
        stopped = run(TWO, model, batch_size=None, callback=stop, checkpoint=path)
    assert len(stopped.elbo) == 512
    ended = run(None, model, batch_size=None, checkpoint=path, resume=True)
    np.testing.assert_array_equal(ended.elbo[:512], stopped.elbo)
    assert_same(ended, run(None, model, batch_size=None))


class Stacked:
    """All processes of a team in this one, side by side along an axis."""

    mean = Team.mean

    def __init__(self, size: int) -> None:
        self.size = size

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(own: Any, *others: Any) -> Any:
            of_own = (1, None if own[1] is None else 0)
            axes = (of_own, *[None] * len(others))
            stacked = jax.vmap(function, axes, axis_name=AXIS, axis_size=self.size)
            return jax.tree.map(lambda value: value[0], stacked(own, *others))

        return jax.jit(call)


class StackedFeed:
    """The parts of all processes, side by side."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts
        self.dtypes = parts[0].dtypes
        self.shapes = tuple((len(parts), *shape) for shape in parts[0].shapes)

    def fill(self, first: int, slots: Any) -> None:
        for place, part in enumerate(self.parts):
            own = [np.empty_like(slot[:, place], order="C") for slot in slots]
            part.fill(first, own)
            for slot, rows in zip(slots, own, strict=True):
                slot[:, place] = rows


@pytest.mark.parametrize(
    ("order", "batch_size", "num_workers"),
    [
        ("epoch", 12, 3),
        ("epoch", 11, 3),
        ("uniform", 4, 4),
        (by.Weighted(np.arange(1.0, NUM_ROWS + 1)), 11, 4),
        (by.Stratified(LATE), 7, 2),
    ],
)
def test_parts_together_are_the_batch(order: Any, batch_size: int, num_workers: int) -> None:
    _, program = batched_program(MODEL, batch_size, None, validate=True)
    recipe = Recipe(MeanField(), ADAM)
    state = init_state(recipe, MeanFieldParams(jnp.zeros(3), jnp.zeros(3)))

    def ended(feeds: Any, **shared: Any) -> Any:
        inputs = StepInputs(feeds, program.data_values(), noise_key(1), **shared)
        frame = Frame(np.zeros(3), np.ones(3))
        return list(run_steps(program, recipe, frame, inputs, state, np.full(20, 0.05)))[-1]

    shards = [Shard(index, num_workers, even=True) for index in range(num_workers)]
    parts = zip(*(program_feeds(program, order, 5, shard) for shard in shards), strict=True)
    weights = [shard.weights(batch_size) for shard in shards]
    found = ended(
        [StackedFeed(list(feeds)) for feeds in parts],
        team=Stacked(num_workers),
        row_weights=None if weights[0] is None else np.stack(weights),
    )
    whole = ended(program_feeds(program, order, 5))
    np.testing.assert_allclose(found.losses, whole.losses, rtol=1e-12)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


class Pool:
    """Two workers that answer chunks as told: by what they return, or by an error to raise."""

    def __init__(self, *answers: Any, of_other: Any = None) -> None:
        self.answers = list(answers)
        self.of_other = of_other
        self.replaced: list[int] = []
        self.begun: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return 2

    def put(self, value: Any) -> Any:
        return value

    def submit(self, index: int, function: Callable[..., Any], *arguments: Any) -> Any:
        if function is FitWorker.begin and index == 0:
            *_, rates, first, _ = arguments
            self.begun.append((first, len(rates)))
        # Answered when it is asked for: what was asked ahead of a death is never answered.
        return {"awaited": function is FitWorker.advance, "index": index}

    def wait(self, futures: list[Any]) -> list[Any]:
        return futures[:1]

    def result(self, future: Any) -> Any:
        if future["awaited"] and "answer" not in future:
            future["answer"] = self.of_other if future["index"] else self.answers.pop(0)
        answer = future.get("answer")
        if isinstance(answer, Exception) and not isinstance(answer, DivergenceError):
            raise answer
        return answer

    def replace(self, index: int) -> None:
        self.replaced.append(index)


def chunk(value: float, num_steps: int = 10) -> Chunk:
    return Chunk(StepState(np.full(2, value), ()), np.full(2, value), np.zeros(num_steps))


def steps_of(pool: Pool, num_steps: int, monkeypatch: pytest.MonkeyPatch) -> list[Chunk]:
    monkeypatch.setattr(parallel, "chunk_steps", lambda *_: 10)
    shared: Any = DistributedRun(pool, None)  # type: ignore[arg-type]
    return list(shared(None, None, None, None, StepState(np.zeros(2), ()), np.ones(num_steps), 100))


def test_each_death_costs_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    died, broken = WorkerDiedError("killed"), JaxRuntimeError("connection closed by peer")
    pool = Pool(chunk(1), died, chunk(2), broken, died, chunk(3), died, died, chunk(4, 5))
    found = steps_of(pool, 35, monkeypatch)
    assert [float(each.state.params[0]) for each in found] == [1, 2, 3, 4]
    assert pool.begun == [(100, 35), (110, 25), *[(120, 15)] * 2, *[(130, 5)] * 2]
    assert pool.replaced == [0, 1] * 5


def test_deaths_in_a_row_end_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(*[WorkerDiedError("out of memory")] * 20)
    with pytest.raises(
        WorkerDiedError, match=r"got 3 attempts in a row .* out of memory\nHint: look"
    ):
        steps_of(pool, 35, monkeypatch)


def test_another_error_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(chunk(1), OSError("no such file"), chunk(2))
    with pytest.raises(OSError, match="no such file"):
        steps_of(pool, 35, monkeypatch)
    assert pool.replaced == []


def test_the_worker_with_the_rows_at_fault_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    blind, knowing = DivergenceError("a gradient"), DivergenceError("nan from 'obs'")
    knowing.names = ("obs",)
    pool = Pool(blind, of_other=knowing)
    with pytest.raises(DivergenceError, match="nan from 'obs'"):
        steps_of(pool, 20, monkeypatch)


def with_rows(observe: Callable[[Any], Any], **options: Any) -> dict[str, Any]:
    with pm.Model() as model:
        observe(pm.Normal("mu"))
    return {"model": model, "batch_size": None, **options}


SIGNAL = RNG.normal(size=(40, 40))


def stream() -> Iterator[np.ndarray]:
    while True:
        yield SIGNAL[0]


def normal(mu: Any, observed: Any, **options: Any) -> Any:
    return pm.Normal("y", mu, 1, observed=observed, **options)


def of_both_axes(mu: Any) -> Any:
    return normal(mu, by.Minibatch(SIGNAL, [8, 8]), total_size=(40, 40))


def of_two_sizes(mu: Any) -> Any:
    pm.Normal("z", mu, 1, observed=by.Minibatch(SIGNAL[0], 8), total_size=40)
    return normal(mu, by.Minibatch(SIGNAL[0], 7), total_size=40)


def of_a_stream(mu: Any) -> Any:
    return normal(mu, by.generator(stream()), total_size=400)


def of_a_potential(mu: Any) -> Any:
    rows = by.Minibatch(SIGNAL[0], 8)
    return pm.Potential("sum", -((rows - mu) ** 2).sum())


def of_latent_rows() -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", SIGNAL[0], dims="row")
        sd = pm.HalfNormal("sd")
        level = pm.Normal("level", 0, sd, dims="row")
        pm.Normal("y", level, 1, observed=data, dims="row")
    return model


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": None, "n": "auto"}, "`cluster` must come with rows in batches, which work"),
        ({"batch_size": None, "method": "dadvi"}, "`cluster` must come with rows in batches"),
        ({"batch_size": None, "method": "advi"}, "independent rows, .* got a fit of all rows at"),
        ({"batch_size": 1}, "at most one worker for each row of a batch, 1, got 2.\nHint: pass a"),
        ({"model": of_latent_rows(), "batch_size": 8}, "got 'level', which has a value for each"),
        (with_rows(of_both_axes), "got a minibatch that is sampled otherwise than along its first"),
        (with_rows(of_two_sizes), r"divides the batch sizes where they differ, \[7, 8\], got 2"),
        (with_rows(of_a_stream), "got the generator 'generator.*', whose items come to this proc"),
        (with_rows(of_a_potential), "got rows that enter otherwise than by a likelihood"),
    ],
)
def test_what_cannot_be_shared_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        run(TWO, **options)


def test_windows_as_large_as_free_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.write_table(pa.table({"value": np.arange(1000.0)}), tmp_path / "rows.parquet")
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 4 * 100)
    monkeypatch.setattr(resident, "WINDOW_BYTES", 8 * 100)
    with pm.Model() as model:
        batch = by.Minibatch(by.scan(tmp_path / "rows.parquet")["value"], 10)
        pm.Normal("y", pm.Normal("mu"), 1, observed=batch, total_size=1000)
    with pytest.raises(ValueError, match="must come with windows of a given size, got none for"):
        run(TWO, model, batch_size=None)


def test_what_does_not_pickle_is_refused() -> None:
    rows = by.source(duckdb.sql("SELECT range / 100 AS value FROM range(1000)"))
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(rows["value"], 10, in_memory_size=100)
        pm.Normal("y", mu, 1, observed=batch, total_size=1000)
    with pytest.raises(TypeError, match="of `cluster` must be picklable, got "):
        run(TWO, model, batch_size=None)
