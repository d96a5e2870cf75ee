"""The peers of benchmarks/passes.py: other ways to the posteriors of its models.

Each is a function of the model's name, the rows and a seed that returns the means and standard
deviations of the compared variables. It runs in a process of its own; its seconds are those of the
call, compilation included, without imports. Settings are those that the documentation of a library
recommends for many rows, or the defaults.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pass_models import LEVELS, compared_names, model_rows, tree_moments, write_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[Any]
    type Moments = tuple[Array, Array]

# Steps of stochastic variational inference, and the rows of a step.
SVI_STEPS = 5000
SVI_ROWS = 4096
# Steps of Adam on all rows to the mode.
LAPLACE_STEPS = 300
# Draws that moments of a peer are computed from, where it returns draws alone: their own error is
# 0.01 sd of a mean, and 0.7% of a standard deviation.
NUM_DRAWS = 10_000
NOT_INSTALLED = 3


def written_model(kind: str, x: Array, y: Array) -> pm.Model:
    """Return the model as users of PyMC write it."""

    def container(name: str, values: Array, dims: Any) -> Any:
        return values if name == "y" else pm.Data(name, values, dims=dims)

    return write_model(kind, x, y, container)


def find_map(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Fit by `pm.find_MAP`, and the Hessian there."""
    with written_model(kind, x, y) as model:
        point = pm.find_MAP(progressbar=False)
        covariance = np.linalg.inv(pm.find_hessian(point))
    if kind != "hierarchical":
        count = x.shape[1]
        return point["slopes"], np.sqrt(np.diag(covariance))[:count]
    # Scales as exponentials of normal draws, in the order of the variables.
    values = np.concatenate([np.ravel(point[value.name]) for value in model.value_vars])
    draws = np.random.default_rng(seed).multivariate_normal(values, covariance, NUM_DRAWS)
    columns, start = {}, 0
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        stop = start + np.size(point[value.name])
        part = draws[:, start:stop]
        columns[variable.name] = np.exp(part) if value.name.endswith("_log__") else part
        start = stop
    flat = np.concatenate([columns[name] for name in compared_names(kind)], axis=1)
    return flat.mean(axis=0), flat.std(axis=0)


