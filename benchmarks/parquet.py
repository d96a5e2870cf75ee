"""Read more rows from Parquet files than are in memory: how fast, and within how much memory.

Two claims, on files of 21 float64 columns, compressed with zstd, in row groups of 100,000 rows:

speed
    Windowed epochs of ``by.Batches`` (batches of 512 rows, 500,000 rows resident) have at least 0.8
    of the rate at which pyarrow decodes the same files into matrices that are thrown away, and at
    least 6 times that of pymc-extras' DataLoader with ``shuffle=True`` and the same buffer.
memory
    One epoch of batches, and a fit on one, take the rows that are resident and at most 600 MB more,
    the interpreter and all libraries included, and at most 1.1 times as much for 50M rows as for
    5M.

For speed, every contender is a process of its own, and they are timed in turns; a step is 100,000
rows. A turn is the difference between a long and a short run; a short run of bayou is longer than
what its thread can have read ahead while it was not its turn. A ratio is the median of the ratios
within the turns. For memory, each figure is the peak resident size of a process of its own.

    python benchmarks/parquet.py                  both claims, about 20 minutes, 10 GB of disk
    python benchmarks/parquet.py speed --folder /data
    python benchmarks/parquet.py --small          about a minute, nothing installed
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

NAMES = [f"x{number}" for number in range(20)]
OUTCOME = "y"
BATCH = 512
FILE_ROWS = 500_000
GROUP_ROWS = 100_000
RESIDENT = 500_000
ROW_BYTES = 8 * (len(NAMES) + 1)
# What the process may take on top of the rows that are resident.
ROOM = 600_000_000
PINS = ("pymc==6.3.2", "pymc-extras==0.15.1", "pyarrow==26.0.1")


def write_files(folder: Path, num_rows: int) -> None:
    """Write files of FILE_ROWS rows: predictors, and outcomes that depend on them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    slopes = np.random.default_rng(0).standard_normal(len(NAMES)) / len(NAMES) ** 0.5
    for number, start in enumerate(range(0, num_rows, FILE_ROWS)):
        generator = np.random.default_rng([1, number])
        x = generator.standard_normal((min(FILE_ROWS, num_rows - start), len(NAMES)))
        y = (generator.random(len(x)) < 1 / (1 + np.exp(-x @ slopes))).astype(float)
        table = pa.table({**dict(zip(NAMES, x.T.copy(), strict=True)), OUTCOME: y})
        path = folder / f"{number:04}.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)


# The contenders: each opens a folder, and returns a function that reads so many row groups' rows.


def bayou(folder: Path) -> Advance:
    import bayou as by

    batches = by.Batches(
        by.scan(folder),
        BATCH,
        columns={"rows": [*NAMES, OUTCOME]},
        order="epoch",
        random_seed=1,
        in_memory_size=RESIDENT,
    )
    return draw(batch["rows"] for batch in batches)


def decode(folder: Path) -> Advance:
    """Decode row group after row group into matrices, and throw them away."""
    import pyarrow.parquet as pq

    files = [pq.ParquetFile(path) for path in sorted(folder.iterdir())]
    groups = cycle([(file, group) for file in files for group in range(file.num_row_groups)])

    def matrices() -> Iterator[NDArray[np.float64]]:
        for file, group in groups:
            yield np.column_stack([column.to_numpy() for column in file.read_row_group(group)])

    return draw(matrices())


def pymc_extras(folder: Path) -> Advance:
    from pymc_extras.variational import DataLoader, parquet_source

    loader = DataLoader(
        parquet_source(str(folder)), batch_size=BATCH, shuffle=True, buffer_size=RESIDENT, seed=1
    )

    def endless() -> Iterator[NDArray[np.float64]]:
        while True:
            yield from loader

    return draw(endless())


def draw(matrices: Iterator[NDArray[np.float64]]) -> Advance:
    """Return a function that takes matrices until it has the rows of so many row groups."""
    surplus = 0

    def advance(num_steps: int) -> None:
        nonlocal surplus
        wanted = num_steps * GROUP_ROWS - surplus
        while wanted > 0:
            wanted -= len(next(matrices))
        surplus = -wanted

    return advance


@dataclass(frozen=True)
class Contender:
    """How a contender is set up, where (here, or among the peers), and the grain of its runs."""

    build: Callable[[Path], Advance]
    elsewhere: bool = False
    # Of whole buffers, and more of them than one that was filled ahead.
    grain: int = 2 * RESIDENT // GROUP_ROWS


