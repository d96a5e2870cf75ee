"""How near fits come to the truth, with the settings that a user gets, and how long they take.

Each fit is a process of its own with cold caches; its seconds are those of the call of ``fit``,
with what it compiles, without imports. Errors of means are in standard deviations of the truth,
errors of standard deviations are relative, and those of the 5% and 95% quantiles, where these are
known, are in standard deviations; they are taken over every element of every variable: the free
ones, in the space of the model and as PyMC transforms them, and the deterministics. The exit code
is 1 where a fit of bayou misses a target.

    python benchmarks/quality.py                        every model, five seeds: 10 minutes
    python benchmarks/quality.py --small                radon, one seed: under a minute
    python benchmarks/quality.py flights --seeds 1 2    what is named
    python benchmarks/quality.py --peers                PyMC and NumPyro in the same table: an hour
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import models
import numpy as np
import pymc as pm
from figures import add_json_option, note, write_figures
from first_step import cold_caches
from peers import WorkerError, peer_python
from scipy.stats import norm

import bayou as by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# Of each variable, its means and its standard deviations.
type Moments = dict[str, dict[str, Any]]

TRUTH = Path(__file__).parent / "truth"
DRAWS = 20_000
LINE = "{:11} {:8} {:>4} {:>8} {:>7} {:>8} {:>7} {:>8} {:>9}  {}"
QUANTILES = {"q5": 0.05, "q95": 0.95}
PEER_STEPS = 30_000


@dataclass(frozen=True)
class Limits:
    """The largest errors allowed, of a mean in standard deviations and of a standard deviation."""

    seconds: float
    mean: float
    std: float
    average_mean: float = np.inf
    average_std: float = np.inf


@dataclass(frozen=True)
class Case:
    """A model, the moments of its posterior and what a fit must reach."""

    model: Callable[[], pm.Model]
    truth: Callable[[], Moments]
    limits: Limits


@dataclass(frozen=True)
class Errors:
    """The errors of a fit, the variables whose errors are the largest among them.

    The largest error of a quantile is nan where none is known.
    """

    mean: float
    std: float
    average_mean: float
    average_std: float
    worst_mean: str
    worst_std: str
    quantile: float = np.nan

    def within(self, limits: Limits, seconds: float) -> bool:
        """Say whether the errors and the seconds are allowed."""
        return (
            seconds <= limits.seconds
            and self.mean <= limits.mean
            and self.std <= limits.std
            and self.average_mean <= limits.average_mean
            and self.average_std <= limits.average_std
        )


def stored_truth(name: str) -> Moments:
    """Return the moments that a long run found; truth/README.md says which."""
    return json.loads((TRUTH / f"{name}.json").read_text())["variables"]


def normal_truth() -> Moments:
    """Return the exact moments of the conjugate model."""
    rows = models.normal_rows()
    sd = 1 / np.sqrt(len(rows))
    quantiles = {name: rows.mean() + sd * norm.ppf(level) for name, level in QUANTILES.items()}
    return {"mean": {"mean": rows.mean(), "sd": sd, **quantiles}}


RADON_LIMITS = Limits(seconds=4, mean=0.2, std=0.05)
CASES = {
    "contextual": Case(
        models.contextual_radon,
        partial(stored_truth, "radon_contextual"),
        Limits(seconds=4, mean=0.4, std=0.10),
    ),
    "centred": Case(models.varying_radon, partial(stored_truth, "radon_varying"), RADON_LIMITS),
    "noncentred": Case(
        partial(models.varying_radon, centred=False),
        partial(stored_truth, "radon_varying"),
        RADON_LIMITS,
    ),
    "flights": Case(
        models.late_flights,
        partial(stored_truth, "flights"),
        Limits(seconds=20, mean=0.5, std=0.15, average_mean=0.1, average_std=0.05),
    ),
    "normal": Case(
        models.conjugate_normal, normal_truth, Limits(seconds=np.inf, mean=np.inf, std=0.05)
    ),
}
SMALL = ("contextual", "centred", "noncentred")


def measure(found: Moments, truth: Moments) -> Errors:
    """Compare the variables that both hold."""
    names = sorted(found.keys() & truth.keys())
    mean = [
        np.abs(_flat(found, name, "mean") - _flat(truth, name, "mean")) / _flat(truth, name, "sd")
        for name in names
    ]
    std = [np.abs(_flat(found, name, "sd") / _flat(truth, name, "sd") - 1) for name in names]
    quantiles = [
        np.abs(_flat(found, name, key) - _flat(truth, name, key)) / _flat(truth, name, "sd")
        for name in names
        for key in QUANTILES
        if key in found[name] and key in truth[name]
    ]
    return Errors(
        *(float(np.concatenate(errors).max()) for errors in (mean, std)),
        *(float(np.concatenate(errors).mean()) for errors in (mean, std)),
        *(max(zip(map(np.max, errors), names, strict=True))[1] for errors in (mean, std)),
        quantile=float(np.concatenate(quantiles).max()) if quantiles else np.nan,
    )


def _flat(moments: Moments, name: str, moment: str) -> NDArray[np.float64]:
    return np.ravel(moments[name][moment]).astype(float)


def fit_moments(fit: by.Fit) -> Moments:
    """Return the moments of a fit: of its draws, and of what it says itself where it can."""
    exact = {
        name: {"mean": values.values, "sd": fit.std[name].values}
        for name, values in fit.mean.data_vars.items()
    }
    drawn = draws_moments(fit.sample(DRAWS, random_seed=1).posterior)
    return drawn | {name: drawn.get(name, {}) | moments for name, moments in exact.items()}


def draws_moments(posterior: Any) -> Moments:
    """Return the moments of draws, of dims (chain, draw, ...)."""
    return {
        name: {
            "mean": draws.mean(("chain", "draw")).values,
            "sd": draws.std(("chain", "draw")).values,
            **{
                key: np.quantile(draws.to_numpy(), level, axis=(0, 1))
                for key, level in QUANTILES.items()
            },
        }
        for name, draws in posterior.data_vars.items()
    }


def fit_bayou(case: Case, seed: int) -> tuple[float, Moments, str]:
    """Fit with the default settings."""
    model = case.model()
    begin = time.perf_counter()
    fit = by.fit(model=model, random_seed=seed, progressbar=False)
    seconds = time.perf_counter() - begin
    return seconds, fit_moments(fit), f"{fit.reason}; correction: {fit.correction}"


def fit_pymc(case: Case, seed: int) -> tuple[float, Moments, str]:
    """Fit by PyMC's mean-field ADVI, minibatches of its own kind where there are some."""
    model = PYMC_MODELS.get(case.model, case.model)()
    begin = time.perf_counter()
    fit = pm.fit(PEER_STEPS, model=model, random_seed=seed, progressbar=False)
    seconds = time.perf_counter() - begin
    draws = fit.sample(DRAWS, random_seed=seed)
    return seconds, draws_moments(draws.posterior), f"{PEER_STEPS:,} steps"


