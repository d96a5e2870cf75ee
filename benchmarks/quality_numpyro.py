"""The models of quality.py in NumPyro, fitted by AutoNormal, for the environment of the peers."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import Adam

RATE = 0.05
LEVELS = {"destination": 104, "carrier": 16, "month": 12, "period": 7}


def contextual(log_radon: Any, log_uranium: Any, floor: Any, mean_floor: Any, county: Any) -> None:
    mean = numpyro.sample("county_effect_mean", dist.Normal(0, 1))
    scale = numpyro.sample("county_effect_scale", dist.HalfNormal(1))
    effect = numpyro.sample("county_effect", dist.Normal(mean, scale).expand([85]).to_event(1))
    weight = numpyro.sample("weight", dist.Normal(0, 1).expand([3]).to_event(1))
    noise = numpyro.sample("log_radon_scale", dist.HalfNormal(1))
    slopes = weight[0] * log_uranium + weight[1] * floor + weight[2] * mean_floor
    numpyro.sample("log_radon", dist.Normal(effect[county] + slopes, noise), obs=log_radon)


def varying(centred: bool, log_radon: Any, floor: Any, county: Any, **_unused: Any) -> None:
    mean = numpyro.sample("mu_a", dist.Normal(0, 10))
    scale = numpyro.sample("sigma_a", dist.HalfNormal(5))
    if centred:
        effect = numpyro.sample("a", dist.Normal(mean, scale).expand([85]).to_event(1))
    else:
        effect = mean + scale * numpyro.sample("z", dist.Normal(0, 1).expand([85]).to_event(1))
    slope = numpyro.sample("b", dist.Normal(0, 10))
    noise = numpyro.sample("sigma", dist.HalfNormal(5))
    numpyro.sample("log_radon", dist.Normal(effect[county] + slope * floor, noise), obs=log_radon)


def flights(late: Any, **indices: Any) -> None:
    intercept = numpyro.sample("intercept", dist.Normal(0, 2))
    effects = {}
    for factor, count in LEVELS.items():
        spread = 1.0
        if factor != "period":
            spread = numpyro.sample(f"{factor}_spread", dist.HalfNormal(1))
        prior = dist.Normal(0, spread).expand([count]).to_event(1)
        effects[factor] = numpyro.sample(f"{factor}_effect", prior)
    with numpyro.plate("flights", len(late), subsample_size=512) as batch:
        log_odds = intercept + sum(effects[factor][indices[factor][batch]] for factor in LEVELS)
        numpyro.sample("late", dist.Bernoulli(logits=log_odds), obs=late[batch])


def normal(rows: Any) -> None:
    mean = numpyro.sample("mean", dist.ImproperUniform(dist.constraints.real, (), ()))
    with numpyro.plate("rows", len(rows), subsample_size=200) as batch:
        numpyro.sample("observed", dist.Normal(mean, 1), obs=rows[batch])


MODELS = {
    "contextual": contextual,
    "centred": partial(varying, True),
    "noncentred": partial(varying, False),
    "flights": flights,
    "normal": normal,
}


def main(name: str, seed: int, data: str, num_steps: int, num_draws: int) -> None:
    """Fit with a rate that falls along a cosine; print what quality.py reads."""
    numpyro.enable_x64()
    columns = {column: jnp.asarray(values) for column, values in np.load(data).items()}
    begin = time.perf_counter()
    guide = AutoNormal(MODELS[name])
    adam = Adam(lambda step: RATE * (1 + jnp.cos(jnp.pi * step / num_steps)) / 2)
    svi = SVI(MODELS[name], guide, adam, Trace_ELBO())
    found = svi.run(jax.random.key(seed), num_steps, progress_bar=False, **columns)
    found.losses.block_until_ready()
    seconds = time.perf_counter() - begin
    draws = guide.sample_posterior(jax.random.key(1), found.params, sample_shape=(num_draws,))
    if "z" in draws:
        draws["a"] = draws["mu_a"][:, None] + draws["sigma_a"][:, None] * draws["z"]
    moments = {
        variable: {"mean": np.mean(values, 0).tolist(), "sd": np.std(values, 0).tolist()}
        for variable, values in draws.items()
    }
    note = f"{num_steps:,} steps, cosine"
    print(json.dumps({"seconds": seconds, "moments": moments, "note": note}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
