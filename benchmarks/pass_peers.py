"""The peers of benchmarks/passes.py: other ways to the posterior of its logistic regression.

Each is a function of the rows and a seed that returns the means and standard deviations of the
slopes. It runs in a process of its own; its seconds are those of the call, compilation included,
without imports. Settings are those that the documentation of a library recommends for many rows,
or the defaults.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Moments = tuple[NDArray[np.float64], NDArray[np.float64]]

# Steps of stochastic variational inference, and the rows of a step.
SVI_STEPS = 5000
SVI_ROWS = 4096
# Steps of Adam on all rows to the mode.
LAPLACE_STEPS = 300
# Draws that moments of a peer are computed from, where it returns draws alone: their own error is
# 0.01 sd of a mean, and 0.7% of a standard deviation.
NUM_DRAWS = 10_000
NOT_INSTALLED = 3


def written_model(x: NDArray[np.float64], y: NDArray[np.bool_]) -> pm.Model:
    """Return the model as users of PyMC write it."""
    with pm.Model() as model:
        slopes = pm.Normal("slopes", shape=x.shape[1])
        pm.Bernoulli("observed", logit_p=pm.Data("x", x) @ slopes, observed=y.astype(float))
    return model


def find_map(x: NDArray[np.float64], y: NDArray[np.bool_], _: int) -> Moments:
    """Fit by `pm.find_MAP`, and the Hessian there."""
    with written_model(x, y):
        point = pm.find_MAP(progressbar=False)
        precision = pm.find_hessian(point)
    return point["slopes"], np.sqrt(np.diag(np.linalg.inv(precision)))


def extras_laplace(x: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> Moments:
    """Fit by `pymc_extras.fit_laplace`."""
    from pymc_extras import fit_laplace

    with written_model(x, y):
        found = fit_laplace(random_seed=seed, progressbar=False, draws=NUM_DRAWS)
    return moments(found)


def extras_dadvi(x: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> Moments:
    """Fit by `pymc_extras.inference.fit_dadvi`."""
    from pymc_extras.inference import fit_dadvi

    with written_model(x, y):
        found = fit_dadvi(random_seed=seed, progressbar=False, n_draws=NUM_DRAWS)
    return moments(found)


def nutpie_nuts(x: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> Moments:
    """Sample by nutpie with JAX: two chains of 500 draws after 500 of tuning."""
    import nutpie

    compiled = nutpie.compile_pymc_model(written_model(x, y), backend="jax", gradient_backend="jax")
    found = nutpie.sample(compiled, draws=500, tune=500, chains=2, seed=seed, progress_bar=False)
    return moments(found)


def numpyro_svi(x: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> Moments:
    """Fit by NumPyro's SVI in minibatches: a full-rank normal, Adam with a decaying rate."""
    import optax
    from numpyro.infer.autoguide import AutoMultivariateNormal

    rate = optax.cosine_decay_schedule(0.01, SVI_STEPS, 1e-3)
    guide, params = _run_svi(AutoMultivariateNormal, x, y, seed, rate, SVI_STEPS, SVI_ROWS)
    normal = guide.get_posterior(params)
    return np.array(normal.mean), np.sqrt(np.array(normal.variance))


def numpyro_laplace(x: NDArray[np.float64], y: NDArray[np.bool_], seed: int) -> Moments:
    """Fit by NumPyro's AutoLaplaceApproximation: Adam on all rows to the mode, and the Hessian."""
    import optax
    from numpyro.infer.autoguide import AutoLaplaceApproximation

    rate = optax.cosine_decay_schedule(0.1, LAPLACE_STEPS, 1e-3)
    guide, params = _run_svi(AutoLaplaceApproximation, x, y, seed, rate, LAPLACE_STEPS, None)
    normal = guide.get_posterior(params)
    return np.array(normal.mean), np.sqrt(np.array(normal.variance))


def _run_svi(
    kind: Any,
    x: NDArray[np.float64],
    y: NDArray[np.bool_],
    seed: int,
    rate: Any,
    num_steps: int,
    num_batch_rows: int | None,
) -> tuple[Any, Any]:
    import jax
    import numpyro
    import optax
    from numpyro import distributions
    from numpyro.infer import SVI, Trace_ELBO

    numpyro.enable_x64()
    rows, outcomes = jax.numpy.asarray(x), jax.numpy.asarray(y, float)

    def model(rows: Any, outcomes: Any) -> None:
        prior = distributions.Normal(jax.numpy.zeros(x.shape[1]), 1).to_event(1)
        slopes = numpyro.sample("slopes", prior)
        with numpyro.plate("row", len(x), subsample_size=num_batch_rows) as index:
            batch = (rows, outcomes) if num_batch_rows is None else (rows[index], outcomes[index])
            likelihood = distributions.BernoulliLogits(batch[0] @ slopes)
            numpyro.sample("observed", likelihood, obs=batch[1])

    guide = kind(model)
    svi = SVI(model, guide, optax.adam(rate), Trace_ELBO())
    found = svi.run(jax.random.PRNGKey(seed), num_steps, rows, outcomes, progress_bar=False)
    return guide, found.params


def moments(tree: Any) -> Moments:
    """Return the means and standard deviations of the draws of the slopes."""
    draws = tree.posterior["slopes"].to_numpy()
    draws = draws.reshape(-1, draws.shape[-1])
    return draws.mean(axis=0), draws.std(axis=0)


# By name: the library that it needs, and the function.
PEERS: dict[str, tuple[str, Callable[[Any, Any, int], Moments]]] = {
    "pm.find_MAP and Hessian": ("pymc", find_map),
    "pymc-extras fit_laplace": ("pymc_extras", extras_laplace),
    "pymc-extras fit_dadvi": ("pymc_extras", extras_dadvi),
    "NumPyro SVI": ("numpyro", numpyro_svi),
    "NumPyro AutoLaplace": ("numpyro", numpyro_laplace),
    "nutpie": ("nutpie", nutpie_nuts),
}


def main() -> int:
    """Run one peer on the rows of benchmarks/passes.py, and print what came out as JSON."""
    from passes import logistic_rows

    name, num_rows, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    library, run = PEERS[name]
    try:
        import_module(library)
    except ImportError:
        return NOT_INSTALLED
    x, y = logistic_rows(num_rows)
    begin, cpu = time.perf_counter(), time.process_time()
    mean, std = run(x, y, seed)
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "mean": mean.tolist(),
        "std": std.tolist(),
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