def extras_laplace(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Fit by `pymc_extras.fit_laplace`."""
    from pymc_extras import fit_laplace

    with written_model(kind, x, y):
        found = fit_laplace(random_seed=seed, progressbar=False, draws=NUM_DRAWS)
    return tree_moments(found, kind)


def extras_dadvi(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Fit by `pymc_extras.inference.fit_dadvi`."""
    from pymc_extras.inference import fit_dadvi

    with written_model(kind, x, y):
        found = fit_dadvi(random_seed=seed, progressbar=False, n_draws=NUM_DRAWS)
    return tree_moments(found, kind)


def nutpie_nuts(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Sample by nutpie with JAX: two chains of 500 draws after 500 of tuning."""
    import nutpie

    compiled = nutpie.compile_pymc_model(
        written_model(kind, x, y), backend="jax", gradient_backend="jax"
    )
    found = nutpie.sample(compiled, draws=500, tune=500, chains=2, seed=seed, progress_bar=False)
    return tree_moments(found, kind)


def numpyro_svi(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Fit by NumPyro's SVI in minibatches: a full-rank normal, Adam with a decaying rate."""
    import optax
    from numpyro.infer.autoguide import AutoMultivariateNormal

    rate = optax.cosine_decay_schedule(0.01, SVI_STEPS, 1e-3)
    return _run_svi(AutoMultivariateNormal, kind, x, y, seed, rate, SVI_STEPS, SVI_ROWS)


def numpyro_laplace(kind: str, x: Array, y: Array, seed: int) -> Moments:
    """Fit by NumPyro's AutoLaplaceApproximation: Adam on all rows to the mode, and the Hessian."""
    import optax
    from numpyro.infer.autoguide import AutoLaplaceApproximation

    rate = optax.cosine_decay_schedule(0.1, LAPLACE_STEPS, 1e-3)
    return _run_svi(AutoLaplaceApproximation, kind, x, y, seed, rate, LAPLACE_STEPS, None)


def _run_svi(
    guide_kind: Any,
    kind: str,
    x: Array,
    y: Array,
    seed: int,
    rate: Any,
    num_steps: int,
    num_batch_rows: int | None,
) -> Moments:
    import jax
    import numpyro
    import optax
    from numpyro.infer import SVI, Trace_ELBO

    numpyro.enable_x64()
    rows, outcomes = jax.numpy.asarray(x), jax.numpy.asarray(y, float)

    def model(rows: Any, outcomes: Any) -> None:
        predict = _numpyro_priors(kind, x.shape[1])
        with numpyro.plate("row", len(x), subsample_size=num_batch_rows) as index:
            batch = (rows, outcomes) if num_batch_rows is None else (rows[index], outcomes[index])
            numpyro.sample("observed", predict(batch[0]), obs=batch[1])

    guide = guide_kind(model)
    svi = SVI(model, guide, optax.adam(rate), Trace_ELBO())
    found = svi.run(jax.random.PRNGKey(seed), num_steps, rows, outcomes, progress_bar=False)
    if kind != "hierarchical":
        normal = guide.get_posterior(found.params)
        # The slopes come last: "noise" stands before them in the alphabet.
        return np.array(normal.mean)[-x.shape[1] :], np.sqrt(np.array(normal.variance))[
            -x.shape[1] :
        ]
    draws = guide.sample_posterior(
        jax.random.PRNGKey(seed), found.params, sample_shape=(NUM_DRAWS,)
    )
    columns = [np.reshape(draws[name], (NUM_DRAWS, -1)) for name in compared_names(kind)]
    flat = np.concatenate(columns, axis=1)
    return flat.mean(axis=0), flat.std(axis=0)


def _numpyro_priors(kind: str, num_columns: int) -> Callable[[Any], Any]:
    """Sample the parameters of a model, and return its likelihood as a function of rows."""
    import jax
    import numpyro
    from numpyro import distributions as dist

    if kind == "hierarchical":
        intercept, effects = numpyro.sample("intercept", dist.Normal(0, 1)), []
        for factor, count in enumerate(LEVELS):
            scale = numpyro.sample(f"scale_{factor}", dist.HalfNormal(1))
            prior = dist.Normal(jax.numpy.zeros(count), scale).to_event(1)
            effects.append(numpyro.sample(f"effect_{factor}", prior))
        return lambda rows: dist.Normal(
            intercept + sum(effect[rows[:, factor]] for factor, effect in enumerate(effects)), 1
        )
    noise = numpyro.sample("noise", dist.HalfNormal(1)) if kind == "normal" else None
    slopes = numpyro.sample("slopes", dist.Normal(jax.numpy.zeros(num_columns), 1).to_event(1))
    if kind == "logistic":
        return lambda rows: dist.BernoulliLogits(rows @ slopes)
    if kind == "poisson":
        return lambda rows: dist.Poisson(jax.numpy.exp(rows @ slopes))
    return lambda rows: dist.Normal(rows @ slopes, noise)


# By name: the library that it needs, and the function.
PEERS: dict[str, tuple[str, Callable[[str, Any, Any, int], Moments]]] = {
    "pm.find_MAP and Hessian": ("pymc", find_map),
    "pymc-extras fit_laplace": ("pymc_extras", extras_laplace),
    "pymc-extras fit_dadvi": ("pymc_extras", extras_dadvi),
    "NumPyro SVI": ("numpyro", numpyro_svi),
    "NumPyro AutoLaplace": ("numpyro", numpyro_laplace),
    "nutpie": ("nutpie", nutpie_nuts),
}


def main() -> int:
    """Run one peer on the rows of a model, and print what came out as JSON."""
    name, num_rows, seed, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    library, run = PEERS[name]
    try:
        import_module(library)
    except ImportError:
        return NOT_INSTALLED
    x, y = model_rows(kind, num_rows)
    begin, cpu = time.perf_counter(), time.process_time()
    mean, std = run(kind, x, y, seed)
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
