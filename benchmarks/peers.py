"""The contenders of a benchmark, each in a process of its own that times steps when it is asked.

A worker keeps its model, data and compiled functions between two questions, so that contenders can
be timed in turns. Libraries that cannot be installed beside bayou live in an environment that is
made once, under the user's cache directory, from the versions pinned here; it takes minutes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

type Advance = Callable[[int], object]
type Times = dict[str, list[Cost]]

# pymc-extras 0.15 holds PyMC below 6.4; the JAX is the one that bayou is tested with.
PINS = ("jax==0.12.0.1", "numpyro==0.22.0", "pymc==6.3.2", "pymc-extras==0.15.1")


class Cost(NamedTuple):
    """Seconds on the clock, and seconds of all cores of the worker's process."""

    wall: float
    cpu: float


class WorkerError(RuntimeError):
    """A contender could not be set up, or ended in an error."""


@dataclass(frozen=True)
class Worker:
    """A running contender.

    Attributes
    ----------
    name : str
        What it is called in tables.
    process : Popen
        Reads a number of steps a line, writes what they cost.
    log : Path
        What it printed otherwise.
    """

    name: str
    process: subprocess.Popen[str]
    log: Path

    def wait(self) -> None:
        """Wait until the worker is set up."""
        self._answer()

    def run(self, num_steps: int) -> Cost:
        """Have the worker run that many steps."""
        self.process.stdin.write(f"{num_steps}\n")
        self.process.stdin.flush()
        return Cost(*map(float, self._answer().split()))

    def steps_in(self, seconds: float, grain: int) -> int:
        """Return a number of steps that takes so long at least, and longer than a run of none."""
        short = min(self.run(grain).wall for _ in range(3))
        num_steps = grain
        while min(self.run(grain + num_steps).wall for _ in range(2)) < short + max(seconds, short):
            num_steps *= 2
        return num_steps

    def close(self) -> None:
        """Let the worker end."""
        self.process.communicate()
        self.log.unlink()

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            self.process.communicate()
            lines = self.log.read_text(encoding="utf-8").strip().splitlines() or ["no message"]
            raise WorkerError(
                f"`{self.name}` must answer, got exit code {self.process.returncode}: {lines[-1]}\n"
                f"Hint: all that it printed is in {self.log}."
            )
        return line


def start_worker(
    name: str, python: Path, command: Sequence[str], variables: Mapping[str, str] | None = None
) -> Worker:
    """Start a worker; several set themselves up at the same time until they are waited for."""
    handle, path = tempfile.mkstemp(prefix="bayou-benchmark-", suffix=".log")
    with os.fdopen(handle, "w") as log:
        process = subprocess.Popen(
            [str(python), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **(variables or {})},
        )
    return Worker(name, process, Path(path))


def ready(workers: Iterable[Worker], required: Collection[str]) -> dict[str, Worker]:
    """Wait for workers; return those that come up, and say which do not.

    Raises
    ------
    WorkerError
        If one that is required does not.
    """
    found = {}
    for worker in list(workers):
        try:
            worker.wait()
        except WorkerError as error:
            if worker.name in required:
                raise
            print(error, file=sys.stderr)
        else:
            found[worker.name] = worker
    return found


def time_in_turns(
    workers: Mapping[str, Worker], grains: Mapping[str, int], num_rounds: int, seconds: float
) -> Times:
    """Return the cost of a step for each worker, one a turn, and let the workers end.

    Parameters
    ----------
    workers : dict of Worker
        Timed one after the other, round by round.
    grains : dict of int
        The steps of the short run of a turn; the long one has a multiple of them more.
    num_rounds : int
        Turns of each.
    seconds : float
        The least that the additional steps of the long run take.
    """
    steps = {name: worker.steps_in(seconds, grains[name]) for name, worker in workers.items()}
    times: Times = {name: [] for name in workers}
    for _ in range(num_rounds):
        for name, worker in workers.items():
            short = worker.run(grains[name])
            long = worker.run(grains[name] + steps[name])
            differences = (after - before for before, after in zip(short, long, strict=True))
            times[name].append(Cost(*(value / steps[name] for value in differences)))
    for worker in workers.values():
        worker.close()
    return times


def ratio(times: Times, name: str, base: str) -> float:
    """Return the median over the turns of one contender's time over another's."""
    return median(a.wall / b.wall for a, b in zip(times[name], times[base], strict=True))


def load() -> str:
    """Return how busy the machine is: timings are worth something on an idle one alone."""
    averages = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"load average {averages} on {os.cpu_count()} cores"


def serve(build: Callable[[], Advance]) -> None:
    """Be a worker: set up, then answer each line until there are no more.

    Parameters
    ----------
    build : callable
        Sets up; returns a function that runs a number of steps and waits until they are done.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What libraries print goes to the log, so that the answers stay alone in their stream.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    advance = build()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        advance(int(line))
        cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
        print(*cost, file=answers, flush=True)


def environment_folder(pins: Sequence[str], cache: Path) -> Path:
    """Return where the environment of the pins lies: another list is another folder."""
    digest = hashlib.sha256("\n".join([sys.version, *pins]).encode()).hexdigest()[:12]
    return cache / "benchmarks" / f"peers-{digest}"


def peer_python(pins: Sequence[str] = PINS) -> Path:
    """Return the Python of the environment that holds the peers; make it where it is missing."""
    from platformdirs import user_cache_path

    folder = environment_folder(pins, user_cache_path("bayou"))
    python = folder / "bin" / "python"
    complete = folder / ".complete"
    if not complete.exists():
        print(f"Making an environment for {', '.join(pins)}, once: {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
            check=True,
        )
        complete.touch()
    return python
