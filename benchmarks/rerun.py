"""Run the benchmarks again, one after the other, and make the page of what they measured.

    python benchmarks/rerun.py               about 18 minutes on two idle cores
    python benchmarks/rerun.py --only passes step_time_speed
    python benchmarks/rerun.py --list

The claims of the README whose full size takes few minutes are measured in that size, without other
libraries; all others in the small one, whose figures show that a script runs and little else. They
stand in a table of their own on the page. What a script printed stays in `build/benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from figures import FOLDER, SMALL, write_page

SCRIPTS = Path(__file__).parent
LOGS = SCRIPTS.parent / "build" / "benchmarks"
# The most seconds of a script: some wait for workers that may have died.
MOST_SECONDS = 420


@dataclass(frozen=True)
class Job:
    """A script with its arguments, and the file that its figures go to."""

    name: str
    script: str
    arguments: tuple[str, ...] = ("--small",)

    @property
    def file(self) -> Path:
        """Where the figures are kept: small runs apart from those that count."""
        return (SMALL if "--small" in self.arguments else FOLDER) / f"{self.name}.json"

    @property
    def command(self) -> list[str]:
        """Return the command that writes them."""
        self.file.parent.mkdir(exist_ok=True)
        script = str(SCRIPTS / f"{self.script}.py")
        return [sys.executable, script, *self.arguments, "--json", str(self.file)]


JOBS = (
    # In full, since the README has them.
    Job("step_time_speed", "step_time", ("speed", "--case", "1000000x20x500", "--peers", "none")),
    Job("passes", "passes", ("--rows", "1e6", "--seeds", "2")),
    Job("many_means", "many", ("means",)),
    Job("seed_loop", "seed_loop", ()),
    *(
        Job(name, name)
        for name in (
            "batches",
            "compress",
            "first_step",
            "loaders",
            "nuts",
            "parallel",
            "parquet",
            "predict",
            "quality",
            "sparse_designs",
            "streaming",
        )
    ),
    Job("cluster", "cluster", ("speed", "--small")),
    Job("many_calibration", "many", ("calibration", "--small")),
    Job("many_regression", "many", ("regression", "--small")),
    Job("step_time_flat", "step_time", ("flat", "--small")),
)


def run(job: Job) -> str:
    """Run a job, and return how it ended."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{job.name}.log").open("w") as log:
        try:
            ended = subprocess.run(
                job.command, stdout=log, stderr=log, timeout=MOST_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {MOST_SECONDS} s"
    return {0: "met", 1: "missed, or failed"}.get(ended.returncode, f"code {ended.returncode}")


def has_figures(file: Path) -> bool:
    """Return whether a file of figures has any."""
    return bool(json.loads(file.read_text(encoding="utf-8"))["figures"])


def main() -> int:
    """Run all jobs, or those that are named, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=[job.name for job in JOBS], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the commands, and run none")
    options = parser.parse_args()
    jobs = [job for job in JOBS if not options.only or job.name in options.only]
    if options.list:
        print(
            *(f"{job.name:18}{job.script}.py {' '.join(job.arguments)}" for job in jobs), sep="\n"
        )
        return 0
    unwritten = []
    for job in jobs:
        began, load = time.time(), os.getloadavg()[0]
        ended = run(job)
        if not (job.file.exists() and job.file.stat().st_mtime >= began and has_figures(job.file)):
            unwritten.append(job.name)
        print(f"{job.name:18}{time.time() - began:6.0f} s  load {load:4.1f}  {ended}", flush=True)
    write_page()
    print(f"no figures from: {', '.join(unwritten)}" if unwritten else "all figures are new")
    return int(bool(unwritten))


if __name__ == "__main__":
    sys.exit(main())
