"""Fits in a handful of passes over the rows: how right they are, and how long they take.

A logistic regression with 20 columns, whose posterior six iterations of Newton's method in NumPy
give. In turns in one run: NumPy, `by.fit()` and `by.fit(batch_size=512)`, each fit in a process of
its own with cold caches; its seconds are those of the call, with what it compiles, without imports.
Errors of means are in standard deviations of the posterior, errors of standard deviations are
relative; they are the largest over the elements. The exit code is 1 where a fit misses a target.

    python benchmarks/passes.py            10^5, 10^6 and 10^7 rows, five seeds: 10 minutes, 6 GiB
    python benchmarks/passes.py --small    10^5 rows, one seed: under a minute
    python benchmarks/passes.py --peers    other libraries too, one seed: see below

Peers are those of benchmarks/pass_peers.py: `pm.find_MAP` with a Hessian, pymc-extras (Laplace,
DADVI), NumPyro (SVI, AutoLaplaceApproximation) and nutpie, each in a process of its own that may
take `--peer-seconds`. One that is not installed is skipped, and named. pymc-extras holds PyMC below
6.4, so give it and NumPyro by a folder beside the environment of bayou:

    pip install --target peers --no-deps numpyro multipledispatch tqdm
    pip install --target peers --no-deps pymc-extras better_optimize preliz
    python benchmarks/passes.py --rows 1e6 --peers --libraries peers

With `--models poisson normal hierarchical`, peers are compared on these models of pass_models.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import add_json_option, note, write_figures
from first_step import cold_caches
from pass_models import (
    compared_names,
    model_rows,
    posterior_moments,
    regression_rows,
    write_model,
)
from pass_peers import NOT_INSTALLED, PEERS

import bayou as by

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The models that peers are compared on, by name.
TITLES = {
    "logistic": "logistic regression",
    "poisson": "Poisson regression",
    "normal": "normal regression",
    "hierarchical": "five hierarchical scales",
}
ITERATIONS = 6
MOST_MEAN = 0.03
MOST_STD = 0.02
# The most seconds of a fit of 10^5 rows, and of larger ones, in times of those of NumPy.
MOST_SECONDS = 2.5
MOST_RATIO = {10**6: 3.0, 10**7: 0.7}
BATCH_SIZES = (None, 512)
# The errors at which a peer is as right, and how many times its seconds are those of a fit.
PEER_MEAN = 0.05
PEER_STD = 0.05
PEER_RATIO = 3.0
PEER_LINE = "{:>9}  {:24} {:>9} {:>9} {:>8} {:>8}  {}"
LINE = "{:>9} {:>4} {:>10} {:>8} {:>8} {:>7} {:>8} {:>7} {:>7}  {}"


def logistic_rows(num_rows: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return predictors and outcomes."""
    return regression_rows("logistic", num_rows)


def newton(x: NDArray[np.float64], y: NDArray[np.bool_]) -> tuple[float, Any, Any]:
    """Return the seconds of Newton's method, the mode, and the standard deviations there."""
    begin = time.perf_counter()
    slopes = np.zeros(x.shape[1])
    for _ in range(ITERATIONS):
        p = 1 / (1 + np.exp(-x @ slopes))
        precision = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(len(slopes))
        slopes = slopes + np.linalg.solve(precision, x.T @ (y - p) - slopes)
    seconds = time.perf_counter() - begin
    return seconds, slopes, np.sqrt(np.diag(np.linalg.inv(precision)))


def fit_once(num_rows: int, batch_size: int | None, seed: int, kind: str = "logistic") -> None:
    """Fit in this process, and print what came out as JSON."""

    def container(name: str, values: Any, dims: Any) -> Any:
        return by.Data(name, values, dims=dims)

    with write_model(kind, *model_rows(kind, num_rows), container):
        begin, cpu = time.perf_counter(), time.process_time()
        fit = by.fit(batch_size=batch_size, random_seed=seed, progressbar=False, compress=False)
    seconds, processor = time.perf_counter() - begin, time.process_time() - cpu
    mean, std = fit_moments(fit, kind)
    found = {
        "seconds": seconds,
        "cpu": processor,
        "passes": fit.passes,
        "correction": fit.correction,
        "mean": mean.tolist(),
        "std": std.tolist(),
    }
    print(json.dumps(found))


