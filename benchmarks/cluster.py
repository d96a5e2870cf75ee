"""Work over workers of a Ray cluster on this machine: many data sets, and passes over many rows.

    python benchmarks/cluster.py            # all claims, about half an hour on 2 quiet cores
    python benchmarks/cluster.py --small    # a few data sets each, and few rows
    python benchmarks/cluster.py speed      # one of: speed, recovery, growth, passes

The model of data sets is the mean of benchmarks/many.py. Workers have a core each. Times are those
at which this process had the results, after the first ones, so that the start of the workers is not
among them. Memory is the most that this process held until then.

Passes are those of a fit of the logistic regression of benchmarks/passes.py, whose rows are in
Parquet, 21 columns of 8 bytes: 20M of them, 3.4 GB in the folder of temporary files, or `--rows`.
One and two workers take turns, then one of two is killed. A pass is the sum of densities and
gradients at 8 draws over all rows, decoding included; the first one, which compiles, is left out.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

# They give way to all other processes by default, this one included.
os.environ.setdefault("RAY_worker_niceness", "0")

import many
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
from figures import add_json_option, note, write_figures
from pass_models import NUM_COLUMNS
from passes import logistic_rows

import bayou as by
from bayou.cluster.workers import start_workers
from bayou.fitting import method_choice
from bayou.fitting.passes.shared_rows import SharedRows, shared_rows
from bayou.many import dispatch as dispatching
from bayou.many.data_sets.by_key import DataSets
from bayou.many.data_sets.pending import pending_data_sets
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.nuts.settings import NutsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Results that are not timed: the first of a worker are slower.
WARM = 32
NUM_ROWS = 20_000_000
# Rows of a row group, and rows that are made at once.
GROUP_ROWS = 2**17
PIECE_ROWS = 2**20


@contextmanager
def workers_ready() -> Iterator[list[Any]]:
    """Have all workers there before the first data set is handed out; yield when, and the pool."""
    found: list[Any] = []

    @contextmanager
    def ready(cluster: by.Ray, start: Any) -> Iterator[Any]:
        with start_workers(cluster, start) as pool:
            for index in range(len(pool)):
                pool.result(pool.started(index))
            found.extend((time.perf_counter(), pool))
            yield pool

    with patch.object(dispatching, "start_workers", ready):
        yield found


def result_times(number: int, num_workers: int, kill_at: int | None = None) -> np.ndarray:
    """Sample data sets on workers, of which one may be killed; return when each result came."""
    model, settings = many.mean_model(), dict(many.SETTINGS)
    seed = settings.pop("random_seed")
    run = partial(nutpie_outcomes, settings=NutsSettings(**settings))
    data_sets = DataSets(enumerate(many.mean_data(number)), number)
    pending = pending_data_sets(model, data_sets, seed)
    times = []
    with workers_ready() as found:
        cluster = by.Ray(num_workers)
        for outcome in dispatching.dispatch(run, model, pending, cluster, number, judged=["mu"]):
            assert outcome.failure is None, outcome.failure
            times.append(time.perf_counter())
            if len(times) == kill_at:
                os.kill(
                    found[1].result(found[1].submit(0, lambda held: os.getpid())), signal.SIGKILL
                )
    assert len(times) == number, "data sets were lost"
    return np.array(times)


def rate(times: np.ndarray, warm: int) -> float:
    """Return the results a second after the first ones."""
    return (len(times) - warm) / float(times[-1] - times[warm - 1])


def speed(small: bool) -> None:
    number, warm = (12, 4) if small else (600, WARM)
    one, two = (rate(result_times(number, count), warm) for count in (1, 2))
    claim = "data sets a second of two Ray workers of a core each, of one"
    note(claim, f"{two / one:.2f} times", "1.6", met=two / one >= 1.6)
    print(
        f"speed: {one:.1f} data sets/s by one worker, {two:.1f} by two, {two / one:.2f} times as "
        "many (target: at least 1.6)"
    )


def write_rows(path: Path, num_rows: int) -> None:
    """Write the rows of a logistic regression: those of one piece, again and again."""
    x, y = logistic_rows(min(num_rows, PIECE_ROWS))
    columns = {f"x{index}": x[:, index] for index in range(NUM_COLUMNS)}
    table = pa.table(columns | {"y": y.astype(float)})
    with pq.ParquetWriter(path, table.schema) as writer:
        for start in range(0, num_rows, PIECE_ROWS):
            writer.write_table(table.slice(0, num_rows - start), row_group_size=GROUP_ROWS)


def timed_passes(path: Path, num_workers: int, kill: bool) -> tuple[float, list[float], by.Fit]:
    """Return the seconds of a fit after the start of its workers, and those of each pass."""
    rows = by.scan(path)
    with pm.Model() as model:
        names = [f"x{index}" for index in range(NUM_COLUMNS)]
        x = by.Minibatch(rows[names], 512, in_memory_size=GROUP_ROWS)
        y = by.Minibatch(rows["y"], 512, in_memory_size=GROUP_ROWS)
        slopes = pm.Normal("slopes", shape=NUM_COLUMNS)
        pm.Bernoulli("observed", logit_p=x @ slopes, observed=y, total_size=sum(rows.blocks))
    began: list[float] = []
    passes: list[float] = []
    pools: list[Any] = []
    sums = SharedRows.sums

    @contextmanager
    def ready(cluster: by.Ray, start: Any, *, shared: Any) -> Iterator[Any]:
        with start_workers(cluster, start, shared=shared) as pool:
            for index in range(len(pool)):
                pool.result(pool.started(index))
            pools.append(pool)
            began.append(time.perf_counter())
            yield pool

    def timed(self: SharedRows, function: Any, *arguments: Any) -> Any:
        begin = time.perf_counter()
        # The second pass over all rows.
        if kill and len(passes) == 1:
            worker = pools[0].result(pools[0].submit(0, lambda state: os.getpid()))
            threading.Timer(0.1, os.kill, (worker, signal.SIGKILL)).start()
        found = sums(self, function, *arguments)
        passes.append(time.perf_counter() - begin)
        return found

    with (
        patch.object(method_choice, "shared_rows", partial(shared_rows, start_pool=ready)),
        patch.object(SharedRows, "sums", timed),
    ):
        fit = by.fit(model=model, cluster=by.Ray(num_workers), random_seed=1, progressbar=False)
    return time.perf_counter() - began[0], passes, fit


def passes(small: bool, num_rows: int = NUM_ROWS) -> None:
    """Print how much faster two workers are than one, and what the death of one costs."""
    num_rows = min(num_rows, 600_000) if small else num_rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, num_rows)
        found: dict[int, list[tuple[float, list[float], by.Fit]]] = {1: [], 2: []}
        for _ in range(1 if small else 2):
            for number, runs in found.items():
                runs.append(timed_passes(path, number, kill=False))
        killed, during, _ = timed_passes(path, 2, kill=True)
    one, two = (min(seconds for seconds, _, _ in runs) for runs in found.values())
    of_one, of_two = (
        float(np.median([seconds for _, each, _ in runs for seconds in each[1:]]))
        for runs in found.values()
    )
    each = {
        number: [round(s, 2) for _, run, _ in runs for s in run] for number, runs in found.items()
    }
    print(f"passes: seconds of each, in turns: one worker {each[1]}, two {each[2]}")
    difference = np.abs(found[1][0][2].mean["slopes"] / found[2][0][2].mean["slopes"] - 1).max()
    lost = (max(during[1:]) - of_two) / of_two
    ratio = of_one / of_two
    claim = f"passes over {num_rows:,} rows in Parquet a second of two Ray workers, of one"
    note(claim, f"{ratio:.2f} times", "1.7", met=ratio >= 1.7)
    note("what a killed worker costs, in passes", f"{lost:.1f}", "2", met=lost < 2)
    print(
        f"passes: {num_rows:,} rows, a pass {of_one:.2f} s by one worker, {of_two:.2f} s by two, "
        f"{ratio:.2f} times as fast; the whole fit {one:.1f} and {two:.1f} s, {one / two:.2f} "
        f"times; with one killed {killed:.1f} s, {lost:.1f} passes lost; means equal to "
        f"{float(difference):.0e}"
    )


def recovery(small: bool) -> None:
    """Print how much longer a run takes of which a worker is killed."""
    number = 16 if small else 600
    whole, killed = (result_times(number, 2, at) for at in (None, number // 4))
    lost = float(np.ptp(killed) - np.ptp(whole))
    print(
        f"recovery: {number} of {number} data sets with one of two workers killed, {lost:.1f} s "
        f"longer than without, at most {float(np.diff(killed).max()):.1f} s without a result"
    )


def growth(small: bool) -> None:
    """Print the time a data set and the memory as data sets are more, written to disk."""
    model, base = many.mean_model(), None
    settings: dict[str, Any] = {**many.SETTINGS, "progressbar": False}
    for number in (2, 4) if small else (10, 100, 1000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            data = many.mean_data(number)
            with workers_ready() as began:
                place = Path(folder) / "many.zarr"
                by.sample_many(data, model=model, out=place, cluster=by.Ray(2), **settings)
                each = (time.perf_counter() - began[0]) / number
        base = base or each
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"growth: {number:6} data sets, {1000 * each:.0f} ms each, {each / base:.2f} of the "
            f"first (target: at most 1.2), {memory:,.0f} MiB at most"
        )


CLAIMS: dict[str, Any] = {
    "speed": speed,
    "recovery": recovery,
    "growth": growth,
    "passes": passes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", choices=[*CLAIMS, []], help="all by default")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="a few data sets each")
    parser.add_argument("--rows", type=float, default=NUM_ROWS, help="those of the passes")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    for name in options.claims or CLAIMS:
        of_claim = {"num_rows": int(options.rows)} if name == "passes" else {}
        CLAIMS[name](options.small, **of_claim)
    print(f"load {os.getloadavg()[0]:.1f}")
    write_figures(options.json)


if __name__ == "__main__":
    main()
