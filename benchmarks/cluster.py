"""Many data sets over workers of a Ray cluster on this machine: speed-up, recovery and growth.

    python benchmarks/cluster.py            # all claims, about half an hour on 2 quiet cores
    python benchmarks/cluster.py --small    # a few data sets each
    python benchmarks/cluster.py speed      # one of: speed, recovery, growth

The model is the mean of benchmarks/many.py. Workers have a core each. Times are those at which this
process had the results, after the first ones, so that the start of the workers is not among them.
Memory is the most that this process held until then.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import tempfile
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
from figures import add_json_option, note, write_figures

import bayou as by
from bayou.cluster.workers import start_workers
from bayou.many import dispatch as dispatching
from bayou.many.data_sets.by_key import DataSets
from bayou.many.data_sets.pending import pending_data_sets
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.nuts.settings import NutsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Results that are not timed: the first of a worker are slower.
WARM = 32


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


CLAIMS = {"speed": speed, "recovery": recovery, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", choices=[*CLAIMS, []], help="all by default")
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="a few data sets each")
    options = parser.parse_args()
    for name in options.claims or CLAIMS:
        CLAIMS[name](options.small)
    write_figures(options.json)


if __name__ == "__main__":
    main()