CONTENDERS = {
    "bayou": Contender(bayou),
    "decode": Contender(decode),
    "pymc-extras": Contender(pymc_extras, elsewhere=True, grain=RESIDENT // GROUP_ROWS),
}
PEERS = ("pymc-extras",)


class Target(NamedTuple):
    """A figure, and its bound: the least that it may be, or the most."""

    label: str
    measured: float
    bound: float
    is_least: bool

    @property
    def met(self) -> bool:
        return self.measured >= self.bound if self.is_least else self.measured <= self.bound


def speed_targets(times: Times) -> list[Target]:
    """Return what bayou must reach: ratios of rates."""
    least = {"decode": 0.8, "pymc-extras": 6.0}
    return [
        Target(f"bayou / {name}", ratio(times, name, "bayou"), bound, is_least=True)
        for name, bound in least.items()
        if name in times
    ]


def started(name: str, folder: Path) -> Worker:
    python = peer_python(PINS) if CONTENDERS[name].elsewhere else Path(sys.executable)
    return start_worker(name, python, [__file__, "--worker", name, "--folder", str(folder)])


def run_speed(folder: Path, names: Sequence[str], rounds: int, seconds: float) -> bool:
    """Time all contenders on the files of a folder."""
    workers = ready([started(name, folder) for name in names], ("bayou", "decode"))
    grains = {name: CONTENDERS[name].grain for name in workers}
    times = time_in_turns(workers, grains, rounds, seconds)
    print(f"\nRows a second, in windows of {RESIDENT:,}; {load()}")
    for name, costs in times.items():
        rate = GROUP_ROWS / median(cost.wall for cost in costs)
        cores = median(cost.cpu / cost.wall for cost in costs)
        print(f"{name:>12}: {rate / 1e6:6.2f} million, {cores:.1f} cores busy")
    return met(speed_targets(times)) and len(times) == len(names)


# Memory: each process reads one epoch, tells its peak, and ends.


def read_epoch(folder: Path) -> None:
    import bayou as by

    source = by.scan(folder)
    with by.Batches(source, BATCH, random_seed=1, in_memory_size=RESIDENT, epochs=1) as batches:
        for _ in batches:
            pass


def fit_epoch(folder: Path) -> None:
    import pymc as pm

    import bayou as by

    source = by.scan(folder)
    with pm.Model() as model:
        x = by.Minibatch(source[NAMES], BATCH, name="x", in_memory_size=RESIDENT)
        y = by.Minibatch(source[OUTCOME], BATCH, name="y", in_memory_size=RESIDENT)
        slopes = pm.Normal("slopes", 0, 1, shape=len(NAMES))
        pm.Bernoulli("late", logit_p=x @ slopes, observed=y, total_size=source.num_rows)
    by.fit(source.num_rows // BATCH, model=model, random_seed=1, progressbar=False)


EPOCHS = {"reading": read_epoch, "fitting": fit_epoch}


def peak(name: str, folder: Path) -> int:
    """Return the most bytes that a process of its own held."""
    command = [sys.executable, __file__, "--epoch", name, "--folder", str(folder)]
    # Rows are float64, and so is what is computed from them.
    variables = {**os.environ, "JAX_ENABLE_X64": "1"}
    answer = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    return int(answer.stdout.split()[-1])


def memory_targets(peaks: dict[tuple[str, int], int]) -> list[Target]:
    """Return what bayou must reach: bytes on top of the rows resident, and flat in all rows."""
    targets = [
        Target(
            f"MB on top, {name} {rows:,}", (most - RESIDENT * ROW_BYTES) / 1e6, ROOM / 1e6, False
        )
        for (name, rows), most in peaks.items()
    ]
    for name in dict.fromkeys(name for name, _ in peaks):
        sizes = [most for (other, _), most in peaks.items() if other == name]
        targets.append(Target(f"{name}: most / least", max(sizes) / min(sizes), 1.1, False))
    return targets


def run_memory(folders: dict[int, Path], names: Sequence[str]) -> bool:
    """Measure the peaks for each number of rows."""
    peaks = {
        (name, num_rows): peak(name, folder)
        for name in names
        for num_rows, folder in folders.items()
    }
    print(f"\nPeak memory, {RESIDENT:,} rows ({RESIDENT * ROW_BYTES / 1e6:.0f} MB) resident")
    for (name, num_rows), most in peaks.items():
        print(f"{name:>12} {num_rows:>12,} rows: {most / 1e6:6.0f} MB")
    return met(memory_targets(peaks))


def met(targets: Sequence[Target]) -> bool:
    """Print targets; return whether all are met."""
    for target in targets:
        bound = f"at {'least' if target.is_least else 'most'} {target.bound:g}"
        verdict = "met" if target.met else "missed"
        note(target.label, f"{target.measured:.2f}", bound, met=target.met)
        print(f"{target.label:>32}: {target.measured:7.2f}, {bound}: {verdict}", flush=True)
    return all(target.met for target in targets)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claim", nargs="?", choices=("speed", "memory"), help="by default both")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="few rows, few turns, no peers")
    parser.add_argument("--folder", type=Path, help="where there is room for the files")
    parser.add_argument("--rows", type=int, action="append", help="by default 5M, 20M and 50M")
    parser.add_argument("--rounds", type=int, help="turns of each contender, by default 7")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--epoch", choices=EPOCHS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rows is None:
        options.rows = (
            [1_000_000, 2_000_000] if options.small else [5 * 10**6, 2 * 10**7, 5 * 10**7]
        )
    return options


def main() -> int:
    options = parse()
    if options.worker:
        serve(lambda: CONTENDERS[options.worker].build(options.folder))
        return 0
    if options.epoch:
        EPOCHS[options.epoch](options.folder)
        # In kibibytes, on Linux.
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return 0
    results = []
    with tempfile.TemporaryDirectory(prefix="bayou-benchmark-", dir=options.folder) as name:
        folders = {num_rows: Path(name) / str(num_rows) for num_rows in options.rows}
        first = options.rows[0]
        write_files(folders[first], first)
        if options.claim != "memory":
            names = [name for name in CONTENDERS if not (options.small and name in PEERS)]
            rounds = options.rounds or (3 if options.small else 7)
            results.append(run_speed(folders[first], names, rounds, 0.3 if options.small else 2.0))
        if options.claim != "speed":
            for num_rows in options.rows[1:]:
                write_files(folders[num_rows], num_rows)
            results.append(run_memory(folders, list(EPOCHS)))
    write_figures(options.json)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
