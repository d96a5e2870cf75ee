"""Rows that repeat: counting them costs little, and the density of the distinct ones even less.

parquet
    `by.compress` of Parquet files with 200,000 distinct rows takes at most 4 times as long as
    reading the files.
nothing
    Where nothing repeats, the look of compress="auto" takes less than 1% of a fit.
normal
    A normal regression with continuous outcomes and 500 distinct covariates: NUTS by
    `by.sample`, cold and warm, with the means and standard deviations in closed form.

flights
    NUTS on all flights of `examples/late_flights.py`, cold: seconds, R-hat and effective draws. And
    what it takes without compression, by the time of a gradient on a tenth of the flights.

    python benchmarks/compress.py                       all claims, 10^7 rows of Parquet
    python benchmarks/compress.py parquet --rows 100000000
    python benchmarks/compress.py --small               10^5 rows, under a minute
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from runpy import run_path
from typing import TYPE_CHECKING, Any

import arviz as az
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
from figures import add_json_option, note, write_figures

import bayou as by
from bayou.compression.compressed_model import compressed_if_repeated

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

FULL, SMALL = 10**7, 10**5
GROUPS = 500
FEW_DRAWS = 50
# The memory of the rows that are written counts too.
ROWS_PER_FILE = 10**6


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Return the time of a call and the time of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def write_rows(folder: Path, num_rows: int, num_distinct: int) -> None:
    """Write rows of three fields, of which so many are distinct, to Parquet files."""
    generator = np.random.default_rng(0)
    for start in range(0, num_rows, ROWS_PER_FILE):
        count = min(ROWS_PER_FILE, num_rows - start)
        rows = generator.integers(0, num_distinct, count)
        table = {
            "carrier": (rows % 16).astype(np.int8),
            "hour": (rows // 16 % 24).astype(np.int16),
            "route": (rows // 384).astype(np.int32),
        }
        pq.write_table(pa.table(table), folder / f"{start:012}.parquet", compression="zstd")


def scan(folder: Path) -> int:
    """Read all rows, and return their number."""
    source = by.scan(str(folder / "*.parquet"))
    names = list(source.fields)
    return sum(
        len(table[names[0]])
        for block in range(len(source.blocks))
        for table in source.read(block, names)
    )


def count(folder: Path) -> by.Source:
    """Count the distinct rows."""
    return by.compress(by.scan(str(folder / "*.parquet")), progressbar=False)


def parquet(num_rows: int) -> dict[str, float]:
    """Time `by.compress` against reading the rows, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, num_rows, min(200_000, num_rows // 10))
        scan(folder)
        ratios, of_processor, speeds = [], [], []
        for _ in range(2):
            reading, reading_cpu = seconds(lambda: scan(folder))
            counting, counting_cpu = seconds(lambda: count(folder))
            ratios.append(counting / reading)
            of_processor.append(counting_cpu / reading_cpu)
            speeds.append(num_rows / counting)
    return {
        "of reading": min(ratios),
        "of its processor time": min(of_processor),
        "rows a second": max(speeds),
        "peak memory, MB": getrusage(RUSAGE_SELF).ru_maxrss / 1e3,
    }


def logistic(num_rows: int) -> pm.Model:
    """Return a logistic regression on a predictor that has no value twice."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=num_rows)
    y = generator.random(num_rows) < 1 / (1 + np.exp(-x))
    with pm.Model() as model:
        predictor, outcome = by.Data("x", x, dims="row"), by.Data("y", y, dims="row")
        score = pm.Normal("a") + pm.Normal("b") * predictor
        pm.Bernoulli("o", logit_p=score, observed=outcome, dims="row")
    return model


def nothing(num_rows: int) -> dict[str, float]:
    """Time the look at rows that do not repeat, and the fit of them."""
    model = logistic(num_rows)
    compressed_if_repeated(model)
    looking = min(seconds(lambda: compressed_if_repeated(model))[0] for _ in range(5))
    options: dict[str, Any] = {"model": model, "random_seed": 1, "progressbar": False}
    by.fit(compress=False, **options)
    fitting, _ = seconds(lambda: by.fit(compress=False, **options))
    return {"milliseconds of a look": 1e3 * looking, "of a warm fit": looking / fitting}


def regression(num_rows: int) -> tuple[pm.Model, NDArray[np.float64], NDArray[np.float64]]:
    """Return a normal regression of known scale, and its posterior's means and sds."""
    generator = np.random.default_rng(2)
    design = np.column_stack([np.ones(GROUPS), generator.normal(size=(GROUPS, 4))])
    design = design[generator.integers(0, GROUPS, num_rows)]
    y = design @ [1.0, 0.5, -0.5, 0.2, 0.0] + generator.normal(size=num_rows)
    with pm.Model() as model:
        x = by.Data("x", design, dims=("row", "column"))
        outcome = by.Data("y", y, dims="row")
        slopes = pm.Normal("slopes", 0, 1, dims="column")
        pm.Normal("o", x @ slopes, 1, observed=outcome, dims="row")
    covariance = np.linalg.inv(design.T @ design + np.eye(5))
    return model, covariance @ (design.T @ y), np.sqrt(np.diag(covariance))


def normal(num_rows: int) -> dict[str, float]:
    """Sample the regression twice, and compare it with the closed form."""
    model, means, sds = regression(num_rows)
    options: dict[str, Any] = {"model": model, "random_seed": 1, "progressbar": False}
    cold, cold_cpu = seconds(lambda: by.sample(**options))
    begin = time.perf_counter()
    trace = by.sample(**options)
    warm = time.perf_counter() - begin
    draws = trace.posterior["slopes"].values.reshape(-1, 5)
    return {
        "seconds, cold": cold,
        "of the processor": cold_cpu,
        "seconds, warm": warm,
        "worst mean, in sds": float(np.abs((draws.mean(0) - means) / sds).max()),
        "worst sd, ratio": float(np.abs(draws.std(0) / sds - 1).max()),
    }


def flights(num_rows: int) -> dict[str, float]:
    """Sample the flights cold, and some draws of so many of them without compression."""
    folder = Path(__file__).parents[1] / "examples"
    example = run_path(str(folder / "late_flights.py"))
    every = example["arrived"](pd.read_parquet(by.get_data("nycflights13.parquet")))
    every = every[every["month"] != example["DECEMBER"]]
    started = time.perf_counter()
    model = example["late_model"](every)
    names = [variable.name for variable in model.free_RVs]
    options: dict[str, Any] = {"var_names": names, "random_seed": 1, "progressbar": False}
    trace = by.sample(model=model, **options)
    all_in = time.perf_counter() - started
    summary = az.summary(trace, kind="diagnostics", round_to="none")
    by.set_data(every.sample(num_rows, random_state=1), model=model)
    started = time.perf_counter()
    part = by.sample(FEW_DRAWS, model=model, compress=False, **options)
    without = time.perf_counter() - started
    of_gradient = part.posterior.attrs["sampling_time"] / num_gradients(part)
    return {
        "seconds, all in": all_in,
        "worst R-hat": float(summary["r_hat"].max()),
        "fewest effective draws": float(summary["ess_bulk"].min()),
        f"seconds of {FEW_DRAWS} draws of {num_rows:,} flights, all of them computed": without,
        "hours for all, by gradients": (
            of_gradient * len(every) / num_rows * num_gradients(trace) / 3600
        ),
    }


def num_gradients(trace: xr.DataTree) -> float:
    """Return the number of gradients of all chains, as many in a step of tuning as in a draw."""
    steps = trace["sample_stats"]["n_steps"]
    share = 1 + trace.posterior.attrs["tuning_steps"] / steps.sizes["draw"]
    return float(steps.sum()) * share


CLAIMS = {"parquet": parquet, "nothing": nothing, "normal": normal, "flights": flights}
# The most of the figures that have a limit.
LIMITS = {
    "of reading": 4.0,
    "peak memory, MB": 1000.0,
    "of a warm fit": 0.01,
    "seconds, all in": 30.0,
    "worst R-hat": 1.01,
}
# The number of rows of each claim, one after another.
SIZES = {
    "parquet": [FULL],
    "nothing": [10**4, 10**5, 10**6],
    "normal": [10**6],
    "flights": [30_000],
}
SMALL_SIZES = {name: [SMALL] for name in SIZES} | {"flights": [2_000]}


def main() -> None:
    """Run the claims that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("claims", nargs="*", choices=[*CLAIMS, []])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--small", action="store_true")
    add_json_option(parser)
    arguments = parser.parse_args()
    sizes = SMALL_SIZES if arguments.small else SIZES
    runs = [
        (name, num_rows)
        for name in arguments.claims or CLAIMS
        for num_rows in ([arguments.rows] if arguments.rows else sizes[name])
    ]
    for name, num_rows in runs:
        figures = CLAIMS[name](num_rows)
        text = ", ".join(f"{figure}: {value:.4g}" for figure, value in figures.items())
        print(f"{name}, {num_rows:,} rows: {text}", flush=True)
        for figure, value in figures.items():
            most = LIMITS.get(figure)
            claim = f"{name}, {num_rows:,} rows: {figure}"
            wanted = "-" if most is None else f"{most:g}"
            note(claim, f"{value:.4g}", wanted, met=most is None or value <= most)
    write_figures(arguments.json)


if __name__ == "__main__":
    main()
