"""Time a step of a minibatch fit: bayou, the limit of the machine, and the other tools.

Two claims, on a logistic regression in float64 whose rows are in memory:

speed
    A step of bayou costs at most 1.25 times that of ``limit``, a JAX scan written by hand and fed
    from a background thread; less than a scan that gathers its rows in the graph; and a quarter, or
    less, of the best of PyMC (C and Numba), pymc-extras and NumPyro's ``plate``.
flat
    From 10^4 to 10^7 rows, a step costs the same within 1.3 times.

Every contender is a process of its own, and they are timed in turns. A turn is the difference
between a long and a short run, so that what a run costs once cancels; a ratio is the median of the
ratios within the turns.

    python benchmarks/step_time.py                     both claims, about 25 minutes
    python benchmarks/step_time.py --small             about a minute, nothing installed
    python benchmarks/step_time.py speed --case 1000000x20x500 --peers numpyro-scan
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from figures import add_json_option, note, write_figures
from peers import (
    Advance,
    Cost,
    Times,
    Worker,
    load,
    peer_python,
    ratio,
    ready,
    serve,
    start_worker,
    time_in_turns,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CHUNK_BYTES = 2**24
# Runs are whole multiples of these, and so of every chunk.
GRAIN = 512
SLOW_GRAIN = 64
RATE = 0.01


@dataclass(frozen=True)
class Problem:
    """A logistic regression: rows, columns, and rows of a batch."""

    rows: int
    columns: int
    batch: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}x{self.batch}"

    def draw(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return predictors, shape (rows, columns), and outcomes 0 or 1, shape (rows,)."""
        generator = np.random.default_rng(0)
        x = generator.standard_normal((self.rows, self.columns))
        slopes = generator.standard_normal(self.columns) / self.columns**0.5
        return x, (generator.random(self.rows) < 1 / (1 + np.exp(-x @ slopes))).astype(np.int64)

    @property
    def scale(self) -> float:
        """Rows for each row of a batch."""
        return self.rows / self.batch


def read_problem(text: str) -> Problem:
    """Read ROWSxCOLUMNSxBATCH."""
    return Problem(*map(int, text.split("x")))


SPEED = tuple(
    map(
        read_problem,
        ("1000000x20x500", "1000000x20x64", "1000000x20x4096", "1000000x5x500", "200000x200x500"),
    )
)
FLAT = tuple(Problem(rows, 20, 500) for rows in (10**4, 10**5, 10**6, 10**7))


# The contenders: each sets up a problem and returns a function that runs a number of steps.


def bayou(problem: Problem) -> Advance:
    import optax
    import pymc as pm

    import bayou as by

    x, y = problem.draw()
    with pm.Model() as model:
        rows = by.Minibatch(x, problem.batch, name="rows")
        outcomes = by.Minibatch(y, problem.batch, name="outcomes")
        slopes = pm.Normal("slopes", 0, 1, shape=problem.columns)
        pm.Bernoulli("y", logit_p=rows @ slopes, observed=outcomes, total_size=problem.rows)
    adam = optax.adam(RATE)
    # The same estimator as the limit's, and nothing after the last step.
    return lambda num_steps: by.fit(
        num_steps,
        method="advi",
        model=model,
        random_seed=1,
        progressbar=False,
        optimizer=adam,
        order="uniform",
        correction=None,
    )