def pymc_flights() -> pm.Model:
    """Return the model of single flights in PyMC's minibatches."""
    columns = models.flight_columns()
    batches = pm.Minibatch(*columns.values(), batch_size=models.FLIGHTS_BATCH_SIZE)
    return models.flight_model(dict(zip(columns, batches, strict=True)), len(models.flights()))


def pymc_normal() -> pm.Model:
    """Return the conjugate model in PyMC's minibatches."""
    rows = pm.Minibatch(models.normal_rows(), batch_size=models.NORMAL_BATCH_SIZE)
    return models.normal_model(rows)


PYMC_MODELS = {models.late_flights: pymc_flights, models.conjugate_normal: pymc_normal}
FITS = {"bayou": fit_bayou, "pymc": fit_pymc}


def fit_apart(contender: str, name: str, seed: int) -> dict[str, Any]:
    """Fit in a process of its own, which finds no compiled code; return its answer.

    Raises
    ------
    WorkerError
        If it ended in an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        if contender == "numpyro":
            python = peer_python()
            data = Path(folder) / "data.npz"
            np.savez(data, **numpyro_data(name))
            script = Path(__file__).with_name("quality_numpyro.py")
            command = [script, name, seed, data, PEER_STEPS, DRAWS]
        else:
            python = sys.executable
            command = [__file__, name, "--answer", contender, "--seeds", seed]
        done = subprocess.run(
            list(map(str, [python, *command])),
            env=os.environ | cold_caches(Path(folder)),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise WorkerError(f"`{contender}` must fit {name}, got: {lines[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def numpyro_data(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a model, for an environment without bayou."""
    if name == "normal":
        return {"rows": models.normal_rows()}
    if name == "flights":
        return models.flight_columns()
    homes = models.radon_homes()
    return {"county": homes["county"].cat.codes.to_numpy()} | {
        column: homes[column].to_numpy() for column in homes.columns.drop("county")
    }