def fit_moments(fit: by.Fit, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the moments of the compared variables: those of a scale are of a log-normal."""
    means, stds = [], []
    for name in compared_names(kind):
        key = name if name in fit.mean else f"{name}_log__"
        mean, std = np.ravel(fit.mean[key].values), np.ravel(fit.std[key].values)
        if key != name:
            mean = np.exp(mean + std**2 / 2)
            std = mean * np.sqrt(np.expm1(std**2))
        means.append(mean)
        stds.append(std)
    return np.concatenate(means), np.concatenate(stds)


def run_cold(
    num_rows: int, batch_size: int | None, seed: int, kind: str = "logistic"
) -> dict[str, Any]:
    """Return what :func:`fit_once` prints in a new process with cold caches."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(num_rows), str(batch_size or 0), str(seed), kind]
        result = subprocess.run(
            [sys.executable, __file__, "--fit", *arguments],
            env=os.environ | cold_caches(Path(folder)),
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise RuntimeError(result.stderr)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def compare(num_rows: int, seeds: range) -> bool:
    """Print a line for each fit, and return whether all reach their targets."""
    x, y = logistic_rows(num_rows)
    reached = True
    for seed in seeds:
        seconds, mode, std = newton(x, y)
        for batch_size in BATCH_SIZES:
            found = run_cold(num_rows, batch_size, seed)
            mean_error = float(np.abs((np.array(found["mean"]) - mode) / std).max())
            std_error = float(np.abs(np.array(found["std"]) / std - 1).max())
            ratio = found["seconds"] / seconds
            in_time = ratio <= MOST_RATIO.get(num_rows, np.inf) and (
                num_rows in MOST_RATIO or found["seconds"] <= MOST_SECONDS
            )
            good = in_time and mean_error <= MOST_MEAN and std_error <= MOST_STD
            reached &= good
            note(
                f"logistic regression, {num_rows:,} x {x.shape[1]}, "
                f"{f'batch_size={batch_size}' if batch_size else 'all rows'}, seed {seed}: "
                "the time, of six Newton iterations in NumPy; a mean, an sd; passes",
                f"{ratio:.2f}; {mean_error:.4f} sd, {std_error:.2%}; {found['passes']:.1f}",
                f"{MOST_RATIO.get(num_rows, 'any')}; {MOST_MEAN} sd, {MOST_STD:.0%}",
                met=good,
            )
            print(
                LINE.format(
                    num_rows,
                    seed,
                    batch_size or "all rows",
                    f"{seconds:.2f} s",
                    f"{found['seconds']:.2f} s",
                    f"{ratio:.2f}",
                    f"{mean_error:.4f}",
                    f"{100 * std_error:.2f}%",
                    f"{found['passes']:.1f}",
                    "" if good else "MISSED",
                ),
                flush=True,
            )
    return reached


def run_peer(
    name: str, num_rows: int, seconds: int, folders: list[Path], kind: str = "logistic"
) -> dict[str, Any] | str:
    """Return what a peer prints in a new process with cold caches, or why it prints nothing."""
    paths = [*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder:
        variables = cold_caches(Path(folder)) | {"PYTHONPATH": os.pathsep.join(paths)}
        script = str(Path(__file__).with_name("pass_peers.py"))
        try:
            result = subprocess.run(
                [sys.executable, script, name, str(num_rows), "1", kind],
                env=os.environ | variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {seconds} s"
    if result.returncode == NOT_INSTALLED:
        return f"skipped: {PEERS[name][0]} is not installed"
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        return f"failed: {lines[-1]}"
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def compare_peers(num_rows: int, seconds: int, folders: list[Path], kind: str = "logistic") -> bool:
    """Print a line for each peer, and return whether the fit is faster than all that are right."""
    mode, std = posterior_moments(kind, *model_rows(kind, num_rows))
    ours = run_cold(num_rows, None, 1, kind)
    ratios = []
    for name in ("by.fit", *PEERS):
        found = ours if name == "by.fit" else run_peer(name, num_rows, seconds, folders, kind)
        if isinstance(found, str):
            print(PEER_LINE.format(num_rows, name, "", "", "", "", found), flush=True)
            continue
        mean_error = float(np.abs((np.array(found["mean"]) - mode) / std).max())
        std_error = float(np.abs(np.array(found["std"]) / std - 1).max())
        is_right = mean_error <= PEER_MEAN and std_error <= PEER_STD
        if is_right and name not in ("by.fit", "nutpie"):
            ratios.append(found["seconds"] / ours["seconds"])
        print(
            PEER_LINE.format(
                num_rows,
                name,
                f"{found['seconds']:.1f} s",
                f"{found['cpu']:.1f} s",
                f"{mean_error:.4f}",
                f"{100 * std_error:.2f}%",
                "" if is_right else "not as right",
            ),
            flush=True,
        )
    if not ratios:
        return True
    best = min(ratios)
    claim = f"{TITLES[kind]}, {num_rows:,} rows: the time of the best peer, of a fit"
    note(claim, f"{best:.1f} times", f"{PEER_RATIO:.0f}", met=best >= PEER_RATIO)
    return best >= PEER_RATIO


def main() -> int:
    """Run the benchmark, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="10^5 rows, one seed")
    parser.add_argument("--rows", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="other libraries too")
    parser.add_argument("--peer-seconds", type=int, default=1800, help="the most for a peer")
    parser.add_argument("--libraries", type=Path, nargs="*", default=[], help="folders of peers")
    parser.add_argument("--models", nargs="+", choices=TITLES, default=["logistic"])
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        num_rows, batch_size, seed = map(int, options.fit[:3])
        fit_once(num_rows, batch_size or None, seed, options.fit[3])
        return 0
    sizes = [10**5] if options.small else [int(size) for size in options.rows]
    seeds = range(1, 2 if options.small else options.seeds + 1)
    print(f"load {os.getloadavg()[0]:.1f}")
    if options.peers:
        heads = ("rows", "", "seconds", "processor", "mean", "sd", "")
        seconds, folders, reached = options.peer_seconds, options.libraries, []
        for kind in options.models:
            print(f"{TITLES[kind]}\n{PEER_LINE.format(*heads)}")
            reached += [compare_peers(size, seconds, folders, kind) for size in sizes]
        print(f"load {os.getloadavg()[0]:.1f}")
        write_figures(options.json)
        return 0 if all(reached) else 1
    print(LINE.format("rows", "seed", "batch", "NumPy", "fit", "ratio", "mean", "sd", "passes", ""))
    reached = [compare(size, seeds) for size in sizes]
    print(f"load {os.getloadavg()[0]:.1f}")
    write_figures(options.json)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
