"""NUTS on six models: by.sample, pm.sample, nutpie with JAX, and NumPyro with vectorised chains.

    python benchmarks/nuts.py                        # all models and samplers, about ten minutes
    python benchmarks/nuts.py --small                # 200 draws of radon, by.sample and pm.sample
    python benchmarks/nuts.py --models radon,schools --samplers bayou,pymc
    python benchmarks/nuts.py --posteriors           # by.sample's posteriors beside pm.sample's

Each run is in a process of its own, first with empty caches of compiled code (cold), then with
those that the first run left (warm). Seconds are all of the call, without imports. "ess" is the
least effective sample size of the bulk of any element of a free variable; gradients are those of
the trajectories, tuning included, where the sampler keeps them. A fit before the chains takes 1,000
to 3,500 more.

With --posteriors, three seeds of each model are sampled by by.sample and by pm.sample. Of the means
and the standard deviations of all elements, the largest difference is printed, in Monte Carlo
errors of the difference.

NumPyro is left out where it is not installed. It may lie in a folder of its own:

    pip install --target FOLDER --no-deps numpyro multipledispatch
    PYTHONPATH=FOLDER python benchmarks/nuts.py
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from figures import add_json_option, note, write_figures

SAMPLERS = ("bayou", "bayou_init_none", "pymc", "nutpie_jax", "numpyro")
MODELS = ("logistic", "radon", "radon_noncentred", "correlated", "schools", "funnel")
SEED = 1
SEEDS = (1, 2, 3)
MOST_ERRORS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_json_option(parser)
    parser.add_argument("--small", action="store_true", help="a short run of two samplers")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    parser.add_argument("--rows", type=int, default=30_000, help="of the logistic regression")
    parser.add_argument("--posteriors", action="store_true", help="compare by.sample and pm.sample")
    parser.add_argument("--only", nargs=4, metavar=("MODEL", "SAMPLER", "DRAWS", "ROWS"))
    parser.add_argument("--moments", nargs=4, metavar=("MODEL", "SAMPLER", "DRAWS", "ROWS"))
    options = parser.parse_args()
    if arguments := options.only or options.moments:
        model, sampler, draws, rows = arguments
        call = run if options.only else moments_of_seeds
        print(json.dumps(call(model, sampler, int(draws), int(rows))))
        return
    if options.posteriors:
        compare_posteriors(options.models.split(","), options.rows, 200 if options.small else 1000)
        return
    models = ["radon"] if options.small else options.models.split(",")
    samplers = ["bayou", "pymc"] if options.small else options.samplers.split(",")
    samplers = installed(samplers)
    print(
        f"{'model':18}{'sampler':17}{'cold s':>8}{'warm s':>8}{'ess':>7}{'ess/1000 gradients':>20}"
    )
    for model in models:
        draws = 200 if options.small else 500 if model == "logistic" else 1000
        for sampler in samplers:
            cold, warm = run_twice([model, sampler, str(draws), str(options.rows)])
            rate = f"{1000 * warm['ess'] / warm['gradients']:.1f}" if warm["gradients"] else "-"
            print(
                f"{model:18}{sampler:17}{cold['seconds']:8.2f}{warm['seconds']:8.2f}"
                f"{warm['ess']:7.0f}{rate:>20}   {warm['note']}",
                flush=True,
            )
            note(
                f"{model}, {sampler}, {draws} draws: seconds cold and warm; least effective sample",
                f"{cold['seconds']:.1f} s, {warm['seconds']:.1f} s; {warm['ess']:.0f}",
                "-",
                met=True,
            )
    write_figures(options.json)


def installed(samplers: list[str]) -> list[str]:
    """Return the samplers without NumPyro where that is not installed, and say so."""
    if "numpyro" not in samplers or importlib.util.find_spec("numpyro") is not None:
        return samplers
    print("NumPyro is not installed, and left out")
    return [sampler for sampler in samplers if sampler != "numpyro"]


def run_twice(arguments: list[str]) -> list[dict[str, Any]]:
    """Run in two processes, the first of which has compiled nothing yet."""
    with tempfile.TemporaryDirectory() as cache:
        flags = [os.environ.get("PYTENSOR_FLAGS"), f"base_compiledir={cache}/pytensor"]
        environment = os.environ | {
            "PYTENSOR_FLAGS": ",".join(filter(None, flags)),
            "BAYOU_CODE_CACHE": f"{cache}/bayou",
        }
        return [in_process("--only", arguments, environment) for _ in range(2)]


def in_process(option: str, arguments: list[str], environment: dict[str, str]) -> Any:
    """Return what this script prints in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, option, *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare_posteriors(models: list[str], rows: int, draws: int) -> None:
    """Print how far by.sample's posteriors are from pm.sample's, in Monte Carlo errors."""
    print(
        f"{'model':18}{'seed':>5}{'means':>8}{'sds':>8}   largest difference in Monte Carlo errors"
    )
    for model in models:
        ours, theirs = (
            in_process("--moments", [model, sampler, str(draws), str(rows)], dict(os.environ))
            for sampler in ("bayou", "pymc")
        )
        for seed, one, other in zip(SEEDS, ours, theirs, strict=True):
            worst = [largest_difference(one[kind], other[kind]) for kind in ("mean", "sd")]
            numbers = "".join(f"{errors:8.1f}" for errors, _ in worst)
            note = (
                "" if max(worst)[0] <= MOST_ERRORS else f"   above {MOST_ERRORS}: {max(worst)[1]}"
            )
            print(f"{model:18}{seed:5}{numbers}{note}", flush=True)


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, str]:
    """Return the largest difference of elements, in Monte Carlo errors, and its element.

    Each has for an element its value and the Monte Carlo error of it.
    """
    return max(
        (
            abs(one[name][0] - other[name][0]) / (one[name][1] ** 2 + other[name][1] ** 2) ** 0.5,
            name,
        )
        for name in one
    )


