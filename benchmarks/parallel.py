"""Time the steps of a fit that workers share, against those of one process.

A logistic regression of 20 columns in float64, its rows in memory, with batches from 512 to 65,536
rows: microseconds a step of one process, of one worker and of two, each of one core. It fails where
fits of workers are not those of one process, within 1e-8 after 100 steps. Printed beside are what
else a plan for more machines needs: the time of a mean over the workers alone, by its size, what a
step and a chunk of steps send, and the time until workers have done their first steps.

    python benchmarks/parallel.py            about 5 minutes
    python benchmarks/parallel.py --small    about a minute and a half
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
from figures import add_json_option, note, write_figures
from peers import load

import bayou as by
from bayou.cluster.cores import use_cores
from bayou.cluster.ray import Ray
from bayou.cluster.workers import start_workers
from bayou.fitting.stochastic.fit_worker import FitWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayou.cluster.workers import Workers

COLUMNS = 20
# A mean-field normal has a location and a scale an element; with them goes the loss.
SENT = 2 * COLUMNS + 1
MEANS = (SENT, 1001, 100_001)
TOLERANCE = 1e-8
CONTENDERS = {"one process": None, "1 worker": Ray(1), "2 workers": Ray(2)}


def logistic(num_rows: int) -> pm.Model:
    generator = np.random.default_rng(0)
    features = generator.standard_normal((num_rows, COLUMNS))
    odds = features @ generator.standard_normal(COLUMNS) / COLUMNS**0.5
    late = (generator.random(num_rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    with pm.Model() as model:
        x = by.Data("x", features, dims=("row", "column"))
        y = by.Data("y", late, dims="row")
        slopes = pm.Normal("slopes", 0, 1, shape=COLUMNS)
        pm.Bernoulli("late", logit_p=x @ slopes, observed=y, dims="row")
    return model


def fitted(
    model: pm.Model,
    batch_size: int,
    num_steps: int,
    cluster: Ray | None,
    callback: Callable[..., None] | None = None,
) -> by.Fit:
    return by.fit(
        num_steps,
        "advi",
        model=model,
        batch_size=batch_size,
        optimizer=optax.adam(0.01),
        correction=None,
        random_seed=1,
        progressbar=False,
        cluster=cluster,
        callback=callback,
    )


def step_seconds(
    model: pm.Model, batch_size: int, num_steps: int, cluster: Ray | None
) -> tuple[float, float]:
    """Return the time of a step, after the first quarter, and until the first chunk is done."""
    marks: list[tuple[int, float]] = []
    begin = time.perf_counter()
    fitted(
        model, batch_size, num_steps, cluster,
        lambda step, _: marks.append((step, time.perf_counter())),
    )  # fmt: skip
    late = [mark for mark in marks if mark[0] >= num_steps // 4]
    each = (late[-1][1] - late[0][1]) / (late[-1][0] - late[0][0])
    return each, marks[0][1] - begin


def joined(pool: Workers) -> None:
    """Have workers compute together."""
    address = pool.result(pool.submit(0, FitWorker.address))
    futures = [pool.submit(index, FitWorker.join, address, len(pool)) for index in range(len(pool))]
    for future in futures:
        pool.result(future)


def mean_seconds(pool: Workers, size: int, count: int) -> float:
    """Return the time of a mean of so many numbers over the workers."""

    # Within, so that it is pickled by what it does: workers cannot import this script.
    def seconds(worker: FitWorker) -> float:
        def means(_: None, value: jax.Array, count: jax.Array) -> jax.Array:
            # Each takes the last one's, as the steps of a fit do.
            return jax.lax.fori_loop(0, count, lambda _, last: team.mean(last + 1), value)

        team = worker.team
        together = team.compile(means)
        value = jnp.zeros(size)
        jax.block_until_ready(together(None, value, 1))
        begin = time.perf_counter()
        jax.block_until_ready(together(None, value, count))
        return (time.perf_counter() - begin) / count

    futures = [pool.submit(index, seconds) for index in range(len(pool))]
    return max(pool.result(future) for future in futures)


def run_agreement(model: pm.Model, batch_size: int) -> bool:
    """Compare fits of workers, whose parts differ by a row, with that of one process."""
    alone, shared = (fitted(model, batch_size, 100, cluster) for cluster in (None, Ray(2)))
    off = max(
        float(np.abs(one / other - 1).max())
        for one, other in (
            (shared.elbo, alone.elbo),
            (shared.mean["slopes"].values, alone.mean["slopes"].values),
            (shared.std["slopes"].values, alone.std["slopes"].values),
        )
    )
    verdict = "met" if off <= TOLERANCE else "missed"
    print(f"After 100 steps of {batch_size} rows, off by {off:.1e}, at most {TOLERANCE}: {verdict}")
    claim = f"a fit by two workers, of one process, after 100 steps of {batch_size} rows"
    note(claim, f"{off:.0e} apart", f"{TOLERANCE:.0e}", met=off <= TOLERANCE)
    return off <= TOLERANCE


def run_steps(model: pm.Model, batch_sizes: tuple[int, ...], rounds: int) -> None:
    """Time steps of each kind, in turns."""
    print(f"\nMicroseconds a step, and millions of rows a second; {load()}")
    print(f"{'rows':>8}" + "".join(f"{name:>22}" for name in CONTENDERS) + "   2 workers / process")
    starts = []
    for batch_size in batch_sizes:
        costs: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        num_steps = max(64, min(8192, 2**23 // batch_size))
        for _ in range(rounds):
            for name, cluster in CONTENDERS.items():
                each, start = step_seconds(model, batch_size, num_steps, cluster)
                costs[name].append(each)
                starts += [] if cluster is None else [start]
        cells = "".join(
            f"{1e6 * median(each):13,.0f} {batch_size / median(each) / 1e6:8.2f}"
            for each in costs.values()
        )
        pairs = zip(costs["2 workers"], costs["one process"], strict=True)
        ratio = median(two / one for two, one in pairs)
        print(f"{batch_size:>8}{cells}{ratio:14.2f}", flush=True)
        note(
            f"a step of two workers of a core each, of one process, {batch_size:,} rows",
            f"{ratio:.2f}",
            "-",
            met=True,
        )
    print(f"Until the first steps of workers are done: {median(starts):.1f} s")


def run_means(count: int) -> None:
    """Time means over the workers alone, and say what a fit sends."""
    print(f"\nMicroseconds of a mean over 2 workers by Gloo; {load()}")
    with start_workers(Ray(2), FitWorker) as pool:
        joined(pool)
        for size in MEANS:
            cost = 1e6 * mean_seconds(pool, size, max(10, count * SENT // (SENT + size)))
            print(f"{size:>8} numbers, {8 * size:>8,} bytes: {cost:9,.0f}", flush=True)
    print(
        f"A step of {COLUMNS} elements sends {8 * SENT} bytes a worker; a chunk of up to 512 steps "
        f"returns the state, {3 * 8 * 2 * COLUMNS} bytes, and 8 bytes a step."
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="few rows, one turn")
    options = parser.parse_args()
    small = options.small
    use_cores(1)
    model = logistic(100_000 if small else 1_000_000)
    agree = run_agreement(model, 511)
    run_means(200 if small else 2000)
    run_steps(model, (512, 8192) if small else (512, 2048, 8192, 32_768, 65_536), 1 if small else 3)
    write_figures(options.json)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
