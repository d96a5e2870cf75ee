"""Remake the moments that whole models are held against: long runs of PyMC's own NUTS.

python -m tests.zoo.make_posteriors               those without a file, one after another
python -m tests.zoo.make_posteriors changepoint   one of them, again

A model takes half a minute to some minutes on two cores, most of it to compile. Needs numpyro.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pymc as pm

from tests.zoo import models_of_rows, models_of_series

FOLDER = Path(__file__).parent / "posteriors"
SEED, DRAWS, TUNE, CHAINS = 20260101, 2000, 1000, 4
MAX_RHAT = 1.01


def posterior(model: pm.Model, sampler: str) -> dict[str, Any]:
    """Return the moments of the free variables and the deterministics of a model."""
    settings = {"chain_method": "vectorized"} if sampler == "numpyro" else {}
    trace = pm.sample(
        DRAWS,
        tune=TUNE,
        chains=CHAINS,
        cores=2,
        model=model,
        nuts_sampler=sampler,
        target_accept=0.9,
        nuts_sampler_kwargs=settings,
        random_seed=SEED,
        progressbar=False,
        compute_convergence_checks=False,
    )
    group = trace["posterior"].to_dataset()
    ess, rhat = az.ess(group), az.rhat(group)
    variables = {}
    for name in (variable.name for variable in model.unobserved_RVs):
        mean, sd = group[name].mean(("chain", "draw")), group[name].std(("chain", "draw"))
        error = sd / np.sqrt(ess[name])
        variables[name] = {
            key: np.asarray([float(f"{v:.7g}") for v in np.ravel(values)])
            .reshape(np.shape(values))
            .tolist()
            for key, values in (("mean", mean), ("sd", sd), ("mcse_mean", error))
        }
    return {
        "how": {
            "sampler": f"pm.sample, {sampler}, {CHAINS} chains of {DRAWS} draws after {TUNE}",
            "target_accept": 0.9,
            "seed": SEED,
            "versions": {name: version(name) for name in ("pymc", "pytensor", sampler)},
            "divergences": int(trace["sample_stats"]["diverging"].sum()),
            "largest_rhat": round(float(max(np.nanmax(rhat[name]) for name in variables)), 4),
            "smallest_ess": round(float(min(np.nanmin(ess[name]) for name in variables))),
        },
        "variables": variables,
    }


def all_models() -> dict[str, Any]:
    """Return the functions that make the models, by name."""
    return {
        name: function
        for module in (models_of_rows, models_of_series)
        for name, function in vars(module).items()
        if getattr(function, "__module__", "") == module.__name__
        and getattr(function, "__annotations__", {}).get("return") == "pm.Model"
    }


if __name__ == "__main__":
    logging.getLogger("pymc").setLevel(logging.ERROR)
    FOLDER.mkdir(exist_ok=True)
    makers = all_models()
    missing = [name for name in makers if not (FOLDER / f"{name}.json").exists()]
    for name in sys.argv[1:] or missing:
        begin, path = time.time(), FOLDER / f"{name}.json"
        try:
            result = posterior(makers[name](), "numpyro")
            # JAX's gradients are NaN where a branch of the density that is not taken is infinite.
            if result["how"]["largest_rhat"] > MAX_RHAT:
                result = posterior(makers[name](), "nutpie")
        except Exception as error:  # the others go on
            print(name, type(error).__name__, str(error)[:500], flush=True)
            continue
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(name, round(time.time() - begin), "s", result["how"], flush=True)