def answer(contender: str, name: str, seed: int) -> None:
    """Fit, and print what the process that asked reads."""
    seconds, moments, note = FITS[contender](CASES[name], seed)
    found = {"seconds": seconds, "moments": moments, "note": note}
    print(json.dumps(found, default=np.ndarray.tolist))


def report(names: Sequence[str], contenders: Sequence[str], seeds: Sequence[int]) -> bool:
    """Print a line a fit, and return whether every fit of bayou reached its target."""
    print(
        LINE.format(
            *("model", "fit", "seed", "seconds", "mean", "average", "sd", "average", "quantile"),
            "target",
        )
    )
    reached = True
    for name, seed, contender in product(names, seeds, contenders):
        line, within = judge(contender, name, seed)
        print(line, flush=True)
        reached &= within or contender != "bayou"
    return reached


def judge(contender: str, name: str, seed: int) -> tuple[str, bool]:
    """Fit; return the line of the table, and whether the fit is what it must be."""
    case = CASES[name]
    try:
        found = fit_apart(contender, name, seed)
    except WorkerError as error:
        return LINE.format(name, contender, seed, *[""] * 6, f"missed: {error}"), False
    errors = measure(found["moments"], case.truth())
    within = errors.within(case.limits, found["seconds"])
    figures = (
        errors.mean, errors.average_mean, errors.std, errors.average_std, errors.quantile
    )  # fmt: skip
    verdict = (
        f"{'reached' if within else 'missed'}; {found['note']}; "
        f"largest in {errors.worst_mean}, {errors.worst_std}"
    )
    limits = case.limits
    note(
        f"{name}, {contender}, seed {seed}: a mean (average), an sd (average), the time",
        f"{errors.mean:.3f} sd ({errors.average_mean:.3f}), {errors.std:.1%} "
        f"({errors.average_std:.1%}), {found['seconds']:.1f} s",
        f"{limits.mean} sd ({limits.average_mean}), {limits.std:.0%} ({limits.average_std:.0%}), "
        f"{limits.seconds} s",
        met=within,
    )
    shown = (f"{found['seconds']:.1f}", *(f"{figure:.3f}" for figure in figures))
    return LINE.format(name, contender, seed, *shown, verdict), within


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(CASES))
    parser.add_argument("--seeds", nargs="+", type=int)
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="radon, one seed")
    parser.add_argument("--peers", action="store_true", help="PyMC and NumPyro too")
    parser.add_argument("--answer", choices=FITS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.models) - set(CASES)
    if unknown:
        parser.error(f"MODEL must be of {', '.join(CASES)}, got {', '.join(sorted(unknown))}")
    names = arguments.models or (SMALL if arguments.small else tuple(CASES))
    seeds = arguments.seeds or ([1] if arguments.small else [1, 2, 3, 4, 5])
    if arguments.answer:
        answer(arguments.answer, names[0], seeds[0])
        return
    contenders = ("bayou", "pymc", "numpyro") if arguments.peers else ("bayou",)
    reached = report(names, contenders, seeds)
    write_figures(arguments.json)
    sys.exit(not reached)


if __name__ == "__main__":
    main()
