"""Time from calling a fit to its first finished step, with cold caches.

The claim: at most 4 s for bayou, on a logistic regression of 10^6 rows x 20 columns with batches of
500. Each run is a fresh process that has imported what it needs and built its model; PyTensor's
compile directory and Numba's cache are new and empty, and JAX keeps no cache on disk. The tools are
timed in turns.

    python benchmarks/first_step.py             about 10 minutes
    python benchmarks/first_step.py --small     bayou alone, once; about 15 s
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from figures import add_json_option, note, write_figures
from peers import load, serve, start_worker
from step_time import Problem, bayou, pymc_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peers import Advance

SECONDS = 4.0


def pymc_fit(problem: Problem, backend: str) -> Advance:
    """Fit from the start at each call."""
    import pymc as pm

    model = pymc_model(problem)
    return lambda num_steps: pm.fit(num_steps, model=model, backend=backend, progressbar=False)


TOOLS = {
    "bayou": bayou,
    "pymc-numba": partial(pymc_fit, backend="numba"),
    "pymc-c": partial(pymc_fit, backend="c"),
}


def cold_caches(folder: Path) -> dict[str, str]:
    """Return the environment variables that move the compilers' caches into a folder."""
    flags = [flag for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if flag]
    return {
        "PYTENSOR_FLAGS": ",".join([*flags, f"base_compiledir={folder / 'pytensor'}"]),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "JAX_ENABLE_COMPILATION_CACHE": "false",
    }


def first_step(name: str, rows: int) -> float:
    """Return the seconds of one step in a fresh process."""
    command = [__file__, "--worker", name, "--rows", str(rows)]
    with TemporaryDirectory() as folder:
        worker = start_worker(name, Path(sys.executable), command, cold_caches(Path(folder)))
        worker.wait()
        seconds = worker.run(1).wall
        worker.close()
    return seconds


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="bayou alone, once, on fewer rows")
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, help="of each tool, by default 5")
    parser.add_argument("--worker", choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.rows = options.rows or (10_000 if options.small else 1_000_000)
    options.runs = options.runs or (1 if options.small else 5)
    return options


def main() -> int:
    options = parse()
    if options.worker:
        serve(lambda: TOOLS[options.worker](Problem(options.rows, 20, 500)))
        return 0
    tools = ["bayou"] if options.small else list(TOOLS)
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(options.runs):
        for name in tools:
            seconds[name].append(first_step(name, options.rows))
    met = report(seconds)
    write_figures(options.json)
    return 0 if met else 1


def report(seconds: dict[str, list[float]]) -> bool:
    """Print the table; return whether the target is met."""
    from rich.console import Console
    from rich.table import Table

    table = Table("tool")
    for column in ("seconds", "fastest", "slowest", "times bayou"):
        table.add_column(column, justify="right")
    for name, values in seconds.items():
        row = (median(values), min(values), max(values))
        relative = median(a / b for a, b in zip(values, seconds["bayou"], strict=True))
        table.add_row(name, *(f"{value:.2f}" for value in row), f"{relative:.1f}")
    met = median(seconds["bayou"]) <= SECONDS
    shown = ", ".join(f"{name} {median(values):.1f} s" for name, values in seconds.items())
    note("call to first step, cold caches", shown, f"{SECONDS:.0f} s", met=met)
    print(f"\nseconds to the first step; {load()}", flush=True)
    Console().print(table)
    print(f"at most {SECONDS:.0f} s: {'met' if met else 'missed'}")
    return met


if __name__ == "__main__":
    sys.exit(main())
