"""The loop of the first seed example, ten data sets through one model: by.sample and pm.sample.

    python benchmarks/seed_loop.py           # 10 data sets each, about a minute
    python benchmarks/seed_loop.py --small   # 3 data sets each

Both run in this call, one after the other, each in a process of its own that starts with an empty
compilation cache. Both draw 4 chains of 1000 draws after 1000 tuning steps with nutpie, without a
progress bar and without convergence checks. The imports, nutpie's included, are timed apart.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from figures import add_json_option, note, write_figures

NAMES = ("by.sample", "pm.sample")
SETTINGS = {"draws": 1000, "tune": 1000, "chains": 4, "random_seed": 1, "progressbar": False}
NO_CHECKS = {"quiet": True, "compute_convergence_checks": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="3 data sets instead of 10")
    parser.add_argument("--only", choices=NAMES, help="one loop, in this process, as JSON")
    options = parser.parse_args()
    num_data_sets = 3 if options.small else 10
    if options.only:
        print(json.dumps(run_loop(options.only, num_data_sets)))
    else:
        report({name: run_cold(name, options.small) for name in NAMES})
        write_figures(options.json)


def run_loop(name: str, num_data_sets: int) -> dict[str, Any]:
    """Run one of the loops and time its data sets."""
    begin = time.perf_counter()
    import numpy as np
    import nutpie  # noqa: F401
    import pymc as pm

    library = importlib.import_module({"by.sample": "bayou", "pm.sample": "pymc"}[name])
    # bayou imports what a name needs when the name is first used.
    _ = library.Data, library.set_data, library.sample
    imports = time.perf_counter() - begin

    settings = SETTINGS if name == "by.sample" else SETTINGS | NO_CHECKS
    rng = np.random.default_rng(0)
    data_sets = [rng.normal() + rng.normal(size=20) for _ in range(num_data_sets)]
    with pm.Model():
        data = library.Data("data", data_sets[0])
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=data)
        seconds, means = [], []
        for values in data_sets:
            begin = time.perf_counter()
            library.set_data({"data": values})
            trace = library.sample(**settings)
            seconds.append(time.perf_counter() - begin)
            means.append(float(trace.posterior["mu"].mean()))
    return {"imports": imports, "seconds": seconds, "means": means}


def run_cold(name: str, small: bool) -> dict[str, Any]:
    """Run one of the loops in a new process that has compiled nothing yet."""
    command = [sys.executable, __file__, "--only", name, *(["--small"] if small else [])]
    with tempfile.TemporaryDirectory() as cache:
        flags = [os.environ.get("PYTENSOR_FLAGS"), f"base_compiledir={cache}"]
        compiled = {"PYTENSOR_FLAGS": ",".join(filter(None, flags)), "BAYOU_CODE_CACHE": cache}
        environment = os.environ | compiled
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(loops: dict[str, dict[str, Any]]) -> None:
    """Print both loops and hold the ratios against the targets."""
    print(f"{'':12}{'imports':>10}{'first':>10}{'others':>10}   seconds, others by the median")
    for name, loop in loops.items():
        first, *others = loop["seconds"]
        print(f"{name:12}{loop['imports']:10.2f}{first:10.2f}{statistics.median(others):10.3f}")
    (ours, *ours_later), (theirs, *theirs_later) = (loops[name]["seconds"] for name in NAMES)
    first = theirs / ours
    others = statistics.median(theirs_later) / statistics.median(ours_later)
    print(f"first data set, cold: {first:.1f} times faster (target: at least 2)")
    print(f"each of the others:   {others:.1f} times faster (target: at least 15)")
    note(
        "the seed page's loop, of `pm.sample`: the first data set, caches cold; each other",
        f"{first:.1f} times faster; {others:.1f}",
        "2; 15",
        met=first >= 2 and others >= 15,
    )
    apart = max(abs(a - b) for a, b in zip(*(loops[name]["means"] for name in NAMES), strict=True))
    print(f"posterior means at most {apart:.3f} apart, posterior sd {20**-0.5:.3f}")


if __name__ == "__main__":
    main()
