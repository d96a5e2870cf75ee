"""Time batches of rows that are at hand: bayou, numpy.take, and loaders that go row by row.

Three claims, on a matrix of float64 and batches of 512 rows:

take
    ``by.Batches`` draws rows of a matrix in memory, and of a memory-mapped .npy in the page cache,
    at 0.6 or more of the rate of ``numpy.take`` on the matrix in memory.
loaders
    In epochs without replacement, it is at least 10 times as fast as grain, and as a loader in the
    style of PyTorch's: items one by one, then stacked.
order
    The rows of a batch cost less than 100 ns each among 10^10 rows, and no more memory than among
    10^4.

Every contender is a process of its own, and they are timed in turns; a ratio is the median of the
ratios within the turns.

    python benchmarks/loaders.py           about 3 minutes, and grain is installed once
    python benchmarks/loaders.py --small   under a minute, nothing installed
"""

from __future__ import annotations

import argparse
import atexit
import shutil
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from figures import add_json_option, note, write_figures
from peers import (
    Advance,
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
from step_time import Target, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

BATCH = 512
COLUMNS = 20
GRAIN_PINS = ("grain==0.2.18",)
GRAIN = 64


def matrix(num_rows: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal((num_rows, COLUMNS))


# The contenders: each sets up so many rows and returns a function that draws a number of batches.


def take(num_rows: int) -> Advance:
    """Gather uniform rows, and nothing else."""
    x = matrix(num_rows)
    generator = np.random.default_rng(1)

    def advance(num_steps: int) -> None:
        for _ in range(num_steps):
            np.take(x, generator.integers(0, num_rows, BATCH), axis=0)

    return advance


def bayou_memory(num_rows: int, order: str) -> Advance:
    import bayou as by

    return draw(by.Batches(by.source(matrix(num_rows)), BATCH, order=order, random_seed=1))


def bayou_file(num_rows: int, order: str) -> Advance:
    import bayou as by

    folder = Path(tempfile.mkdtemp(prefix="bayou-benchmark-"))
    atexit.register(shutil.rmtree, folder)
    np.save(folder / "x.npy", matrix(num_rows))
    return draw(by.Batches(by.scan(folder / "x.npy"), BATCH, order=order, random_seed=1))


def one_by_one(num_rows: int) -> Advance:
    """Do what PyTorch's DataLoader does in one process: shuffle, take item by item, stack them."""
    x = matrix(num_rows)
    generator = np.random.default_rng(1)

    def endless() -> Iterator[int]:
        while True:
            yield from generator.permutation(num_rows).tolist()

    rows = endless()

    def advance(num_steps: int) -> None:
        for _ in range(num_steps):
            np.stack([x[row] for row in islice(rows, BATCH)])

    return advance


def grain(num_rows: int) -> Advance:
    import grain

    loader = grain.MapDataset.source(matrix(num_rows)).shuffle(seed=1).repeat().batch(BATCH)
    return draw(iter(loader.to_iter_dataset()))


def draw(batches: Iterator[object]) -> Advance:
    def advance(num_steps: int) -> None:
        for _ in range(num_steps):
            next(batches)

    return advance


@dataclass(frozen=True)
class Contender:
    """How a contender is set up, where (here, or among the peers), and the grain of its runs."""

    build: Callable[[int], Advance]
    elsewhere: bool = False
    grain: int = GRAIN


CONTENDERS = {
    "take": Contender(take),
    "bayou uniform": Contender(partial(bayou_memory, order="uniform")),
    "bayou file": Contender(partial(bayou_file, order="uniform")),
    "bayou epoch": Contender(partial(bayou_memory, order="epoch")),
    "one by one": Contender(one_by_one),
    "grain": Contender(grain, elsewhere=True, grain=4),
}
PEERS = ("grain",)


def started(name: str, num_rows: int) -> Worker:
    python = peer_python(GRAIN_PINS) if CONTENDERS[name].elsewhere else Path(sys.executable)
    return start_worker(name, python, [__file__, "--worker", name, "--rows", str(num_rows)])


def targets(times: Times) -> list[Target]:
    """Return what must be reached."""
    found = [
        Target(f"{name} / take", ratio(times, name, "take"), 1 / 0.6)
        for name in ("bayou uniform", "bayou file")
    ]
    found += [
        Target(f"bayou epoch / {name}", ratio(times, "bayou epoch", name), 0.1)
        for name in ("one by one", *PEERS)
        if name in times
    ]
    return found


def run_loaders(names: Sequence[str], num_rows: int, rounds: int, seconds: float) -> bool:
    """Time all contenders."""
    required = [name for name in names if name not in PEERS]
    workers = ready([started(name, num_rows) for name in names], required)
    grains = {name: CONTENDERS[name].grain for name in workers}
    times = time_in_turns(workers, grains, rounds, seconds)
    title = f"{num_rows:,} rows x {COLUMNS} columns, batch {BATCH}"
    return report(title, times, targets(times)) and len(times) == len(names)


def order_cost(num_rows: int, num_steps: int) -> tuple[float, int]:
    """Return the nanoseconds a row of an epoch's order, and the most bytes that it takes."""
    from bayou.sampling.epoch import epoch_rows
    from bayou.sampling.uniform import stream_key

    key = stream_key(1)
    epoch_rows(key, 0, 1, num_rows, BATCH)
    seconds = []
    for turn in range(5):
        begin = time.perf_counter()
        epoch_rows(key, turn * num_steps, num_steps, num_rows, BATCH)
        seconds.append(time.perf_counter() - begin)
    tracemalloc.start()
    epoch_rows(key, 0, num_steps, num_rows, BATCH)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1e9 * median(seconds) / (num_steps * BATCH), most


def run_order(num_steps: int) -> bool:
    """Print what the order of batches costs among few rows and among many."""
    few, many = (order_cost(num_rows, num_steps) for num_rows in (10**4, 10**10))
    met = many[0] < 100 and many[1] <= few[1] * 1.01
    print(f"\nThe order of {num_steps} batches; {load()}")
    for label, (nanoseconds, most) in (("10^4", few), ("10^10", many)):
        print(f"among {label:>5} rows: {nanoseconds:5.1f} ns a row, {most:,} bytes")
    print("met" if met else "missed")
    figures = f"{few[0]:.0f}, {many[0]:.0f} ns; {many[1] / few[1]:.2f}"
    note("order of a row among 10^4, 10^10; memory of the two", figures, "100 ns; 1.01", met=met)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="few rows, few turns, no peers")
    parser.add_argument("--rows", type=int, help="by default a million")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    num_rows = options.rows or (100_000 if options.small else 1_000_000)
    if options.worker:
        serve(lambda: CONTENDERS[options.worker].build(num_rows))
        return 0
    names = [name for name in CONTENDERS if not (options.small and name in PEERS)]
    rounds, seconds = (3, 0.3) if options.small else (7, 1.0)
    met = [
        run_loaders(names, num_rows, rounds, seconds),
        run_order(100 if options.small else 1000),
    ]
    write_figures(options.json)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
