"""The models and the rows of the files of 0.1, the same to the last bit on any machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

import bayou as by

NUM_ROWS = 30
# A source is told by its time of change too, which a copy of its file has another of.
MODIFIED = 1_700_000_000_000_000_000
# Names a file in the folder that a process runs in, which is in no pickle then.
HERE = "/proc/self/cwd"
KINDS = np.array(["air", "rail", "road"])

FIT: dict[str, Any] = {"random_seed": 1, "progressbar": False}
# Draws are few, to be quick.
MANY: dict[str, Any] = {
    "draws": 20,
    "tune": 30,
    "chains": 2,
    "sampler": "nutpie",
    "random_seed": 3,
    "progressbar": False,
}
FIT_MANY: dict[str, Any] = {"draws": 100, "random_seed": 3, "progressbar": False}
CALIBRATE: dict[str, Any] = {"method": "dadvi", "draws": 100, "random_seed": 3}
PREDICT: dict[str, Any] = {"chunk_rows": 1024, "random_seed": 4, "progressbar": False}
SHUFFLE: dict[str, Any] = {"random_seed": 5, "memory": "20 KB", "progressbar": False}
STEPS = 600


class Interrupted(Exception):  # noqa: N818 - it is no error of anything
    """What a run is stopped by, to be gone on with."""


def numbers(count: int, stride: int) -> NDArray[np.float64]:
    """Return quarters between -2 and 2, in an order that looks random."""
    return (np.arange(count) * stride % 17 - 8) / 4


def table(count: int = NUM_ROWS) -> dict[str, NDArray[Any]]:
    """Return rows with two numbers, a kind and two outcomes."""
    return {
        "weight": numbers(count, 5),
        "distance": numbers(count, 7),
        "kind": KINDS[np.arange(count) * 11 % 13 % 3],
        "cost": numbers(count, 3) + numbers(count, 7) / 2,
        "late": np.arange(count) * 5 % 7 < 3,
    }


def plain_table(count: int = NUM_ROWS) -> dict[str, NDArray[Any]]:
    """Return the columns of the rows that are numbers."""
    rows = table(count)
    return {name: rows[name] for name in ("weight", "distance", "cost")}


def cost_model() -> pm.Model:
    """Return a regression with an effect of each kind."""
    rows = table()
    with pm.Model() as model:
        x = by.Data("x", rows, columns=["weight", "distance"], dims=("row", "feature"))
        kind = by.Data("kind", rows, columns="kind", dims="row", categories="kinds")
        cost = by.Data("cost", rows, columns="cost", dims="row")
        a = pm.Normal("a", 0, 2, dims="kinds")
        b = pm.Normal("b", dims="feature")
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("y", a[kind] + x @ b, sigma, observed=cost, dims="row")
    return model


def row_model() -> pm.Model:
    """Return a model with an effect of each row."""
    with pm.Model() as model:
        cost = by.Data("cost", table(), columns="cost", dims="row")
        mu = pm.Normal("mu", 0, 2)
        spread = pm.HalfNormal("spread", 1)
        effect = pm.Normal("effect", mu, spread, dims="row")
        pm.Normal("y", effect, 0.5, observed=cost, dims="row")
    return model


def late_model() -> pm.Model:
    """Return a logistic regression, whose predictions are whole numbers."""
    rows = table()
    with pm.Model() as model:
        x = by.Data("x", rows, columns=["weight", "distance"], dims=("row", "feature"))
        late = by.Data("late", rows, columns="late", dims="row")
        a = pm.Normal("a")
        b = pm.Normal("b", dims="feature")
        pm.Bernoulli("y", logit_p=a + x @ b, observed=late, dims="row")
    return model


def mean_model() -> pm.Model:
    """Return a normal with an unknown mean."""
    with pm.Model() as model:
        cost = by.Data("cost", table(), columns="cost", dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=cost, dims="row")
    return model


def parquet_model(path: str) -> pm.Model:
    """Return a normal of a file of which a part is in memory."""
    with pm.Model() as model:
        cost = by.Data("cost", by.scan(path), columns="cost", dims="row", in_memory_size=10)
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=cost, dims="row")
    return model


def stream_model(path: str) -> pm.Model:
    """Return a regression on minibatches of a file of which a part is in memory."""
    rows = by.scan(path)
    with pm.Model() as model:
        x = by.Minibatch(rows["distance"], 8, name="distance", in_memory_size=12)
        y = by.Minibatch(rows["cost"], 8, name="cost", in_memory_size=12)
        b = pm.Normal("b")
        pm.Normal("y", b * x, 1, observed=y, total_size=rows.num_rows)
    return model


def imputed_model() -> pm.Model:
    """Return a model that imputes two values."""
    rows = plain_table(8)
    rows["cost"][[2, 5]] = np.nan
    with pm.Model() as model:
        cost = by.Data("cost", rows, columns="cost", dims="row", missing="impute")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=cost, dims="row")
    return model


def dropped_model() -> pm.Model:
    """Return a model that leaves out two rows."""
    rows = plain_table(8)
    rows["cost"][[2, 5]] = np.nan
    with pm.Model() as model:
        x = by.Data("x", rows, columns="distance", dims="row")
        cost = by.Data("cost", rows, columns="cost", dims="row", missing="drop")
        b = pm.Normal("b", 0, 10)
        pm.Normal("y", b * x, 1, observed=cost, dims="row")
    return model


def array_model() -> pm.Model:
    """Return a model of arrays without columns, one of them a column of a source."""
    source = by.source(plain_table())
    with pm.Model() as model:
        x = by.Data("x", source["distance"], dims="row")
        cost = by.Data("cost", table()["cost"], dims="row")
        b = pm.Normal("b", 0, 10)
        pm.Normal("y", b * x, 1, observed=cost, dims="row")
    return model


def minibatch_model() -> pm.Model:
    """Return a regression on minibatches, of an array and of a column of a source."""
    rows = plain_table()
    with pm.Model() as model:
        x = by.Minibatch(by.source(rows)["distance"], 4, name="distance")
        y = by.Minibatch((rows["cost"] * 8).astype(np.int8), 4, name="cost")
        b = pm.Normal("b")
        pm.Normal("y", b * x, 1, observed=y, total_size=NUM_ROWS)
    return model


def generator_model() -> pm.Model:
    """Return a model that is fed by an iterator that pickles."""
    items = by.generator(iter([numbers(6, 3) + place for place in range(5)]))
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=items, total_size=NUM_ROWS)
    return model


def batched_model() -> pm.Model:
    """Return the regression in minibatches of its data."""
    batched: pm.Model = by.batched(cost_model(), batch_size=8)
    return batched


def pymc3_model() -> pm.Model:
    """Return a model in the words of PyMC3."""
    import bayou.pymc3 as pm3

    with pm3.Model() as model:
        cost = pm3.Data("cost", table()["cost"])
        mu = pm3.Normal("mu", mu=0, sd=10)
        pm3.Normal("y", mu=mu, sd=1, observed=cost)
    return model


# By the names of their files: what makes each model that is pickled.
PICKLED_MODELS: dict[str, Any] = {
    "columns": cost_model,
    "rows": row_model,
    "arrays": array_model,
    "window": lambda: parquet_model(f"{HERE}/rows.parquet"),
    "stream": lambda: stream_model(f"{HERE}/rows.parquet"),
    "imputed": imputed_model,
    "dropped": dropped_model,
    "minibatch": minibatch_model,
    "batched": batched_model,
    "generator": generator_model,
    "pymc3": pymc3_model,
}

# By the names of their files: the model and the options of each fit that is saved.
SAVED_FITS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mean_field": (cost_model, {"n": STEPS, "method": "advi", "correction": None}),
    "full_rank": (cost_model, {"n": STEPS, "method": "fullrank_advi"}),
    "low_rank": (cost_model, {"n": STEPS, "method": "lowrank_advi"}),
    "fixed_draws": (cost_model, {"method": "dadvi", "correction": None}),
    "linear_response": (cost_model, {"method": "dadvi", "correction": "linear_response"}),
    "batches": (cost_model, {"n": STEPS, "batch_size": 8, "correction": None}),
    "rows": (row_model, {"n": STEPS, "batch_size": 8, "correction": None}),
}

# By the names of their files: the model and the options of each fit that is stopped.
STOPPED_FITS: dict[str, tuple[Any, dict[str, Any]]] = {
    "epoch": (cost_model, {"n": STEPS, "batch_size": 8, "correction": None, "method": "advi"}),
    "weighted": (
        cost_model,
        {
            "n": STEPS,
            "batch_size": 8,
            "correction": None,
            "method": "advi",
            "order": by.Weighted(1 + np.arange(NUM_ROWS) % 3),
        },
    ),
    "stratified": (
        cost_model,
        {
            "n": STEPS,
            "batch_size": 8,
            "correction": None,
            "method": "lowrank_advi",
            "order": by.Stratified(np.arange(NUM_ROWS) % 2, {0: 5, 1: 3}),
        },
    ),
}


def stopping(num_steps: int, losses: NDArray[Any]) -> None:
    """Stop a fit after its first chunk of steps."""
    raise StopIteration


def posterior() -> xr.Dataset:
    """Return a few draws of the parameters of the late model."""
    return xr.Dataset(
        {
            "a": (("chain", "draw"), np.array([[-0.5, 0.25, 0.5]])),
            "b": (
                ("chain", "draw", "feature"),
                np.array([[[0.5, -1.0], [0.25, -0.75], [1.0, 0.5]]]),
            ),
        },
        {"chain": [0], "draw": [0, 1, 2], "feature": ["weight", "distance"]},
    )


def data_sets() -> list[dict[str, NDArray[Any]]]:
    """Return five data sets of the normal with an unknown mean."""
    return [{"cost": numbers(10, 3) + place} for place in range(5)]


def stopped_data_sets() -> Iterator[dict[str, NDArray[Any]]]:
    """Yield four of the data sets, then stop."""
    yield from data_sets()[:4]
    raise Interrupted


class Rows(by.Source):
    """Rows in blocks, of which one may stop who reads it.

    Parameters
    ----------
    count : int
        The rows of each of the four blocks.
    stop_in : int, optional
        The block that cannot be read.
    """

    def __init__(self, count: int, stop_in: int | None = None) -> None:
        self.count = count
        self.stop_in = stop_in
        self.rows = plain_table(4 * count)

    @property
    def fields(self) -> dict[str, by.Field]:
        return {name: by.Field(name, values.dtype) for name, values in self.rows.items()}

    @property
    def blocks(self) -> list[int]:
        return [self.count] * 4

    def read(self, block: int, names: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
        if block == self.stop_in:
            raise Interrupted
        part = slice(block * self.count, (block + 1) * self.count)
        yield {name: self.rows[name][part] for name in names}


def sources() -> dict[str, by.Source]:
    """Return a source of each kind that pickles, of files in the folder that this runs in."""
    import functools

    import pandas as pd

    return {
        "array": by.source(plain_table()),
        "frame": by.source(pd.DataFrame(table())),
        "function": by.source(functools.partial(iter, [plain_table(3), plain_table(4)])),
        "parquet": by.scan(f"{HERE}/rows.parquet"),
        "csv": by.scan(f"{HERE}/rows.csv"),
        "ipc": by.scan(f"{HERE}/rows.arrow"),
        "npz": by.scan(f"{HERE}/rows.npz"),
        "chain": by.scan([f"{HERE}/rows.npz", f"{HERE}/more.npz"]),
        "zarr": by.scan(f"{HERE}/rows.zarr"),
        "store": by.scan(f"{HERE}/shuffled"),
        "chosen": by.scan(f"{HERE}/shuffled", columns=["cost"]),
    }


def all_rows(source: by.Source) -> dict[str, NDArray[Any]]:
    """Return all rows of a source."""
    names = list(source.fields)
    parts = [part for block in range(len(source.blocks)) for part in source.read(block, names)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def batches_of(order: Any) -> list[float]:
    """Return the rows of some batches in an order, one after the other."""
    with by.Batches({"row": np.arange(NUM_ROWS)}, 4, order=order, random_seed=6) as batches:
        found = list(next(batches)["row"])
        batches.seek(1000)
        return [int(row) for row in [*found, *next(batches)["row"]]]


# By name: the orders of rows in batches.
ORDERS: dict[str, Any] = {
    "epoch": "epoch",
    "sequential": "sequential",
    "uniform": "uniform",
    "weighted": by.Weighted(1 + np.arange(NUM_ROWS) % 3),
    "stratified": by.Stratified(np.arange(NUM_ROWS) % 2, {0: 3, 1: 1}),
}


def density(model: pm.Model) -> list[float]:
    """Return the log-density of each variable of a model at its initial point.

    Of minibatches and generators it is that of their next rows.
    """
    value: NDArray[Any] = model.compile_logp(sum=False)(model.initial_point())
    return [float(np.sum(part)) for part in value]


def write_sources(folder: Path) -> None:
    """Write the rows as files in a folder, each changed at a time that is the same for all."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import feather, parquet

    frame = pd.DataFrame(table())
    rows = pa.table(plain_table() | {"kind": pa.array(table()["kind"]).dictionary_encode()})
    parquet.write_table(rows, folder / "rows.parquet", row_group_size=7)
    frame[["weight", "distance", "cost"]].to_csv(folder / "rows.csv", index=False)
    feather.write_feather(pa.table(plain_table()), str(folder / "rows.arrow"))
    np.savez(folder / "rows.npz", **plain_table())
    np.savez(folder / "more.npz", **plain_table(5))
    arrays = xr.Dataset({name: ("row", values) for name, values in plain_table().items()})
    arrays.to_zarr(folder / "rows.zarr", consolidated=False)