def limit(problem: Problem) -> Advance:
    """Feed a scan from a thread: all that the arithmetic and the memory allow, and no more."""
    import jax

    x, y = problem.draw()
    length = chunk_length(problem)
    run = jax.jit(partial(scan_fed, problem), donate_argnums=0)
    generator = np.random.default_rng(1)
    slots = [
        (
            aligned((length, problem.batch, problem.columns), np.float64),
            aligned((length, problem.batch), np.int64),
        )
        for _ in range(2)
    ]

    def gather(number: int) -> Any:
        index = generator.integers(0, problem.rows, (length, problem.batch))
        rows, outcomes = slots[number % 2]
        # Rows are valid, so clip changes none; unlike raise, it writes to `out` without a copy.
        np.take(x, index, axis=0, out=rows, mode="clip")
        np.take(y, index, out=outcomes, mode="clip")
        return rows, outcomes

    def advance(num_steps: int) -> None:
        state = first_state(problem)
        with ThreadPoolExecutor(max_workers=1) as executor:
            pending = executor.submit(gather, 0)
            for number in range(num_steps // length):
                chunk = pending.result()
                pending = executor.submit(gather, number + 1)
                state, losses = run(state, *chunk, number)
                # XLA reads the slot itself, which the gather after the next overwrites.
                np.asarray(losses)

    return advance


def graph_scan(problem: Problem) -> Advance:
    """Gather in the graph, from data that are resident: the same steps as the limit's."""
    import jax

    x, y = map(jax.numpy.asarray, problem.draw())
    run = jax.jit(partial(scan_resident, problem), donate_argnums=0)

    def advance(num_steps: int) -> None:
        state = first_state(problem)
        for number in range(num_steps // GRAIN):
            state, losses = run(state, x, y, number)
            np.asarray(losses)

    return advance


def numpyro_scan(problem: Problem) -> Advance:
    """Update NumPyro's SVI within a scan that draws its rows and gathers them in the graph."""
    import jax
    import numpyro
    from jax import lax
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    def model(x: Any, y: Any) -> None:
        slopes = numpyro.sample("slopes", normal_prior(problem))
        with numpyro.handlers.scale(scale=problem.scale):
            numpyro.sample("y", numpyro.distributions.BernoulliLogits(x @ slopes), obs=y)

    x, y = map(jax.numpy.asarray, problem.draw())
    svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(RATE), Trace_ELBO())
    start = svi.init(jax.random.key(0), x[: problem.batch], y[: problem.batch])

    @jax.jit
    def run(state: Any, x: Any, y: Any, number: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(1), number)

        def step(state: Any, key: Any) -> Any:
            index = jax.random.randint(key, (problem.batch,), 0, problem.rows)
            return svi.update(state, x[index], y[index])

        return lax.scan(step, state, jax.random.split(key, GRAIN))

    def advance(num_steps: int) -> None:
        state = start
        for number in range(num_steps // GRAIN):
            state, losses = run(state, x, y, number)
            np.asarray(losses)

    return advance


def numpyro_plate(problem: Problem) -> Advance:
    """Run NumPyro's own loop on its own subsampling, compiled once a length of run."""
    import jax
    import numpyro
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    def model(x: Any, y: Any) -> None:
        slopes = numpyro.sample("slopes", normal_prior(problem))
        with numpyro.plate("rows", problem.rows, subsample_size=problem.batch) as index:
            logits = x[index] @ slopes
            numpyro.sample("y", numpyro.distributions.BernoulliLogits(logits), obs=y[index])

    x, y = map(jax.numpy.asarray, problem.draw())
    svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(RATE), Trace_ELBO())
    start = svi.init(jax.random.key(0), x, y)

    @jax.jit
    def run(state: Any, x: Any, y: Any) -> Any:
        key = jax.random.key(1)
        return svi.run(key, SLOW_GRAIN, x, y, progress_bar=False, init_state=state)[1:]

    def advance(num_steps: int) -> None:
        state = start
        for _ in range(num_steps // SLOW_GRAIN):
            state, losses = run(state, x, y)
            np.asarray(losses)

    return advance


def pymc_model(problem: Problem) -> Any:
    import pymc as pm

    x, y = problem.draw()
    with pm.Model() as model:
        # PyMC casts int64 outcomes, and then refuses the cast of a minibatch as observed.
        rows, outcomes = pm.Minibatch(x, y.astype(np.int32), batch_size=problem.batch)
        slopes = pm.Normal("slopes", 0, 1, shape=problem.columns)
        pm.Bernoulli("y", logit_p=rows @ slopes, observed=outcomes, total_size=problem.rows)
    return model


def pymc_fit(problem: Problem, backend: str) -> Advance:
    """Go on with a fit of PyMC, whose functions the first step compiled."""
    import pymc as pm

    with pymc_model(problem):
        inference = pm.ADVI(random_seed=1)
        optimizer = pm.adam(learning_rate=RATE)
        inference.fit(1, progressbar=False, backend=backend, obj_optimizer=optimizer)
    return lambda num_steps: inference.refine(num_steps, progressbar=False)


def pymc_extras_trainer(problem: Problem) -> Advance:
    """Stream a DataLoader in order, over rows that are in random order, and compile with C.

    Both are the fastest that it has: it shuffles slowly, and Numba, its default, is slower.
    """
    import pymc as pm
    from pymc_extras.inference.advi import Trainer, adam
    from pymc_extras.variational import DataLoader

    x, y = problem.draw()
    table = np.column_stack([x, y])
    whole = len(table) // problem.batch * problem.batch
    loader = DataLoader(
        lambda: iter(np.split(table[:whole], whole // problem.batch)),
        batch_size=problem.batch,
        total_size=problem.rows,
    )
    with pm.Model() as model:
        rows = pm.Data("rows", x[: problem.batch])
        outcomes = pm.Data("outcomes", y[: problem.batch])
        slopes = pm.Normal("slopes", 0, 1, shape=problem.columns)
        pm.Bernoulli("y", logit_p=rows @ slopes, observed=outcomes, total_size=problem.rows)
    trainer = Trainer(optimizer=adam(RATE), random_seed=1, backend="c")
    batches = (
        {"rows": batch[:, :-1], "outcomes": batch[:, -1].astype(np.int64)}
        for batch in chain.from_iterable(repeat(loader))
    )
    return lambda num_steps: trainer.fit(num_steps, batches, model=model)


@dataclass(frozen=True)
class Contender:
    """How a contender is set up, where (here, or among the peers), and the grain of its runs."""

    build: Callable[[Problem], Advance]
    elsewhere: bool = False
    grain: int = GRAIN


CONTENDERS = {
    "bayou": Contender(bayou),
    "limit": Contender(limit),
    "graph-scan": Contender(graph_scan),
    "numpyro-scan": Contender(numpyro_scan, elsewhere=True),
    "numpyro-plate": Contender(numpyro_plate, elsewhere=True, grain=SLOW_GRAIN),
    "pymc-c": Contender(partial(pymc_fit, backend="c")),
    "pymc-numba": Contender(partial(pymc_fit, backend="numba")),
    "pymc-extras": Contender(pymc_extras_trainer, elsewhere=True),
}
OURS = ("bayou", "limit", "graph-scan")
SCANS = ("graph-scan", "numpyro-scan")
PEERS = tuple(name for name in CONTENDERS if name not in OURS)
TOOLS = tuple(name for name in PEERS if name not in SCANS)


# What the limit is made of.


def chunk_length(problem: Problem) -> int:
    """Return the steps of a chunk: the power of two that fits CHUNK_BYTES, up to GRAIN."""
    steps = CHUNK_BYTES // (problem.batch * problem.columns * 8)
    return min(GRAIN, 2 ** max(0, int(np.log2(max(steps, 1)))))


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an empty array that starts at 64 bytes, which XLA reads where it lies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    space = np.empty(size + 64, np.uint8)
    start = -space.ctypes.data % 64
    return space[start : start + size].view(dtype).reshape(shape)


def first_state(problem: Problem) -> Any:
    """Return parameters (location, log scale), both moments of Adam, and the steps done."""
    import jax.numpy as jnp

    params = (jnp.zeros(problem.columns), jnp.full(problem.columns, -2.0))
    moments = [tuple(jnp.zeros(problem.columns) for _ in params) for _ in range(2)]
    return params, *moments, jnp.zeros(())


def scan_fed(problem: Problem, state: Any, x: Any, y: Any, number: Any) -> Any:
    """Run a chunk whose rows are given, shapes (length, batch, columns) and (length, batch)."""
    import jax
    from jax import lax

    key = jax.random.fold_in(jax.random.key(1), number)
    noise = jax.random.normal(key, (len(y), problem.columns))
    return lax.scan(lambda state, rows: step(problem, state, *rows), state, (noise, x, y))


def scan_resident(problem: Problem, state: Any, x: Any, y: Any, number: Any) -> Any:
    """Run GRAIN steps that draw their rows and gather them from all rows."""
    import jax
    from jax import lax

    noise_key, row_key = jax.random.split(jax.random.fold_in(jax.random.key(1), number))
    noise = jax.random.normal(noise_key, (GRAIN, problem.columns))

    def body(state: Any, drawn: Any) -> Any:
        draw, row_key = drawn
        index = jax.random.randint(row_key, (problem.batch,), 0, problem.rows)
        return step(problem, state, draw, x[index], y[index])

    return lax.scan(body, state, (noise, jax.random.split(row_key, GRAIN)))


def step(problem: Problem, state: Any, draw: Any, x: Any, y: Any) -> Any:
    """Take one step of Adam along the path-derivative gradient, differentiated by hand."""
    import jax
    import jax.numpy as jnp

    params, first, second, count = state
    location, log_scale = params
    spread = jnp.exp(log_scale)
    slopes = location + spread * draw
    logits = x @ slopes
    small = jnp.exp(-jnp.abs(logits))
    likelihood = y * logits - jnp.maximum(logits, 0) - jnp.log1p(small)
    chance = jnp.where(logits >= 0, 1, small) / (1 + small)
    loss = (slopes @ slopes - draw @ draw) / 2 - log_scale.sum() - problem.scale * likelihood.sum()
    slope_gradient = slopes - draw / spread - problem.scale * ((y - chance) @ x)
    gradient = (slope_gradient, slope_gradient * draw * spread)

    count = count + 1
    first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, first, gradient)
    second = jax.tree.map(lambda old, new: 0.999 * old + 0.001 * new**2, second, gradient)
    rise = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    params = jax.tree.map(
        lambda old, m, v: old - rise * m / (jnp.sqrt(v) + 1e-8), params, first, second
    )
    return (params, first, second, count), loss


def normal_prior(problem: Problem) -> Any:
    """Return the prior of the slopes in NumPyro."""
    from numpyro.distributions import Normal

    return Normal(0, 1).expand([problem.columns]).to_event(1)


# What is reached and printed.


class Target(NamedTuple):
    """A ratio that is measured, and the most that it may be."""

    label: str
    measured: float
    most: float


def started(name: str, problem: Problem, label: str) -> Worker:
    """Start the worker of a contender on a problem."""
    python = peer_python() if CONTENDERS[name].elsewhere else Path(sys.executable)
    return start_worker(label, python, [__file__, "--worker", name, "--case", str(problem)])


def speed_targets(times: Times) -> list[Target]:
    """Return what bayou must reach against the limit, the scans and the best of the tools."""
    targets = [Target("bayou / limit", ratio(times, "bayou", "limit"), 1.25)]
    targets += [
        Target(f"bayou / {name}", ratio(times, "bayou", name), 1.0)
        for name in SCANS
        if name in times
    ]
    tools = [name for name in TOOLS if name in times]
    if tools:
        best = min(tools, key=lambda name: wall(times[name]))
        targets.append(Target(f"bayou / {best}, the best tool", ratio(times, "bayou", best), 0.25))
    return targets


def flat_targets(times: Times) -> list[Target]:
    """Return what bayou must reach: its slowest number of rows over its fastest."""
    sizes = sorted(
        (name for name in times if name.startswith("bayou")), key=lambda name: wall(times[name])
    )
    slowest, fastest = sizes[-1], sizes[0]
    return [Target(f"{slowest} / {fastest}", ratio(times, slowest, fastest), 1.3)]


def wall(costs: Sequence[Cost]) -> float:
    """Return the median time on the clock."""
    return median(cost.wall for cost in costs)


def report(title: str, times: Times, targets: Sequence[Target]) -> bool:
    """Print both tables; return whether all targets are met."""
    from rich.console import Console
    from rich.table import Table

    figures = Table("microseconds a step")
    for column in ("median", "fastest turn", "slowest turn", "of all cores"):
        figures.add_column(column, justify="right")
    for name, costs in times.items():
        walls = [cost.wall for cost in costs]
        row = (wall(costs), min(walls), max(walls), median(cost.cpu for cost in costs))
        figures.add_row(name, *(f"{1e6 * value:.1f}" for value in row))
    goals = Table("ratio")
    for column in ("measured", "at most", ""):
        goals.add_column(column, justify="right")
    for label, measured, most in targets:
        verdict = "met" if measured <= most else "missed"
        note(f"{title}: {label}", f"{measured:.2f}", f"{most:.2f}", met=measured <= most)
        goals.add_row(label, f"{measured:.2f}", f"{most:.2f}", verdict)
    print(f"\n{title}; {load()}", flush=True)
    Console().print(figures, goals)
    return all(target.measured <= target.most for target in targets)


def run_speed(cases: Sequence[Problem], names: Sequence[str], rounds: int, seconds: float) -> bool:
    """Time all contenders on each problem."""
    met = []
    for problem in cases:
        workers = ready((started(name, problem, name) for name in names), OURS)
        grains = {name: CONTENDERS[name].grain for name in workers}
        times = time_in_turns(workers, grains, rounds, seconds)
        title = f"{problem.rows:,} rows x {problem.columns} columns, batch {problem.batch}"
        met.append(report(title, times, speed_targets(times)) and len(times) == len(names))
    return all(met)


def run_flat(cases: Sequence[Problem], rounds: int, seconds: float) -> bool:
    """Time bayou and the limit on each number of rows, all of them in turns."""
    workers = [
        started(name, problem, f"{name} {problem.rows:,}")
        for name in ("bayou", "limit")
        for problem in cases
    ]
    grains = {worker.name: GRAIN for worker in workers}
    times = time_in_turns(ready(workers, grains), grains, rounds, seconds)
    title = f"{cases[0].columns} columns, batch {cases[0].batch}"
    return report(title, times, flat_targets(times))


def peer_names(text: str) -> tuple[str, ...]:
    """Read ``--peers``: "none", "all", or names with commas between."""
    if text in {"none", "all"}:
        return PEERS if text == "all" else ()
    names = tuple(text.split(","))
    unknown = sorted(set(names) - set(PEERS))
    if unknown:
        raise argparse.ArgumentTypeError(f"must be none, all or among {PEERS}, got {unknown}")
    return names


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claim", nargs="?", choices=("speed", "flat"), help="by default both")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="small data, few turns, no peers")
    parser.add_argument("--peers", type=peer_names, help="none, all (the default) or names")
    parser.add_argument("--case", type=read_problem, action="append", help="ROWSxCOLUMNSxBATCH")
    parser.add_argument("--rounds", type=int, help="turns of each contender, by default 7")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peers is None:
        options.peers = () if options.small else PEERS
    return options


def main() -> int:
    options = parse()
    if options.worker:
        # Before PyTensor and JAX are imported.
        os.environ["JAX_ENABLE_X64"] = "1"
        serve(lambda: CONTENDERS[options.worker].build(*options.case))
        return 0
    rounds = options.rounds or (3 if options.small else 7)
    seconds = 0.3 if options.small else 1.0
    cases = options.case or ([Problem(100_000, 20, 500)] if options.small else SPEED)
    met = []
    if options.claim != "flat":
        met.append(run_speed(cases, (*OURS, *options.peers), rounds, seconds))
    if options.claim != "speed":
        met.append(run_flat(FLAT[:2] if options.small else FLAT, rounds, seconds))
    write_figures(options.json)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