def moments_of_seeds(name: str, sampler: str, draws: int, rows: int) -> list[dict[str, Any]]:
    """Return means and standard deviations of all elements, with Monte Carlo errors, by seed."""
    import arviz as az

    results = []
    for seed in SEEDS:
        model, trace, _ = sample_model(name, sampler, draws, rows, seed)
        posterior = trace.posterior.to_dataset()[[variable.name for variable in model.free_RVs]]
        values = {"mean": posterior.mean(("chain", "draw")), "sd": posterior.std(("chain", "draw"))}
        results.append(
            {
                kind: {
                    f"{variable}[{index}]": pair
                    for variable in posterior
                    for index, pair in enumerate(
                        zip(
                            moments[variable].to_numpy().ravel().tolist(),
                            errors[variable].to_numpy().ravel().tolist(),
                            strict=True,
                        )
                    )
                }
                for kind, moments in values.items()
                for errors in [az.mcse(posterior, method=kind)]
            }
        )
    return results


def build(name: str, rows: int) -> Any:
    """Return a model, with simulated data of a fixed seed."""
    import numpy as np
    import pymc as pm

    rng = np.random.default_rng(0)
    with pm.Model() as model:
        if name == "logistic":
            design, weights = rng.normal(size=(rows, 20)), rng.normal(size=20) / 4
            outcome = (rng.random(rows) < 1 / (1 + np.exp(-design @ weights))).astype(int)
            logits = pm.Normal("a", 0, 2) + pm.Data("x", design) @ pm.Normal("w", 0, 1, shape=20)
            pm.Bernoulli("y", logit_p=logits, observed=pm.Data("outcome", outcome))
        elif name.startswith("radon"):
            county, floor = rng.integers(0, 85, 919), rng.integers(0, 2, 919).astype(float)
            level = rng.normal(1.5, 0.3, 85)[county] - 0.7 * floor + rng.normal(0, 0.75, 919)
            mu, tau = pm.Normal("mu", 0, 10), pm.HalfNormal("tau", 5)
            if name == "radon":
                alpha = pm.Normal("alpha", mu, tau, shape=85)
            else:
                alpha = pm.Deterministic("alpha", mu + tau * pm.Normal("z", shape=85))
            slope, sigma = pm.Normal("slope", 0, 10), pm.HalfNormal("sigma", 5)
            mean = alpha[pm.Data("county", county)] + slope * pm.Data("floor", floor)
            pm.Normal("y", mean, sigma, observed=pm.Data("level", level))
        elif name == "correlated":
            # Condition 10^4 of the covariance of the columns.
            rotation, _ = np.linalg.qr(rng.normal(size=(10, 10)))
            design = rng.normal(size=(500, 10)) * np.geomspace(1, 0.01, 10) @ rotation
            outcome = design @ rng.normal(size=10) + rng.normal(size=500)
            weights, sigma = pm.Normal("w", 0, 10, shape=10), pm.HalfNormal("sigma", 2)
            pm.Normal("y", pm.Data("x", design) @ weights, sigma, observed=outcome)
        elif name == "schools":
            effects = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
            errors = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
            mu, tau, z = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5), pm.Normal("z", shape=8)
            pm.Normal("y", mu + tau * z, errors, observed=effects)
        else:
            pm.Normal("x", 0, pm.math.exp(pm.Normal("v", 0, 3) / 2), shape=9)
    return model


