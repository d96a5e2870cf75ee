"""Sparse designs: a step costs what the non-zeros cost, in time and in memory.

pass
    The log density of a linear regression on all rows with its gradient takes at most 1.25 times
    as long as by JAX written by hand, which knows the model and gathers and scatters the non-zeros.
    SciPy's two products of the matrix are timed as well.
step
    A step of a fit in minibatches takes at most 1.25 times as long as mean-field ADVI written by
    hand, fed by a thread that gathers the rows.
memory
    Resident beside the matrix, a fit in minibatches takes at most 1.5 GB: what dense rows would
    take is printed beside.

10^6 rows x 10^4 columns with 10 non-zeros in each row. Contenders are processes of their own, timed
in turns; a ratio is the median of the ratios within turns.

    python benchmarks/sparse_designs.py                 all claims, about ten minutes
    python benchmarks/sparse_designs.py --small         10^5 x 10^3, about a minute
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from figures import add_json_option, note, write_figures
from peers import ratio, ready, serve, start_worker, time_in_turns
from step_time import Target, report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from peers import Advance

FULL, SMALL = (10**6, 10**4), (10**5, 10**3)
ENTRIES = 10
BATCH = 512
RATE = 0.01
GRAIN = 512
MOST_MEMORY = 1.5e9


def draw(rows: int, columns: int) -> tuple[scipy.sparse.csr_matrix, NDArray[np.float64]]:
    """Return predictors, shape (rows, columns), and outcomes, shape (rows,)."""
    generator = np.random.default_rng(0)
    # Each entry in a part of the columns of its own, so that no row has a column twice.
    part = columns // ENTRIES
    places = generator.integers(0, part, (rows, ENTRIES)) + part * np.arange(ENTRIES)
    values = generator.standard_normal((rows, ENTRIES))
    ends = np.arange(0, rows * ENTRIES + 1, ENTRIES)
    x = scipy.sparse.csr_matrix((values.ravel(), places.ravel(), ends), (rows, columns))
    slopes = generator.standard_normal(columns) / 3
    return x, x @ slopes + generator.standard_normal(rows)


def build_model(rows: int, columns: int) -> Any:
    """Return a linear regression on the matrix."""
    import pymc as pm

    import bayou as by

    x, y = draw(rows, columns)
    with pm.Model() as model:
        slopes = pm.Normal("slopes", 0, 1, shape=columns)
        mean = by.Data("x", x, dims=("row", "column")) @ slopes
        pm.Normal("y", mean, 1, observed=by.Data("outcome", y, dims="row"), dims="row")
    return model


def bayou_pass(rows: int, columns: int) -> Advance:
    """Evaluate the program of the model."""
    import jax

    from bayou.density.build import compile_program

    program = compile_program(build_model(rows, columns))
    inputs, position = program.data_values(), program.start(0)
    evaluate = jax.jit(jax.value_and_grad(program.density))
    return partial(repeat, lambda: jax.block_until_ready(evaluate(position, inputs)))


def jax_pass(rows: int, columns: int) -> Advance:
    """Evaluate the model by JAX, with its gradient derived by hand."""
    import jax
    import jax.numpy as jnp

    x, y = draw(rows, columns)
    data = (x.data.reshape(rows, -1), x.indices.reshape(rows, -1), y)
    values, places, outcomes = map(jnp.asarray, data)

    @jax.jit
    def evaluate(slopes: Any, values: Any, places: Any, outcomes: Any) -> Any:
        residuals = outcomes - multiply(values, places, slopes)
        density = -(residuals @ residuals + slopes @ slopes) / 2
        return density, scatter(values, places, residuals, columns) - slopes

    slopes = jnp.zeros(columns)
    return partial(
        repeat, lambda: jax.block_until_ready(evaluate(slopes, values, places, outcomes))
    )


def scipy_pass(rows: int, columns: int) -> Advance:
    """Multiply the matrix and its transpose by a vector, which is the least that a pass needs."""
    x, y = draw(rows, columns)
    slopes = np.zeros(columns)
    return partial(repeat, lambda: (x @ slopes, x.T @ y))


def repeat(call: Callable[[], Any], number: int) -> None:
    """Call a function a number of times."""
    for _ in range(number):
        call()


def multiply(values: Any, places: Any, slopes: Any) -> Any:
    """Return the product of padded rows with a vector, one gather for each entry of a row."""
    return sum(values[:, entry] * slopes[places[:, entry]] for entry in range(values.shape[1]))


def scatter(values: Any, places: Any, residuals: Any, columns: int) -> Any:
    """Return the product of the transposed matrix with a vector."""
    import jax.numpy as jnp

    return jnp.zeros(columns).at[places].add(values * residuals[:, None])


def bayou_step(rows: int, columns: int) -> Advance:
    """Fit the model in minibatches."""
    import optax

    import bayou as by

    model = build_model(rows, columns)
    return lambda number: by.fit(
        number,
        method="advi",
        model=model,
        batch_size=BATCH,
        random_seed=1,
        progressbar=False,
        optimizer=optax.adam(RATE),
        correction=None,
    )


def jax_step(rows: int, columns: int) -> Advance:
    """Feed a scan of steps from a thread that gathers the rows of the next ones."""
    import jax
    import jax.numpy as jnp
    import optax

    x, y = draw(rows, columns)
    values, places = x.data.reshape(rows, -1), x.indices.reshape(rows, -1)
    generator, optimizer = np.random.default_rng(1), optax.adam(RATE)

    def step(state: Any, given: Any) -> Any:
        (params, adam), (noise, values, places, outcomes) = state, given
        location, log_scale = params
        scale = jnp.exp(log_scale)
        slopes = location + scale * noise
        residuals = outcomes - multiply(values, places, slopes)
        factor = rows / BATCH
        squares = slopes @ slopes - noise @ noise + factor * (residuals @ residuals)
        loss = squares / 2 - log_scale.sum()
        slope = slopes - noise / scale - factor * scatter(values, places, residuals, columns)
        updates, adam = optimizer.update((slope, slope * noise * scale), adam)
        return (optax.apply_updates(params, updates), adam), loss

    @partial(jax.jit, donate_argnums=0)
    def run(state: Any, values: Any, places: Any, outcomes: Any, number: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(1), number)
        noise = jax.random.normal(key, (GRAIN, columns))
        return jax.lax.scan(step, state, (noise, values, places, outcomes))

    def gather() -> Any:
        index = generator.integers(0, rows, (GRAIN, BATCH))
        return values[index], places[index], y[index]

    def advance(number: int) -> None:
        params = (jnp.zeros(columns), jnp.zeros(columns))
        state = (params, optimizer.init(params))
        with ThreadPoolExecutor(max_workers=1) as executor:
            pending = executor.submit(gather)
            for chunk in range(number // GRAIN):
                fed = pending.result()
                pending = executor.submit(gather)
                state, losses = run(state, *fed, chunk)
                np.asarray(losses)

    return advance


CONTENDERS: dict[str, Callable[[int, int], Advance]] = {
    "bayou pass": bayou_pass,
    "JAX pass": jax_pass,
    "SciPy pass": scipy_pass,
    "bayou step": bayou_step,
    "JAX step": jax_step,
}
CLAIMS = {"pass": ("bayou pass", "JAX pass", "SciPy pass"), "step": ("bayou step", "JAX step")}
MOST = 1.25


def run_claim(claim: str, rounds: int, seconds: float, small: bool) -> bool:
    """Time the contenders of a claim, and tell whether it holds."""
    names = CLAIMS[claim]
    command = [__file__, *(["--small"] if small else []), "--worker"]
    started = [start_worker(each, Path(sys.executable), [*command, each]) for each in names]
    workers = ready(started, names)
    grain = GRAIN if claim == "step" else 1
    times = time_in_turns(workers, dict.fromkeys(workers, grain), rounds, seconds)
    target = Target(f"{names[0]} / {names[1]}", ratio(times, names[0], names[1]), MOST)
    rows, columns = SMALL if small else FULL
    return report(f"{rows:,} rows x {columns:,} columns, {ENTRIES} non-zeros", times, [target])


def run_memory(small: bool) -> bool:
    """Fit in minibatches in a process of its own, and print what it takes beside the matrix."""
    size = SMALL if small else FULL
    command = [sys.executable, __file__, *(["--small"] if small else []), "--worker", "memory"]
    taken = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"memory of a fit: {taken / 1e6:,.0f} MB; dense rows: {8 * size[0] * size[1] / 1e6:,.0f}")
    claim = "sparse designs: memory of a fit in batches"
    most = f"{MOST_MEMORY / 1e6:,.0f} MB"
    note(claim, f"{taken / 1e6:,.0f} MB", most, met=taken <= MOST_MEMORY)
    return taken <= MOST_MEMORY


def print_memory(rows: int, columns: int) -> None:
    """Print the bytes that this process takes at most, beyond the imports and the matrix."""
    import jax  # noqa: F401
    import pymc as pm  # noqa: F401

    matrix, _ = draw(rows, columns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    del matrix
    bayou_step(rows, columns)(GRAIN)
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claim", nargs="?", choices=[*CLAIMS, "memory"], help="by default all")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="fewer rows, few and short turns")
    parser.add_argument("--rounds", type=int, help="turns of each contender, by default 5")
    parser.add_argument("--worker", choices=[*CONTENDERS, "memory"], help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    size = SMALL if options.small else FULL
    if options.worker:
        # Before PyTensor and JAX are imported.
        os.environ["JAX_ENABLE_X64"] = "1"
        if options.worker == "memory":
            print_memory(*size)
        else:
            serve(partial(CONTENDERS[options.worker], *size))
        return 0
    rounds = options.rounds or (3 if options.small else 5)
    seconds = 0.3 if options.small else 1.5
    claims = [options.claim] if options.claim else [*CLAIMS, "memory"]
    met = [
        run_memory(options.small)
        if claim == "memory"
        else run_claim(claim, rounds, seconds, options.small)
        for claim in claims
    ]
    write_figures(options.json)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
