"""Predictions of a million rows in a thousand draws, onto the disk, beside PyMC's own.

Two claims, on a logistic regression of 20 columns whose new rows are in Parquet files:

memory
    All draws of 10^6 rows x 1,000 draws go into a Zarr store while the whole process, libraries
    included, takes at most 1 GB.
speed
    bayou writes at least 10 times as many rows a second to the disk as
    pm.sample_posterior_predictive predicts in memory, of as many rows as it takes 1 GB for.

Each run is a process of its own that has predicted a few rows before, so that neither is charged
for what it compiles but once; the tools are timed in turns.

    python benchmarks/predict.py            about 3 minutes, 2 GB of disk at most
    python benchmarks/predict.py --small    about a minute
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import add_json_option, note, write_figures
from parquet import NAMES, OUTCOME, write_files
from peers import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    import xarray as xr

DRAWS = 1000
MOST_BYTES = 10**9
MOST_TIMES = 10.0
TOOLS = ("bayou zarr", "bayou parquet", "pymc")


@dataclass(frozen=True)
class Cost:
    """What a run took: rows a second, and bytes of the whole process."""

    rate: float
    peak: int


def logistic(rows: Any) -> pm.Model:
    """Return the model, over some rows of a table."""
    import pymc as pm

    import bayou as by

    with pm.Model() as model:
        x = by.Data("x", rows, columns=NAMES, dims=("row", "column"))
        y = by.Data("y_data", rows, columns=OUTCOME, dims="row")
        intercept = pm.Normal("intercept")
        slopes = pm.Normal("slopes", dims="column")
        pm.Bernoulli("y", logit_p=intercept + x @ slopes, observed=y, dims="row")
    return model


def posterior(draws: int) -> xr.Dataset:
    """Return draws as a fit would give them."""
    import xarray as xr

    generator = np.random.default_rng(0)
    return xr.Dataset(
        {
            "intercept": (("chain", "draw"), generator.normal(0, 0.1, (1, draws))),
            "slopes": (("chain", "draw", "column"), generator.normal(0, 0.2, (1, draws, 20))),
        }
    )


def few_rows(num_rows: int = 100) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    columns = {name: generator.standard_normal(num_rows) for name in NAMES}
    return columns | {OUTCOME: (generator.random(num_rows) < 0.5).astype(float)}


def time_bayou(folder: Path, rows: Path, ending: str, draws: int) -> tuple[float, int]:
    """Predict all rows of files onto the disk; return the seconds and the number of rows."""
    import bayou as by

    model, values, source = logistic(few_rows()), posterior(draws), by.scan(rows)
    common: dict[str, Any] = {"model": model, "random_seed": 1, "progressbar": False}
    by.predict(values, few_rows(), out=folder / f"few.{ending}", **common)
    begin = time.perf_counter()
    by.predict(values, source, out=folder / f"all.{ending}", **common)
    return time.perf_counter() - begin, source.num_rows or 0


def time_pymc(rows: Path, num_rows: int, draws: int) -> tuple[float, int]:
    """Predict the first rows of files in memory; return the seconds and the number of rows."""
    import pymc as pm

    import bayou as by

    model, values = logistic(few_rows()), posterior(draws)

    def predict() -> None:
        # The columns are not what the draws depend on, so PyMC is to keep these.
        pm.sample_posterior_predictive(
            values.assign_coords(column=list(NAMES)),
            model=model,
            random_seed=1,
            progressbar=False,
            freeze_vars=["intercept", "slopes"],
        )

    predict()
    taken = by.scan(rows).take(np.arange(num_rows), [*NAMES, OUTCOME])
    x = np.column_stack([taken[name] for name in NAMES])
    by.set_data({"x": x, "y_data": taken[OUTCOME]}, model=model)
    begin = time.perf_counter()
    predict()
    return time.perf_counter() - begin, num_rows


def work(tool: str, rows: Path, num_rows: int, draws: int) -> Cost:
    """Run a tool in this process."""
    with tempfile.TemporaryDirectory(dir=rows.parent) as name:
        if tool == "pymc":
            seconds, count = time_pymc(rows, num_rows, draws)
        else:
            seconds, count = time_bayou(Path(name), rows, tool.split()[1], draws)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(count / seconds, peak)


def run(tool: str, rows: Path, num_rows: int, draws: int) -> Cost:
    """Run a tool in a process of its own."""
    command = [sys.executable, __file__, "--worker", tool, "--rows", str(num_rows)]
    command += ["--draws", str(draws), "--files", str(rows)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(*json.loads(result.stdout.splitlines()[-1]))


def slice_rows(draws: int) -> int:
    """Return the rows whose predictions take PyMC 1 GB: 8 bytes a draw, and a copy of them."""
    return MOST_BYTES // (16 * draws)


def report(costs: dict[str, list[Cost]]) -> bool:
    """Print the table and the targets; return whether they are met."""
    print(f"\nRows a second, and the peak of memory; {load()}")
    for tool, found in costs.items():
        rate, peak = median(cost.rate for cost in found), max(cost.peak for cost in found)
        print(f"{tool:>14}: {rate:10,.0f} rows/s  {peak / 1e6:6.0f} MB")
    pairs = zip(costs["bayou zarr"], costs["pymc"], strict=True)
    times = median(ours.rate / theirs.rate for ours, theirs in pairs)
    peak = max(cost.peak for cost in costs["bayou zarr"])
    fast, small = times >= MOST_TIMES, peak <= MOST_BYTES
    print(f"at least {MOST_TIMES:.0f} times PyMC: {times:.1f}, {'met' if fast else 'missed'}")
    print(f"at most 1000 MB: {peak / 1e6:.0f}, {'met' if small else 'missed'}", flush=True)
    claim = "predictions onto disk: rows a second, of PyMC's in memory; memory"
    figures = f"{times:.1f} times; {peak / 1e6:.0f} MB"
    note(claim, figures, f"{MOST_TIMES:.0f} times; 1000 MB", met=fast and small)
    return fast and small


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="fewer rows, one turn")
    parser.add_argument("--worker", choices=TOOLS, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--draws", type=int, default=DRAWS, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help="turns of each, by default 3")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.small else 3)
    options.rows = options.rows or (100_000 if options.small else 1_000_000)
    return options


def main() -> int:
    options = parse()
    if options.worker:
        cost = work(options.worker, options.files, options.rows, options.draws)
        print(json.dumps([cost.rate, cost.peak]))
        return 0
    costs: dict[str, list[Cost]] = {tool: [] for tool in TOOLS}
    with tempfile.TemporaryDirectory(prefix="bayou-benchmark-") as name:
        rows = Path(name) / "rows"
        write_files(rows, options.rows)
        few = min(options.rows, slice_rows(options.draws))
        for _ in range(options.rounds):
            for tool in TOOLS:
                costs[tool].append(run(tool, rows, few, options.draws))
    met = report(costs)
    write_figures(options.json)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