def sample_model(
    name: str, sampler: str, draws: int, rows: int, seed: int = SEED
) -> tuple[Any, Any, float]:
    """Return a model, its draws and the seconds of the call."""
    import nutpie
    import pymc as pm

    import bayou as by

    model = build(name, rows)
    tune = draws
    common = {"chains": 4, "random_seed": seed, "progressbar": False}
    begin = time.perf_counter()
    with model:
        if sampler.startswith("bayou"):
            options = {"init": None, "tune": tune} if sampler == "bayou_init_none" else {}
            trace = by.sample(
                draws, keep_warmup=True, compute_convergence_checks=False, **options, **common
            )
        elif sampler == "nutpie_jax":
            compiled = nutpie.compile_pymc_model(model, backend="jax", gradient_backend="jax")
            trace = nutpie.sample(
                compiled, draws=draws, tune=tune, chains=4, seed=seed, progress_bar=False
            )
        else:
            more = (
                {"nuts_sampler": "numpyro", "nuts_sampler_kwargs": {"chain_method": "vectorized"}}
                if sampler == "numpyro"
                else {}
            )
            trace = pm.sample(
                draws,
                tune=tune,
                quiet=True,
                compute_convergence_checks=False,
                discard_tuned_samples=False,
                **more,
                **common,
            )
    seconds = time.perf_counter() - begin
    return model, trace, seconds


def run(name: str, sampler: str, draws: int, rows: int) -> dict[str, Any]:
    """Sample once, and return the time, the least effective sample size and the gradients."""
    import arviz as az

    model, trace, seconds = sample_model(name, sampler, draws, rows)
    free = [variable.name for variable in model.free_RVs]
    ess = az.ess(trace.posterior.to_dataset()[free])
    steps = [
        trace[group]["n_steps"].to_numpy().sum()
        for group in ("sample_stats", "warmup_sample_stats")
        if group in trace.children and "n_steps" in trace[group]
    ]
    attrs = trace.sample_stats.attrs
    return {
        "seconds": seconds,
        "ess": min(float(ess[name].min()) for name in free),
        "gradients": int(sum(steps)) if len(steps) == 2 else 0,
        "note": " ".join(str(attrs[key]) for key in ("backend", "init_reason") if key in attrs),
    }


if __name__ == "__main__":
    main()
