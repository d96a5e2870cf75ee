"""Remake the moments that benchmarks/quality.py holds fits against; see README.md beside this file.

python benchmarks/truth/make.py radon_contextual      seconds; downloads inference-gym 0.0.5
python benchmarks/truth/make.py radon_varying         a quarter of an hour on two cores
python benchmarks/truth/make.py flights               hours
"""

from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import arviz as az
import numpy as np
import nutpie
from pymc.logprob.transforms import LogTransform

sys.path.insert(0, str(Path(__file__).parents[1]))
import models

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    import xarray as xr

FOLDER = Path(__file__).parent
GYM = "inference-gym==0.0.5"
GYM_TRUTH = "inference_gym/targets/ground_truth/radon_contextual_effects_minnesota_halfnormal.py"
MOMENTS = {"MEAN": "mean", "STANDARD_DEVIATION": "sd", "MEAN_STANDARD_ERROR": "mcse_mean"}


def radon_contextual() -> dict[str, Any]:
    """Return the moments that inference-gym ships."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, GYM]
        subprocess.run(pip, check=True)
        [wheel] = Path(folder).glob("*.whl")
        facts = runpy.run_path(ZipFile(wheel).extract(GYM_TRUTH, folder))
    names = [variable.name for variable in models.contextual_radon().free_RVs]
    return {
        "how": {"source": f"{GYM}, {GYM_TRUTH}", "sampler": "Stan, 20,000 draws"},
        "variables": {
            name: {
                ours: np.squeeze(facts[f"IDENTITY_{name.upper()}_{theirs}"]).tolist()
                for theirs, ours in MOMENTS.items()
            }
            for name in names
        },
    }


def radon_contextual_check() -> dict[str, Any]:
    """Return the moments of the same model by NUTS, to see that it is the same model."""
    model = models.contextual_radon(centred=False)
    return nuts(model, chains=8, draws=40_000, target_accept=0.95)


def radon_varying() -> dict[str, Any]:
    """Return the moments of both forms of the varying-intercept model: `z` is of one of them."""
    return nuts(models.varying_radon(centred=False), chains=8, draws=40_000, target_accept=0.95)


def flights() -> dict[str, Any]:
    """Return the moments of the model of late flights, from its cells."""
    return nuts(models.late_flight_cells(), chains=8, draws=10_000, adaptation="low_rank")


def nuts(model: pm.Model, **options: Any) -> dict[str, Any]:
    """Run NUTS; return the moments of every variable, and of logarithms where PyMC takes them.

    Raises
    ------
    RuntimeError
        If the chains have not converged.
    """
    settings = {"tune": 2000, "seed": 1, **options}
    tree = nutpie.sample(
        nutpie.compile_pymc_model(model), cores=2, progress_bar=False, save_warmup=False, **settings
    )
    posterior = with_logarithms(model, tree.posterior.to_dataset())
    diagnostics = {"rhat": az.rhat(posterior), "ess_bulk": az.ess(posterior, method="bulk")}
    how = {
        "sampler": f"nutpie {nutpie.__version__}, NUTS",
        **settings,
        "divergences": int(tree.sample_stats["diverging"].sum()),
        "rhat_max": max(float(part.max()) for part in diagnostics["rhat"].values()),
        "ess_bulk_min": min(float(part.min()) for part in diagnostics["ess_bulk"].values()),
    }
    if how["rhat_max"] > 1.01:
        raise RuntimeError(f"The chains must agree, got {how}.\nHint: take more draws.")
    moments = {
        "mean": posterior.mean(("chain", "draw")),
        "sd": posterior.std(("chain", "draw")),
        "q5": posterior.quantile(0.05, ("chain", "draw")),
        "q95": posterior.quantile(0.95, ("chain", "draw")),
        "mcse_mean": az.mcse(posterior, method="mean"),
        "mcse_sd": az.mcse(posterior, method="sd"),
        **diagnostics,
    }
    variables = {
        str(name): {moment: rounded(values[name]) for moment, values in moments.items()}
        for name in posterior.data_vars
    }
    return {"how": how, "variables": variables}


def with_logarithms(model: pm.Model, posterior: xr.Dataset) -> xr.Dataset:
    """Add the free variables as PyMC transforms them."""
    logarithms = {
        model.rvs_to_values[variable].name: np.log(posterior[variable.name])
        for variable in model.free_RVs
        if isinstance(model.rvs_to_transforms[variable], LogTransform)
    }
    return posterior.assign(logarithms)


def rounded(values: xr.DataArray) -> Any:
    """Return values as lists, to seven digits."""
    return np.vectorize(lambda value: float(f"{value:.7g}"))(values.values).tolist()


TRUTHS: dict[str, Callable[[], dict[str, Any]]] = {
    make.__name__: make
    for make in (radon_contextual, radon_contextual_check, radon_varying, flights)
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=TRUTHS)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    truth = TRUTHS[arguments.name]()
    path = arguments.folder / f"{arguments.name}.json"
    path.write_text(json.dumps(truth, indent=1) + "\n")
    print(truth["how"], path)
