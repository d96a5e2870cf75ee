"""A plain JAX loop
================

A regression in plain JAX and optax, fed by bayou: no PyMC, and more rows than memory if need be.

Batches are dicts of NumPy arrays, so that any loop can take them. What a run needs to go on where
it was cut off is small enough for a line of JSON.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import typer

import bayou as by

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOPES = np.array([1.0, -2.0, 0.5])
INTERCEPT = 3.0
OPTIMIZER = optax.adam(0.01)


def main(steps: int = 3000, num_rows: int = 100_000) -> None:
    """Fit the regression by stochastic gradients and print its coefficients."""
    source = by.source(simulate(num_rows))
    columns = {"x": ["x1", "x2", "x3"], "y": "y"}
    with by.Batches(source, 256, columns=columns, random_seed=1) as batches:
        params, state = fit(batches, steps)
    print(f"slopes {np.round(params['slopes'], 2)}, intercept {params['intercept']:.2f}")
    print(f"Goes on from {json.dumps(state)}")


def simulate(num_rows: int) -> dict[str, NDArray[np.float64]]:
    """Return predictors and an outcome, by name."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(num_rows, len(SLOPES)))
    y = x @ SLOPES + INTERCEPT + generator.normal(size=num_rows)
    return {**{f"x{index + 1}": column for index, column in enumerate(x.T)}, "y": y}


def fit(batches: by.Batches, num_steps: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Take steps down the gradient; return the parameters, and where the batches stand."""
    params = {"slopes": jnp.zeros(len(SLOPES)), "intercept": jnp.zeros(())}
    moments = OPTIMIZER.init(params)
    for batch in islice(batches, num_steps):
        params, moments = step(params, moments, batch["x"], batch["y"])
    return jax.tree.map(np.asarray, params), batches.state()


@partial(jax.jit, donate_argnums=(0, 1))
def step(params: Any, moments: Any, x: Any, y: Any) -> Any:
    gradient = jax.grad(loss)(params, x, y)
    updates, moments = OPTIMIZER.update(gradient, moments, params)
    return optax.apply_updates(params, updates), moments


def loss(params: Any, x: Any, y: Any) -> Any:
    return jnp.mean((y - x @ params["slopes"] - params["intercept"]) ** 2) / 2


if __name__ == "__main__":
    typer.run(main)
